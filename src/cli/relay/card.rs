//! A card in APDUs, and how the parts of a packet are brought to it (ETSI TS 102 221 §7.3, 3GPP TS 31.111 §7.1.1).

use std::time::Duration;

/// GET RESPONSE and repetitions in a row after which a card is out of its mind.
const EXCHANGES_MAX: usize = 32;

/// How often a part is tried that the card is too busy for (93xx).
const BUSY_TRIES: u32 = 7;

/// The first wait for a card that is busy; doubles.
const BUSY_FIRST: Duration = Duration::from_millis(250);

/// How often the parts are begun anew after the card lost power.
const RESTARTS_MAX: u32 = 4;

/// Whatever takes C-APDUs and gives R-APDUs.
pub(in crate::cli) trait CardPort {
    /// Sends one command; gives data and SW1 SW2 as the card answered them, 61xx and 91xx too.
    async fn transmit(&mut self, apdu: &[u8]) -> Result<Vec<u8>, PortError>;

    /// Switches the device off and on: the card forgets what it had of a packet, and the device reads it anew.
    async fn reset(&mut self) -> Result<(), PortError>;
}

/// Why a card gave no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum PortError {
    /// This command was lost, as when power fails; after a reset the card can be asked again.
    #[error("no answer of the card: {0}")]
    Lost(String),
    /// Trying again does not help.
    #[error("{0}")]
    Broken(String),
}

/// A packet as the gateway exports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Export {
    /// Which packet it is; goes back with the answers.
    pub(super) attempt: u64,
    /// Its parts, in the order in which the card takes them.
    pub(super) parts: Vec<Part>,
    /// GET RESPONSE without Le, for 61xx.
    pub(super) get_response: Vec<u8>,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its number, from 1.
    pub(super) n: u64,
    /// ENVELOPE, without Le.
    pub(super) apdu: Vec<u8>,
}

/// An R-APDU to a part, or to a GET RESPONSE that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The part's number.
    pub(super) n: u64,
    /// Data and SW1 SW2.
    pub(super) rapdu: Vec<u8>,
}

/// What came of bringing a packet to its card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Brought {
    /// Every R-APDU, in order.
    pub(super) answers: Vec<Answer>,
    /// Why not all of it got there, in a few words.
    pub(super) stopped: Option<String>,
}

/// Brings all parts in order; only the last one is answered by the response packet. What is too busy for a part gets it
/// again, and a card that lost power gets all of them again.
///
/// # Errors
/// [`PortError::Broken`] where nothing can be sent any more. Everything else is in the answers.
pub(super) async fn bring(card: &mut impl CardPort, export: &Export) -> Result<Brought, PortError> {
    let mut answers = Vec::new();
    let mut restarts = 0;
    let stopped = loop {
        match bring_once(card, export, &mut answers).await {
            Ok(stopped) => break stopped,
            Err(PortError::Lost(why)) if restarts == RESTARTS_MAX => break Some(why),
            Err(PortError::Lost(_)) => {
                restarts += 1;
                card.reset().await?;
            }
            Err(broken) => return Err(broken),
        }
    };
    Ok(Brought { answers, stopped })
}

