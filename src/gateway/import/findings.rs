//! What is wrong or odd in a card file.

use std::fmt;
use std::io;

/// How many findings are shown; the rest is counted.
const FINDINGS_SHOWN: usize = 20;

/// One thing that is wrong in a card file. Never repeats what the file holds: it may be a key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The line, from 1 (the header).
    pub line: u64,
    /// The column's name, empty where it is the line as a whole. Columns with the same finding stand with commas between.
    pub column: String,
    /// What was expected there, or in a warning, what is odd.
    pub expected: String,
}

/// What is wrong in a card file: at most 20 findings, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The first ones.
    pub shown: Vec<Finding>,
    /// All of them.
    pub total: usize,
}

/// A card file that cannot be used; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum CardFileError {
    /// It cannot be read.
    #[error("card file: {0}")]
    Io(#[from] io::Error),
    /// It has errors.
    #[error("{0}")]
    Contents(Findings),
}

impl Findings {
    pub(super) fn add(&mut self, line: u64, column: impl fmt::Display, expected: impl Into<String>) {
        self.total += 1;
        if self.shown.len() < FINDINGS_SHOWN {
            self.shown.push(Finding { line, column: column.to_string(), expected: expected.into() });
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if !self.column.is_empty() {
            write!(f, ", column {}", self.column)?;
        }
        write!(f, ": {}", self.expected)
    }
}

impl fmt::Display for Findings {
    /// One finding a line, then the count where not all are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.shown.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        if self.total > self.shown.len() {
            write!(f, "\n{} of {} shown", self.shown.len(), self.total)?;
        }
        Ok(())
    }
}
