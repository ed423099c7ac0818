//! The open slot: batches of many partitions on their way into one object.
//!
//! Owns the order of batches in a slot and the moment it is due. Does not own offsets (`log`) or the put (`upload`).
//! A batch from [`ARENA_BATCH_MAX`] bytes on is a fresh header plus a shared slice of the request's frame; a smaller one
//! is copied, so that a few hundred bytes never pin a frame of megabytes. What else is in a frame of shared slices counts as
//! the slot's memory ([`OpenSlot::pin`]).

use std::collections::HashMap;
use std::iter::successors;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::base::ids::{LeaderEpoch, SlotId, TopicPartition};
use crate::base::offset::Offset;
use crate::record::assign::{Assigned, assign, tail_crc};
use crate::record::control::Marker;
use crate::record::{HEADER_BYTES, ValidBatch, crc};
use crate::segment::{BatchEntry, PartitionCheckpoint, Release, SlotBody, SlotIndex};

/// Batches below this size are copied into the slot's arena.
const ARENA_BATCH_MAX: usize = 4096;

/// A slot of fewer bytes than this and of fewer batches than that is small: it counts against the pace of small slots, and
/// waits for it. What is more pays for its row in the manifest.
const SMALL_BELOW_BYTES: u64 = 64 << 10;
const SMALL_BELOW_BATCHES: usize = 32;

/// From this many pieces on, a body of small pieces is copied into one.
const PIECES_MAX: usize = 512;

/// How long a batch may wait for its slot to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// At most so long.
    Within(Duration),
    /// As soon as no put is in flight; at the latest after the chain's default.
    WhenIdle,
}

/// One batch about to join, with everything assigned.
#[derive(Debug)]
pub struct Joining<'a> {
    /// Its partition.
    pub tp: TopicPartition,
    /// The epoch in which its leader leads.
    pub leader_epoch: LeaderEpoch,
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The validated batch.
    pub batch: &'a ValidBatch,
    /// What it says of a transaction, read once by the caller; [`Marker::NONE`] for a client's batch.
    pub marker: Marker,
    /// Its topic's flush budget.
    pub budget: Budget,
}

/// Whether a batch of so many bytes stays a slice of its frame.
#[must_use]
pub fn is_shared(bytes: usize) -> bool {
    bytes >= ARENA_BATCH_MAX
}

/// When a slot should close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// It holds nothing.
    Empty,
    /// Now.
    Now,
    /// At this time, or when a put completes, whichever is first.
    At(Instant),
}

/// What the chain knows when it asks whether the slot is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    pub(super) now: Instant,
    /// Puts in flight.
    pub(super) in_flight: usize,
    /// The store is local: an idle chain closes at once.
    pub(super) local: bool,
    /// When the pace of small slots next allows one.
    pub(super) paced_until: Instant,
    /// Before it, those whom the last put answered may be about to send what comes next.
    pub(super) settled_at: Instant,
}

#[derive(Debug)]
enum Piece {
    /// Header and records lie in the arena.
    Arena { start: usize, bytes: usize },
    /// Only the header lies in the arena; the records are shared.
    Shared { head: usize, tail: Bytes, tail_crc: u32 },
}

#[derive(Debug)]
struct Joined {
    entry: BatchEntry,
    piece: Piece,
    /// The next batch of the same run.
    next: Option<u32>,
}

#[derive(Debug)]
struct OpenRun {
    tp: TopicPartition,
    leader_epoch: LeaderEpoch,
    first: u32,
    last: u32,
}

/// A slot that still takes batches.
#[derive(Debug)]
pub(super) struct OpenSlot {
    pub(super) slot: SlotId,
    runs: Vec<OpenRun>,
    /// Looked up only, never iterated: order comes from `runs`.
    by_partition: HashMap<TopicPartition, u32>,
    batches: Vec<Joined>,
    arena: BytesMut,
    bytes: u64,
    pinned: u64,
    deadline: Option<Instant>,
    when_idle: bool,
    checkpoint: Vec<PartitionCheckpoint>,
    releases: Vec<Release>,
}

