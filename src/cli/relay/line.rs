//! The line protocol by which a relay speaks to simulated cards: `airwrite smsc --relay` serves it, `airwrite relay`
//! uses it.
//!
//! TCP, ASCII, one request a line and one line in answer; lines end with LF and have at most [`LINE_OCTETS_MAX`] octets.
//! It has no security at all: it is for simulated cards.
//!
//! | request | answer | |
//! |---|---|---|
//! | `imei <15 digits>` | `ok` | chooses the device that the rest is for |
//! | hexadecimal digits: a C-APDU | hexadecimal digits: the R-APDU | to the card in that device |
//! | `reset` | `ok` | switches the device off and on |
//! | anything | `error <text>` | where it was not done, and why |

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::card::{CardPort, PortError};
use crate::identity::{Imei, Imei14};
use crate::sim::SimHandle;

/// A C-APDU has at most 261 octets, an R-APDU at most 258.
const LINE_OCTETS_MAX: u64 = 1024;

/// Relays at one time; more wait.
const RELAYS_MAX: usize = 64;

/// How long the simulated operator may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// After an accept that failed, as for want of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves relays until the task is dropped. `devices` are in the order of the operator's cards.
pub(in crate::cli) async fn serve(listener: TcpListener, sim: SimHandle, devices: Vec<Imei>) {
    let devices: BTreeMap<Imei14, usize> = devices.iter().map(Imei::key).zip(0..).collect();
    let (devices, room) = (Arc::new(devices), Arc::new(Semaphore::new(RELAYS_MAX)));
    let mut relays = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        while relays.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (sim, devices) = (sim.clone(), Arc::clone(&devices));
                relays.spawn(async move {
                    if let Err(error) = serve_one(stream, &sim, &devices).await {
                        tracing::debug!(%peer, %error, "relay");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn serve_one(stream: TcpStream, sim: &SimHandle, devices: &BTreeMap<Imei14, usize>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    let mut device = None;
    while let Some(request) = read_line(&mut from).await? {
        let answer = answer(&request, sim, devices, &mut device).await;
        let line = answer.unwrap_or_else(|why| format!("error {why}"));
        to.write_all(format!("{line}\n").as_bytes()).await?;
    }
    Ok(())
}

/// What a request is answered; an error becomes `error …`.
async fn answer(
    request: &str,
    sim: &SimHandle,
    devices: &BTreeMap<Imei14, usize>,
    device: &mut Option<usize>,
) -> Result<String, String> {
    if let Some(imei) = request.strip_prefix("imei ") {
        let imei: Imei = imei.parse().map_err(|error| format!("{error}"))?;
        *device = devices.get(&imei.key()).copied();
        device.ok_or_else(|| format!("no device has the IMEI {imei}"))?;
        return Ok("ok".to_owned());
    }
    let device = device.ok_or("expected a line with imei and 15 digits first")?;
    if request == "reset" {
        sim.reset(device).await.map_err(|error| error.to_string())?;
        return Ok("ok".to_owned());
    }
    let apdu = hex::decode(request).ok().filter(|apdu| apdu.len() >= 4);
    let apdu = apdu.ok_or("expected imei, reset, or a C-APDU in hexadecimal digits")?;
    let rapdu = sim.transmit(device, apdu).await.map_err(|error| error.to_string())?;
    Ok(hex::encode_upper(rapdu))
}

/// A card in a simulated device.
#[derive(Debug)]
pub(in crate::cli) struct LineCard {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl LineCard {
    /// Connects to the card in this device.
    pub(in crate::cli) async fn connect(address: SocketAddr, imei: Imei) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| {
            format!("cards at {address}: is `airwrite smsc --relay {address}` running there?")
        })?;
        stream.set_nodelay(true)?;
        let (from, to) = stream.into_split();
        let mut card = Self { from: BufReader::new(from), to };
        match card.ask(&format!("imei {imei}")).await?.as_str() {
            "ok" => Ok(card),
            other => bail!("cards at {address}: {}", other.trim_start_matches("error ")),
        }
    }

    async fn ask(&mut self, request: &str) -> Result<String, PortError> {
        let broken = |error: io::Error| PortError::Broken(format!("simulated card: {error}"));
        self.to.write_all(format!("{request}\n").as_bytes()).await.map_err(broken)?;
        match tokio::time::timeout(ANSWER_TIMEOUT, read_line(&mut self.from)).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => Err(broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(Err(error)) => Err(broken(error)),
            Err(_) => Err(broken(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl CardPort for LineCard {
    async fn transmit(&mut self, apdu: &[u8]) -> Result<Vec<u8>, PortError> {
        let line = self.ask(&hex::encode_upper(apdu)).await?;
        hex::decode(&line).map_err(|_| PortError::Broken(format!("simulated card: {line}")))
    }

    async fn reset(&mut self) -> Result<(), PortError> {
        match self.ask("reset").await?.as_str() {
            "ok" => Ok(()),
            other => Err(PortError::Broken(format!("simulated card: {other}"))),
        }
    }
}

/// The next line without its end; `None` at the end of the stream.
async fn read_line(from: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<String>> {
    let mut octets = Vec::new();
    from.take(LINE_OCTETS_MAX).read_until(b'\n', &mut octets).await?;
    if octets.is_empty() {
        return Ok(None);
    }
    if octets.pop() != Some(b'\n') {
        return Err(io::Error::other("a line without end"));
    }
    let line = String::from_utf8(octets).map_err(|_| io::Error::other("a line that is no text"))?;
    Ok(Some(line.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample::{profiles, sample};
    use crate::cli::smsc::specs;
    use crate::sim::{self, CardSpec, SimConfig};
    use crate::world::{SeededRng, SystemClock};

    async fn operator() -> (SocketAddr, SimHandle, tokio::task::JoinHandle<()>) {
        let specs = specs(&sample(2, 1).unwrap().cards, &profiles().unwrap(), CardSpec::SHORT_CODE).unwrap();
        let devices = specs.iter().map(|spec| spec.imei).collect();
        let rng = Arc::new(SeededRng::new(1));
        let sim = sim::start(SimConfig::default(), &specs, Arc::new(SystemClock), rng, None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (address, sim.clone(), tokio::spawn(serve(listener, sim, devices)))
    }

    #[tokio::test]
    async fn apdus_reach_the_card_of_the_device() {
        let (address, sim, _serving) = operator().await;
        let imei = "357805020000023".parse().unwrap();
        let mut card = LineCard::connect(address, imei).await.unwrap();
        // SELECT MF and EF.ICCID without answer, READ BINARY: the second card of the sample.
        assert_eq!(card.transmit(&[0, 0xA4, 0, 0x0C, 2, 0x3F, 0x00]).await.unwrap(), [0x90, 0x00]);
        assert_eq!(card.transmit(&[0, 0xA4, 0, 0x0C, 2, 0x2F, 0xE2]).await.unwrap(), [0x90, 0x00]);
        let read = card.transmit(&[0, 0xB0, 0, 0, 10]).await.unwrap();
        assert_eq!(hex::encode(read), "980001010010000020f59000");
        card.reset().await.unwrap();
        assert!(sim.snapshot().await.unwrap().cards[1].on, "a reset leaves it switched on");
        let other = LineCard::connect(address, "357805020000031".parse().unwrap()).await.unwrap_err();
        assert_eq!(other.to_string(), format!("cards at {address}: no device has the IMEI 357805020000031"));
    }

    #[tokio::test]
    async fn what_is_no_request_is_told_what_was_expected() {
        let (address, _sim, _serving) = operator().await;
        let stream = TcpStream::connect(address).await.unwrap();
        let (from, mut to) = stream.into_split();
        let mut from = BufReader::new(from);
        for (request, expected) in [
            ("reset", "error expected a line with imei and 15 digits first"),
            ("imei 357805020000016", "error IMEI: "),
            ("imei 357805020000015\r", "ok"),
            ("80F", "error expected imei, reset, or a C-APDU in hexadecimal digits"),
            ("00A4000C023F00", "9000"),
        ] {
            to.write_all(format!("{request}\n").as_bytes()).await.unwrap();
            let answer = read_line(&mut from).await.unwrap().unwrap();
            assert!(answer.starts_with(expected), "{request}: {answer}");
        }
        to.write_all(&[b'0'; 2000]).await.unwrap();
        assert_eq!(read_line(&mut from).await.ok().flatten(), None, "too long a line ends it");
    }
}
