//! The pace against servers that count in different ways.

use std::collections::VecDeque;

use super::*;

/// How a server counts what it takes.
#[derive(Debug, Clone, Copy)]
enum Counts {
    /// Within each second of its clock.
    Seconds,
    /// Within the second before each request.
    LastSecond,
    /// A bucket that holds this many and fills at the rate.
    Bucket(f64),
}

/// A server that refuses above a rate.
struct Server {
    counts: Counts,
    rate: f64,
    start: Instant,
    taken: VecDeque<Instant>,
    level: f64,
    filled: Instant,
}

impl Server {
    fn new(counts: Counts, rate: f64, start: Instant) -> Self {
        Self { counts, rate, start, taken: VecDeque::new(), level: f64::MAX, filled: start }
    }

    fn takes(&mut self, now: Instant) -> bool {
        let takes = match self.counts {
            Counts::Seconds => {
                let second = |at: Instant| (at - self.start).as_secs();
                while self.taken.front().is_some_and(|at| second(*at) < second(now)) {
                    self.taken.pop_front();
                }
                (self.taken.len() as f64) < self.rate
            }
            Counts::LastSecond => {
                while self.taken.front().is_some_and(|at| *at + SECOND <= now) {
                    self.taken.pop_front();
                }
                (self.taken.len() as f64) < self.rate
            }
            Counts::Bucket(size) => {
                self.level = (self.level + (now - self.filled).as_secs_f64() * self.rate).min(size);
                self.filled = now;
                self.level >= 1.0
            }
        };
        if takes {
            self.taken.push_back(now);
            self.level -= 1.0;
        }
        takes
    }
}

/// A link with endless work: what was taken and refused in each second.
fn run(
    pacer: &mut Pacer,
    server: &mut Server,
    window: usize,
    response: Duration,
    seconds: std::ops::Range<u64>,
) -> Vec<(u32, u32)> {
    let mut under_way: VecDeque<(Instant, Instant, bool)> = VecDeque::new();
    let start = server.start;
    let mut now = start + Duration::from_secs(seconds.start);
    let end = start + Duration::from_secs(seconds.end);
    let mut told = vec![(0, 0); usize::try_from(seconds.end - seconds.start).unwrap()];
    loop {
        let answer = under_way.front().map(|(at, ..)| *at);
        // As a timer does it, a millisecond is the least.
        let round =
            |at: Instant| start + Duration::from_millis((at - start).as_micros().div_ceil(1000) as u64);
        let leave = (under_way.len() < window).then(|| pacer.wait(now).map_or(now, round));
        match (answer, leave) {
            (Some(answer), leave) if leave.is_none_or(|leave| answer <= leave) => {
                now = answer;
                let (_, sent, taken) = under_way.pop_front().unwrap();
                let status = if taken { CommandStatus::ESME_ROK } else { CommandStatus::ESME_RTHROTTLED };
                pacer.answered(now, sent, status);
            }
            (_, Some(leave)) => {
                now = leave;
                if now >= end {
                    return told;
                }
                pacer.sent(now);
                let taken = server.takes(now + response / 2);
                let second = usize::try_from((now - start).as_secs() - seconds.start).unwrap();
                let (yes, no) = &mut told[second];
                *(if taken { yes } else { no }) += 1;
                under_way.push_back((now + response, now, taken));
            }
            (_, None) => unreachable!("the window is full of something"),
        }
    }
}

fn sum(told: &[(u32, u32)]) -> (f64, f64) {
    told.iter().fold((0.0, 0.0), |(a, b), (yes, no)| (a + f64::from(*yes), b + f64::from(*no)))
}

/// All servers that refuse above `rate`, but those that allow no burst at all.
fn servers(rate: f64, start: Instant) -> impl Iterator<Item = Server> {
    let short = (rate >= 30.0).then_some(Counts::Bucket(rate / 10.0));
    let counts = [Counts::Seconds, Counts::LastSecond, Counts::Bucket(rate)].into_iter().chain(short);
    counts.map(move |counts| Server::new(counts, rate, start))
}

#[test]
fn learns_what_the_server_takes_and_follows_when_it_takes_twice_as_much() {
    let start = Instant::now();
    for (rate, window, response_ms) in [
        (5.0, 1, 2),
        (5.0, 10, 20),
        (5.0, 1000, 150),
        (30.0, 1, 20),
        (30.0, 10, 150),
        (30.0, 1000, 2),
        (200.0, 10, 20),
        (200.0, 100, 150),
        (1000.0, 100, 20),
        (1000.0, 1000, 150),
    ] {
        for mut server in servers(rate, start) {
            let what = format!("{rate}/s {:?}, window {window}, {response_ms} ms", server.counts);
            let mut pacer = Pacer::new(0, start);
            let response = Duration::from_millis(response_ms);
            let (taken, refused) = sum(&run(&mut pacer, &mut server, window, response, 0..65)[5..]);
            assert!(taken / 60.0 >= 0.95 * rate, "{what}: {:.3} of the rate", taken / 60.0 / rate);
            let share = refused / (taken + refused);
            assert!(share <= 0.02, "{what}: {share:.4} refused");

            server.rate *= 2.0;
            if window as f64 / response.as_secs_f64() < 1.1 * server.rate {
                continue;
            }
            let (taken, _) = sum(&run(&mut pacer, &mut server, window, response, 65..120)[45..]);
            assert!(taken / 10.0 >= 0.95 * server.rate, "{what}: {taken} in 10 s after it doubled");
        }
    }
}