/// A slot that takes nothing more.
#[derive(Debug)]
pub(super) struct ClosedSlot {
    pub(super) slot: SlotId,
    pub(super) index: SlotIndex,
    pub(super) body: SlotBody,
    /// Memory that it keeps beyond its bytes.
    pub(super) pinned: u64,
}

impl OpenSlot {
    pub(super) fn new(slot: SlotId) -> Self {
        Self {
            slot,
            runs: Vec::new(),
            by_partition: HashMap::new(),
            batches: Vec::new(),
            arena: BytesMut::new(),
            bytes: 0,
            pinned: 0,
            deadline: None,
            when_idle: false,
            checkpoint: Vec::new(),
            releases: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.checkpoint.is_empty() && self.releases.is_empty()
    }

    /// When it must close at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Bytes of batches in it.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts memory that its batches keep beyond their own bytes.
    pub(super) fn pin(&mut self, bytes: u64) {
        self.pinned += bytes;
    }

    /// Whether it holds too little to be worth an object at any time.
    pub(super) fn is_small(&self) -> bool {
        self.bytes < SMALL_BELOW_BYTES && self.batches.len() < SMALL_BELOW_BATCHES
    }

    /// Adds one batch behind all earlier ones of its partition.
    pub(super) fn join(&mut self, joining: &Joining<'_>, now: Instant, latest: Duration) {
        self.expect_by(joining.budget, now, latest);
        let total = joining.batch.bytes.len();
        let mut entry = BatchEntry::new(&joining.batch.header, joining.marker);
        entry.base_offset = joining.base_offset;
        let piece = self.keep(joining, total);
        let number =
            u32::try_from(self.batches.len()).expect("a slot holds fewer than 2^32 batches");
        self.batches.push(Joined { entry, piece, next: None });
        self.bytes += total as u64;
        self.link(joining, number);
    }

    fn keep(&mut self, joining: &Joining<'_>, total: usize) -> Piece {
        // The whole header is written anew: a time of append is in it and not in the bytes that came.
        let Assigned { head, tail } =
            assign(joining.batch, joining.base_offset, joining.leader_epoch);
        let start = self.arena.len();
        self.arena.extend_from_slice(&head);
        if !is_shared(total) {
            self.arena.extend_from_slice(&tail);
            return Piece::Arena { start, bytes: total };
        }
        // Validation computed the batch's CRC, so the slot's is combined from it, not computed again.
        Piece::Shared { head: start, tail, tail_crc: tail_crc(joining.batch) }
    }

    fn link(&mut self, joining: &Joining<'_>, number: u32) {
        let Some(&run) = self.by_partition.get(&joining.tp) else {
            let run = u32::try_from(self.runs.len()).expect("runs are fewer than batches");
            self.by_partition.insert(joining.tp, run);
            self.runs.push(OpenRun {
                tp: joining.tp,
                leader_epoch: joining.leader_epoch,
                first: number,
                last: number,
            });
            return;
        };
        let run = &mut self.runs[run as usize];
        assert!(
            run.leader_epoch == joining.leader_epoch,
            "one leader epoch a run, two in slot {}",
            self.slot
        );
        let before = &mut self.batches[run.last as usize];
        let end = before.entry.end_offset();
        assert!(
            end == joining.base_offset,
            "gap in {}: {} after {end}",
            joining.tp,
            joining.base_offset
        );
        before.next = Some(number);
        run.last = number;
    }

    /// Adds a partition's whole state, from which a recovery can start.
    pub(super) fn join_checkpoint(
        &mut self,
        checkpoint: PartitionCheckpoint,
        now: Instant,
        latest: Duration,
    ) {
        self.expect_by(Budget::Within(latest), now, latest);
        self.checkpoint.push(checkpoint);
    }

    /// Adds the end of a lease.
    pub(super) fn join_release(&mut self, release: Release, now: Instant, latest: Duration) {
        self.expect_by(Budget::WhenIdle, now, latest);
        self.releases.push(release);
    }

    fn expect_by(&mut self, budget: Budget, now: Instant, latest: Duration) {
        let within = match budget {
            Budget::Within(duration) => duration,
            Budget::WhenIdle => {
                self.when_idle = true;
                latest
            }
        };
        let deadline = now + within;
        self.deadline = Some(self.deadline.map_or(deadline, |earliest| earliest.min(deadline)));
    }

    /// When this slot should close: pure.
    pub(super) fn due(&self, situation: Situation) -> Due {
        let Some(deadline) = self.deadline else { return Due::Empty };
        if situation.now >= deadline {
            return Due::Now;
        }
        let idle_closes = situation.local || self.when_idle;
        if !idle_closes || situation.in_flight > 0 {
            return Due::At(deadline);
        }
        let mut idle_at = situation.settled_at;
        if self.is_small() {
            idle_at = idle_at.max(situation.paced_until);
        }
        if situation.now >= idle_at { Due::Now } else { Due::At(deadline.min(idle_at)) }
    }

    /// Closes it: batches in partition order, each partition's in offset order.
    pub(super) fn close(mut self) -> ClosedSlot {
        let arena = self.arena.freeze();
        self.runs.sort_unstable_by_key(|run| run.tp);
        let mut body = BodyBuilder::default();
        let mut index = SlotIndex {
            runs: Vec::with_capacity(self.runs.len()),
            batches: Vec::with_capacity(self.batches.len()),
            releases: self.releases,
            checkpoint: self.checkpoint,
        };
        for open in &self.runs {
            let chain =
                || successors(Some(open.first), |number| self.batches[*number as usize].next);
            for number in chain() {
                body.add(&self.batches[number as usize].piece, &arena);
            }
            let entries = chain().map(|number| self.batches[number as usize].entry);
            index.push_run(open.tp, open.leader_epoch, entries);
        }
        let pinned = self.pinned;
        ClosedSlot { slot: self.slot, index, body: body.finish(&arena), pinned }
    }
}

/// Lays pieces one behind the other, merging neighbours of the arena, and combines their checksums.
#[derive(Debug, Default)]
struct BodyBuilder {
    pieces: Vec<Bytes>,
    /// A range of the arena that has not become a piece yet.
    arena_from: usize,
    arena_to: usize,
    bytes: u64,
    crc: u32,
}

impl BodyBuilder {
    fn add(&mut self, piece: &Piece, arena: &Bytes) {
        match piece {
            Piece::Arena { start, bytes } => self.add_arena(*start, *bytes, arena),
            Piece::Shared { head, tail, tail_crc } => {
                self.add_arena(*head, HEADER_BYTES, arena);
                self.flush_arena(arena);
                self.pieces.push(tail.clone());
                self.crc = crc::combine(self.crc, *tail_crc, tail.len() as u64);
                self.bytes += tail.len() as u64;
            }
        }
    }

