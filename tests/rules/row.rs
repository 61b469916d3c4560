//! The form of the tables: a row is data.

use airwrite::applet::{LastState, WriteStatus};
use airwrite::card::Profile;
use airwrite::link::LinkConfig;
use airwrite::ota::Rsc;
use airwrite::smpp::CommandStatus;

/// One row of a table.
pub(crate) struct Row {
    /// The row of the rules, in words.
    pub(crate) name: &'static str,
    /// What has happened before.
    pub(crate) given: &'static [Does],
    /// What the card, the SMSC or the owner does now.
    pub(crate) does: &'static [Does],
    /// The state of the write that was ordered last; empty where there is none.
    pub(crate) state: &'static str,
    /// What the other end of the link sees, in order: the status of a deliver_sm_resp, or what is submitted. `again` is
    /// the same octets once more, `anew` the same write under another CNTR, `@target` the number ordered.
    pub(crate) answers: &'static [&'static str],
    /// What the owner is told, in order.
    pub(crate) events: &'static [&'static str],
    /// What is other than usual in the card's profile.
    pub(crate) profile: fn(&mut Profile),
    /// Whether the card has no subscription yet.
    pub(crate) no_preset: bool,
    /// What is other than usual in the link's configuration.
    pub(crate) link: fn(&mut LinkConfig),
    /// Whether there is a second link.
    pub(crate) second_link: bool,
}

/// A row about a card that is known and has done nothing.
pub(crate) const ROW: Row = Row {
    name: "",
    given: &[],
    does: &[],
    state: "",
    answers: &[],
    events: &[],
    profile: |_| {},
    no_preset: false,
    link: |_| {},
    second_link: false,
};

/// Something that somebody does. Whatever the gateway does at once is done before the next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Does {
    /// The card reports its device, secured.
    Bind,
    /// It reports another one, which has another card.
    BindInAnotherDevice,
    /// The next subscription is ordered for the card's device.
    Order,
    /// The same, with a deadline.
    OrderFor { seconds: u64 },
    /// The next subscription is ordered, to be written on site.
    OrderOnSite,
    /// A subscription is ordered for another device, which no card has reported.
    OrderForAnotherDevice,
    /// The business platform reads what it is to bring to the card.
    Export,
    /// It posts back what the card answered to that.
    PostBack(OnSite, Rsc, Says),
    /// Somebody decides about the write that is held.
    DecideWrite(bool),
    /// Somebody decides about the binding that is held.
    DecideBinding(bool),
    /// The business platform says which device the card is in.
    SupplyBinding,
    /// The order made last is cancelled.
    Cancel,
    /// The card answers the last packet, as it was asked to.
    Por(Rsc, Says),
    /// It answers the first write packet.
    PorToFirstWrite(Rsc, Says),
    /// The card answers the last packet at the level of another SPI2.
    WeakPor(u8, Rsc, Says),
    /// The card answers the last packet in three parts, which come so, and other things with them.
    PorInParts(&'static [(Piece, Over)]),
    /// Somebody answers the last packet without any check.
    ClearPor(Rsc, Cleared, From),
    /// The card reports on its own what became of the last write.
    Result(WriteStatus, From),
    /// It confirms the write, in another device.
    ResultInAnotherDevice,
    /// The last message comes once more, the same octets.
    Again,
    /// A receipt for the last message that was accepted, with these fields; under another id where they begin with one.
    Receipt(&'static str),
    /// An intermediate notification about it.
    Notification(&'static str),
    /// The network says that the card's number can be reached again.
    Alert,
    /// Something comes in that no card of ours should send.
    Junk(Junk),
    /// Time passes, in seconds.
    Wait(u64),
    /// How the SMSC answers the next submission that is not decided yet.
    Smsc(Smscs),
    /// How the SMSC answers every cancel_sm from now on; not at all where there is nothing. Else with ESME_ROK.
    CancelSm(Option<CommandStatus>),
    /// The line is repaired, or cut.
    Line(bool),
    /// The next commit fails.
    StoreFails,
    /// All commits fail.
    StoreOutOfService,
    /// They do not any more.
    StoreIsBack,
    /// The card reports its device while the gateway stops.
    BindsWhileItStops,
    /// Two messages come while the store does not answer.
    TooManyAtOnce,
}

/// How the answer of a card on site looks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OnSite {
    /// 61xx, and the PoR in the answer to GET RESPONSE.
    WithGetResponse,
    /// The PoR in the answer to the ENVELOPE.
    AtOnce,
    /// The same, with a bit changed.
    Changed,
    /// 9300: no PoR.
    Busy,
}

/// Something that comes while a PoR comes in three parts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece {
    /// A part of it, 1 to 3.
    Part(u8),
    /// The same part of another message, under the same reference number: of another sender.
    Strangers(u8),
    /// The same, of a sender in another network who has the same digits as a national number.
    Namesakes(u8),
    /// The same, of the card itself: it has given up what it began.
    Another(u8),
}

/// The link, or the bind of one link, that something comes over.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Over {
    First,
    Second,
}

/// What the data of a PoR say.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Says {
    Nothing,
    Accepted,
    Refused,
    /// Refused, because another write is under way.
    Busy,
    /// The last write the card knows is another one.
    NeverHeardOfIt,
    /// How far the write came.
    State(LastState),
}

/// The CNTR that a PoR in clear names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cleared {
    /// That of the packet.
    Cntr,
    /// None: the card could not read it.
    Zero,
    /// Another one.
    OtherCntr,
}

/// The number that a message comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From {
    Preset,
    Target,
    Stranger,
}

/// How the SMSC answers a submission.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Smscs {
    Accepts,
    AcceptsWithoutId,
    Says(CommandStatus),
    IsSilent,
    BreaksOff,
}

/// What no card of ours should send. Where it names a device, it is another one than the card's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Junk {
    /// A binding request with a wrong cryptographic checksum.
    WrongCheck,
    /// A binding request with SPI1 00: nothing checked, nothing ciphered.
    Unsecured,
    /// Another binding request under the counter of the last one.
    UsedCounter,
    /// A binding request far below the highest counter.
    OldCounter,
    /// The last packet to the card, sent back.
    Reflected,
    /// A binding request under the TAR of packets to the card.
    UnderMtTar,
    /// A binding request from a number that no card has.
    Stranger,
    /// No user data header, although one is announced.
    Unreadable,
    /// A text.
    PlainText,
    /// A binding request without security, for this device.
    PlainBinding(usize),
    /// The eight octets of this device's IMEI.
    RawImei(usize),
    /// The same behind a command of one octet.
    CommandAndRawImei(usize),
    /// A write result without security.
    PlainResult(WriteStatus),
    /// A deliver_sm that ends too early.
    MalformedPdu,
}
