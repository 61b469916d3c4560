//! A real card in a real modem: `AT+CSIM` on a serial port (3GPP TS 27.007 §8.17).

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serial2_tokio::SerialPort;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::card::{CardPort, PortError};
use crate::identity::{Imei, Imei14};

/// How long a modem may take for a command; a card may take long for an ENVELOPE.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How long its late answer is waited for before another command, so that it is not taken for the answer to that one.
const LATE_TIMEOUT: Duration = Duration::from_secs(40);

/// How often a modem is called, and how long it may take to answer: one that sets its speed by what it hears needs
/// several calls.
const CALLS: u32 = 5;
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// After this long without an octet there is no more to come.
const QUIET: Duration = Duration::from_millis(200);

/// How often a modem that has been switched on is asked whether its card is there, and how long it is waited for.
const READY_EVERY: Duration = Duration::from_millis(500);
const READY_TRIES: u32 = 60;

/// The longest line that is read: 256 octets of data and a status in hexadecimal digits, and what stands around them.
const LINE_OCTETS_MAX: usize = 4096;

/// A modem at the end of a line.
#[derive(Debug)]
pub(super) struct Modem<S> {
    line: S,
    /// What has been read of the next answer.
    read: Vec<u8>,
    /// Whether a command has been sent whose end has not been seen.
    unanswered: bool,
}

/// Why a command came to nothing.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// The modem refuses it, in these words.
    Refused(String),
    /// It does not say anything.
    Silent,
    /// The line is broken.
    Line(String),
}

