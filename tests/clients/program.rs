//! A client program as a process: one command a line in, canonical lines and `done` or `failed` out.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// How long one command may take before its program counts as stuck.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(180);

/// How many lines may wait for the reader of a program's output.
const LINES_WAITING: usize = 10_000;

/// A client program; started by its first command, and again after it was stuck or had ended.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    command: Command,
    stderr: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Program {
    /// `command` is complete with its arguments; what it says besides answers goes to a file in `folder`.
    pub(crate) fn new(name: &'static str, command: Command, folder: &Path) -> Self {
        Self { name, command, stderr: folder.join(format!("{name}.stderr")), running: None }
    }

    /// Gives one command and collects the lines that it answers before `done`.
    pub(crate) fn run(&mut self, command: &str) -> anyhow::Result<Vec<String>> {
        let answer = self.answer(command);
        if answer.is_err() {
            // What a program does after a failure is not part of any test: the next command gets a fresh one.
            self.running = None;
        }
        answer.with_context(|| format!("{}: {command}\n{}", self.name, tail(&self.stderr)))
    }

    fn answer(&mut self, command: &str) -> anyhow::Result<Vec<String>> {
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(Running::start(&mut self.command, &self.stderr)?),
        };
        writeln!(running.input, "{command}").context("the program no longer reads")?;
        let mut lines = Vec::new();
        loop {
            let line = match running.lines.recv_timeout(COMMAND_TIMEOUT) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => bail!("no answer in {COMMAND_TIMEOUT:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("the program ended"),
            };
            match line.split_once(' ') {
                _ if line == "done" => return Ok(lines),
                Some(("failed", reason)) => bail!("{reason}"),
                _ => lines.push(line),
            }
        }
    }
}

impl Running {
    fn start(command: &mut Command, stderr: &Path) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(stderr)?);
        let mut child = command.spawn().with_context(|| format!("could not start {command:?}"))?;
        let input = child.stdin.take().expect("piped above");
        let output = BufReader::new(child.stdout.take().expect("piped above"));
        let (sender, lines) = mpsc::sync_channel(LINES_WAITING);
        thread::spawn(move || {
            // Ends when the program does, or when nobody listens any more.
            let _ = output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line));
        });
        Ok(Self { child, input, lines })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then both fail and nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a file, for a failure's report.
fn tail(path: &Path) -> String {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|mut file| file.read_to_end(&mut text));
    let text = read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&text).into_owned());
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
