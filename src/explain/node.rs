//! The tree that an explanation is, and what builds it from octets.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

/// Octets that stand apart from what was given: what was deciphered, or joined from several messages. Where secrets stand
/// it holds zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Octets {
    octets: Vec<u8>,
    hidden: Vec<[usize; 2]>,
}

/// Something that was made out: a layer, a field, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Node {
    /// What it is, by its name in the specification.
    pub name: Cow<'static, str>,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where it stands: from, and to (which is not part of it), in the `octets` of the nearest node above that has some.
    /// `None` for what follows from several places.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<[usize; 2]>,
    /// Where the specification describes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clause: Option<&'static str>,
    /// What there is to say beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The octets that the ranges below count in, where these are not those above. In hexadecimal digits, `**` for an octet
    /// that is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub octets: Option<Octets>,
    /// Whether its octets are a secret: they are in no node and no output.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Whether nobody knows what its octets mean.
    #[serde(skip)]
    pub(super) unknown: bool,
    /// What it consists of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Node>,
}

impl Node {
    /// A node with a name and nothing else.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    pub(super) fn of(name: impl Into<Cow<'static, str>>, span: Span<'_>) -> Self {
        Self { range: Some(span.range()), ..Self::new(name) }
    }

    pub(super) fn value(self, value: impl Into<String>) -> Self {
        Self { value: Some(value.into()), ..self }
    }

    pub(super) fn clause(self, clause: &'static str) -> Self {
        Self { clause: Some(clause), ..self }
    }

    /// Adds to what there is to say beside.
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        add(&mut self.note, note.into());
        self
    }

    /// Adds to what is wrong.
    pub(super) fn problem(mut self, problem: impl Into<String>) -> Self {
        add(&mut self.problem, problem.into());
        self
    }

    /// The same with what is wrong according to `result`, if anything.
    pub(super) fn checked<T, E: std::fmt::Display>(self, result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => self,
            Err(error) => self.problem(error.to_string()),
        }
    }

    pub(super) fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    pub(super) fn children(mut self, children: Vec<Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// Octets that mean something else to somebody.
    pub(super) fn unknown(self) -> Self {
        Self { unknown: true, ..self }
    }

    /// The same without the octets that are not understood, here and below: they may be keys.
    pub(super) fn hide_unknown(mut self) -> Self {
        let leaf = self.children.is_empty();
        if leaf && (self.unknown || self.problem.is_some() || self.value.is_none()) {
            self.value = None;
            return self.hide();
        }
        self.children = self.children.into_iter().map(Self::hide_unknown).collect();
        self
    }

    /// A secret: what is shown is how long it is.
    pub(super) fn hide(mut self) -> Self {
        let octets = self.range.map_or(0, |[from, to]| to.saturating_sub(from));
        self.hidden = true;
        self.value.get_or_insert_with(|| format!("[{octets} octets]"));
        self.children.clear();
        self
    }

    /// Says in which octets the ranges of the children count. What the children hide is not kept.
    pub(super) fn in_octets(mut self, octets: &[u8]) -> Self {
        let mut octets = Octets { octets: octets.to_vec(), hidden: Vec::new() };
        self.children.iter().for_each(|child| child.hide_in(&mut octets));
        self.octets = Some(octets);
        self
    }

    fn hide_in(&self, octets: &mut Octets) {
        if let (true, Some(range)) = (self.hidden, self.range) {
            octets.hide(range);
        }
        if self.octets.is_none() {
            self.children.iter().for_each(|child| child.hide_in(octets));
        }
    }

    /// Whether something is wrong here or below.
    #[must_use]
    pub fn has_problem(&self) -> bool {
        self.problem.is_some() || self.children.iter().any(Self::has_problem)
    }

    /// The first node with this name, here or below, from the top.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }
}

fn add(text: &mut Option<String>, more: String) {
    match text {
        Some(text) => {
            text.push_str("; ");
            text.push_str(&more);
        }
        None => *text = Some(more),
    }
}

impl Octets {
    /// The octets at a range, each `None` where it is not shown; empty where there are none.
    pub fn shown(&self, [from, to]: [usize; 2]) -> impl Iterator<Item = Option<u8>> + '_ {
        let octets = self.octets.get(from..to).unwrap_or_default();
        (from..).zip(octets).map(|(at, octet)| (!self.hides(at)).then_some(*octet))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.octets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    fn hides(&self, at: usize) -> bool {
        self.hidden.iter().any(|[from, to]| (*from..*to).contains(&at))
    }