impl Modem<SerialPort> {
    /// Opens the port and finds a modem there.
    pub(super) async fn open(port: &Path, baud: u32) -> Result<Self> {
        let line = SerialPort::open(port, baud).with_context(|| {
            format!("{} (is it the port of a modem, and may you open it?)", port.display())
        })?;
        // Some say nothing before they are told that somebody listens; a port without these lines has none to set.
        let _ = line.set_dtr(true).and_then(|()| line.set_rts(true));
        let mut modem = Self::new(line);
        modem.prepare().await.with_context(|| {
            format!(
                "{} at {baud} baud (is it the port for AT commands, and does no other program use it?)",
                port.display()
            )
        })?;
        Ok(modem)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Modem<S> {
    pub(super) const fn new(line: S) -> Self {
        Self { line, read: Vec::new(), unanswered: false }
    }

    /// Wakes it up and has it answer in words, without echo (V.250 §6.2), and with the numbers of errors (TS 27.007 §9.1).
    async fn prepare(&mut self) -> Result<(), PortError> {
        self.call().await.map_err(|failure| failure.of("AT"))?;
        for command in ["ATV1", "ATE0", "AT+CMEE=1"] {
            match self.command(command).await {
                // Even so it may do.
                Ok(_) | Err(Failure::Refused(_)) => {}
                Err(failure) => return Err(failure.of(command)),
            }
        }
        Ok(())
    }

    /// Calls it until it says something. What it makes of a half line that somebody left is of no interest, nor how it
    /// says so.
    async fn call(&mut self) -> Result<(), Failure> {
        for _ in 0..CALLS {
            // One that was told to give no results gives some from here on.
            self.send("ATQ0").await?;
            let answered = timeout(CALL_TIMEOUT, self.next_line()).await;
            self.forget().await?;
            if answered.is_ok() {
                return Ok(());
            }
        }
        Err(Failure::Silent)
    }

    /// The identity of the device.
    pub(super) async fn imei(&mut self) -> Result<Imei> {
        let lines = self.command("AT+CGSN").await.map_err(|failure| failure.of("AT+CGSN"))?;
        lines.iter().find_map(|line| imei_in(line)).context("AT+CGSN: the modem does not tell its IMEI")
    }

    /// Sends one command; gives the lines before `OK`. What the modem says unasked may be among them.
    async fn command(&mut self, command: &str) -> Result<Vec<String>, Failure> {
        if self.unanswered {
            let _ = timeout(LATE_TIMEOUT, self.answer("")).await;
        }
        let exchange = async {
            self.send(command).await?;
            self.answer(command).await
        };
        timeout(ANSWER_TIMEOUT, exchange).await.unwrap_or(Err(Failure::Silent))
    }

    async fn send(&mut self, command: &str) -> Result<(), Failure> {
        self.unanswered = true;
        self.line.write_all(format!("{command}\r").as_bytes()).await?;
        self.line.flush().await?;
        Ok(())
    }

    /// Lines up to a final result code (TS 27.007 §9, V.250 §5.7).
    async fn answer(&mut self, command: &str) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        loop {
            let line = self.next_line().await?;
            if line == "OK" {
                self.unanswered = false;
                return Ok(lines);
            }
            let refused = ["ERROR", "ABORTED", "COMMAND NOT SUPPORT"].contains(&line.as_str());
            if refused || line.starts_with("+CME ERROR") || line.starts_with("+CMS ERROR") {
                self.unanswered = false;
                return Err(Failure::Refused(line));
            }
            // The echo is no answer.
            if line != command {
                lines.push(line);
            }
        }
    }

    /// Reads until there is nothing more, and forgets it.
    async fn forget(&mut self) -> Result<(), Failure> {
        while let Ok(read) = timeout(QUIET, self.line.read_buf(&mut self.read)).await {
            if read? == 0 {
                return Err(Failure::Line("the line is cut".to_owned()));
            }
        }
        self.read.clear();
        self.unanswered = false;
        Ok(())
    }

    /// The next line that is not empty.
    async fn next_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.read.iter().position(|octet| *octet == b'\n' || *octet == b'\r') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if !line.is_empty() {
                    return Ok(line);
                }
            } else if self.read.len() > LINE_OCTETS_MAX {
                return Err(io::Error::other("a line without end"));
            } else if self.line.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> CardPort for Modem<S> {
    async fn transmit(&mut self, apdu: &[u8]) -> Result<Vec<u8>, PortError> {
        let command = format!("AT+CSIM={},\"{}\"", 2 * apdu.len(), hex::encode_upper(apdu));
        let lines = self.command(&command).await.map_err(|failure| failure.of("AT+CSIM"))?;
        lines
            .iter()
            .find_map(|line| response(line))
            .ok_or_else(|| PortError::Lost(format!("AT+CSIM gives {lines:?}")))
    }

    async fn reset(&mut self) -> Result<(), PortError> {
        // Without the radio the card is without power, too (TS 27.007 §8.2).
        for command in ["AT+CFUN=0", "AT+CFUN=1"] {
            self.command(command).await.map_err(|failure| failure.of(command))?;
        }
        let mut last = String::new();
        for _ in 0..READY_TRIES {
            match self.command("AT+CPIN?").await {
                Ok(lines) => match lines.iter().find_map(|line| line.strip_prefix("+CPIN:")).map(str::trim) {
                    Some("READY") => return Ok(()),
                    Some(wants) => wants.clone_into(&mut last),
                    None => {}
                },
                Err(Failure::Refused(line)) => last = line,
                Err(Failure::Silent) => "no answer".clone_into(&mut last),
                Err(line @ Failure::Line(_)) => return Err(line.of("AT+CPIN?")),
            }
            tokio::time::sleep(READY_EVERY).await;
        }
        Err(PortError::Broken(format!("the card did not come back after AT+CFUN=1; AT+CPIN? says {last:?}")))
    }
}

impl Failure {
    /// What it means for the card that `command` was for.
    fn of(self, command: &str) -> PortError {
        match self {
            Self::Line(why) => PortError::Broken(format!("serial port: {why}")),
            Self::Silent => PortError::Lost(format!("{command} is not answered")),
            Self::Refused(line) => match helpless(&line) {
                Some(why) => PortError::Broken(format!("{command} gives {line}: {why}")),
                None => PortError::Lost(format!("{command} gives {line}")),
            },
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Line(error.to_string())
    }
}

/// What an error says that no repetition helps against (TS 27.007 §9.2).
fn helpless(line: &str) -> Option<&'static str> {
    match line.strip_prefix("+CME ERROR:")?.trim() {
        "3" => Some("the modem does not allow it"),
        "4" => Some("the modem cannot do it"),
        "10" => Some("there is no card"),
        "11" | "17" => Some("the card wants its PIN"),
        "12" | "18" => Some("the card wants its PUK"),
        _ => None,
    }
}

/// The IMEI in a line. Devices in a laboratory often have a wrong check digit, which does not count.
fn imei_in(line: &str) -> Option<Imei> {
    let digits = line.trim_start_matches("+CGSN:").trim().trim_matches('"');
    let fits = (15..=16).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit());
    digits.get(..14).filter(|_| fits)?.parse().ok().map(|imei: Imei14| imei.into())
}

