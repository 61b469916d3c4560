//! Scripts of remote file and application management, and what cards answer (TS 102 226 §5).

use zeroize::Zeroizing;

use super::apdu;
use super::context::Context;
use super::file::{self, File};
use super::node::{Fields, Node, Span, octets};
use super::tlv::{self, Tlv};
use super::words::{count, hex};
use crate::ota::apdu::{Command, StatusWord, instruction, p3_is_le};
use crate::ota::script::{
    Action, BadFormat, Chaining, Format, Problem, ScriptOptions, Verdict, decode_response,
};

/// The name of a script's node.
pub(super) const SCRIPT: &str = "script";
/// The name of the node of what answers a script.
pub(super) const RESPONSE: &str = "script response";

/// What of a script is needed to understand its response.
pub(super) struct Script {
    commands: Vec<Zeroizing<Vec<u8>>>,
    /// The file that each command works on.
    files: Vec<File>,
    options: ScriptOptions,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Script({} commands)", self.commands.len())
    }
}

/// A script under way.
#[derive(Default)]
struct Reading<'a> {
    commands: Vec<&'a [u8]>,
    files: Vec<File>,
    options: ScriptOptions,
    problem: bool,
}

/// Whether octets are a script: a template of the expanded formats, or commands that fit up to the last octet.
pub(super) fn is_script(octets: &[u8]) -> bool {
    match Format::of_script(octets) {
        Format::Expanded => tlv::split(Span::whole(octets)).is_ok_and(|(_, behind)| behind.is_empty()),
        Format::ExpandedIndefinite => matches!(octets, [_, 0x80, .., 0x00, 0x00]),
        Format::Compact => {
            let mut rest = Span::whole(octets);
            while let Some((command, behind)) = compact(rest) {
                if !matches!(command.octets, [cla, ins, ..] if apdu::is_known(*cla, *ins)) {
                    return false;
                }
                rest = behind;
            }
            rest.is_empty() && !octets.is_empty()
        }
    }
}

/// Whether octets look like a response to a script.
pub(super) fn is_response(octets: &[u8]) -> bool {
    match octets {
        [0xAB, ..] => tlv::split(Span::whole(octets)).is_ok_and(|(_, behind)| behind.is_empty()),
        [0xAF, 0x80, .., 0x00, 0x00] => true,
        [1..=0xFF, sw1, sw2, ..] => StatusWord(u16::from_be_bytes([*sw1, *sw2])).meaning().is_some(),
        _ => false,
    }
}

/// Explains a script; the words say it in a line.
pub(super) fn script(span: Span<'_>, context: &mut Context<'_>) -> (Node, String, Script) {
    context.file = File::default();
    let mut reading = Reading::default();
    let node = Node::of(SCRIPT, span);
    let node = match Format::of_script(span.octets) {
        Format::Compact => {
            let nodes = reading.compact(span, context);
            node.value(format!("compact, {}", count(reading.commands.len(), "command")))
                .clause("TS 102 226 §5.1.1")
                .children(nodes)
        }
        Format::Expanded => {
            let nodes = match tlv::split(span) {
                Ok((template, behind)) => {
                    let mut nodes = reading.objects(template.value, context);
                    if !behind.is_empty() {
                        nodes.push(Node::of("more octets", behind).problem("behind the template"));
                    }
                    nodes
                }
                Err(problem) => vec![Node::of("template", span).problem(problem)],
            };
            node.value(format!("expanded, {}", count(reading.commands.len(), "command")))
                .clause("TS 102 226 §5.2.1")
                .children(nodes)
        }
        Format::ExpandedIndefinite => {
            let nodes = reading.indefinite(span, context);
            node.value(format!("expanded, indefinite length, {}", count(reading.commands.len(), "command")))
                .clause("TS 102 226 §5.2.1")
                .children(nodes)
        }
    };
    let words = reading.words();
    let commands = reading.commands.iter().map(|command| Zeroizing::new(command.to_vec())).collect();
    (node, words, Script { commands, files: reading.files, options: reading.options })
}

impl<'a> Reading<'a> {
    fn compact(&mut self, span: Span<'a>, context: &mut Context<'_>) -> Vec<Node> {
        let (mut rest, mut nodes) = (span, Vec::new());
        while let Some((command, behind)) = compact(rest) {
            nodes.push(self.command(command, context));
            rest = behind;
        }
        if !rest.is_empty() {
            self.problem = true;
            nodes.push(apdu::command(rest, context).problem("ends within the command"));
        }
        nodes
    }

    fn indefinite(&mut self, span: Span<'a>, context: &mut Context<'_>) -> Vec<Node> {
        let inner = span.behind(2);
        let (objects, end) = match inner.octets {
            [objects @ .., 0x00, 0x00] => inner.split(objects.len()).unwrap_or((inner, Span::default())),
            _ => (inner, Span::default()),
        };
        let mut nodes = self.objects(objects, context);
        nodes.push(match end.is_empty() {
            true => Node::new("end of contents").problem("expected 00 00 at the end"),
            false => Node::of("end of contents", end),
        });
        nodes
    }