#[test]
fn finds_its_way_back_from_a_server_that_refuses_everything() {
    let start = Instant::now();
    let mut pacer = Pacer::new(0, start);
    let mut server = Server::new(Counts::Seconds, 0.0, start);
    let response = Duration::from_millis(20);
    let (_, refused) = sum(&run(&mut pacer, &mut server, 10, response, 0..300)[60..]);
    assert!(refused <= 250.0, "once a second, not {refused} in 240 s");
    server.rate = 200.0;
    let (taken, _) = sum(&run(&mut pacer, &mut server, 10, response, 300..360)[50..]);
    assert!(taken >= 1900.0, "{taken} in 10 s");
}

#[test]
fn keeps_the_configured_limit() {
    let start = Instant::now();
    for limit in [1, 7, 100, 3000] {
        let mut pacer = Pacer::new(limit, start);
        let mut server = Server::new(Counts::Seconds, f64::MAX, start);
        let told = run(&mut pacer, &mut server, 100, Duration::from_millis(20), 0..10);
        let most = told.iter().map(|(taken, _)| *taken).max().unwrap();
        let (taken, _) = sum(&told);
        // Lateness is made up for.
        let slack = f64::from(limit) * SLACK.as_secs_f64() + 1.0;
        assert!(f64::from(most) <= f64::from(limit) + slack, "{limit}: {told:?}");
        assert!(taken >= 9.9 * f64::from(limit), "{limit}: {told:?}");
    }
    let mut pacer = Pacer::new(10, start);
    // After an idle hour one leaves, not many.
    let later = start + 3600 * SECOND;
    assert_eq!(pacer.wait(later), None);
    pacer.sent(later);
    assert_eq!(pacer.wait(later), Some(later + Duration::from_millis(80)));
}

/// A link that has learned 97 requests a second, and the second in which the server looks at it.
fn learned(now: Instant) -> (Pacer, Instant) {
    let mut pacer = Pacer::new(0, now);
    for _ in 0..100 {
        pacer.answered(now, now, CommandStatus::ESME_ROK);
    }
    assert_eq!((pacer.rate(), pacer.wait(now)), (None, None));
    pacer.answered(now, now, CommandStatus::ESME_RTHROTTLED);
    assert_eq!(pacer.rate().map(f64::round), Some(98.0));
    (pacer, now + SECOND)
}

#[test]
fn a_full_queue_or_congestion_slows_mildly() {
    let start = Instant::now();
    let refusals: [fn(&mut Pacer, Instant); 3] = [
        |pacer, at| pacer.answered(at, at, CommandStatus::ESME_RMSGQFUL),
        |pacer, at| pacer.answered(at, at, CommandStatus::ESME_RSYSERR),
        |pacer, at| pacer.congestion(at, at, CongestionState(95)),
    ];
    for refuse in refusals {
        let (mut pacer, at) = learned(start);
        pacer.answered(at, at, CommandStatus::ESME_RINVDSTADR);
        for _ in 0..50 {
            refuse(&mut pacer, at);
        }
        assert_eq!(pacer.rate().map(f64::round), Some(98.0), "weighed over a second");
        pacer.answered(at + SECOND, at, CommandStatus::ESME_ROK);
        assert_eq!(pacer.rate().map(f64::round), Some(96.0));
    }
    let (mut pacer, at) = learned(start);
    pacer.congestion(at, at, CongestionState(85));
    pacer.answered(at + SECOND, at, CommandStatus::ESME_ROK);
    assert_eq!(pacer.rate().map(f64::round), Some(98.0));
}

#[test]
fn old_requests_say_nothing_and_idle_time_proves_nothing() {
    let start = Instant::now();
    let (mut pacer, at) = learned(start);
    for _ in 0..50 {
        pacer.answered(at, start, CommandStatus::ESME_RTHROTTLED);
    }
    pacer.answered(at + 2 * SECOND, at, CommandStatus::ESME_ROK);
    for minute in 1..60 {
        let now = at + minute * 60 * SECOND;
        pacer.sent(now);
        pacer.answered(now, now, CommandStatus::ESME_ROK);
    }
    assert_eq!(pacer.rate().map(f64::round), Some(98.0));
    pacer.reset(at);
    assert_eq!(pacer.rate(), None);
}
