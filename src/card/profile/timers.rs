//! The waits of a write: configuration beside the profiles.

use serde::Deserialize;

/// The waits of a write (`[timers]`), in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    /// Validity asked from the SMSC for each attempt; the last one repeats for polls.
    pub validity_s: Vec<u64>,
    /// Silence after a positive delivery receipt.
    pub after_delivered_s: u64,
    /// Silence after the validity of an attempt has ended.
    pub after_validity_s: u64,
    /// Wait before a refused or unanswered submission is tried again.
    pub back_off_s: u64,
    /// Wait before a card without memory (RSC 07), or one that is busy with another write, is written again.
    pub no_memory_s: u64,
    /// Polls of a write that is `written` and has not reported its result, counted from `written`; the last
    /// interval repeats.
    pub result_polls_s: Vec<u64>,
    /// How often a sign of life may send what is pending at once.
    pub wake_s: u64,
    /// How often the answer to a repeated message is repeated.
    pub repeat_answer_s: u64,
    /// After the deadline of an order: how long its outcome is asked for.
    pub give_up_s: u64,
    /// Deadline of an order that names none.
    pub deadline_s: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            validity_s: vec![300, 3_600, 21_600, 86_400],
            after_delivered_s: 90,
            after_validity_s: 60,
            back_off_s: 5,
            no_memory_s: 300,
            result_polls_s: vec![600, 3_600, 21_600, 86_400],
            wake_s: 60,
            repeat_answer_s: 60,
            give_up_s: 7 * 86_400,
            deadline_s: 30 * 86_400,
        }
    }
}

impl Timers {
    /// Validity in seconds of attempt `attempt` (from 0), the last one repeating.
    #[must_use]
    pub fn validity(&self, attempt: u8) -> u64 {
        let plan = &self.validity_s;
        plan.get(usize::from(attempt)).or(plan.last()).copied().unwrap_or(300)
    }
}
