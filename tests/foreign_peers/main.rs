//! Our stack against SMPP stacks that others wrote, each in a process of its own: npm `smpp` and PyPI `smpp34` as message
//! centres, Kannel's bearerbox as an ESME of our simulated operator.
//!
//! `tests/foreign/run` installs them and runs these tests; elsewhere they are ignored.

mod certificate;
#[path = "../cli_place/mod.rs"]
mod cli_place;
mod kannel;
mod line;
mod link_rows;
mod odd_peers;
mod platform;
mod process;
mod road;
mod smsc;
#[path = "../common/terminal.rs"]
mod terminal;

use std::path::{Path, PathBuf};
use std::time::Duration;

use airwrite::pcap::{self, Capture};

/// Longest wait for another program.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a condition of another program that nobody tells.
async fn until<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "{what}: not in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A whole capture of nothing but TCP.
fn captured(path: &Path) -> Capture {
    let capture = pcap::read(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!((capture.truncated, capture.others), (false, 0));
    capture
}

/// Keeps a capture in the directory that `AIRWRITE_CAPTURES` names, if it does.
fn keep(capture: &Path, name: &str) {
    if let Some(directory) = std::env::var_os("AIRWRITE_CAPTURES") {
        std::fs::copy(capture, PathBuf::from(directory).join(format!("{name}.pcapng"))).unwrap();
    }
}

/// Runs each test with each message centre.
macro_rules! with_each_smsc {
    ($($test:ident),+ $(,)?) => {
        mod npm_smpp {
            $(
                #[tokio::test(flavor = "multi_thread")]
                #[ignore = "needs npm smpp: tests/foreign/run installs it"]
                async fn $test() {
                    super::$test(crate::smsc::Stack::NpmSmpp).await;
                }
            )+
        }

        mod smpp34 {
            $(
                #[tokio::test(flavor = "multi_thread")]
                #[ignore = "needs PyPI smpp34: tests/foreign/run installs it"]
                async fn $test() {
                    super::$test(crate::smsc::Stack::Smpp34).await;
                }
            )+
        }
    };
}
use with_each_smsc;
