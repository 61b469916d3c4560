//! The shipped file loads, and what is wrong is said with its place.

use secrecy::ExposeSecret;

use super::*;
use crate::link::SourceConfig;

/// A directory with this configuration and the shipped profile.
fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("applet.toml"), APPLET_PROFILE).unwrap();
    let path = directory.path().join("airwrite.toml");
    fs::write(&path, text).unwrap();
    (directory, path)
}

const LEAST: &str = r#"profiles = ["applet.toml"]
store = { directory = "store" }
vault = { master_key_file = "key" }
"#;

fn load(text: &str) -> Result<Config, String> {
    let (_directory, path) = written(text);
    Config::load(&path, &Environment::default()).map_err(|error| {
        // The directory's name is another one in each run.
        error.to_string().replace(&format!("{}/", path.parent().unwrap().display()), "")
    })
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/airwrite.toml")
}

#[test]
fn the_shipped_file_fits_the_simulated_operator() {
    let config = Config::load(&shipped(), &Environment::default()).unwrap();
    assert_eq!(config.api.listen.to_string(), "127.0.0.1:8080");
    let [link] = config.links.as_slice() else { panic!("one link") };
    assert_eq!((link.name.as_str(), link.address.as_str()), ("smsc", "127.0.0.1:2775"));
    assert_eq!((link.system_id.as_str(), link.password.expose_secret()), ("airwrite", "secret"));
    assert_eq!(link.source, SourceConfig { digits: "10690".to_owned(), ton: 3, npi: 0 });
    assert_eq!(config.routes, [RouteConfig::all_over(vec!["smsc".to_owned()])]);
    let shipped = [
        "airwrite-applet",
        "airwrite-applet-no-por",
        "airwrite-applet-plain",
        "airwrite-applet-raw",
        "usim-rfm",
        "usim-rfm-b00011",
    ];
    assert!(shipped.into_iter().eq(config.profiles.keys()));
    assert!(config.store.directory.ends_with("../airwrite.store"));
}

/// What stands in the shipped file is what holds without it, as its comments promise.
#[test]
fn the_shipped_file_shows_the_defaults() {
    let shipped = Config::load(&shipped(), &Environment::default()).unwrap();
    let least = load(LEAST).unwrap();
    assert_eq!(shipped.timers, least.timers);
    assert_eq!(shipped.log, least.log);
    assert_eq!(shipped.retention, least.retention);
    assert_eq!(shipped.eid_checksum, least.eid_checksum);
    assert_eq!(format!("{:?}", shipped.api), format!("{:?}", least.api));
    assert_eq!(format!("{:?}", shipped.webhooks), format!("{:?}", least.webhooks));
    let store = StoreConfig { directory: shipped.store.directory.clone(), ..least.store };
    assert_eq!(shipped.store, store);
    let shown = LinkConfig {
        name: "smsc".to_owned(),
        address: "127.0.0.1:2775".to_owned(),
        system_id: "airwrite".to_owned(),
        source: SourceConfig { digits: "10690".to_owned(), ton: 3, npi: 0 },
        ..LinkConfig::default()
    };
    // A password shows nothing of itself in `Debug`.
    assert_eq!(format!("{:?}", shipped.links[0]), format!("{shown:?}"));
}

