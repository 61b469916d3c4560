//! Octets explained: any packet that the platform sends or takes, as a tree of its fields with the octets they stand in,
//! what they say, and the clause that describes them.
//!
//! An [`Explainer`] takes octets, [`capture()`] a whole dialogue. Whatever can be read is read: where something is wrong the tree
//! says so at the field, and the rest stands there as octets. With [`Keys`] packets are verified and deciphered. A key, a
//! password, and whatever may be one among deciphered data is in no tree.
//!
//! | module | what it explains |
//! |---|---|
//! | `kind`, `text` | what octets are, by their looks; what people paste |
//! | `smpp` | PDUs |
//! | `tpdu`, `user_data` | SMS-DELIVER and SMS-SUBMIT; headers and parts |
//! | `secured` | command and response packets |
//! | `content`, `message`, `script`, `file` | what is in them: applet messages, scripts, contents of files |
//! | `apdu`, `tlv` | C-APDUs and R-APDUs, data objects of the toolkit |
//! | `capture` | whole dialogues |
//! | `keys`, `context` | what opens packets; what was said before |
//! | `node`, `words` | the tree; values in words |

mod apdu;
mod capture;
mod content;
mod context;
mod file;
mod keys;
mod kind;
mod message;
mod node;
mod script;
mod secured;
mod smpp;
pub mod text;
mod tlv;
mod tpdu;
mod user_data;
mod words;

use serde::Serialize;

pub use capture::{Connection, Dialogues, Event, capture};
use context::Context;
pub use keys::{CardKeys, Hint, Keys, NoKeys, NotOpened, Opened};
pub use kind::{Kind, KindError};
use node::Span;
pub use node::{Node, Octets};

/// Octets explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What they were taken for, by the name of a [`Kind`].
    pub kind: &'static str,
    /// What was assumed, where their looks left a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumed: Option<String>,
    /// What they come to, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// The tree. The first node has the octets that were given.
    pub tree: Node,
}

/// Octets that are nothing that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing that is known begins like this; say what it is with --as")]
pub struct Unknown;

/// Explains one thing after the other: parts of a message are joined, responses held against their commands, and what a
/// command reads is the file that one before it has selected.
pub struct Explainer<'k>(Context<'k>);

impl<'k> Explainer<'k> {
    /// With these keys.
    pub fn new(keys: &'k mut dyn Keys) -> Self {
        Self(Context::new(keys))
    }

    /// Explains octets as `kind`, or as what [`Kind::guess`] takes them for.
    ///
    /// # Errors
    /// [`Unknown`], only where no kind is given.
    pub fn explain(&mut self, kind: Option<Kind>, octets: &[u8]) -> Result<Explanation, Unknown> {
        let (kind, assumed) = match kind {
            Some(kind) => (kind, None),
            None => guessed(octets)?,
        };
        let Self(context) = self;
        context.begin_item();
        let span = Span::whole(octets);
        let nodes = nodes(kind, span, context);
        let tree = Node::of(kind.words(), span).children(nodes).in_octets(octets);
        Ok(Explanation { kind: kind.name(), assumed, verdict: context.verdict.take(), tree })
    }
}

fn guessed(octets: &[u8]) -> Result<(Kind, Option<String>), Unknown> {
    let (kinds, fits) = Kind::guess(octets);
    let (first, others) = kinds.split_first().ok_or(Unknown)?;
    let names: Vec<&str> = others.iter().map(|kind| kind.name()).collect();
    let assumed = match (fits, names.as_slice()) {
        (false, _) => Some(format!("taken as {}: it begins like one, but does not fit", first.words())),
        (true, []) => None,
        (true, names) => Some(format!("taken as {}; --as {} fits too", first.words(), names.join(", --as "))),
    };
    Ok((*first, assumed))
}

fn nodes(kind: Kind, span: Span<'_>, context: &mut Context<'_>) -> Vec<Node> {
    match kind {
        Kind::Smpp => smpp::pdus(span, context),
        Kind::Deliver => vec![tpdu::deliver(span, context)],
        Kind::Submit => vec![tpdu::submit(span, context)],
        Kind::UserData => user_data::with_header(span, context),
        Kind::Command => vec![secured::command(span, context)],
        Kind::Response => vec![secured::response(span, context)],
        Kind::Message => vec![message::explain(span).0],
        Kind::Toolkit => vec![apdu::template(span, context)],
        Kind::Apdu => vec![apdu::command(span, context)],
        Kind::ApduResponse => vec![apdu::response(span, context)],
        Kind::Script => {
            let (node, words, _) = script::script(span, context);
            context.verdict = Some(words);
            vec![node]
        }
        Kind::ScriptResponse => {
            let (node, words) = script::response(span, None, false);
            context.verdict = Some(words);
            vec![node]
        }
        Kind::File(ef) => vec![file::of_ef(ef, span, Node::of("contents", span))],
    }
}
