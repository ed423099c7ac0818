//! The owner task of a chain: closes slots when they are due, sends them through a bounded window, and hands what was
//! stored to `pending` in order.
//!
//! Owns the window, the numbering of what is sent and the fail-stop. Does not own the try-again of one put (`upload`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::buffer::{ClosedSlot, Due, Situation};
use super::handle::{Filling, Progress, Shared};
use super::pending::{Outcome, Pending, Sent};
use super::tail::TailSlot;
use super::upload::{self, Upload};
use super::{End, commit};
use crate::base::clock::sleep_until;
use crate::base::ids::SlotId;
use crate::base::task;
use crate::object::{Locality, Payload};
use crate::segment::format::WINDOW_SLOTS;
use crate::segment::{Kind, Known, SlotHeader, encode_slot};

/// Small slots a second that an idle local chain may close at once, and how many of them in a burst.
const PACE_PER_SECOND: u32 = 1000;
const PACE_BURST: u32 = 1000;

/// A token bucket for small slots. On a local store an idle chain closes a slot at once; without a pace, one client that
/// sends small requests one after the other would fill the manifest with thousands of rows a second.
#[derive(Debug)]
struct Pace {
    /// The time at which the bucket would be full.
    full_at: Instant,
}

impl Pace {
    const TOKEN: Duration = Duration::from_nanos(1_000_000_000 / PACE_PER_SECOND as u64);

    fn next_at(&self) -> Instant {
        // The clock may have started less than a burst ago: then everything is allowed.
        self.full_at.checked_sub(Self::TOKEN * (PACE_BURST - 1)).unwrap_or(self.full_at)
    }

    fn take(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + Self::TOKEN;
    }
}

/// After a put in a bucket, a chain counts as idle only when a thirty-second part of the put's time has passed. Whoever was
/// answered by it sends what comes next within that time, and all of it takes one put: without it the first of them closes
/// a slot, and all others wait for a second put.
const SETTLE_PART: u32 = 32;
const SETTLE_MAX: Duration = Duration::from_millis(4);

/// What became of one slot's put.
type Uploaded = (SlotId, Result<(), End>);

pub(super) struct Chain {
    shared: Arc<Shared>,
    pending: Pending,
    uploads: FuturesUnordered<JoinHandle<Option<Uploaded>>>,
    previous_index_crc: u32,
    local: bool,
    pace: Pace,
    settled_at: Instant,
}

impl Chain {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let local = shared.parts.store.locality() != Locality::Bucket;
        // Slot n is first sent only when n-64 is stable: recovery relies on it.
        assert!(shared.settings.window as u64 <= WINDOW_SLOTS, "a window above {WINDOW_SLOTS}");
        Self {
            shared,
            pending: Pending::default(),
            uploads: FuturesUnordered::new(),
            previous_index_crc: 0,
            local,
            pace: Pace { full_at: Instant::now() },
            settled_at: Instant::now(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut failed = None;
        while failed.is_none() && self.shared.ended().is_none() {
            let deadline = self.send_due();
            failed = self.wait(deadline).await;
        }
        if let Some(end) = failed {
            self.shared.end(end);
        }
        let end = self.shared.ended().unwrap_or(End::Closed);
        self.pending.end(end);
        // A put that is still on its way may land: recovery counts it or fences its name, whichever is first.
        for upload in &self.uploads {
            upload.abort();
        }
    }

    async fn wait(&mut self, deadline: Option<Instant>) -> Option<End> {
        let shared = Arc::clone(&self.shared);
        let timer = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(done) = self.uploads.next(), if !self.uploads.is_empty() => self.finished(done),
            () = shared.wake.notified() => None,
            () = timer => None,
        }
    }

    /// Sends every slot that is due and fits the window. Gives the time at which the open one is due.
    fn send_due(&mut self) -> Option<Instant> {
        loop {
            let room = self.pending.in_flight() < self.shared.settings.window;
            match self.next_due(room) {
                Next::Send(filling) => self.send(*filling),
                Next::WaitUntil(deadline) => return Some(deadline),
                Next::Wait => return None,
            }
        }
    }