    fn add_arena(&mut self, start: usize, bytes: usize, arena: &Bytes) {
        if self.arena_to != start || self.arena_from == self.arena_to {
            self.flush_arena(arena);
            self.arena_from = start;
        }
        self.arena_to = start + bytes;
        self.bytes += bytes as u64;
    }

    fn flush_arena(&mut self, arena: &Bytes) {
        if self.arena_from == self.arena_to {
            return;
        }
        let piece = arena.slice(self.arena_from..self.arena_to);
        self.crc = crc::combine(self.crc, crc::crc32c(&piece), piece.len() as u64);
        self.pieces.push(piece);
        self.arena_from = self.arena_to;
    }

    fn finish(mut self, arena: &Bytes) -> SlotBody {
        self.flush_arena(arena);
        let small = self.bytes / (self.pieces.len().max(1) as u64) < ARENA_BATCH_MAX as u64;
        if self.pieces.len() > PIECES_MAX && small {
            // Thousands of slices cost more in every later write than one copy of a small body costs now.
            let mut whole = BytesMut::with_capacity(
                usize::try_from(self.bytes).expect("a slot fits in memory"),
            );
            for piece in &self.pieces {
                whole.extend_from_slice(piece);
            }
            self.pieces = vec![whole.freeze()];
        }
        SlotBody { pieces: self.pieces, bytes: self.bytes, crc: self.crc }
    }
}

#[cfg(test)]
mod tests;
