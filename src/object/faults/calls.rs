//! The log of calls: what was asked when, with which bytes, and what was answered when.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use object_store::{PutMode, PutOptions, PutPayload};
use tokio::time::Instant;

use super::plan::Op;

#[derive(Default)]
pub(super) struct Calls(Mutex<Log>);

#[derive(Default)]
struct Log {
    started: Option<Instant>,
    calls: u64,
    lines: Vec<String>,
    line_count: u64,
    digest: u32,
    digest_only: bool,
    begun: Vec<(Op, String)>,
}

impl Calls {
    pub(super) fn begin(&self, op: Op, path: &str, detail: &str) -> u64 {
        let mut log = self.log();
        log.calls += 1;
        let call = log.calls;
        log.add(&format!("#{call} {op:?} {path} {detail}"));
        if !log.digest_only {
            log.begun.push((op, path.to_owned()));
        }
        call
    }

    pub(super) fn end(&self, call: u64, result: Result<(), &object_store::Error>) {
        let answer = match result {
            Ok(()) => "ok".to_owned(),
            // Errors of the operating system may hold addresses; ours do not.
            Err(error) => error.to_string(),
        };
        self.log().add(&format!("#{call} {answer}"));
    }

    pub(super) fn begin_chapter(&self, name: &str) {
        let mut log = self.log();
        log.started = None;
        log.add(name);
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.log().lines.clone()
    }

    pub(super) fn digest(&self) -> (u32, u64) {
        let log = self.log();
        (log.digest, log.line_count)
    }

    pub(super) fn forget_lines(&self) {
        let mut log = self.log();
        log.digest_only = true;
        (log.lines, log.begun) = (Vec::new(), Vec::new());
    }

    pub(super) fn count(&self, op: Op, part: &str) -> usize {
        self.log().begun.iter().filter(|(o, path)| *o == op && path.contains(part)).count()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn add(&mut self, what: &str) {
        let since = self.started.get_or_insert_with(Instant::now).elapsed();
        let line = format!("{}.{:06} {what}", since.as_secs(), since.subsec_micros());
        let bytes = u64::from(self.digest).to_le_bytes();
        self.digest = crc(&[&bytes, line.as_bytes()]);
        self.line_count += 1;
        if !self.digest_only {
            self.lines.push(line);
        }
    }
}

/// Bytes and checksum of a put, and its mode.
pub(super) fn describe_put(payload: &PutPayload, options: &PutOptions) -> String {
    let pieces: Vec<&[u8]> = payload.iter().map(|piece| &piece[..]).collect();
    let mut text = format!("{} bytes crc {:08x}", payload.content_length(), crc(&pieces));
    match &options.mode {
        PutMode::Create => text.push_str(" create"),
        PutMode::Overwrite => text.push_str(" overwrite"),
        PutMode::Update(version) => drop(write!(text, " update {:?}", version.e_tag)),
    }
    text
}

fn crc(pieces: &[&[u8]]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    pieces.iter().for_each(|piece| digest.update(piece));
    u32::try_from(digest.finalize()).expect("a 32-bit checksum")
}
