//! Writes on site, from end to end with real processes: operator, gateway and relay.

mod cli_place;

use std::fs;

use cli_place::{Place, Ran, Running};

/// Three cards without a preset subscription in simulated devices, a gateway that knows them, and an API key.
struct Line {
    place: Place,
    smsc: Option<Running>,
    _serving: Running,
    api: String,
    cards: String,
    key: String,
}

impl Line {
    fn new(smsc_options: &[&str]) -> Self {
        let place = Place::with_key();
        let sample = [
            "cards",
            "sample",
            "--count",
            "0",
            "--no-preset",
            "3",
            "--out",
            "cards.csv",
            "--subscriptions-out",
            "targets.csv",
        ];
        assert_eq!(place.run(&sample).code, 0);
        let imported = place.configured(&["cards", "import", "cards.csv"]);
        assert_eq!(imported.stdout, "imported 3, already there 0, refused 0\n", "{}", imported.stderr);
        let key = place.configured(&["keys", "create"]).stdout.trim().to_owned();
        let options = [
            "smsc",
            "--listen",
            "127.0.0.1:0",
            "--cards",
            "cards.csv",
            "--subscribers",
            "targets.csv",
            "--relay",
            "127.0.0.1:0",
            "--power-on",
            "0",
            "--report",
            "report.json",
            "--quiet",
        ];
        let smsc = place.start(&[&options, smsc_options].concat(), "SMSC on ");
        let cards = smsc.line("cards for `airwrite relay --sim` on ");
        let cards = cards.rsplit(' ').next().unwrap().to_owned();
        let address = smsc.line("SMSC on ");
        let mut config = fs::read_to_string(place.path("airwrite.toml")).unwrap();
        config.push_str(&format!(
            "[[link]]\nname = \"smsc\"\naddress = \"{}\"\nsystem_id = \"airwrite\"\npassword = \"secret\"\n\
             source = {{ digits = \"10690\", ton = 3, npi = 0 }}\n[[route]]\nname = \"all\"\nlinks = [\"smsc\"]\n",
            address["SMSC on ".len()..].split(": ").next().unwrap()
        ));
        fs::write(place.path("airwrite.toml"), config).unwrap();
        let serving = place.start(&["serve", "--config", "airwrite.toml"], "airwrite serves");
        let api = serving.line("airwrite serves");
        let api = api.split("http://").nth(1).unwrap();
        let api: String = api.chars().take_while(|c| matches!(c, '.' | ':' | '0'..='9')).collect();
        Self { place, smsc: Some(smsc), _serving: serving, api: format!("http://{api}"), cards, key }
    }

    fn client(&self, arguments: &[&str]) -> Ran {
        self.place.run(&[arguments, &["--api", &self.api, "--key", &self.key]].concat())
    }

    /// Orders for the `number`-th device what the sample has for it; gives the id.
    fn order(&self, number: usize, more: &[&str]) -> String {
        let line = |name: &str| {
            let text = fs::read_to_string(self.place.path(name)).unwrap();
            text.lines().nth(number).unwrap().split(',').map(str::to_owned).collect::<Vec<_>>()
        };
        let imei = airwrite::cli::sample::device_imei(u32::try_from(number).unwrap()).unwrap().to_string();
        let (card, target) = (line("cards.csv"), line("targets.csv"));
        let order =
            ["write", "--imei", &imei, "--eid", &card[0], "--imsi", &target[0], "--msisdn", &target[1]];
        let ordered = self.client(&[&order, more].concat());
        assert_eq!(ordered.code, 0, "{}", ordered.stderr);
        ordered.stdout.split(' ').next().unwrap().to_owned()
    }

