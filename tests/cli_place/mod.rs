//! A directory in which the program is run as people and scripts run it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A directory with a configuration, a master key and everything else a command writes.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let profile = Path::new(ROOT).join("config/profiles/airwrite-applet.toml");
        let config = format!(
            "profiles = [{profile:?}]\nstore = {{ directory = \"store\" }}\nvault = {{ master_key_file = \"key\" }}\n\
             api = {{ listen = \"127.0.0.1:0\" }}\n"
        );
        fs::write(place.path("airwrite.toml"), config).unwrap();
        place
    }

    pub(crate) fn with_key() -> Self {
        let place = Self::new();
        assert_eq!(place.run(&["keys", "master", "--out", "key"]).code, 0);
        place
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_airwrite"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AIRWRITE_") {
                command.env_remove(name);
            }
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Runs a command with the configuration.
    pub(crate) fn configured(&self, arguments: &[&str]) -> Ran {
        self.run(&[arguments, &["--config", "airwrite.toml"]].concat())
    }

    /// Starts a command that runs until it is asked to end, and waits for a line with `sign`.
    pub(crate) fn start(&self, arguments: &[&str], sign: &str) -> Running {
        let mut child =
            self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let (found, wait) = std::sync::mpsc::channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let (lines, found, sign) = (Arc::clone(&lines), found.clone(), sign.to_owned());
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let is_sign = line.contains(&sign);
                    lines.lock().unwrap().push(line);
                    if is_sign {
                        let _ = found.send(());
                    }
                }
            });
        }
        if wait.recv_timeout(std::time::Duration::from_secs(30)).is_err() {
            let _ = child.kill();
            panic!("no {sign:?} in {:?}", lines.lock().unwrap());
        }
        Running { child, lines }
    }
}

/// What a command came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |octets| String::from_utf8(octets).unwrap();
        Self { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{} {}", self.stdout, self.stderr))
    }
}

/// A command that runs until it is asked to end.
pub(crate) struct Running {
    child: Child,
    /// What it has printed so far, standard error too.
    pub(crate) lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// The first line with this text, waited for up to 30 seconds.
    pub(crate) fn line(&self, sign: &str) -> String {
        for _ in 0..300 {
            if let Some(line) = self.lines.lock().unwrap().iter().find(|line| line.contains(sign)) {
                return line.clone();
            }
            pause();
        }
        panic!("no {sign:?} in {:?}", self.lines.lock().unwrap());
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    pub(crate) fn end(mut self, signal: &str) -> i32 {
        self.signal(signal);
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[allow(clippy::disallowed_methods, reason = "another process is waited for")]
pub(crate) fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(100));
}
