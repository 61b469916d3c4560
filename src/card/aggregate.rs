//! The card's own record: all that is known of it, and what follows from it for the indexes.

use crate::identity::{Eid, Iccid, Msisdn};

use super::{
    Active, Bearer, Binding, CardId, Claimed, Counter, HeldBinding, Hints, MoWindow, Notice, Outstanding,
    Owed, Owner, Purpose, Subscription, Unsettled, WriteId, WriteState,
};

/// Most writes that wait for one card (the active one not counted).
pub const QUEUE_MAX: usize = 8;

/// Most unresolved writes remembered; older ones are past proving.
pub const UNSETTLED_MAX: usize = 4;

/// How often a card whose MO counter fell out of the window is asked for it, ms.
const RESYNC_MS: u64 = 3_600_000;

/// A card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Its id here.
    pub id: CardId,
    /// Whose it is.
    pub owner: Owner,
    /// Its EID, where it has one.
    pub eid: Option<Eid>,
    /// The ICCID it came with, where known.
    pub iccid: Option<Iccid>,
    /// Name of its profile.
    pub profile: String,
    /// The key set it is spoken to with, 1 to 15.
    pub kvn: u8,
    /// The subscription it left the factory with.
    pub preset: Option<Subscription>,
    /// The subscription in effect.
    pub current: Option<Subscription>,
    /// The one in effect before; its number is the card's until it is forgotten.
    pub previous: Option<Subscription>,
    /// When that was replaced, unix ms; 0 where nobody noted it: it is not forgotten then.
    pub replaced_at: u64,
    /// MT counters by scope.
    pub counters: Vec<Counter>,
    /// Replay window over its own messages.
    pub mo: MoWindow,
    /// The device it is in.
    pub binding: Option<Binding>,
    /// A binding that waits for a decision.
    pub held: Option<HeldBinding>,
    /// A device that was claimed without proof; the card is asked.
    pub claimed: Option<Claimed>,
    /// The last transaction id used.
    pub last_tid: u32,
    /// The write it is busy with.
    pub active: Option<Active>,
    /// Writes that wait for their turn, next first; at most [`QUEUE_MAX`].
    pub queue: Vec<WriteId>,
    /// The one packet that asks a PoR.
    pub outstanding: Option<Outstanding>,
    /// An answer on its way that asks none.
    pub notice: Option<Notice>,
    /// Answers owed that wait until nothing is outstanding; at most one of each kind.
    pub owed: Vec<Owed>,
    /// Writes that ended unresolved; where there are any, the next write starts with a fence.
    pub unsettled: Vec<Unsettled>,
    /// The last result taken from the card: its transaction id and write.
    pub last_result: Option<(u32, WriteId)>,
    /// When a sign of life last sent what was pending, unix ms.
    pub woken_at: u64,
    /// When an answer was last repeated, unix ms.
    pub repeated_at: u64,
    /// Whether the card's MO counter fell out of the window, so that it must be asked for it.
    pub resync: bool,
    /// When it was last asked for it, unix ms.
    pub resynced_at: u64,
    /// Whether something else calls for asking it what it is.
    pub ask: bool,
    /// When it was last asked, unix ms.
    pub asked_at: u64,
    /// Whether the store was restored from an older copy and the card has not been asked since: what it reports on its
    /// own may be a repetition that the copy does not know, so that it changes nothing before.
    pub restored: bool,
    /// When what anybody could have sent was last told.
    pub hints: Hints,
    /// Sequence of the last entry in its timeline.
    pub seq: u64,
}

impl Card {
    /// A card as imported: nothing has happened to it yet.
    #[must_use]
    pub fn new(id: CardId, owner: Owner, profile: String, kvn: u8) -> Self {
        Self {
            id,
            owner,
            eid: None,
            iccid: None,
            profile,
            kvn,
            preset: None,
            current: None,
            previous: None,
            replaced_at: 0,
            counters: Vec::new(),
            mo: MoWindow::default(),
            binding: None,
            held: None,
            claimed: None,
            last_tid: 0,
            active: None,
            queue: Vec::new(),
            outstanding: None,
            notice: None,
            owed: Vec::new(),
            unsettled: Vec::new(),
            last_result: None,
            woken_at: 0,
            repeated_at: 0,
            resync: false,
            resynced_at: 0,
            ask: false,
            asked_at: 0,
            restored: false,
            hints: Hints::default(),
            seq: 0,
        }
    }

