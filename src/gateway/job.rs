//! What is asked of a card's shard, and what comes of it.

use crate::applet::BindingRequest;
use crate::card::{
    Card, DeviceView, End, Event, FromCard, Order, Refused, ResponseData, Submission, Terms, WriteId,
    WriteState,
};
use crate::identity::{Imei, Msisdn};
use crate::ota::{Cntr, Rsc};
use crate::store::records::{Device, IdempotencyKey, InboxRecord, RecordError, Write};
use crate::store::{Commit, EnvelopeError, Key, StoreError, keys};

use super::Gateway;
use super::cards::TRIES;
use super::changes::timer;
use super::job_writes::Writes;
use super::records::{Stored, expect};
use super::render::RenderError;

/// What is to happen to a card.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// An event that needs nothing else.
    Event(Event),
    /// A response packet that was opened. Where it came from on site, `relayed` says all that was posted back.
    Response { cntr: Cntr, rsc: Rsc, data: ResponseData, from: Option<Msisdn>, relayed: Option<String> },
    /// What was posted back from a site without a response packet that could be opened.
    Relayed { hint: Option<Hint>, relayed: String },
    /// The business platform says which device the card is in.
    Supplied { imei: Imei },
    /// An operator decides about the binding that is held.
    DecideBinding { accept: bool },
    /// A binding request: the device's record belongs to it.
    Binding { cntr: u64, digest: u64, from: Option<Msisdn>, request: BindingRequest },
    /// A write that was ordered for the device that this card is bound to.
    Order(Box<OrderInput>),
    /// A write is withdrawn by its owner or by its deadline.
    Withdraw { write: WriteId, end: End },
    /// Time has come.
    Timer { key: Key },
    /// A consequence of what happened to another card.
    Inbox { key: Key, record: InboxRecord },
}

/// Something that looks like a response and proves nothing.
#[derive(Debug, Clone)]
pub(super) struct Hint {
    pub(super) what: String,
    pub(super) cntr: Option<Cntr>,
    pub(super) rsc: Option<Rsc>,
}

impl Hint {
    pub(super) fn event(self, from: Option<Msisdn>) -> Event {
        let Self { what, cntr, rsc } = self;
        Event::Hint { what, cntr, rsc, from }
    }
}

/// An order with what must be committed beside the card.
#[derive(Debug, Clone)]
pub(super) struct OrderInput {
    pub(super) write: Write,
    pub(super) idempotency: Option<(Key, IdempotencyKey)>,
}

/// What came of a job; durable.
#[derive(Debug)]
pub(super) struct Done {
    /// Packets to hand to a link now.
    pub(super) submissions: Vec<Submission>,
    /// Why the event was refused.
    pub(super) refused: Option<Refused>,
    /// The write that the job was about, as it is now.
    pub(super) write: Option<Write>,
    /// The card as it is now.
    pub(super) card: Card,
    /// Packets that never can be made, with the reasons.
    pub(super) unmade: Vec<(Cntr, String)>,
}

/// Why a job came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CardError {
    #[error("no such card")]
    NoSuchCard,
    #[error("the card's profile {0:?} is not configured")]
    NoProfile(String),
    #[error("card keys: {0}")]
    Keys(crate::vault::RecordError),
    #[error("the device is not bound to this card any more")]
    Moved,
    #[error("{0} is taken")]
    Claimed(&'static str),
    #[error("the idempotency key is taken")]
    IdempotencyKey,
    #[error("lost against concurrent changes {TRIES} times")]
    Contended,
    #[error("the gateway is stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Render(#[from] RenderError),
}

impl CardError {
    /// Whether the same may well succeed a moment later; otherwise only an operator can help.
    pub(super) const fn passes(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Contended | Self::Stopping)
    }

    /// What the card lacks without which nothing can be done for it, where that is the reason: only an operator can help.
    pub(super) fn lacks(&self) -> Option<String> {
        matches!(self, Self::NoProfile(_) | Self::Keys(_) | Self::Render(_)).then(|| self.to_string())
    }

    /// Whether it is an answer to the caller, and no fault of anything.
    pub(super) const fn is_told(&self) -> bool {
        matches!(self, Self::Moved | Self::Claimed(_) | Self::IdempotencyKey | Self::Stopping)
    }
}

