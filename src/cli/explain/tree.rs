//! Explanations as text: octets on the left, what they say on the right.
//!
//! A line is the range of the octets (the last one not counted), the octets, and the field, as far in as it stands below
//! others. Behind a `|` ranges count in octets of their own: what was deciphered, or joined from several messages.

use std::fmt::Write as _;

use crate::explain::{Connection, Dialogues, Event, Explanation, Node, Octets};

/// Octets in a line.
const LINE_OCTETS: usize = 8;
/// Names are filled up to this width, so that what the fields of a layer say stands in one column.
const NAME_MAX: usize = 24;

/// One explanation.
pub(super) fn of_explanation(explanation: &Explanation) -> String {
    let Explanation { assumed, verdict, tree, .. } = explanation;
    let mut text = Text::default();
    if let Some(assumed) = assumed {
        text.line(&format!("# {assumed}"));
    }
    text.tree(tree);
    if let Some(verdict) = verdict {
        text.line(&format!("=> {verdict}"));
    }
    text.text
}

/// What a capture holds.
pub(super) fn of_dialogues(dialogues: &Dialogues) -> String {
    let Dialogues { connections, pdus, others, truncated, .. } = dialogues;
    let mut text = Text::default();
    for (number, Connection { client, server, unframed }) in (1..).zip(connections) {
        let beside = if *unframed == 0 { String::new() } else { format!(", {unframed} octets beside PDUs") };
        text.line(&format!("# connection {number}: {client} (client) to {server} (server){beside}"));
    }
    if *pdus == 0 {
        text.line("# no SMPP");
    }
    if *others > 0 {
        text.line(&format!("# {others} packets that are no TCP segment"));
    }
    if *truncated {
        text.line("# the file ends within a packet");
    }
    text.text
}

/// A PDU of a capture: a line, below it the packet that it carries, or (`full`) all of it.
pub(super) fn of_event(event: &Event, connections: bool, full: bool) -> String {
    let mut text = Text::default();
    text.event(event, connections, full);
    text.text
}

#[derive(Default)]
struct Text {
    text: String,
    /// The clause of the line before: the same one is not said again.
    clause: Option<&'static str>,
}

/// How the lines below a node look.
#[derive(Clone, Copy)]
struct Look<'a> {
    octets: &'a Octets,
    /// How many other octets these are within.
    nested: usize,
    depth: usize,
    /// Width of a range and what stands before it.
    range_width: usize,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn event(&mut self, event: &Event, connections: bool, full: bool) {
        let Event { packet, connection, time_ns, from, command, sequence, status, .. } = event;
        let connection = if connections { format!("{:>2} ", connection + 1) } else { String::new() };
        let seconds = *time_ns as f64 / 1e9;
        let addresses = match (&event.source, &event.destination) {
            (Some(source), Some(destination)) => format!("{source} to {destination}"),
            _ => String::new(),
        };
        let status = status.as_ref().filter(|status| *status != "ESME_ROK").cloned().unwrap_or_default();
        self.line(&format!(
            "{packet:>6} {seconds:>11.6} {connection}{from}  {command:<22} {sequence:>4}  {addresses}{status}"
        ));
        let root = event.tree.octets.as_ref();
        match (root, event.inner()) {
            (Some(octets), _) if full => self.below(&event.tree, octets),
            (Some(octets), Some(inner)) => self.node(inner, name_width(&[inner]), look(&event.tree, octets)),
            // What cannot be read is shown at the field.
            (Some(octets), None) if event.tree.has_problem() => self.below(&event.tree, octets),
            _ => {}
        }
        if let Some(verdict) = &event.verdict {
            self.line(&format!("       => {verdict}"));
        }
    }

    fn tree(&mut self, tree: &Node) {
        if let Some(octets) = &tree.octets {
            self.below(tree, octets);
        }
    }

    fn below(&mut self, node: &Node, octets: &Octets) {
        let width = name_width(&node.children.iter().collect::<Vec<_>>());
        node.children.iter().for_each(|child| self.node(child, width, look(node, octets)));
    }

    fn node(&mut self, node: &Node, name_width: usize, look: Look<'_>) {
        let Look { octets, nested, depth, range_width } = look;
        let range = node.range.map(|[from, to]| format!("{from}..{to}")).unwrap_or_default();
        let mut shown: Vec<String> = node.range.map(|range| digits(octets, range)).unwrap_or_default();
        let leaf = node.children.is_empty() && node.octets.is_none();
        if !leaf && shown.len() > 1 {
            // Its octets are those below.
            shown.truncate(1);
            if let Some((head, _)) = shown.first().and_then(|first| first.rsplit_once(' ')) {
                shown = vec![format!("{head} …")];
            }
        }
        let gutter = "| ".repeat(nested);
        let range_width = range_width.saturating_sub(gutter.len());
        let mut lines = shown.into_iter();
        let first = lines.next().unwrap_or_default();
        let clause = node.clause.filter(|clause| self.clause != Some(*clause));
        self.clause = node.clause.or(self.clause);
        let words = words(node, name_width, clause);
        self.line(&format!("{gutter}{range:>range_width$}  {first:<23}  {}{words}", "  ".repeat(depth)));
        for line in lines {
            self.line(&format!("{gutter}{:>range_width$}  {line}", ""));
        }
        let below = match &node.octets {
            Some(own) => Look { octets: own, nested: nested + 1, depth: depth + 1, ..look },
            None => Look { depth: depth + 1, ..look },
        };
        let width = self::name_width(&node.children.iter().collect::<Vec<_>>());
        node.children.iter().for_each(|child| self.node(child, width, below));
    }
}

/// How `node` looks, whose range counts in `octets`.
fn look<'a>(node: &Node, octets: &'a Octets) -> Look<'a> {
    let digits = octets.len().to_string().len();
    Look { octets, nested: 0, depth: 0, range_width: 2 * digits + 2 + 2 * nesting(node) }
}

/// How many octets stand within each other below a node.
fn nesting(node: &Node) -> usize {
    let below = |child: &Node| nesting(child) + usize::from(child.octets.is_some());
    node.children.iter().map(below).max().unwrap_or(0)
}

/// Name, value, notes, what is wrong, clause.
fn words(node: &Node, name_width: usize, clause: Option<&'static str>) -> String {
    let Node { name, value, note, problem, .. } = node;
    let mut line = match value {
        Some(value) => format!("{name:<name_width$}  {value}"),
        None => name.to_string(),
    };
    // Writing into a string never fails.
    let _ = note.iter().try_for_each(|note| write!(line, " ({note})"));
    let _ = problem.iter().try_for_each(|problem| write!(line, "  !! {problem}"));
    let _ = clause.iter().try_for_each(|clause| write!(line, "  [{clause}]"));
    line
}

fn name_width(nodes: &[&Node]) -> usize {
    let with_value = nodes.iter().filter(|node| node.value.is_some());
    with_value.map(|node| node.name.chars().count()).filter(|width| *width <= NAME_MAX).max().unwrap_or(0)
}

/// Octets in lines.
fn digits(octets: &Octets, range: [usize; 2]) -> Vec<String> {
    let digits: Vec<String> = octets
        .shown(range)
        .map(|octet| octet.map_or_else(|| "··".to_owned(), |octet| format!("{octet:02X}")))
        .collect();
    digits.chunks(LINE_OCTETS).map(|line| line.join(" ")).collect()
}
