//! The fields of both kinds of packet: lengths, TAR, and what is secured.

use std::rc::Rc;

use zeroize::Zeroizing;

use super::check::Secured;
use crate::explain::content;
use crate::explain::context::{Context, Sent};
use crate::explain::node::{Fields, Node, Span, octets};
use crate::explain::script::Script;
use crate::explain::words::{self, hex};
use crate::ota::{Cntr, Integrity, Rsc, Tar};

/// The packet length; whether it is right.
pub(super) fn length(fields: &mut Fields<'_>, name: &'static str) -> Option<bool> {
    let found = fields.rest().len().saturating_sub(2);
    let mut right = false;
    fields.fixed(name, |field, node| {
        let said = usize::from(u16::from_be_bytes(field));
        right = said == found;
        let node = node.value(format!("{} follow", octets(said))).clause("TS 102 225 §5.1");
        match right {
            true => node,
            false if said > found => node.problem(format!("found {found}: {} missing", said - found)),
            false => node.problem(format!("found {found}: {} too many", found - said)),
        }
    })?;
    Some(right)
}

/// The header length; `integrity` is the check that the header names, which a response leaves to its command.
pub(super) fn header_length(
    fields: &mut Fields<'_>,
    name: &'static str,
    base: u8,
    integrity: Option<Integrity>,
) -> Option<[u8; 1]> {
    fields.fixed(name, |[len], node| {
        let node = node.clause("TS 102 225 §5.1");
        let Some(check) = len.checked_sub(base) else {
            return node.value(len.to_string()).problem(format!("expected at least {base}"));
        };
        let (expected, check_name): (&[u8], _) = match integrity {
            Some(Integrity::None) => (&[0], "check"),
            Some(Integrity::Rc) => (&[2, 4], "RC"),
            Some(Integrity::Cc) => (&[4, 8], "CC"),
            Some(Integrity::Ds) => (&[], "DS"),
            None => (
                &[0, 2, 4, 8],
                if check == 2 {
                    "RC"
                } else if check == 8 {
                    "CC"
                } else {
                    "RC or CC"
                },
            ),
        };
        let node = match check {
            0 => node.value(format!("{len}, no check")),
            check => node.value(format!("{len}, {check} of {check_name}")),
        };
        if expected.contains(&check) { node } else { node.problem("does not fit the check that SPI names") }
    })
}

pub(super) fn tar(fields: &mut Fields<'_>) -> Option<Tar> {
    let tar = fields.fixed("TAR", |tar, node| {
        let node = node.clause("TS 101 220 annex D");
        match words::tar(Tar(tar)) {
            Some(name) => node.value(name),
            None => node.value(hex(&tar)),
        }
    })?;
    Some(Tar(tar))
}

/// How the fields behind the TAR are laid out, and what is known of them.
pub(super) struct Layout {
    pub(super) check: &'static str,
    pub(super) check_len: usize,
    /// Whether there is a response status code.
    pub(super) rsc: bool,
    pub(super) secured: Secured,
    pub(super) tar: Tar,
    /// The command that a response answers.
    pub(super) answered: Option<Sent>,
}

/// What the fields behind the TAR say.
#[derive(Default)]
pub(super) struct Found {
    pub(super) cntr: Option<Cntr>,
    pub(super) rsc: Option<Rsc>,
    /// The data in words.
    pub(super) words: Option<String>,
    /// The script that the data are.
    pub(super) script: Option<Rc<Script>>,
}

impl Layout {
    /// CNTR, PCNTR, RSC, the check, data and padding.
    pub(super) fn fields(
        &self,
        fields: &mut Fields<'_>,
        deciphered: bool,
        context: &mut Context<'_>,
        found: &mut Found,
    ) -> Option<()> {
        let cntr = fields.fixed("CNTR", |octets, node| {
            let cntr = Cntr::from_octets(octets);
            node.value(cntr.get().to_string()).clause("TS 102 225 §5.1.4")
        })?;
        found.cntr = Some(Cntr::from_octets(cntr));
        let [pcntr] = fields.fixed("PCNTR", |[pcntr], node| {
            node.value(format!("{} of padding", octets(pcntr.into()))).clause("TS 102 225 §5.1")
        })?;
        if self.rsc {
            let [rsc] = fields.fixed("RSC", |[rsc], node| {
                let node = node.clause("TS 102 225 §5.2");
                match Rsc(rsc).meaning() {
                    Some(meaning) => node.value(meaning),
                    None => node.problem("no status that is defined"),
                }
            })?;
            found.rsc = Some(Rsc(rsc));
        }
        if self.check_len > 0 {
            fields.take(self.check, self.check_len, |_, node| {
                let node = node.clause("TS 102 225 §5.1");
                let node = match &self.secured {
                    Secured::Proved(words) | Secured::Opened(words) => node.value(words.clone()),
                    Secured::Failed(problem) => node.problem(problem.clone()),
                    Secured::Unknown(why) => node.note(format!("not verified: {why}")),
                };
                // It is verified, and not handed out.
                if deciphered { node.hide() } else { node }
            })?;
        }
        let Some(data_len) = fields.rest().len().checked_sub(pcntr.into()) else {
            fields.fail("data", format!("PCNTR says {}", octets(pcntr.into())));
            return None;
        };
        if data_len > 0 {
            let data = fields.rest().before(data_len);
            let place = content::Place {
                response: self.rsc,
                deciphered,
                tar: self.tar,
                answered: self.answered.as_ref(),
            };
            let content::Data { node, words, script } = content::data(data, place, context);
            (found.words, found.script) = (words, script);
            fields.take("data", data_len, |_, _| node)?;
        }
        fields.all("padding", |_, node| node);
        Some(())
    }

    /// The same fields as they stand in what was deciphered: `head` is what stands before the check.
    pub(super) fn deciphered(
        &self,
        fields: &mut Fields<'_>,
        head: &[u8],
        data: Vec<u8>,
        pcntr: u8,
        context: &mut Context<'_>,
        found: &mut Found,
    ) {
        let data = Zeroizing::new(data);
        let check = vec![0; self.check_len];
        let clear = Zeroizing::new([head, &check, &data, vec![0; pcntr.into()].as_slice()].concat());
        let mut inner = Fields::new(Span::whole(&clear));
        let _ = self.fields(&mut inner, true, context, found);
        let children = inner.finish().into_iter().map(Node::hide_unknown).collect();
        fields.all("ciphered", |span, node| {
            let value = format!("{}, deciphered", octets(span.len()));
            node.value(value).clause("TS 102 225 §5.1.2").children(children).in_octets(&clear)
        });
    }

    pub(super) fn ciphered(&self, fields: &mut Fields<'_>) {
        fields.all("ciphered", |span, node| {
            let node = node.value(octets(span.len())).clause("TS 102 225 §5.1.2");
            match &self.secured {
                Secured::Failed(problem) => node.problem(problem.clone()),
                Secured::Unknown(why) | Secured::Proved(why) | Secured::Opened(why) => {
                    node.note(format!("not deciphered: {why}"))
                }
            }
        });
    }
}