    fn objects(&mut self, span: Span<'a>, context: &mut Context<'_>) -> Vec<Node> {
        tlv::all(span, |tlv| {
            let Tlv { tag, whole, value } = tlv;
            let octets = value.octets;
            match tag {
                // The comprehension flag may be set.
                0x22 | 0xA2 => Node { range: Some(whole.range()), ..self.command(value, context) },
                0x81 => {
                    self.options.immediate_actions.extend(Action::read(octets));
                    Node::of("immediate action", whole).value(action(octets)).clause("TS 102 226 §5.2.1.2")
                }
                0x82 => {
                    self.options.error_action = Action::read(octets);
                    Node::of("error action", whole).value(action(octets)).clause("TS 102 226 §5.2.1.3")
                }
                0x83 => {
                    self.options.chaining = Chaining::read(octets);
                    Node::of("script chaining", whole).value(chaining(octets)).clause("TS 102 226 §5.2.1.4")
                }
                _ => Node::of(format!("object {tag:02X}"), whole)
                    .value(hex(octets))
                    .problem("no object of a script")
                    .unknown(),
            }
        })
    }

    fn command(&mut self, span: Span<'a>, context: &mut Context<'_>) -> Node {
        let node = apdu::command(span, context);
        self.commands.push(span.octets);
        self.files.push(context.file);
        node
    }

    /// What is done to which file.
    fn words(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for (command, file) in self.commands.iter().zip(&self.files) {
            let ins = command.get(1).copied().unwrap_or_default();
            let does = match ins {
                instruction::SELECT | instruction::GET_RESPONSE => continue,
                instruction::UPDATE_BINARY | instruction::UPDATE_RECORD => "update",
                instruction::READ_BINARY | instruction::READ_RECORD => "read",
                _ => {
                    words.push(apdu::name(command).to_owned());
                    continue;
                }
            };
            words.push(if *file == File::default() { does.to_owned() } else { format!("{does} {file}") });
        }
        let chain = self.options.chaining.map_or("", |_| ", in a chain");
        let problem = if self.problem { ", malformed" } else { "" };
        let commands = count(self.commands.len(), "command");
        match words.is_empty() {
            true => format!("script of {commands}{chain}{problem}"),
            false => format!("script of {commands}{chain}: {}{problem}", words.join(", ")),
        }
    }
}

/// The first command of the compact format.
fn compact(span: Span<'_>) -> Option<(Span<'_>, Span<'_>)> {
    let &[_, ins, p1, p2, p3] = span.octets.first_chunk()?;
    span.split(if p3_is_le(ins, p1, p2) { 5 } else { 5 + usize::from(p3) })
}

fn action(octets: &[u8]) -> String {
    match octets {
        [0x81] => "proactive session indication".to_owned(),
        [0x82] => "early response".to_owned(),
        [record @ 0x01..=0x7F] => format!("proactive command in record {record} of EF.RMA"),
        [0x81, _, _, kind, qualifier, ..] => format!("{}, qualifier {qualifier:02X}", apdu::proactive(*kind)),
        _ => hex(octets),
    }
}

fn chaining(octets: &[u8]) -> String {
    match Chaining::read(octets) {
        Some(Chaining::FirstDeleteOnReset) => "first script, forgotten at reset".to_owned(),
        Some(Chaining::FirstKeep) => "first script, kept over a reset".to_owned(),
        Some(Chaining::Middle) => "subsequent script, more follow".to_owned(),
        Some(Chaining::Last) => "last script".to_owned(),
        None => hex(octets),
    }
}