/// The refusal of an unknown key lists the keys that there are.
#[test]
fn the_shipped_file_explains_every_key() {
    let shipped = fs::read_to_string(shipped()).unwrap();
    let tables = [
        "[store]",
        "[vault]",
        "[api]",
        "[log]",
        "[timers]",
        "[[link]]",
        "[[route]]",
        "[retention]",
        "[webhooks]",
    ];
    let within_link = ["[link.numbers]", "[link.tls]", "[link.capture]"];
    let lists = ["[[delivery_hours]]", "[[webhook]]", "[[lookup]]"];
    for table in [&[""], &tables[..], &within_link[..], &lists[..]].concat() {
        let text = match table {
            "" => format!("nobody = 1\n{LEAST}"),
            // These two stand in the least file as inline tables.
            "[store]" => LEAST.replace("store = {", "store = { nobody = 1,"),
            "[vault]" => LEAST.replace("vault = {", "vault = { nobody = 1,"),
            table if within_link.contains(&table) => format!("{LEAST}\n[[link]]\n{table}\nnobody = 1\n"),
            table => format!("{LEAST}\n{table}\nnobody = 1\n"),
        };
        let error = load(&text).unwrap_err();
        assert!(error.contains("unknown field `nobody`"), "{table}: {error}");
        let keys: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        assert!(!keys.is_empty(), "{table}: {error}");
        let section = shipped.split_once(&format!("{table}\n")).map_or(shipped.as_str(), |(_, after)| after);
        for key in keys {
            let explained = ["", "# "].iter().any(|comment| {
                section.contains(&format!("\n{comment}{key} = "))
                    || shipped.contains(&format!("\n{comment}[{key}]\n"))
                    || shipped.contains(&format!("\n{comment}[[{key}]]\n"))
                    || shipped.contains(&format!("\n{comment}[link.{key}]\n"))
            });
            assert!(explained, "{table} {key} is not explained");
        }
    }
}

/// What the shipped file only shows in comments works too.
#[test]
fn the_shipped_examples_in_comments_load() {
    let shipped = fs::read_to_string(shipped()).unwrap();
    let profiles = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profiles").join(name);
    let mut uncommented = shipped.replace("profiles/", &format!("{}", profiles("").display()));
    for example in [
        "owner = ",
        "[[delivery_hours]]",
        "route = ",
        "from = ",
        "to = ",
        "utc_offset = ",
        "[link.capture]",
        "directory = \"../captures",
        "max_mib = ",
        "files = ",
        "[link.tls]",
        "ca_file = ",
        "certificate_file = ",
        "key_file = ",
        "server_name = ",
        "[[webhook]]",
        "[[lookup]]",
        "name = \"orders\"",
        "url = ",
        "secret = ",
        "allow_private = ",
    ] {
        uncommented = uncommented.replace(&format!("\n# {example}"), &format!("\n{example}"));
    }
    let config = load(&uncommented).unwrap();
    let tls = config.links[0].tls.as_ref().unwrap();
    assert_eq!(tls.server_name.as_deref(), Some("smsc.example"));
    let [endpoint] = config.endpoints.as_slice() else { panic!("one endpoint") };
    assert_eq!((endpoint.name.as_str(), endpoint.owner.as_str()), ("orders", "default"));
    assert!(!endpoint.allow_private);
    let [lookup] = config.lookups.as_slice() else { panic!("one look-up") };
    assert_eq!((lookup.owner.as_str(), lookup.url.as_str()), ("default", "https://business.example/cards"));
    assert_eq!(config.routes[0].owner.as_deref(), Some("default"));
    let [hours] = config.delivery_hours.as_slice() else { panic!("one table of delivery hours") };
    assert_eq!((hours.from, hours.to, hours.utc_offset), (22 * 60, 6 * 60, 60));
    assert_eq!((hours.owner.as_deref(), hours.route.as_deref()), (Some("default"), Some("all")));
    let capture = config.links[0].capture.as_ref().unwrap();
    assert_eq!((capture.max_mib, capture.files), (64, 8));
}

#[test]
fn an_unknown_key_is_named_with_file_and_line() {
    let error = load(&format!("{LEAST}\n[log]\nlevle = \"info\"\n")).unwrap_err();
    assert_eq!(error, "airwrite.toml:6: unknown field `levle`, expected `format` or `level`");
    let error = load(&format!("{LEAST}\n[[link]]\nname = \"a\"\nwindwo = 3\n")).unwrap_err();
    assert!(error.starts_with("airwrite.toml:7: unknown field `windwo`, expected one of `name`"), "{error}");
    let error = load(&format!("speling = 1\n{LEAST}")).unwrap_err();
    assert!(error.starts_with("airwrite.toml:1: unknown field `speling`"), "{error}");
    assert!(!error.contains('\n'));
}

