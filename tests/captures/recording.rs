//! What passes through a recorded stream stands in the capture, and nothing keeps the stream up.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use airwrite::link::{self, BoxFuture, CaptureConfig, Connector, LinkConfig, LinkState, Transport};
use airwrite::pcap::{self, Addresses, Capture, Gap, Recorder, Side, StreamEnd};
use airwrite::sim::{self, EsmeAccount, SimConfig, SimHandle};
use airwrite::smpp::{Body, CommandId};
use airwrite::world::{Clock, SeededRng, TokioClock};
use pcap_file::pcapng::PcapNgReader;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::pdu;

const START_MS: u64 = 1_800_000_000_000;
const MIB: usize = 1024 * 1024;

fn clock() -> Arc<dyn Clock> {
    Arc::new(TokioClock::starting_at(START_MS))
}

fn read(path: &Path) -> Capture {
    pcap::read(&fs::read(path).unwrap()).unwrap()
}

fn addresses(client: &str, server: &str) -> Addresses {
    Addresses { client: client.parse().unwrap(), server: server.parse().unwrap() }
}

// ---- Any octets, however they are cut

/// PDUs of a side, most of them short and some longer than a packet may be.
fn pdus() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let body = prop_oneof![20 => 0_usize..300, 1 => 60_000_usize..69_000];
    let one = (4_u32..9, 1_u32..1000, body, any::<u8>())
        .prop_map(|(command, sequence, length, octet)| pdu(command, sequence, &vec![octet; length]));
    prop::collection::vec(one, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_read_is_what_was_recorded(
        client in pdus(),
        server in pdus(),
        cuts in prop::collection::vec((any::<bool>(), 1_usize..5000), 1..40),
        own in prop_oneof![Just(Side::Client), Just(Side::Server)],
        v6 in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("seen.pcapng");
            let recorder = Recorder::to_file(&path, clock()).await.unwrap();
            let addresses = match v6 {
                true => addresses("[2001:db8::1]:50000", "[2001:db8::2]:2775"),
                false => addresses("192.0.2.1:50000", "192.0.2.2:2775"),
            };
            let (stream, mut peer) = tokio::io::duplex(4 * MIB);
            let mut stream = recorder.record(stream, own, Some(addresses));
            let (ours, theirs) = if own == Side::Client { (&client, &server) } else { (&server, &client) };
            let (ours, theirs) = (ours.concat(), theirs.concat());
            let (mut out, mut back) = (&ours[..], &theirs[..]);
            for (outwards, length) in cuts.into_iter().chain([(true, usize::MAX), (false, usize::MAX)]) {
                let side = if outwards { &mut out } else { &mut back };
                let (piece, rest) = side.split_at(length.min(side.len()));
                *side = rest;
                if outwards {
                    stream.write_all(piece).await.unwrap();
                    peer.read_exact(&mut vec![0; piece.len()]).await.unwrap();
                } else {
                    peer.write_all(piece).await.unwrap();
                    stream.read_exact(&mut vec![0; piece.len()]).await.unwrap();
                }
            }
            stream.shutdown().await.unwrap();
            drop(peer);
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            recorder.flush().await;

            let capture = read(&path);
            let [dialogue] = &capture.dialogues[..] else { panic!("one connection: {capture:?}") };
            assert_eq!((dialogue.client, dialogue.server), (addresses.client, addresses.server));
            for (side, said) in [(Side::Client, &client), (Side::Server, &server)] {
                let stream = dialogue.stream(side);
                assert!(stream.octets == said.concat(), "octet by octet");
                assert_eq!((&stream.gaps[..], stream.end), (&[][..], StreamEnd::Finished));
                let seen = dialogue.pdus.iter().filter(|pdu| pdu.from == side).map(|pdu| &pdu.octets[..]);
                assert!(seen.eq(said.iter().map(Vec::as_slice)));
            }
            assert!(dialogue.pdus.is_sorted_by_key(|pdu| pdu.time_ns));
            assert!(dialogue.pdus.iter().all(|pdu| pdu.time_ns / 1_000_000 >= START_MS));
            assert_eq!((recorder.lost(), capture.others, capture.truncated), (0, 0, false));
        });
    }
}