/// Explains what answers a script; `sent` is the script where it is known.
pub(super) fn response(span: Span<'_>, sent: Option<&Script>, hide: bool) -> (Node, String) {
    let node = Node::of(RESPONSE, span);
    let read = decode_response(span.octets);
    let answered = match (&read, sent) {
        (Ok(read), Some(sent)) => read.answered(&sent.options, &sent.commands),
        _ => Vec::new(),
    };
    let reading = ResponseReading { sent, hide, answered: answered.into_iter() };
    let compact = match &read {
        Ok(read) => read.format == Format::Compact,
        Err(_) => !matches!(span.octets, [0xAB | 0xAF, ..]),
    };
    let node = if compact { reading.compact(span, node) } else { reading.expanded(span, node) };
    let words = match (&read, sent) {
        (Err(error), _) => error.to_string(),
        (Ok(read), Some(sent)) => {
            let verdict = read.verdict(&sent.options, &sent.commands);
            in_words(verdict, sent)
        }
        (Ok(read), None) => {
            let executed = read.executed.map(|executed| count(executed as usize, "command") + " executed");
            let last = read.responses.last().map(|last| format!("last status {}", status(last.status)));
            let problem = read.problem.map(|problem| problem.to_string());
            [executed, last, problem].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
    };
    (node.checked(&read), words)
}

/// What became of a script, in a line.
fn in_words(verdict: Verdict, sent: &Script) -> String {
    let all = count(sent.commands.len(), "command");
    match verdict {
        Verdict::Complete => format!("all of {all} executed"),
        Verdict::Failed { command, status } => {
            let ins = sent.commands.get(command).map_or("command", |command| apdu::name(command));
            let file = sent.files.get(command).filter(|file| **file != File::default());
            let file = file.map(|file| format!(" of {file}")).unwrap_or_default();
            format!(
                "command {} of {}, {ins}{file}, failed: {}",
                command + 1,
                sent.commands.len(),
                self::status(status)
            )
        }
        Verdict::Refused(problem) => format!("script of {all} refused: {problem}"),
        Verdict::Incomplete { executed } => format!("{executed} of {all} executed"),
    }
}

/// A status word that is defined; what else stands in its place is not shown.
fn status(status: StatusWord) -> String {
    status.meaning().map_or_else(|| "a status that is not defined".to_owned(), |_| status.to_string())
}

struct ResponseReading<'a> {
    sent: Option<&'a Script>,
    /// Whether data that are not understood are hidden.
    hide: bool,
    /// The commands that the next R-APDUs answer.
    answered: std::vec::IntoIter<usize>,
}

impl ResponseReading<'_> {
    fn compact(mut self, span: Span<'_>, node: Node) -> Node {
        let mut fields = Fields::new(span);
        let last = self.answered.next_back();
        let _ = fields
            .fixed("number executed", |[number], node| node.value(count(number.into(), "command")))
            .and_then(|_| fields.fixed("last SW", |sw, node| apdu::status(u16::from_be_bytes(sw), node)));
        fields.all("last data", |data, node| self.data(last, data, node));
        node.value("compact").clause("TS 102 226 §5.1.2").children(fields.finish())
    }

    fn expanded(mut self, span: Span<'_>, node: Node) -> Node {
        let indefinite = matches!(span.octets, [0xAF, ..]);
        let node = node.value(if indefinite { "expanded, indefinite length" } else { "expanded" });
        let node = node.clause("TS 102 226 §5.2.2");
        let objects = match (indefinite, tlv::split(span)) {
            (true, _) => {
                let inner = span.behind(2);
                inner.before(inner.len().saturating_sub(2))
            }
            (false, Ok((template, _))) => template.value,
            (false, Err(problem)) => return node.problem(problem),
        };
        node.children(tlv::all(objects, |tlv| self.object(&tlv)))
    }

    fn object(&mut self, Tlv { tag, whole, value }: &Tlv<'_>) -> Node {
        let node = |name: &'static str| Node::of(name, *whole);
        match (*tag, value.octets) {
            (0x80, octets @ [_, ..]) if octets.len() <= 4 => {
                let number = octets.iter().fold(0, |number: usize, octet| number << 8 | usize::from(*octet));
                node("number executed").value(number.to_string())
            }
            (0x23 | 0xA3, [.., _, _]) => {
                let mut fields = Fields::new(*value);
                let command = self.answered.next();
                let data_len = value.len() - 2;
                if data_len > 0 {
                    fields.take("data", data_len, |data, node| self.data(command, data, node));
                }
                fields.fixed("SW", |sw, node| apdu::status(u16::from_be_bytes(sw), node));
                node("R-APDU").children(fields.finish())
            }
            (0x90, [value]) => node("bad format").value(Problem::BadFormat(BadFormat(*value)).to_string()),
            (0x81, [value]) => node("immediate action").value(Problem::ImmediateAction(*value).to_string()),
            (0x83, [value]) => node("script chaining").value(Problem::Chaining(*value).to_string()),
            (tag, octets) => Node::of(format!("object {tag:02X}"), *whole).value(hex(octets)).unknown(),
        }
    }

    /// The data that a command brought: the contents of a file where it was a read.
    fn data(&self, command: Option<usize>, span: Span<'_>, node: Node) -> Node {
        let read = command.and_then(|command| {
            let sent = self.sent?;
            // GET RESPONSE fetches what the command before it has brought.
            let index = match sent.commands.get(command)?.get(1) {
                Some(&instruction::GET_RESPONSE) => command.checked_sub(1)?,
                _ => command,
            };
            let apdu = Command::parse(sent.commands.get(index)?).ok()?;
            let reads = matches!(apdu.instruction, instruction::READ_BINARY | instruction::READ_RECORD);
            sent.files.get(index).copied().filter(|_| reads)
        });
        match read {
            Some(file) => file::contents(file, span, node),
            None if self.hide => node.value(format!("[{}]", octets(span.len()))).note("not shown").hide(),
            None => node.value(octets(span.len())),
        }
    }
}
