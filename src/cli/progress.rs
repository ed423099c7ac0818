//! A line on the terminal that shows how far a long command has come.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::Instant;

use super::output::{count, size};

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(200);

/// Counts records and bytes. Draws only where standard error is a terminal and standard output is not, so that records
/// and progress do not mix.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) records: u64,
    pub(super) bytes: u64,
    started: Instant,
    drawn: Option<Instant>,
    is_visible: bool,
}

impl Progress {
    /// `owns_terminal`: nothing else is printed meanwhile.
    pub(super) fn new(owns_terminal: bool) -> Self {
        let out = std::io::stdout().is_terminal() && !owns_terminal;
        let is_visible = std::io::stderr().is_terminal() && !out;
        Self { records: 0, bytes: 0, started: Instant::now(), drawn: None, is_visible }
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes as u64;
    }

    /// Draws the line, if it is time.
    pub(super) fn draw(&mut self) {
        let due = self.drawn.unwrap_or(self.started).elapsed() >= EVERY;
        if self.is_visible && due {
            self.drawn = Some(Instant::now());
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", self.line());
        }
    }

    /// Removes the line.
    pub(super) fn clear(&self) {
        if self.drawn.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    /// Leaves what it came to in place of the line.
    pub(super) fn finish(&self) {
        if self.is_visible {
            let _ = writeln!(std::io::stderr(), "\r\x1b[K{}", self.line());
        }
    }

    /// `12 records, 1.5 MiB, 3.0 MiB/s`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "three digits are shown"
    )]
    fn line(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let rate = (self.bytes as f64 / seconds) as u64;
        format!("{}, {}, {}/s", count(self.records, "record"), size(self.bytes), size(rate))
    }
}