    fn next_due(&self, room: bool) -> Next {
        let shared = Arc::clone(&self.shared);
        let mut open = shared.open();
        if !room {
            return Next::Wait;
        }
        if let Some(full) = open.full.pop_front() {
            return Next::Send(Box::new(full));
        }
        let situation = Situation {
            now: Instant::now(),
            in_flight: self.pending.in_flight(),
            local: self.local,
            paced_until: self.pace.next_at(),
            settled_at: self.settled_at,
        };
        let due = match open.current.slot.due(situation) {
            Due::At(_) if open.flush => Due::Now,
            due => due,
        };
        match due {
            Due::Empty => Next::Wait,
            Due::At(deadline) => Next::WaitUntil(deadline),
            Due::Now => {
                open.rotate();
                Next::Send(Box::new(open.full.pop_front().expect("rotate filled it")))
            }
        }
    }

    fn send(&mut self, filling: Filling) {
        if filling.slot.is_small() {
            self.pace.take(Instant::now());
        }
        let ClosedSlot { slot, index, body, pinned } = filling.slot.close();
        let shared = &self.shared;
        let header = SlotHeader {
            kind: Kind::Data,
            chain: shared.chain,
            slot,
            incarnation: shared.incarnation,
            created: shared.parts.clock.now(),
        };
        let known = Known {
            committed: shared.uncommitted.committed().checked_sub(1).map(SlotId),
            trimmed: None,
            previous_index_crc: self.previous_index_crc,
        };
        let pieces = body.pieces.clone();
        let encoded = encode_slot(&header, body, &index, &known);
        self.previous_index_crc = encoded.index_crc;
        let row = commit::row_of(slot, &index, encoded.bytes, &encoded.footer);
        let tail = Arc::new(TailSlot::new(slot, &index, pieces, pinned));
        shared.parts.metrics.in_flight.inc();
        shared.parts.metrics.slot_bytes.observe(encoded.bytes as f64);
        self.pending.sent(Sent {
            slot,
            at: Instant::now(),
            outcome: filling.outcome,
            tail,
            row,
            stored: false,
        });
        shared.sent.store(slot.0 + 1, Ordering::Release);
        let upload =
            Upload { shared: Arc::clone(shared), slot, payload: Payload::from(encoded.payload) };
        self.uploads.push(task::spawn("wal-upload", upload::run(upload)));
    }

    fn finished(&mut self, done: Result<Option<Uploaded>, tokio::task::JoinError>) -> Option<End> {
        // A panic of the task has been reported by `base::task`; here it must never pass for a stored slot.
        let Ok(Some((slot, outcome))) = done else { return Some(End::Closed) };
        match outcome {
            Ok(()) => {
                self.make_stable(slot);
                None
            }
            Err(end) => Some(end),
        }
    }

    fn make_stable(&mut self, slot: SlotId) {
        let now = Instant::now();
        for Sent { slot, at, outcome, tail, row, .. } in self.pending.stored(slot) {
            self.shared.proven.by(at);
            if !self.local {
                self.settled_at = now + ((now - at) / SETTLE_PART).min(SETTLE_MAX);
            }
            let bytes = tail.unstable_bytes();
            self.shared.parts.metrics.in_flight.dec();
            self.shared.parts.metrics.stable_slots.inc();
            let index_bytes = tail.index.memory_bytes();
            self.shared.tail.push(tail);
            self.shared.uncommitted.push(row, index_bytes);
            // From here the records exist: the high watermark first, then followers of the chain, then the acks.
            self.shared.publish_stable(slot.0 + 1, bytes);
            self.shared
                .progress
                .send_modify(|progress: &mut Progress| progress.stable = slot.0 + 1);
            outcome.send_replace(Outcome::Stable);
        }
        self.shared.uncommitted.show(&self.shared.parts.metrics.uncommitted_bytes);
    }
}

enum Next {
    Send(Box<Filling>),
    WaitUntil(Instant),
    Wait,
}