#[test]
fn a_missing_key_and_a_wrong_value_are_named() {
    let error = load("profiles = []\nstore = { directory = \"s\" }\n").unwrap_err();
    assert!(error.contains("missing field `vault`"), "{error}");
    let error = load(&format!("{LEAST}\n[api]\nlisten = \"here\"\n")).unwrap_err();
    assert!(error.starts_with("airwrite.toml:6: "), "{error}");
    let error = load(&LEAST.replace("[\"applet.toml\"]", "[]")).unwrap_err();
    assert_eq!(error, "airwrite.toml: profiles: expected at least one file with a profile");
    let error = load(&LEAST.replace("applet.toml", "absent.toml")).unwrap_err();
    assert!(error.starts_with("absent.toml: No such file"), "{error}");
    let error = load(&LEAST.replace("\"store\" }", "\"store\", cache_mib = 1 }")).unwrap_err();
    assert_eq!(error, "airwrite.toml: store.cache_mib is 1, expected 8 to 65536");
    let error = load(&LEAST.replace("[\"applet.toml\"]", "[\"applet.toml\", \"applet.toml\"]")).unwrap_err();
    assert!(error.contains("profiles of different names"), "{error}");
}

#[test]
fn a_link_that_cannot_be_is_named_with_file_and_line() {
    let link = |name: &str, more: &str| {
        format!("\n[[link]]\nname = \"{name}\"\naddress = \"x:1\"\nsystem_id = \"s\"\n{more}\n")
    };
    let error = load(&format!("{LEAST}{}{}", link("a", ""), link("b", "window = 0"))).unwrap_err();
    assert_eq!(error, "airwrite.toml:11: link \"b\": window: 1 to 1000 expected, found 0");
    let error = load(&format!("{LEAST}{}", link("a", "source = { digits = \"123456789012345678901\" }")));
    assert!(error.unwrap_err().starts_with("airwrite.toml:5: link \"a\": source.digits: "));
    let error = load(&format!("{LEAST}\n[[link]]\nname = \"a\"\nsystem_id = \"s\"\n")).unwrap_err();
    assert_eq!(error, "airwrite.toml:5: link \"a\": address: a value is required");
}

#[test]
fn names_must_be_unique_and_routes_must_lead_somewhere() {
    let link = "\n[[link]]\nname = \"a\"\naddress = \"x:1\"\nsystem_id = \"s\"\n";
    let route = "\n[[route]]\nname = \"r\"\nlinks = [\"a\"]\n";
    assert!(load(&format!("{LEAST}{link}{route}")).is_ok());
    let error = load(&format!("{LEAST}{link}{link}")).unwrap_err();
    assert_eq!(error, "airwrite.toml: link.name: expected different names, \"a\" is there twice");
    let lookup = "\n[[lookup]]\nowner = \"acme\"\nurl = \"https://a.example\"\nsecret = \"whsec_\"\n";
    let error = load(&format!("{LEAST}{lookup}{lookup}")).unwrap_err();
    assert_eq!(error, "airwrite.toml: lookup.owner: expected different names, \"acme\" is there twice");
    let error = load(&format!("{LEAST}{route}")).unwrap_err();
    assert_eq!(error, "airwrite.toml: route.links: expected names of [[link]] tables, route \"r\" has \"a\"");
    let error = load(&format!("{LEAST}{link}{route}standby = [\"a\"]\n")).unwrap_err();
    assert_eq!(error, "airwrite.toml: route.standby: expected different links, route \"r\" has \"a\" twice");
    let error = load(&format!("{LEAST}{link}{}", route.replace("\"a\"", ""))).unwrap_err();
    assert_eq!(error, "airwrite.toml: route.links: expected at least one link, route \"r\" has none");
    let error = load(&format!("{LEAST}{link}{route}prefix = \"+49\"\n")).unwrap_err();
    assert_eq!(error, "airwrite.toml: route.prefix: expected digits without +, or nothing");
}

