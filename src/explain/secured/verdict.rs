//! Packets in a line.

use super::check::Secured;
use super::layout::Found;
use crate::explain::context::{Direction, Place, Sent};
use crate::ota::{Cntr, Integrity, PorRequest, Rsc, Spi1, Spi2, Tar};

/// A command in a line.
pub(super) struct Sealed {
    pub(super) spi1: Spi1,
    pub(super) spi2: Spi2,
    pub(super) tar: Tar,
    pub(super) cntr: Option<Cntr>,
    pub(super) words: Option<String>,
}

impl Sealed {
    pub(super) fn verdict(
        &self,
        direction: Option<Direction>,
        secured: &Secured,
        before: Option<Place>,
    ) -> String {
        let mut words = vec![match direction {
            Some(Direction::FromCard) => "command packet of the card".to_owned(),
            Some(Direction::ToCard) => "command to the card".to_owned(),
            None => "command packet".to_owned(),
        }];
        words.push(format!("TAR {}", self.tar));
        words.extend(self.cntr.map(|cntr| format!("CNTR {}", cntr.get())));
        let mut line = match &self.words {
            Some(content) => format!("{content} ({})", words.join(", ")),
            None => words.join(", "),
        };
        match secured {
            Secured::Proved(_) => line.push_str("; CC verified"),
            Secured::Failed(problem) => line.push_str(&format!("; {problem}")),
            // An RC is right by itself, whoever sent the packet.
            Secured::Opened(_) => line.push_str("; nothing proves it"),
            Secured::Unknown(_) if self.spi1.integrity() == Integrity::None => {
                line.push_str("; nothing proves it");
            }
            Secured::Unknown(_) => {}
        }
        match (before, self.spi2.por()) {
            (Some(place), _) => line.push_str(&format!("; the same packet as in {place}")),
            (None, PorRequest::None) => {}
            (None, PorRequest::OnError) => line.push_str("; PoR asked on error"),
            (None, _) => line.push_str("; PoR asked"),
        }
        line
    }
}

pub(super) fn por_verdict(found: &Found, secured: &Secured, answered: Option<&Sent>) -> String {
    let mut line = match (found.rsc, &found.words) {
        (None, _) => "PoR, not deciphered".to_owned(),
        (Some(Rsc::OK), Some(words)) => format!("PoR 00: {words}"),
        (Some(rsc), words) => {
            let words = words.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
            format!("PoR {:02X}: {}{words}", rsc.0, rsc.meaning().unwrap_or("undefined"))
        }
    };
    match secured {
        Secured::Proved(_) => line.push_str("; CC verified"),
        Secured::Failed(problem) => line.push_str(&format!("; {problem}")),
        Secured::Opened(_) => line.push_str("; nothing proves it"),
        Secured::Unknown(_) => {}
    }
    if let Some(sent) = answered {
        line.push_str(&format!("; answers {}", sent.place));
    }
    line
}