    fn hide(&mut self, [from, to]: [usize; 2]) {
        if let Some(octets) = self.octets.get_mut(from..to) {
            octets.fill(0);
            self.hidden.push([from, to]);
        }
    }
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits =
            |octet: Option<u8>| octet.map_or_else(|| "**".to_owned(), |octet| format!("{octet:02X}"));
        serializer.serialize_str(&self.shown([0, self.len()]).map(digits).collect::<String>())
    }
}

/// Octets to be explained, and where they stand in the octets that ranges count in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span<'a> {
    pub(super) octets: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Span<'a> {
    /// Octets that ranges count in themselves.
    pub(super) const fn whole(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    pub(super) const fn len(self) -> usize {
        self.octets.len()
    }

    pub(super) const fn is_empty(self) -> bool {
        self.octets.is_empty()
    }

    pub(super) const fn range(self) -> [usize; 2] {
        [self.at, self.at + self.octets.len()]
    }

    /// The first `len` octets, and those behind; `None` where there are fewer.
    pub(super) fn split(self, len: usize) -> Option<(Self, Self)> {
        let (first, behind) = self.octets.split_at_checked(len)?;
        Some((Self { octets: first, at: self.at }, Self { octets: behind, at: self.at + len }))
    }

    /// The octets from the `len`-th on; none where there are fewer.
    pub(super) fn behind(self, len: usize) -> Self {
        self.split(len).map_or(Self { octets: &[], at: self.at + self.len() }, |(_, behind)| behind)
    }

    /// At most the first `len` octets.
    pub(super) fn before(self, len: usize) -> Self {
        self.split(len).map_or(self, |(first, _)| first)
    }

    pub(super) fn first(self) -> Option<u8> {
        self.octets.first().copied()
    }
}

/// The fields of a layer, taken off its front one by one. A field that does not end within the layer becomes a node of what
/// is left, with what is wrong; then nothing is left.
pub(super) struct Fields<'a> {
    rest: Span<'a>,
    nodes: Vec<Node>,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(span: Span<'a>) -> Self {
        Self { rest: span, nodes: Vec::new() }
    }

    /// What is not taken yet.
    pub(super) const fn rest(&self) -> Span<'a> {
        self.rest
    }

    /// A field of `N` octets.
    pub(super) fn fixed<const N: usize>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        describe: impl FnOnce([u8; N], Node) -> Node,
    ) -> Option<[u8; N]> {
        let span = self.take(name, N, |span, node| match span.octets.try_into() {
            Ok(octets) => describe(octets, node),
            Err(_) => node,
        })?;
        span.octets.try_into().ok()
    }

    /// A field of `len` octets.
    pub(super) fn take(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        len: usize,
        describe: impl FnOnce(Span<'a>, Node) -> Node,
    ) -> Option<Span<'a>> {
        let name = name.into();
        let Some((span, behind)) = self.rest.split(len) else {
            let found = self.rest.len();
            self.fail(name, format!("expected {}, found {found}", octets(len)));
            return None;
        };
        self.rest = behind;
        self.nodes.push(describe(span, Node::of(name, span)));
        Some(span)
    }

    /// All that is left, if anything is.
    pub(super) fn all(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        describe: impl FnOnce(Span<'a>, Node) -> Node,
    ) {
        if !self.rest.is_empty() {
            self.take(name, self.rest.len(), describe);
        }
    }

    /// What is left cannot be read as this field.
    pub(super) fn fail(&mut self, name: impl Into<Cow<'static, str>>, problem: impl Into<String>) {
        self.nodes.push(Node::of(name, self.rest).problem(problem));
        self.rest = self.rest.behind(self.rest.len());
    }

    /// Something that has no octets of its own.
    pub(super) fn push(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// The nodes. Octets that are left belong to nothing.
    pub(super) fn finish(mut self) -> Vec<Node> {
        if !self.rest.is_empty() {
            self.fail("more octets", "belong to no field");
        }
        self.nodes
    }
}

/// `1 octet`, `2 octets`.
pub(super) fn octets(number: usize) -> String {
    if number == 1 { "1 octet".to_owned() } else { format!("{number} octets") }
}