#[test]
fn delivery_hours_and_retention_are_checked() {
    let hours = "\n[[delivery_hours]]\nfrom = \"22:00\"\nto = \"06:00\"\n";
    assert!(load(&format!("{LEAST}{hours}")).is_ok());
    let error = load(&format!("{LEAST}{hours}route = \"r\"\n")).unwrap_err();
    assert_eq!(error, "airwrite.toml: delivery_hours.route: expected the name of a [[route]], found \"r\"");
    let error = load(&format!("{LEAST}{hours}owner = \"A B\"\n")).unwrap_err();
    assert!(error.starts_with("airwrite.toml: delivery_hours.owner: "), "{error}");
    let error = load(&format!("{LEAST}{}", hours.replace("06:00", "6"))).unwrap_err();
    assert_eq!(error, "airwrite.toml:7: expected \"HH:MM\", 00:00 to 23:59");
    let error = load(&format!("{LEAST}\n[retention]\nwrites_days = 0\n")).unwrap_err();
    assert_eq!(error, "airwrite.toml: retention: expected at least 1 day of each");
    let error = load(&format!("{LEAST}\n[retention]\nwrites_days = 20\n")).unwrap_err();
    assert!(error.starts_with("airwrite.toml: retention.idempotency_keys_days: expected no more"), "{error}");
}

#[test]
fn paths_are_relative_to_the_file() {
    let link = "\n[[link]]\nname = \"a\"\naddress = \"x:1\"\nsystem_id = \"s\"\ntls = { ca_file = \"ca.pem\", key_file = \"/etc/link.key\" }\n\
                capture = { directory = \"seen\" }\n";
    let (directory, path) = written(&format!("{LEAST}{link}"));
    let config = Config::load(&path, &Environment::default()).unwrap();
    let tls = config.links[0].tls.as_ref().unwrap();
    assert_eq!(tls.ca_file, Some(directory.path().join("ca.pem")));
    assert_eq!(tls.key_file.as_deref(), Some(Path::new("/etc/link.key")));
    assert_eq!(config.store.directory, directory.path().join("store"));
    assert_eq!(config.links[0].capture.as_ref().unwrap().directory, directory.path().join("seen"));
    assert_eq!(config.vault.master_key_file, directory.path().join("key"));
}

#[test]
fn the_environment_overrides() {
    let link = "\n[[link]]\nname = \"north-1\"\naddress = \"x:1\"\nsystem_id = \"s\"\npassword = \"file\"\n";
    let (_directory, path) = written(&format!("{LEAST}{link}"));
    let variables = environment(&[
        ("AIRWRITE_STORE_DIRECTORY", "/var/lib/store"),
        ("AIRWRITE_VAULT_MASTER_KEY_FILE", "elsewhere.key"),
        ("AIRWRITE_API_LISTEN", "[::1]:9"),
        ("AIRWRITE_LOG_LEVEL", "debug"),
        ("AIRWRITE_LINK_NORTH_1_PASSWORD", "overridden"),
        ("AIRWRITE_KEY", "is for the client"),
        ("HOME", "/root"),
    ]);
    let config = Config::load(&path, &variables).unwrap();
    assert_eq!(config.store.directory, Path::new("/var/lib/store"));
    assert_eq!(config.vault.master_key_file, Path::new("elsewhere.key"));
    assert_eq!(config.api.listen.to_string(), "[::1]:9");
    assert_eq!(config.log.level, "debug");
    assert_eq!(config.links[0].password.expose_secret(), "overridden");
    assert!(!format!("{variables:?}").contains("overridden"));
}

#[test]
fn a_variable_that_nobody_knows_is_refused() {
    let (_directory, path) = written(LEAST);
    let refused = |name, value| Config::load(&path, &environment(&[(name, value)])).unwrap_err().to_string();
    let error = refused("AIRWRITE_STORE_PATH", "x");
    assert!(
        error.starts_with("environment variable AIRWRITE_STORE_PATH: expected AIRWRITE_STORE_DIR"),
        "{error}"
    );
    let error = refused("AIRWRITE_LINK_SOUTH_PASSWORD", "x");
    assert!(error.contains("the name of a configured [[link]]"), "{error}");
    let error = refused("AIRWRITE_API_LISTEN", "everywhere");
    assert_eq!(error, "environment variable AIRWRITE_API_LISTEN: expected an IP address and a port");
}