    /// Every number under which the card may speak or be reached.
    #[must_use]
    pub fn numbers(&self) -> Vec<Msisdn> {
        let mut numbers: Vec<Msisdn> = [&self.current, &self.preset, &self.previous]
            .into_iter()
            .flatten()
            .chain(self.active.iter().map(|active| &active.order.target))
            .chain(self.unsettled.iter().map(|unsettled| &unsettled.target))
            .map(|subscription| subscription.msisdn)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Its places in the lanes: the number to send to, and since when.
    #[must_use]
    pub fn lanes(&self) -> Vec<(Msisdn, u64)> {
        let notice = self.notice.iter().map(|notice| &notice.leg);
        let outstanding = self.outstanding.iter().flat_map(|packet| &packet.legs);
        notice.chain(outstanding).filter_map(|leg| Some((leg.to, leg.in_lane()?))).collect()
    }

    /// When the clock next matters for this card, unix ms.
    #[must_use]
    pub fn due(&self, terms: &super::Terms<'_>) -> Option<u64> {
        let timers = terms.timers;
        let packet = self.outstanding.as_ref();
        let legs = packet.iter().flat_map(|p| &p.legs).chain(self.notice.iter().map(|n| &n.leg));
        let low = packet.and_then(|p| p.low_at).map(|at| at + timers.after_delivered_s * 1000);
        let write = self.active.as_ref().map(|active| {
            let deadline = active.order.deadline;
            let give_up = terms.give_up(deadline);
            let on_site = active.bearer == Bearer::Relay;
            let polled = terms.profile.asks_por();
            // A poll on site gives way to one over the air.
            let free = packet.is_none_or(|p| p.bearer == Bearer::Relay && p.purpose == Purpose::Poll);
            match active.state {
                WriteState::Queued if packet.is_none() && !on_site && self.current.is_some() => {
                    active.not_before.min(deadline)
                }
                // On site it is begun when it is read: only the deadline matters here.
                WriteState::Queued | WriteState::Sealed | WriteState::OnSite => deadline,
                // What is still in a lane then is not handed over any more.
                WriteState::Sent if self.in_lane() => deadline,
                WriteState::Written if free && polled && active.hold.is_none() => {
                    active.not_before.min(give_up)
                }
                WriteState::Unknown if free && polled && on_site => active.not_before.min(give_up),
                _ => give_up,
            }
        });
        // The next write of the queue begins by the clock, so that a crash in between is repaired by it.
        let next = (self.active.is_none() && !self.queue.is_empty()).then_some(0);
        legs.filter_map(super::Leg::due)
            .chain(low)
            .chain(write)
            .chain(next)
            .chain(self.question_at(terms))
            .chain(self.previous_until(terms))
            .min()
    }

    /// When the number that the card had before is forgotten, unix ms. One that it left the factory with never is.
    pub(super) fn previous_until(&self, terms: &super::Terms<'_>) -> Option<u64> {
        self.previous
            .as_ref()
            .filter(|previous| self.replaced_at > 0 && self.preset.as_ref() != Some(previous))?;
        Some(self.replaced_at.saturating_add(terms.numbers_kept_ms))
    }

    fn in_lane(&self) -> bool {
        self.outstanding.iter().flat_map(|packet| &packet.legs).any(|leg| leg.in_lane().is_some())
    }

    /// When the card is asked for more than its active write calls for, unix ms, where nothing else has its turn.
    pub(super) fn question_at(&self, terms: &super::Terms<'_>) -> Option<u64> {
        let free = terms.profile.asks_por()
            && self.outstanding.is_none()
            && self.current.is_some()
            && match &self.active {
                Some(active) => active.state == WriteState::Written,
                None => self.queue.is_empty(),
            };
        let resync = (self.resync && free).then_some(self.resynced_at + RESYNC_MS);
        let ask = (self.ask && free).then_some(self.asked_at + terms.timers.wake_s * 1000);
        resync.into_iter().chain(ask).min()
    }
}
