//! A real card in a real modem: `AT+CSIM` on a serial port (3GPP TS 27.007 §8.17).

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serial2_tokio::SerialPort;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::card::{CardPort, PortError};
use crate::identity::Imei;

/// How long a modem may take for a command; a card may take long for an ENVELOPE.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a modem that has been switched on is asked whether its card is there, and how long it is waited for.
const READY_EVERY: Duration = Duration::from_millis(500);
const READY_TRIES: u32 = 60;

/// The longest answer that is read: 256 octets of data and status in hexadecimal digits, with lines around them.
const ANSWER_OCTETS_MAX: usize = 4096;

/// A modem at the end of a line.
#[derive(Debug)]
pub(super) struct Modem<S> {
    line: S,
    /// What has been read of the next answer.
    read: Vec<u8>,
}

impl Modem<SerialPort> {
    /// Opens the port and finds a modem there.
    pub(super) async fn open(port: &Path, baud: u32) -> Result<Self> {
        let line = SerialPort::open(port, baud).with_context(|| {
            format!("{} (is it the port of a modem, and may you open it?)", port.display())
        })?;
        let mut modem = Self::new(line);
        modem.prepare().await.with_context(|| {
            format!("{} at {baud} baud (is it the port for AT commands?)", port.display())
        })?;
        Ok(modem)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Modem<S> {
    pub(super) const fn new(line: S) -> Self {
        Self { line, read: Vec::new() }
    }

    /// Wakes it up and switches its echo off.
    async fn prepare(&mut self) -> Result<(), PortError> {
        // What a modem makes of a half line that somebody left is of no interest.
        let _ = self.command("AT").await;
        self.command("ATE0").await.map(drop)
    }

    /// The identity of the device.
    pub(super) async fn imei(&mut self) -> Result<Imei> {
        let lines = self.command("AT+CGSN").await?;
        lines
            .iter()
            .find_map(|line| line.trim_start_matches("+CGSN:").trim().trim_matches('"').parse().ok())
            .context("AT+CGSN: the modem does not tell its IMEI")
    }

    /// Sends one command; gives the lines before `OK`.
    async fn command(&mut self, command: &str) -> Result<Vec<String>, PortError> {
        let broken = |error: std::io::Error| PortError::Broken(format!("serial port: {error}"));
        let exchange = async {
            self.line.write_all(format!("{command}\r").as_bytes()).await.map_err(broken)?;
            self.line.flush().await.map_err(broken)?;
            let mut lines = Vec::new();
            loop {
                let line = self.next_line().await.map_err(broken)?;
                match line.as_str() {
                    "OK" => return Ok(lines),
                    "ERROR" => return Err(PortError::Lost(format!("{} gives ERROR", name(command)))),
                    failed if failed.starts_with("+CME ERROR") => {
                        return Err(PortError::Lost(format!("{} gives {failed}", name(command))));
                    }
                    // The echo.
                    echo if echo == command => {}
                    _ => lines.push(line),
                }
            }
        };
        match timeout(ANSWER_TIMEOUT, exchange).await {
            Ok(answered) => answered,
            Err(_) => Err(PortError::Lost(format!("{} is not answered", name(command)))),
        }
    }

    /// The next line that is not empty.
    async fn next_line(&mut self) -> std::io::Result<String> {
        loop {
            if let Some(end) = self.read.iter().position(|octet| *octet == b'\n' || *octet == b'\r') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if !line.is_empty() {
                    return Ok(line);
                }
            } else if self.read.len() > ANSWER_OCTETS_MAX {
                return Err(std::io::Error::other("a line without end"));
            } else if self.line.read_buf(&mut self.read).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> CardPort for Modem<S> {
    async fn transmit(&mut self, apdu: &[u8]) -> Result<Vec<u8>, PortError> {
        let command = format!("AT+CSIM={},\"{}\"", 2 * apdu.len(), hex::encode_upper(apdu));
        let lines = self.command(&command).await?;
        lines
            .iter()
            .find_map(|line| response(line))
            .ok_or_else(|| PortError::Lost(format!("AT+CSIM gives {lines:?}")))
    }

    async fn reset(&mut self) -> Result<(), PortError> {
        // Without the radio the card is without power, too (TS 27.007 §8.2).
        self.command("AT+CFUN=0").await?;
        self.command("AT+CFUN=1").await?;
        for _ in 0..READY_TRIES {
            let answer = self.command("AT+CPIN?").await;
            match answer {
                Ok(lines) if lines.iter().any(|line| line.contains("READY")) => return Ok(()),
                Ok(_) | Err(PortError::Lost(_)) => tokio::time::sleep(READY_EVERY).await,
                Err(broken) => return Err(broken),
            }
        }
        Err(PortError::Broken("the card did not come back after AT+CFUN=1".to_owned()))
    }
}

/// The R-APDU in `+CSIM: <digits>,"<hexadecimal digits>"`.
fn response(line: &str) -> Option<Vec<u8>> {
    let (digits, text) = line.strip_prefix("+CSIM:")?.split_once(',')?;
    let text = text.trim().trim_matches('"');
    (digits.trim().parse() == Ok(text.len())).then(|| hex::decode(text).ok()).flatten()
}

/// A command without its arguments: what an error names.
fn name(command: &str) -> &str {
    command.split('=').next().unwrap_or(command)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, BufReader, DuplexStream};

    use super::*;

    /// A modem that answers each command as listed; its end of the line comes back with what it was asked.
    fn modem(
        answers: &'static [&'static str],
    ) -> (Modem<DuplexStream>, tokio::task::JoinHandle<Vec<String>>) {
        let (ours, theirs) = tokio::io::duplex(4096);
        let asked = tokio::spawn(async move {
            let mut line = BufReader::new(theirs);
            let mut asked = Vec::new();
            for answer in answers {
                let mut command = Vec::new();
                if line.read_until(b'\r', &mut command).await.unwrap() == 0 {
                    break;
                }
                asked.push(String::from_utf8(command).unwrap().trim().to_owned());
                line.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        (Modem::new(ours), asked)
    }

    #[tokio::test]
    async fn an_apdu_travels_as_at_csim() {
        let (mut modem, asked) = modem(&[
            "AT\r\r\nOK\r\n",
            "ATE0\r\r\nOK\r\n",
            "\r\n+CSIM: 4,\"9F07\"\r\n\r\nOK\r\n",
            "\r\n+CSIM: 10,027100910B\r\n\r\nOK\r\n",
        ]);
        modem.prepare().await.unwrap();
        assert_eq!(modem.transmit(&[0x80, 0xC2, 0, 0, 1, 0xD1]).await.unwrap(), [0x9F, 0x07]);
        assert_eq!(modem.transmit(&[0, 0xC0, 0, 0, 7]).await.unwrap(), [2, 0x71, 0, 0x91, 0x0B]);
        drop(modem);
        let asked = asked.await.unwrap();
        assert_eq!(asked, ["AT", "ATE0", "AT+CSIM=12,\"80C2000001D1\"", "AT+CSIM=10,\"00C0000007\""]);
    }

    #[tokio::test]
    async fn an_answer_without_an_r_apdu_is_a_loss() {
        let (mut modem, _asked) = modem(&[
            "\r\n+CME ERROR: 13\r\n",
            "\r\nERROR\r\n",
            "\r\nOK\r\n",
            "\r\n+CSIM: 6,\"9000\"\r\nOK\r\n",
        ]);
        let mut errors = Vec::new();
        for _ in 0..4 {
            match modem.transmit(&[0]).await {
                Err(PortError::Lost(why)) => errors.push(why),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(errors[..2], ["AT+CSIM gives +CME ERROR: 13", "AT+CSIM gives ERROR"]);
        assert!(matches!(modem.transmit(&[0]).await, Err(PortError::Broken(_))), "the line is cut");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_waits_for_the_card() {
        let (mut modem, asked) =
            modem(&["\r\nOK\r\n", "OK\r\n", "+CME ERROR: 14\r\n", "+CPIN: READY\r\n\r\nOK\r\n"]);
        modem.reset().await.unwrap();
        drop(modem);
        assert_eq!(asked.await.unwrap(), ["AT+CFUN=0", "AT+CFUN=1", "AT+CPIN?", "AT+CPIN?"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_modem_that_says_nothing_is_not_waited_for_for_ever() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let error = Modem::new(ours).transmit(&[0]).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer of the card: AT+CSIM is not answered");
    }

    #[tokio::test]
    async fn the_device_tells_its_imei() {
        let (mut modem, _asked) = modem(&["\r\n357805020000015\r\n\r\nOK\r\n", "\r\nOK\r\n"]);
        assert_eq!(modem.imei().await.unwrap().to_string(), "357805020000015");
        assert!(modem.imei().await.is_err());
    }

    /// A pair of pseudo terminals stands for the cable.
    #[tokio::test]
    async fn it_works_on_a_serial_port() {
        let (ours, theirs) = SerialPort::pair().unwrap();
        let answering = tokio::spawn(async move {
            let mut octets = [0; 64];
            let read = theirs.read(&mut octets).await.unwrap();
            theirs.write_all(b"\r\n+CSIM: 4,\"9000\"\r\n\r\nOK\r\n").await.unwrap();
            octets[..read].to_vec()
        });
        assert_eq!(Modem::new(ours).transmit(&[0x00]).await.unwrap(), [0x90, 0x00]);
        assert_eq!(answering.await.unwrap(), b"AT+CSIM=2,\"00\"\r");
    }
}