    /// Ends the operator; gives EF.IMSI of each of its cards.
    fn files(&mut self) -> Vec<String> {
        assert_eq!(self.smsc.take().unwrap().end("-TERM"), 0);
        let report = fs::read(self.place.path("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        let cards = report["cards"].as_array().unwrap();
        cards.iter().map(|card| card["ef_imsi"].as_str().unwrap_or("blank").to_owned()).collect()
    }
}

#[test]
fn cards_without_a_number_are_opened_on_site() {
    let mut line = Line::new(&[]);
    let (first, second) = (line.order(1, &[]), line.order(2, &[]));
    let one = line.client(&["relay", &first, "--sim", &line.cards]);
    assert_eq!(one.code, 0, "{}", one.stderr);
    assert_eq!(one.stdout, format!("{first} 357805020000015 effective\n"));
    assert!(one.stderr.contains("357805020000015 written"), "every step is told: {}", one.stderr);

    let all = line.client(&["relay", "--all", "--sim", &line.cards, "--json"]);
    assert_eq!((all.code, all.stderr.as_str()), (0, ""));
    let expected = serde_json::json!([
        { "write": second, "imei": "357805020000023", "state": "effective", "reason": null }
    ]);
    assert_eq!(all.json(), expected);

    let again = line.client(&["relay", "--all", "--sim", &line.cards]);
    assert_eq!((again.code, again.stdout.as_str()), (0, "no open write goes on site\n"));
    let ended = line.client(&["relay", &first, "--sim", &line.cards]);
    assert_eq!((ended.code, ended.stdout), (0, format!("{first} 357805020000015 effective\n")));
    assert_eq!(line.files(), ["001012000000001", "001012000000002", "blank"]);
}

#[test]
fn a_relay_goes_on_through_faults() {
    let plan = "[card]\nenvelope_refused = 40\nenvelope_refusals_max = 2\nenvelope_status = [\"9300\", \"6F00\"]\n\
                power_cut = 20\npower_off_ms = 300\nrefresh_refused = 30\n";
    let faults = tempfile::NamedTempFile::new().unwrap();
    fs::write(faults.path(), plan).unwrap();
    let mut line = Line::new(&["--faults", faults.path().to_str().unwrap(), "--seed", "3"]);
    for number in 1..=3 {
        line.order(number, &[]);
    }
    let all = line.client(&["relay", "--all", "--sim", &line.cards]);
    assert_eq!(all.code, 0, "{} {}", all.stdout, all.stderr);
    assert_eq!(all.stdout.matches(" effective\n").count(), 3);
    assert_eq!(line.files(), ["001012000000001", "001012000000002", "001012000000003"]);
}

#[test]
fn another_card_in_the_device_decides_nothing() {
    let mut line = Line::new(&[]);
    // The order names the first card, but the second device; the relay finds there another card.
    let target = ["--imsi", "001012000000003", "--msisdn", "861064200000003"];
    let eid = fs::read_to_string(line.place.path("cards.csv")).unwrap();
    let eid = eid.lines().nth(1).unwrap().split(',').next().unwrap();
    let order = [&["write", "--imei", "357805020000023", "--eid", eid], &target[..]].concat();
    let ordered = line.client(&order);
    let id = ordered.stdout.split(' ').next().unwrap();
    let relayed = line.client(&["relay", id, "--sim", &line.cards, "--patience", "3"]);
    assert_eq!(relayed.code, 1);
    assert!(
        relayed.stderr.contains(&format!("{id} is unknown and has not changed for 3 s")),
        "{}",
        relayed.stderr
    );
    assert!(relayed.stderr.contains("is it the right card?"), "{}", relayed.stderr);
    assert_eq!(line.files(), ["blank", "blank", "blank"]);
}

#[test]
fn a_relay_says_what_is_missing() {
    let line = Line::new(&[]);
    let id = line.order(1, &[]);
    let nobody = line.client(&["relay", &id, "--sim", "127.0.0.1:1"]);
    assert_eq!(nobody.code, 1);
    assert!(
        nobody.stderr.contains("is `airwrite smsc --relay 127.0.0.1:1` running there?"),
        "{}",
        nobody.stderr
    );
    let unknown = line.client(&["relay", "wrt_00000000000000000000000000000000", "--sim", &line.cards]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.starts_with("error: There is no such resource"), "{}", unknown.stderr);
    let port = line.client(&["relay", &id, "--serial", "/dev/absent"]);
    assert_eq!(port.code, 1);
    assert!(port.stderr.contains("/dev/absent (is it the port of a modem"), "{}", port.stderr);
    for wrong in [
        &["relay", "--all"][..],
        &["relay", "--sim", "127.0.0.1:1"],
        &["relay", "wrt_1", "--all", "--sim", "x:1"],
    ] {
        assert_eq!(line.client(wrong).code, 2, "{wrong:?}");
    }
    let stranger =
        line.place.run(&["relay", &id, "--sim", &line.cards, "--api", &line.api, "--key", "aw_key_0_0"]);
    assert!(stranger.stderr.starts_with("error: A valid API key is needed"), "{}", stranger.stderr);
}