/// The R-APDU in `+CSIM: <digits>,"<hexadecimal digits>"`. Some modems count its octets.
fn response(line: &str) -> Option<Vec<u8>> {
    let (length, text) = line.strip_prefix("+CSIM:")?.split_once(',')?;
    let (length, text): (usize, _) = (length.trim().parse().ok()?, text.trim().trim_matches('"'));
    let whole = [text.len(), text.len() / 2].contains(&length);
    whole.then(|| hex::decode(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, BufReader, DuplexStream};

    use super::*;
    use crate::cli::relay::card::{Export, Part, bring};

    /// A modem that answers each command as listed; its end of the line comes back with what it was asked.
    fn modem(answers: &[&'static str]) -> (Modem<DuplexStream>, tokio::task::JoinHandle<Vec<String>>) {
        let (ours, theirs) = tokio::io::duplex(4096);
        let answers = answers.to_vec();
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
            "ATQ0\r\r\nOK\r\n",
            "ATV1\r\r\nOK\r\n",
            "ATE0\r\r\nOK\r\n",
            "\r\nERROR\r\n",
            "\r\n+CSIM: 4,\"9F07\"\r\n\r\nOK\r\n",
            "\r\n+CSIM: 10,027100910B\r\n\r\nOK\r\n",
        ]);
        modem.prepare().await.unwrap();
        assert_eq!(modem.transmit(&[0x80, 0xC2, 0, 0, 1, 0xD1]).await.unwrap(), [0x9F, 0x07]);
        assert_eq!(modem.transmit(&[0, 0xC0, 0, 0, 7]).await.unwrap(), [2, 0x71, 0, 0x91, 0x0B]);
        drop(modem);
        let asked = asked.await.unwrap();
        assert_eq!(asked[..4], ["ATQ0", "ATV1", "ATE0", "AT+CMEE=1"]);
        assert_eq!(asked[4..], ["AT+CSIM=12,\"80C2000001D1\"", "AT+CSIM=10,\"00C0000007\""]);
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
        let (mut modem, asked) = modem(&[
            "\r\nOK\r\n",
            "OK\r\n",
            "+CME ERROR: 10\r\n",
            "+CPIN: NOT READY\r\nOK\r\n",
            "+CPIN: READY\r\n\r\nOK\r\n",
        ]);
        modem.reset().await.unwrap();
        drop(modem);
        assert_eq!(asked.await.unwrap(), ["AT+CFUN=0", "AT+CFUN=1", "AT+CPIN?", "AT+CPIN?", "AT+CPIN?"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_card_that_wants_its_pin_is_told_so() {
        let (mut modem, _asked) = modem(&[&["OK\r\n"; 2][..], &["+CPIN: SIM PIN\r\nOK\r\n"; 60]].concat());
        let error = modem.reset().await.unwrap_err().to_string();
        assert_eq!(error, "the card did not come back after AT+CFUN=1; AT+CPIN? says \"SIM PIN\"");
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_is_not_that_of_the_next_command() {
        let (ours, theirs) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            let mut line = BufReader::new(theirs);
            let mut command = Vec::new();
            line.read_until(b'\r', &mut command).await.unwrap();
            tokio::time::sleep(ANSWER_TIMEOUT + Duration::from_secs(5)).await;
            line.write_all(b"\r\n+CSIM: 4,\"6985\"\r\n\r\nOK\r\n").await.unwrap();
            line.read_until(b'\r', &mut command).await.unwrap();
            line.write_all(b"\r\n+CSIM: 4,\"9000\"\r\n\r\nOK\r\n").await.unwrap();
            std::future::pending::<()>().await;
        });
        let mut modem = Modem::new(ours);
        assert!(matches!(modem.transmit(&[1]).await, Err(PortError::Lost(_))));
        assert_eq!(modem.transmit(&[2]).await.unwrap(), [0x90, 0x00]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_modem_is_called_until_it_answers() {
        // The first call is lost, the second is answered in digits.
        let (mut modem, asked) = modem(&["", "0\r", "OK\r\n", "OK\r\n", "ERROR\r\n"]);
        modem.prepare().await.unwrap();
        drop(modem);
        assert_eq!(asked.await.unwrap(), ["ATQ0", "ATQ0", "ATV1", "ATE0", "AT+CMEE=1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_modem_that_says_nothing_is_not_waited_for_for_ever() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let error = Modem::new(ours).transmit(&[0]).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer of the card: AT+CSIM is not answered");
    }

    #[tokio::test]
    async fn the_device_tells_its_imei() {
        let (mut modem, _asked) = modem(&[
            "\r\n357805020000015\r\n\r\nOK\r\n",
            "\r\n+CGSN: \"357805020000014\"\r\n\r\nOK\r\n",
            "\r\nOK\r\n",
        ]);
        for _ in 0..2 {
            assert_eq!(modem.imei().await.unwrap().to_string(), "357805020000015");
        }
        assert!(modem.imei().await.is_err());
    }

    #[tokio::test]
    async fn what_no_repetition_helps_against_is_no_loss() {
        let (mut modem, _asked) = modem(&["+CME ERROR: 3\r\n", "+CME ERROR: 11\r\n"]);
        for why in ["+CME ERROR: 3: the modem does not allow it", "+CME ERROR: 11: the card wants its PIN"] {
            let error = modem.transmit(&[0]).await.unwrap_err();
            assert!(matches!(error, PortError::Broken(_)));
            assert_eq!(error.to_string(), format!("AT+CSIM gives {why}"));
        }
    }

    /// A pair of pseudo terminals stands for the cable: the longest APDUs both ways, with echo, answers in pieces, and what
    /// the modem says unasked between them.
    #[tokio::test]
    async fn it_works_on_a_serial_port() {
        let (ours, theirs) = SerialPort::pair().unwrap();
        let data: Vec<u8> = (0..=255).chain([0x90, 0x00]).collect();
        let answered = data.clone();
        let answering = tokio::spawn(async move {
            let mut line = BufReader::new(theirs);
            let mut command = Vec::new();
            line.read_until(b'\r', &mut command).await.unwrap();
            let csim = format!("+CSIM: {},\"{}\"", 2 * answered.len(), hex::encode(&answered));
            let (start, end) = csim.split_at(100);
            let echo = String::from_utf8(command).unwrap();
            for piece in ["\r\n+CREG: 1\r\n", &echo, "\r\nRING\r\n\r\n", start, end, "\r\n\r\nO", "K\r\n"] {
                line.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            echo
        });
        let apdu = [&[0x80, 0xC2, 0, 0, 255][..], &[0xD1; 255], &[0]].concat();
        assert_eq!(Modem::new(ours).transmit(&apdu).await.unwrap(), data);
        let asked = format!("AT+CSIM=522,\"{}\"\r", hex::encode_upper(&apdu));
        assert_eq!(answering.await.unwrap(), asked);
    }

    /// 61xx is fetched through the modem as any other command is sent.
    #[tokio::test]
    async fn an_answer_is_fetched_over_a_serial_port() {
        let (ours, theirs) = SerialPort::pair().unwrap();
        tokio::spawn(async move {
            let mut line = BufReader::new(theirs);
            for answer in ["+CSIM: 4,\"6104\"", "+CSIM: 4,\"6C03\"", "+CSIM: 10,\"0271009000\""] {
                line.read_until(b'\r', &mut Vec::new()).await.unwrap();
                line.write_all(format!("\r\n{answer}\r\n\r\nOK\r\n").as_bytes()).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        let part = Part { n: 1, apdu: hex::decode("80C2000002D100").unwrap() };
        let export = Export { attempt: 1, parts: vec![part], get_response: vec![0x00, 0xC0, 0x00, 0x00] };
        let brought = bring(&mut Modem::new(ours), &export).await.unwrap();
        let answers: Vec<String> =
            brought.answers.iter().map(|answer| hex::encode_upper(&answer.rapdu)).collect();
        assert_eq!(
            (answers, brought.stopped),
            (["6104", "6C03", "0271009000"].map(str::to_owned).to_vec(), None)
        );
    }
}