impl Input {
    /// The device and the write that it is about.
    pub(super) fn about(&self) -> (Option<Imei>, Option<WriteId>) {
        match self {
            Self::Binding { request, .. } => (Some(request.imei), None),
            Input::Order(order) => (Some(order.write.imei), None),
            Input::Withdraw { write, .. } => (None, Some(*write)),
            Input::Event(Event::DecideWrite { id, .. } | Event::Export { id }) => (None, Some(*id)),
            Input::Supplied { imei } | Input::Inbox { record: InboxRecord::DeviceMoved { imei, .. }, .. } => {
                (Some(*imei), None)
            }
            Input::Response { data: ResponseData::State(answer), .. } => (Some(answer.imei), None),
            Input::Event(_)
            | Input::Response { .. }
            | Input::Relayed { .. }
            | Input::DecideBinding { .. }
            | Input::Timer { .. }
            | Input::Inbox { .. } => (None, None),
        }
    }

    /// The write that it is about, or makes.
    pub(super) fn write(&self) -> Option<WriteId> {
        match self {
            Self::Order(order) => Some(order.write.id),
            _ => self.about().1,
        }
    }

    /// What was posted back from a site.
    pub(super) fn relayed(&self) -> Option<&str> {
        match self {
            Self::Response { relayed, .. } => relayed.as_deref(),
            Self::Relayed { relayed, .. } => Some(relayed),
            _ => None,
        }
    }
}

impl Gateway {
    /// The event that the card's rules know, with what is stored of the device that it is about. What the input itself
    /// has to change or assert goes into `commit`.
    pub(super) async fn event(
        &self,
        input: &Input,
        card: &Card,
        device: Option<&Stored<Device>>,
        writes: &mut Writes,
        terms: &Terms<'_>,
        commit: &mut Commit,
    ) -> Result<Event, CardError> {
        Ok(match input {
            Input::Event(event) => event.clone(),
            Input::Response { cntr, rsc, data, from, .. } => {
                let device = match data {
                    ResponseData::State(_) => Some(self.view_device(device, card, writes).await?),
                    ResponseData::Script(_) if card.claimed.is_some() => {
                        Some(self.view_device(device, card, writes).await?)
                    }
                    _ => None,
                };
                Event::Response { cntr: *cntr, rsc: *rsc, data: data.clone(), from: *from, device }
            }
            Input::Relayed { hint, .. } => hint.clone().map_or(Event::Tick, |hint| hint.event(None)),
            Input::Supplied { imei } => {
                let device = self.view_device(device, card, writes).await?;
                Event::Supplied { imei: *imei, device }
            }
            Input::DecideBinding { accept } => {
                let device = self.view_device(device, card, writes).await?;
                Event::DecideBinding { accept: *accept, device }
            }
            Input::Binding { cntr, digest, from, request } => {
                let view = self.view_device(device, card, writes).await?;
                let message = FromCard::Binding { request: request.clone(), device: view };
                Event::Message { cntr: *cntr, digest: *digest, from: *from, message }
            }
            Input::Order(order) => {
                let bound = device.filter(|device| device.record.card == Some(card.id));
                let Some(bound) = bound else { return Err(CardError::Moved) };
                expect(commit, keys::device(order.write.imei.key()), bound.version);
                Event::Ordered(order.write.order())
            }
            Input::Withdraw { write, end } => match writes.get(*write) {
                Some(write) if !write.state.is_end() => {
                    Event::Withdraw { id: write.id, seq: write.seq, target: write.target.clone(), end: *end }
                }
                _ => Event::Tick,
            },
            Input::Timer { key } => {
                let stands = card.due(terms).map(|due| timer(card.id.octets(), due));
                if stands.as_ref() != Some(key) {
                    // Put off, or set under other waits: from here on the timer follows from the card again.
                    commit.delete(key.clone());
                }
                Event::Tick
            }
            Input::Inbox { key, record: InboxRecord::DeviceMoved { imei, to } } => {
                commit.delete(key.clone());
                let device = self.view_device(device, card, writes).await?;
                Event::DeviceMoved { imei: *imei, to: *to, device }
            }
            Input::Inbox { key, record: InboxRecord::Contested { imei, by } } => {
                commit.delete(key.clone());
                Event::Contested { imei: *imei, by: *by }
            }
        })
    }

    /// What a card that reports a device must know of it.
    async fn view_device(
        &self,
        device: Option<&Stored<Device>>,
        card: &Card,
        writes: &mut Writes,
    ) -> Result<DeviceView, CardError> {
        let Some(Stored { record: device, .. }) = device else { return Ok(DeviceView::default()) };
        writes.read(self, device.waiting.iter().copied()).await?;
        let of_owner = |id: &WriteId| {
            let write = writes.get(*id).filter(|write| write.owner == card.owner)?;
            let fits = write.profile.as_ref().is_none_or(|profile| *profile == card.profile)
                && write.card.is_none_or(|named| named == card.id);
            (write.state == WriteState::Waiting && fits).then(|| write.order())
        };
        Ok(DeviceView {
            card: device.card,
            waiting: device.waiting.iter().filter_map(of_owner).collect::<Vec<Order>>(),
        })
    }
}
