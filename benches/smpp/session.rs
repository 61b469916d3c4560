//! The session's rows: each client against the same SMSC, in turn, round by round.

mod bare;
mod clients;
mod sample;
mod smsc;

use std::time::Duration;

use crate::codec::submit_sm_of_a_secured_packet;
use clients::Client;
use sample::{Sample, median};
use smsc::Deliveries;

/// How often every client has its turn; the first turn only finds out how many round trips a turn takes.
const ROUNDS: usize = 7;

/// About how long a turn is.
const TURN: Duration = Duration::from_millis(80);

/// A turn that takes so long has stalled: its client waits for something that does not come.
const STALLED: Duration = Duration::from_secs(2);

/// How long the stub of a store takes for a commit.
const COMMIT: Duration = Duration::from_millis(1);

/// One line of a table: who, and how it answers what is delivered.
#[derive(Debug, Clone, Copy)]
struct Row {
    client: Client,
    commit: Option<Duration>,
}

const ALL: [Row; 4] = [row(Client::Bare), row(Client::Airwrite), row(Client::Smpp34), row(Client::Rusmppc)];

const fn row(client: Client) -> Row {
    Row { client, commit: None }
}

/// Prints a table for each window.
pub(crate) fn submit_sm() {
    for window in [1, 10, 100] {
        table("submit_sm", window, &ALL, |row, count| submit(row, window, count));
    }
}

/// Prints a table for each window.
pub(crate) fn deliver_sm() {
    let committed = [Client::Bare, Client::Airwrite].map(|client| Row { client, commit: Some(COMMIT) });
    let rows: Vec<Row> = ALL.into_iter().chain(committed).collect();
    for window in [1, 10, 100] {
        table("deliver_sm", window, &rows, |row, count| receive(row, window, count));
    }
}

/// Measures the rows, the first of which is what the others are compared with.
fn table(title: &str, window: u32, rows: &[Row], measure: impl Fn(Row, u32) -> Option<Sample>) {
    let counts: Vec<u32> = rows
        .iter()
        .map(|row| {
            let ns = measure(*row, 20 * window.max(20)).map_or(50_000.0, |sample| sample.ns());
            ((TURN.as_nanos() as f64 / ns) as u32 / window).max(10) * window
        })
        .collect();
    // A round is one sample of each row, close together in time.
    let rounds: Vec<Vec<Option<Sample>>> = (0..ROUNDS)
        .map(|_| rows.iter().zip(&counts).map(|(row, count)| measure(*row, *count)).collect())
        .collect();
    let head = format!("{title}, a window of {window}");
    println!(
        "\n| {head:<36} | {:>10} | {:>7} | {:>13} | {:>6} | {:>10} |",
        "ns", "of bare", "than airwrite", "cpu us", "writes/PDU"
    );
    println!("|{:-<38}|{:->11}:|{:->8}:|{:->14}:|{:->7}:|{:->11}:|", "", "", "", "", "", "");
    let airwrite = rows.iter().position(|row| row.client == Client::Airwrite).unwrap_or(0);
    for (index, row) in rows.iter().enumerate() {
        let samples = || rounds.iter().filter_map(|round| round[index]);
        let of = |value: fn(&Sample) -> f64| median(samples().map(|sample| value(&sample)));
        let ratio =
            |to: usize| median(rounds.iter().filter_map(|round| Some(round[to]?.ns() / round[index]?.ns())));
        let mut name = row.client.name().to_owned();
        if let Some(commit) = row.commit {
            name += &format!(", {} ms commits", commit.as_millis());
        }
        let stalls = ROUNDS - samples().count();
        if stalls > 0 {
            name += &format!(", {stalls} of {ROUNDS} stalled");
        }
        let writes = samples().find_map(|sample| sample.writes_per_pdu());
        println!(
            "| {:<36} | {:>10} | {:>7} | {:>12}x | {:>6} | {:>10} |",
            name,
            figure(of(Sample::ns), 0),
            figure(ratio(0), 2),
            figure(1.0 / ratio(airwrite), 2),
            figure(of(Sample::cpu_us), 2),
            figure(writes.unwrap_or(f64::NAN), 3),
        );
    }
}

fn figure(value: f64, decimals: usize) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.decimals$}") }
}

fn submit(row: Row, window: u32, count: u32) -> Option<Sample> {
    let (smsc, _) = smsc::start(None);
    let warm_up = (count / 10 / window).max(1) * window;
    block_on(row.client.submit(smsc, window, warm_up, count))
}

fn receive(row: Row, window: u32, count: u32) -> Option<Sample> {
    let warm_up = (count / 10).max(window);
    let (smsc, took) = smsc::start(Some(Deliveries { pdu: deliver_sm_octets(), window, warm_up, count }));
    block_on(row.client.receive(smsc, window, row.commit, took, (count, count + warm_up)))
}

/// The same message the other way.
fn deliver_sm_octets() -> Vec<u8> {
    let mut pdu = submit_sm_of_a_secured_packet().to_vec();
    pdu[7] = 5;
    pdu
}

/// A client has one thread; the SMSC has its own. The client is a task among those that it starts. `None` where it has
/// stalled.
fn block_on<T: Send + 'static>(client: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ended = runtime.block_on(async { tokio::time::timeout(STALLED, tokio::spawn(client)).await.ok() });
    ended.map(|ended| ended.expect("a client that does not panic"))
}
