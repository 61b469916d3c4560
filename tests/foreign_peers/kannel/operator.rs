//! The simulated operator with one card, whose SMPP goes over a line that can be broken.

use std::path::PathBuf;
use std::sync::Arc;

use airwrite::cli::sample::{Target, device_imei, sample};
use airwrite::identity::{Eid, Imei};
use airwrite::link::TcpConnector;
use airwrite::ota::KeySet;
use airwrite::pcap::{Capture, Recorder};
use airwrite::sim::{
    self, CardSpec, EsmeAccount, FaultPlan, Latencies, OperatorConfig, Preset, SimConfig, SimHandle,
    SmscTotals, TlsServer,
};
use airwrite::world::{SystemClock, SystemRng};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::boxes::{PASSWORD, SYSTEM_ID};
use crate::line::Line;

const CAPTURE: &str = "line.pcapng";

pub(super) struct Operator {
    pub(super) sim: SimHandle,
    pub(super) line: Line,
    recorder: Recorder,
    directory: TempDir,
    pub(super) keys: KeySet,
    pub(super) eid: Eid,
    pub(super) imei: Imei,
    pub(super) preset: Preset,
    pub(super) target: Target,
}

impl Operator {
    /// The card's device is off. `faults` is a plan of what goes wrong.
    pub(super) async fn start(faults: &str, tls: Option<TlsServer>) -> Self {
        let sample = sample(1, 31).unwrap();
        let (row, target) = (&sample.cards[0], sample.targets[0]);
        let keys = row.keys[0].key_set().unwrap();
        let preset = row.preset.as_ref().unwrap();
        let preset = Preset { imsi: preset.imsi, msisdn: preset.msisdn };
        let (eid, imei) = (row.eid.unwrap(), device_imei(1).unwrap());
        let spec = CardSpec::new(eid, row.iccid.unwrap(), imei, keys.clone());
        let spec = CardSpec { preset: Some(preset), ..spec };
        let latencies =
            Latencies { attach_ms: 20, mt_ms: 20, mo_ms: 20, restart_ms: 20, ..Latencies::default() };
        let config = SimConfig {
            operator: OperatorConfig {
                faults: FaultPlan::from_toml(faults).unwrap(),
                latencies,
                ..OperatorConfig::default()
            },
            accounts: vec![EsmeAccount {
                system_id: SYSTEM_ID.into(),
                password: PASSWORD.into(),
                short_codes: vec![CardSpec::SHORT_CODE.into()],
            }],
            tls,
            ..SimConfig::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (clock, rng) = (Arc::new(SystemClock), Arc::new(SystemRng));
        let sim = sim::start(config, &[spec], clock, rng, Some(listener));
        sim.provision(target.imsi, target.msisdn).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let recorder =
            Recorder::to_file(&directory.path().join(CAPTURE), Arc::new(SystemClock)).await.unwrap();
        let connector = recorder.connector(Arc::new(TcpConnector));
        let line = Line::to(sim.address().unwrap(), Arc::new(connector)).await;
        Self { sim, line, recorder, directory, keys, eid, imei, preset, target }
    }

    /// What has gone over the line so far.
    pub(super) async fn captured(&self) -> Capture {
        self.recorder.flush().await;
        crate::captured(&self.capture())
    }

    /// The file in which the line is recorded.
    pub(super) fn capture(&self) -> PathBuf {
        self.directory.path().join(CAPTURE)
    }

    pub(super) async fn totals(&self) -> SmscTotals {
        self.sim.snapshot().await.unwrap().totals
    }
}
