//! `cargo bench --bench smpp`: what SMPP costs here, against bare references and other stacks.
//!
//! Every contender runs in turns with its reference, so what disturbs the machine disturbs both; the figures are
//! medians, and only ratios of one run are to be compared. Absolute figures are this machine's.
//!
//! **Codec** (`codec`): a submit_sm of 189 octets, as it carries a secured packet to a card. The reference reads and
//! checks every mandatory field, or writes it, and does nothing else.
//!
//! **submit_sm** (`submit_sm`): as many callers as the window has places, each of which submits a message, waits for its
//! response and submits the next: what a gateway does, and what the other stacks' documentation shows. The client has one
//! thread with a current-thread runtime, the SMSC another: the same for all, over TCP on this machine, which answers all
//! that one read brings by one write. The bare loop is one task without callers, timers or states: it writes every field,
//! keeps the window, and matches every response with its request. No stack can do less, so its rate is the ceiling.
//!
//! **deliver_sm** (`deliver_sm`): the same SMSC keeps as many deliver_sm on their way as the window has places; it takes
//! the time. Messages are acknowledged at once, or all together every millisecond by a stub of a store that commits;
//! then no more than a window can be acknowledged in a millisecond, and the bare loop with the same committer is the
//! ceiling.
//!
//! The columns: nanoseconds for a round trip; the rate as a share of the bare loop's; how many times slower than
//! airwrite; the processor time of the client's thread for a round trip, kernel included; writes to the socket for each
//! PDU sent, where they can be counted (1.0 is a system call for every PDU).
//!
//! A client that has not done its turn after 2 s, 25 times as long as a turn is, has stalled; the row says how often, and
//! its figures leave those turns out. The two 1 ms rows at a window of 1 and 10 show the committer, not the stack.
//!
//! Words behind `--` choose among the tables: `cargo bench --bench smpp -- deliver_sm`.

mod codec;
mod measure;
mod session;
mod table;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test` runs benches, too: they measure nothing there.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let words: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| word.as_str() == name);
    if chosen("codec") {
        table::print(&codec::measure());
    }
    if chosen("submit_sm") {
        session::submit_sm();
    }
    if chosen("deliver_sm") {
        session::deliver_sm();
    }
}
