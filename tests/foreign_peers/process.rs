//! A program that somebody else wrote.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// How much of its log is shown.
const TAIL_OCTETS: usize = 6000;

/// A process that ends with the test; what it has said on standard error, or in its own log, is shown where
/// the test fails.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; what it says goes to `log`.
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> Self {
        let output = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        Self { child: spawn(command), log }
    }

    /// Starts it with its standard input and output in our hands.
    pub(crate) fn start_piped(command: &mut Command, log: PathBuf) -> (Self, ChildStdin, ChildStdout) {
        let errors = File::create(&log).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = spawn(command);
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        (Self { child, log }, input, output)
    }

    /// Fails where the process has ended by itself.
    pub(crate) fn assert_runs(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "{}: {ended:?}", self.log.display());
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn end(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            show(&self.log);
        }
    }
}

fn spawn(command: &mut Command) -> Child {
    let program = command.get_program().to_owned();
    command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// The end of a log.
fn show(log: &Path) {
    let text = fs::read(log).unwrap_or_default();
    let tail = &text[text.len().saturating_sub(TAIL_OCTETS)..];
    eprintln!("== {}\n{}", log.display(), String::from_utf8_lossy(tail));
}