async fn bring_once(
    card: &mut impl CardPort,
    export: &Export,
    answers: &mut Vec<Answer>,
) -> Result<Option<String>, PortError> {
    let last = export.parts.last().map(|part| part.n);
    for part in &export.parts {
        let mut wait = BUSY_FIRST;
        let mut tries = 1;
        let status = loop {
            let status = exchange(card, export, part, answers).await?;
            if status[0] != 0x93 || tries == BUSY_TRIES {
                break status;
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
            tries += 1;
        };
        let taken = matches!(status, [0x90, 0x00] | [0x91 | 0x9F, _]);
        if !taken && (Some(part.n) != last || status[0] == 0x93) {
            let [sw1, sw2] = status;
            return Ok(Some(format!("the card answers part {} with {sw1:02X}{sw2:02X}", part.n)));
        }
    }
    Ok(None)
}

/// One part, with what fetches its answer: GET RESPONSE after 61xx, the right length after 6Cxx. Gives the last status.
async fn exchange(
    card: &mut impl CardPort,
    export: &Export,
    part: &Part,
    answers: &mut Vec<Answer>,
) -> Result<[u8; 2], PortError> {
    let mut apdu = part.apdu.clone();
    let mut fetching = false;
    for _ in 0..EXCHANGES_MAX {
        let rapdu = card.transmit(&apdu).await?;
        let status = *rapdu
            .last_chunk()
            .ok_or_else(|| PortError::Lost(format!("{} octets without a status", rapdu.len())))?;
        answers.push(Answer { n: part.n, rapdu });
        match status {
            [0x61, length] => {
                apdu = [export.get_response.as_slice(), &[length]].concat();
                fetching = true;
            }
            [0x6C, length] => apdu = with_length(apdu, length),
            // A card that no longer has what it announced was reset in between.
            [0x64..=0x6F, _] if fetching => {
                return Err(PortError::Lost("the announced answer is gone".to_owned()));
            }
            status => return Ok(status),
        }
    }
    Err(PortError::Broken(format!("part {}: the answer does not end", part.n)))
}

/// The same command with this Le (TS 102 221 §7.3.1.1.5.3).
fn with_length(mut apdu: Vec<u8>, length: u8) -> Vec<u8> {
    // CLA INS P1 P2, Lc and data, or these four alone; what stands behind is the Le that was wrong.
    let lc = apdu.get(4).copied().map_or(0, usize::from);
    let without_le = if apdu.len() > 5 { 5 + lc } else { 4 };
    apdu.truncate(without_le);
    apdu.push(length);
    apdu
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A card that says what it is told to, and remembers what it was asked.
    #[derive(Default)]
    pub(in crate::cli::relay) struct Scripted {
        pub(in crate::cli::relay) says: VecDeque<&'static str>,
        pub(in crate::cli::relay) asked: Vec<String>,
    }

    impl Scripted {
        fn new(says: &[&'static str]) -> Self {
            Self { says: says.iter().copied().collect(), asked: Vec::new() }
        }
    }

    impl CardPort for Scripted {
        async fn transmit(&mut self, apdu: &[u8]) -> Result<Vec<u8>, PortError> {
            self.asked.push(hex::encode_upper(apdu));
            match self.says.pop_front() {
                Some("lost") => Err(PortError::Lost("power".to_owned())),
                Some(says) => Ok(hex::decode(says).unwrap()),
                None => Err(PortError::Broken("nothing more to say".to_owned())),
            }
        }

        async fn reset(&mut self) -> Result<(), PortError> {
            self.asked.push("reset".to_owned());
            Ok(())
        }
    }

    const ONE: &str = "80C2000002D100";
    const TWO: &str = "80C2000002D101";

    fn export() -> Export {
        let part = |n, apdu| Part { n, apdu: hex::decode(apdu).unwrap() };
        Export {
            attempt: 3,
            parts: vec![part(1, ONE), part(2, TWO)],
            get_response: vec![0x00, 0xC0, 0x00, 0x00],
        }
    }

    async fn brought(says: &[&'static str]) -> (Vec<String>, Vec<(u64, String)>, Option<String>) {
        let mut card = Scripted::new(says);
        let brought = bring(&mut card, &export()).await.unwrap();
        let answers = brought.answers.iter().map(|a| (a.n, hex::encode_upper(&a.rapdu))).collect();
        (card.asked, answers, brought.stopped)
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_is_fetched_with_the_length_that_the_card_names() {
        let (asked, answers, stopped) = brought(&["9000", "6105", "6C03", "0271009000"]).await;
        assert_eq!(asked, [ONE, TWO, "00C0000005", "00C0000003"]);
        let expected = [(1, "9000"), (2, "6105"), (2, "6C03"), (2, "0271009000")];
        assert_eq!(answers, expected.map(|(n, text)| (n, text.to_owned())));
        assert_eq!(stopped, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_envelope_with_a_wrong_length_goes_again_with_le() {
        let (asked, _, _) = brought(&["9000", "6C10", "0271009000"]).await;
        assert_eq!(asked, [ONE, TWO, "80C2000002D10110"]);
        assert_eq!(with_length(hex::decode("80C2000002D10110").unwrap(), 7).last(), Some(&7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_card_gets_the_same_part_again() {
        let began = tokio::time::Instant::now();
        let (asked, answers, stopped) = brought(&["9300", "9300", "9000", "9300", "9000"]).await;
        assert_eq!(asked, [ONE, ONE, ONE, TWO, TWO]);
        assert_eq!((answers.len(), stopped), (5, None));
        assert_eq!(began.elapsed(), BUSY_FIRST * 4);

        let (asked, _, stopped) = brought(&["9300"; 7]).await;
        assert_eq!((asked.len(), stopped.as_deref()), (7, Some("the card answers part 1 with 9300")));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_loss_of_power_the_first_part_comes_first() {
        let (asked, _, stopped) = brought(&["9000", "lost", "9000", "9000"]).await;
        assert_eq!(asked, [ONE, TWO, "reset", ONE, TWO]);
        assert_eq!(stopped, None);
        let (asked, ..) = brought(&["9000", "6105", "6F00", "9000", "9000"]).await;
        assert_eq!(asked, [ONE, TWO, "00C0000005", "reset", ONE, TWO], "what was announced is gone");

        let (asked, _, stopped) = brought(&["lost"; 5]).await;
        assert_eq!((asked.len(), stopped.as_deref()), (9, Some("power")), "it does not go on for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_is_refused_ends_it_and_the_last_status_is_for_the_gateway() {
        let (asked, answers, stopped) = brought(&["6F00"]).await;
        assert_eq!((asked.len(), answers.len()), (1, 1));
        assert_eq!(stopped.as_deref(), Some("the card answers part 1 with 6F00"));
        let (_, answers, stopped) = brought(&["910B", "6200"]).await;
        assert_eq!((answers.len(), stopped), (2, None));
    }
}