/// Half a PDU stands in the capture when the connection is over, however it ends.
#[tokio::test]
async fn an_end_within_a_pdu_is_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("seen.pcapng");
    let recorder = Recorder::to_file(&path, clock()).await.unwrap();
    let half = &pdu(4, 1, &[0; 40])[..30];
    {
        let (stream, mut peer) = tokio::io::duplex(MIB);
        let mut stream = recorder.record(stream, Side::Server, None);
        peer.write_all(half).await.unwrap();
        stream.read_exact(&mut [0; 30]).await.unwrap();
        drop(peer);
        assert_eq!(stream.write(half).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
    recorder.flush().await;
    let capture = read(&path);
    let [dialogue] = &capture.dialogues[..] else { panic!("one connection") };
    let (client, server) = (dialogue.stream(Side::Client), dialogue.stream(Side::Server));
    assert_eq!(
        (&client.octets[..], client.end, dialogue.unframed(Side::Client)),
        (half, StreamEnd::Reset, 30)
    );
    assert_eq!(
        (server.octets.len(), server.end),
        (0, StreamEnd::Open),
        "a connection that was reset has no FIN"
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

// ---- A link

/// Connects to a simulated operator without a network.
struct Pipe(SimHandle);

impl Connector for Pipe {
    fn connect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.0.serve(theirs);
        Box::pin(async { Ok(Box::new(ours) as Box<dyn Transport>) })
    }
}

#[tokio::test]
async fn a_link_is_recorded_without_its_password() {
    const PASSWORD: &str = "tr0ub4do";
    let account =
        EsmeAccount { system_id: "airwrite".into(), password: PASSWORD.into(), short_codes: Vec::new() };
    let config = SimConfig { accounts: vec![account], ..SimConfig::default() };
    let operator = sim::start(config, &[], clock(), Arc::new(SeededRng::new(1)), None);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("seen.pcapng");
    let recorder = Recorder::to_file(&path, clock()).await.unwrap();
    let config = LinkConfig {
        name: "north".into(),
        address: "smsc.example:3550".into(),
        system_id: "airwrite".into(),
        password: PASSWORD.into(),
        ..LinkConfig::default()
    };
    let connector = Arc::new(recorder.connector(Arc::new(Pipe(operator.clone()))));
    let (inbound, _deliveries) = mpsc::channel(1);
    let link =
        link::start(config, connector, Arc::new(SeededRng::new(2)), inbound, &CancellationToken::new())
            .unwrap();
    link.state().wait_for(|state| *state == LinkState::Bound).await.unwrap();
    link.close().await;
    operator.stop().await;
    recorder.flush().await;

    let octets = fs::read(&path).unwrap();
    assert!(!octets.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()));
    let capture = read(&path);
    let [dialogue] = &capture.dialogues[..] else { panic!("one connection") };
    assert_eq!((dialogue.client.port(), dialogue.server.port()), (49_153, 3550));
    let said: Vec<_> = dialogue.pdus.iter().map(|seen| (seen.from, seen.pdu.body.command_id())).collect();
    assert_eq!(
        said,
        [
            (Side::Client, CommandId::BIND_TRANSCEIVER),
            (Side::Server, CommandId::BIND_TRANSCEIVER_RESP),
            (Side::Client, CommandId::UNBIND),
            (Side::Server, CommandId::UNBIND_RESP),
        ]
    );
    let Body::Bind(bind) = &dialogue.pdus[0].pdu.body else { panic!("a bind") };
    assert_eq!(bind.password.as_bytes(), b"********");
    assert_eq!(dialogue.stream(Side::Client).end, StreamEnd::Finished);
}

// ---- More than the disk takes

/// Takes everything at once, so that whoever writes never lets another task run.
struct Sink;

impl AsyncWrite for Sink {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_full_queue_loses_packets_and_the_capture_says_so() {
    // What waits is limited in number and in octets.
    for (count, length, kept) in [(5000_u32, 16, 4095), (1000, 16 * 1024, 512)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seen.pcapng");
        let recorder = Recorder::to_file(&path, clock()).await.unwrap();
        let mut stream = recorder.record(Sink, Side::Client, None);
        for sequence in 1..=count {
            stream.write_all(&pdu(4, sequence, &vec![0; length - 16])).await.unwrap();
        }
        recorder.flush().await;
        let lost = u64::from(count) - kept;
        assert_eq!(recorder.lost(), lost);
        stream.write_all(&pdu(4, count + 1, &[])).await.unwrap();
        drop(stream);
        recorder.flush().await;

        let capture = read(&path);
        let [dialogue] = &capture.dialogues[..] else { panic!("one connection") };
        let sequences: Vec<_> = dialogue.pdus.iter().map(|seen| u64::from(seen.pdu.sequence)).collect();
        assert!(sequences.iter().copied().eq((1..=kept).chain([u64::from(count) + 1])), "{sequences:?}");
        let gap = Gap { at: kept as usize * length, octets: Some(lost * length as u64) };
        assert_eq!(dialogue.stream(Side::Client).gaps, [gap]);
        assert_eq!(told(&path), [(3 + kept + 1, lost)], "told by the first packet behind the gap");
    }
}

/// The packets, by number, that tell how much is missing before them.
fn told(path: &Path) -> Vec<(u64, u64)> {
    let mut reader = PcapNgReader::new(fs::File::open(path).unwrap()).unwrap();
    let mut told = Vec::new();
    let mut number = 0;
    while let Some(block) = reader.next_block() {
        let Some(packet) = block.unwrap().into_owned().into_enhanced_packet() else { continue };
        number += 1;
        told.extend(packet.options.iter().filter_map(|option| match option {
            EnhancedPacketOption::DropCount(count) => Some((number, *count)),
            _ => None,
        }));
    }
    told
}

fn files(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn full_files_are_followed_by_others_and_the_oldest_go() {
    let directory = tempfile::tempdir().unwrap();
    let made_otherwise = ["north-1.pcapng", "north-2-00000009.pcapng", "north-x.pcapng", "notes"];
    for other in made_otherwise.into_iter().chain(["north-00000007.pcapng"]) {
        fs::write(directory.path().join(other), "").unwrap();
    }
    let config = CaptureConfig { directory: directory.path().to_owned(), max_mib: 1, files: 2 };
    let recorder = Recorder::to_directory("north", &config, clock()).await.unwrap();
    let mut stream = recorder.record(Sink, Side::Client, None);
    for sequence in 1..=320 {
        stream.write_all(&pdu(4, sequence, &[0; 10_000])).await.unwrap();
        recorder.flush().await;
    }
    let kept = ["north-00000010.pcapng", "north-00000011.pcapng"];
    assert_eq!(files(directory.path()), [&kept[..], &made_otherwise].concat());
    assert_eq!(recorder.lost(), 0);
    let mut sequences = Vec::new();
    for name in kept {
        let path = directory.path().join(name);
        assert!(fs::metadata(&path).unwrap().len() < MIB as u64 + 12_000);
        let [dialogue] = &read(&path).dialogues[..] else { panic!("one connection") };
        sequences.extend(dialogue.pdus.iter().map(|seen| seen.pdu.sequence));
    }
    let first = sequences[0];
    assert!(sequences.into_iter().eq(first..=320), "no PDU is cut by the end of a file");
}

#[tokio::test]
async fn what_the_disk_does_not_take_is_lost_and_recording_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("captures");
    let config = CaptureConfig { directory: directory.clone(), max_mib: 1, files: 2 };
    let refused = Recorder::to_directory("north", &config, clock()).await.unwrap_err();
    assert!(refused.to_string().starts_with(&format!("capture {}: No such file", directory.display())));
    let refused = Recorder::to_file(&PathBuf::from("/dev/full"), clock()).await.unwrap_err();
    assert!(refused.to_string().starts_with("capture /dev/full: No space left"), "{refused}");

    fs::create_dir(&directory).unwrap();
    let recorder = Recorder::to_directory("north", &config, clock()).await.unwrap();
    let mut stream = recorder.record(Sink, Side::Client, None);
    let say = async |stream: &mut pcap::Recorded<Sink>, sequences: std::ops::Range<u32>| {
        for sequence in sequences {
            stream.write_all(&pdu(4, sequence, &[0; 50_000])).await.unwrap();
            recorder.flush().await;
        }
    };
    say(&mut stream, 1..30).await;
    assert_eq!(files(&directory), ["north-00000001.pcapng", "north-00000002.pcapng"]);
    fs::remove_dir_all(&directory).unwrap();
    say(&mut stream, 30..60).await;
    assert!(recorder.lost() > 0);
    fs::create_dir(&directory).unwrap();
    say(&mut stream, 60..62).await;
    let [dialogue] = &read(&directory.join("north-00000001.pcapng")).dialogues[..] else {
        panic!("one connection")
    };
    let sequences: Vec<_> = dialogue.pdus.iter().map(|seen| seen.pdu.sequence).collect();
    assert_eq!(sequences, [60, 61]);
}
