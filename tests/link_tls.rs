//! A link over TLS against the simulated SMSC on real TCP, with certificates made for each test.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use airwrite::link::{self, Link, LinkConfig, LinkState, SubmitOutcome, TcpConnector, TlsConfig, Transport};
use airwrite::sim::{self, EsmeAccount, SimConfig, SimHandle, TlsServer};
use airwrite::smpp::{CommandStatus, RegisteredDelivery};
use airwrite::world::{SeededRng, SystemClock};
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

/// The name that the SMSC's certificates have.
const SMSC: &str = "smsc.test";

// ---- Certificates

/// An authority and a directory for what it signs.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

/// Files of a certificate and its key.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn sign(&self, name: &str) -> Files {
        self.sign_until(name, 2096)
    }

    fn sign_until(&self, name: &str, year: i32) -> Files {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files =
            Files { certificate: self.path(&format!("{name}.pem")), key: self.path(&format!("{name}.key")) };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

// ---- Both ends

/// An SMSC without cards; with TLS where it has a certificate.
async fn smsc(shown: Option<&Files>, client_ca: Option<&Path>) -> SimHandle {
    let account = EsmeAccount {
        system_id: "airwrite".into(),
        password: "secret".into(),
        short_codes: vec!["10690".into()],
    };
    let tls = shown.map(|files| TlsServer::new(&files.certificate, &files.key, client_ca).unwrap());
    let config = SimConfig { accounts: vec![account], tls, ..SimConfig::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    sim::start(config, &[], Arc::new(SystemClock), Arc::new(SeededRng::new(1)), Some(listener))
}

fn config(address: &str, tls: TlsConfig) -> LinkConfig {
    LinkConfig {
        name: "north".into(),
        address: address.to_owned(),
        system_id: "airwrite".into(),
        password: "secret".into(),
        reconnect_first_ms: 1,
        reconnect_max_ms: 20,
        tls: Some(tls),
        ..LinkConfig::default()
    }
}

fn trusting(authority: &Authority) -> TlsConfig {
    TlsConfig { ca_file: Some(authority.ca()), server_name: Some(SMSC.into()), ..TlsConfig::default() }
}

async fn connect(smsc: &SimHandle, tls: TlsConfig) -> io::Result<Box<dyn Transport>> {
    let address = smsc.address().unwrap().to_string();
    let connector = link::secured(&mut config(&address, tls), Arc::new(TcpConnector)).unwrap();
    timeout(PATIENCE, connector.connect(&address)).await.unwrap()
}

/// Why no connection comes up.
async fn refusal(smsc: &SimHandle, tls: TlsConfig) -> String {
    match connect(smsc, tls).await {
        Ok(_) => panic!("no connection expected"),
        Err(error) => error.to_string(),
    }
}

fn start(smsc: &SimHandle, tls: TlsConfig) -> Link {
    let (deliveries, _) = mpsc::channel(1);
    let config = config(&smsc.address().unwrap().to_string(), tls);
    let rng = Arc::new(SeededRng::new(1));
    link::start(config, Arc::new(TcpConnector), rng, deliveries, &CancellationToken::new()).unwrap()
}

/// Binds, submits, unbinds.
async fn works(smsc: &SimHandle, tls: TlsConfig) {
    let link = start(smsc, tls);
    let slot = timeout(PATIENCE, link.slot()).await.unwrap().unwrap();
    let tp_ud = Bytes::from_static(&[2, 0x70, 0, 1, 2, 3]);
    let sm = link.dialect().ota_sm(0, "491700000001", tp_ud, 60, RegisteredDelivery::NONE).unwrap();
    // Nobody has this number, and the SMSC says so.
    let SubmitOutcome::Answered { status, .. } = slot.submit(sm).await else { panic!("an answer") };
    assert_eq!(status, CommandStatus::ESME_RINVDSTADR);
    link.close().await;
}

// ---- What works

#[tokio::test]
async fn a_link_trusts_its_own_authority() {
    let authority = Authority::new("theirs");
    let smsc = smsc(Some(&authority.sign(SMSC)), None).await;
    works(&smsc, trusting(&authority)).await;
    smsc.stop().await;
}

#[tokio::test]
async fn a_link_shows_its_certificate_where_it_is_asked_for() {
    let (authority, ours) = (Authority::new("theirs"), Authority::new("ours"));
    let smsc = smsc(Some(&authority.sign("127.0.0.1")), Some(&ours.ca())).await;
    let Files { certificate, key } = ours.sign("airwrite.test");
    let tls = TlsConfig {
        certificate_file: Some(certificate),
        key_file: Some(key),
        // The host of the address is the name then.
        server_name: None,
        ..trusting(&authority)
    };
    works(&smsc, tls).await;
    smsc.stop().await;
}

// ---- What does not

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_refused_by_its_fault() {
    let (authority, other) = (Authority::new("theirs"), Authority::new("ours"));
    let good = smsc(Some(&authority.sign(SMSC)), None).await;
    let told = refusal(&good, trusting(&other)).await;
    assert_eq!(told, "TLS handshake with smsc.test: invalid peer certificate: UnknownIssuer");
    let told = refusal(&good, TlsConfig { server_name: None, ..trusting(&authority) }).await;
    assert!(told.contains("certificate not valid for name \"127.0.0.1\""), "{told}");
    good.stop().await;

    let expired = smsc(Some(&authority.sign_until(SMSC, 2025)), None).await;
    let told = refusal(&expired, trusting(&authority)).await;
    assert!(told.contains("certificate expired"), "{told}");
    expired.stop().await;
}

#[tokio::test]
async fn an_smsc_that_wants_a_certificate_ends_the_connection_without_one() {
    let authority = Authority::new("theirs");
    let smsc = smsc(Some(&authority.sign(SMSC)), Some(&authority.ca())).await;
    // In TLS 1.3 its refusal comes after the handshake.
    let mut transport = connect(&smsc, trusting(&authority)).await.unwrap();
    let error = timeout(PATIENCE, transport.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "received fatal alert: CertificateRequired");
    smsc.stop().await;
}

#[tokio::test]
async fn an_smsc_without_tls_is_told_apart() {
    let authority = Authority::new("theirs");
    let smsc = smsc(None, None).await;
    let told = refusal(&smsc, trusting(&authority)).await;
    assert!(told.starts_with("TLS handshake with smsc.test: "), "{told}");
    smsc.stop().await;
}

#[tokio::test]
async fn a_link_that_is_not_trusted_tries_again_and_never_binds() {
    let (authority, other) = (Authority::new("theirs"), Authority::new("ours"));
    let smsc = smsc(Some(&authority.sign(SMSC)), Some(&authority.ca())).await;
    // The first never gets a connection, the second loses each.
    let (untrusting, unknown) = (start(&smsc, trusting(&other)), start(&smsc, trusting(&authority)));
    timeout(PATIENCE, async {
        while unknown.metrics().lost.load(Relaxed) < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    for (link, connects) in [(untrusting, false), (unknown, true)] {
        assert_eq!(*link.state().borrow(), LinkState::Connecting);
        assert_eq!(
            (link.metrics().connected.load(Relaxed) > 0, link.metrics().bound.load(Relaxed)),
            (connects, 0)
        );
        link.close().await;
    }
    smsc.stop().await;
}

// ---- What is wrong at the start

#[test]
fn a_configuration_that_cannot_work_is_named_with_key_and_file() {
    let authority = Authority::new("theirs");
    let (one, two) = (authority.sign("one.test"), authority.sign("two.test"));
    let prose = authority.path("prose.pem");
    fs::write(&prose, "no certificate at all\n").unwrap();
    let error = |tls: TlsConfig| {
        let mut config = config("127.0.0.1:2775", tls);
        let error = link::secured(&mut config, Arc::new(TcpConnector)).map(|_| ()).unwrap_err();
        error.to_string().replace(&format!("{}/", authority.directory.path().display()), "")
    };
    let trusting = || trusting(&authority);
    let shown = |certificate: &PathBuf, key: &PathBuf| TlsConfig {
        certificate_file: Some(certificate.clone()),
        key_file: Some(key.clone()),
        ..trusting()
    };
    for (tls, expected) in [
        (
            TlsConfig { ca_file: Some(authority.path("absent.pem")), ..trusting() },
            "tls.ca_file: absent.pem: No such file or directory (os error 2)",
        ),
        (
            TlsConfig { ca_file: Some(prose.clone()), ..trusting() },
            "tls.ca_file: prose.pem: a certificate in PEM expected, found none",
        ),
        (
            shown(&one.key, &one.key),
            "tls.certificate_file: one.test.key: a certificate in PEM expected, found none",
        ),
        (
            shown(&one.certificate, &one.certificate),
            "tls.key_file: one.test.pem: a private key without passphrase in PEM expected, found none",
        ),
        (
            shown(&one.certificate, &two.key),
            "tls.key_file: two.test.key: the key of one.test.pem expected: keys may not be consistent: KeyMismatch",
        ),
        (
            TlsConfig { certificate_file: Some(one.certificate.clone()), ..trusting() },
            "tls.key_file: a value is required with tls.certificate_file",
        ),
        (
            TlsConfig { key_file: Some(one.key.clone()), ..trusting() },
            "tls.certificate_file: a value is required with tls.key_file",
        ),
        (
            TlsConfig { server_name: Some("two words".into()), ..trusting() },
            "tls.server_name: a DNS name or an IP address expected, found \"two words\"",
        ),
    ] {
        assert_eq!(error(tls), format!("link \"north\": {expected}"));
    }
    assert!(
        TlsServer::new(&one.certificate, &two.key, None).unwrap_err().to_string().contains("KeyMismatch")
    );
}
