//! One partition of `__transaction_state`: its transactional ids, their records, and their timeouts. Pure.
//!
//! Invariant: what stands here was appended in the same step, so a replay of the log gives the same state (but for the last
//! epochs, which Kafka's format does not hold).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::state::{
    Decision, End, Init, Partitions, Producer, Protocol, Refusal, Status, Transaction, init,
};
use crate::base::clock::Timestamp;
use crate::base::ids::{ProducerId, SlotId};
use crate::base::offset::Offset;
use crate::log::EndMarker;
use crate::protocol::records::transaction_log::{self, TransactionLogValue};
use crate::state_topic::{self, Live, Machine, Replayed, ReplayedMarker, StateRecord, Turn};

/// Transactional ids forgotten in one step at most.
const EXPIRED_AT_ONCE: usize = 500;
/// What a record takes beside its key and value, about.
const RECORD_OVERHEAD: u64 = 80;

/// When transactions are looked after.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
    pub abort_every: Duration,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub expire_every: Duration,
    /// `transactional.id.expiration.ms`.
    pub id_expiration: Duration,
}

/// What a step came to, and what must be stable before that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict<T> {
    pub(super) outcome: Result<T, Refusal>,
    pub(super) after: Option<SlotId>,
}

/// How an InitProducerId or EndTxn goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is done; the producer goes on as this.
    Done(Producer),
    /// It is done, and markers are to be written.
    Ending(Producer),
    /// An open transaction is aborted first: the client comes again.
    AbortedFirst,
    /// A producer id is to be fetched.
    NeedsProducerId,
}

/// Markers to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) marker: EndMarker,
    pub(super) partitions: Partitions,
}

/// How far the markers of a transaction are. Not in the log: after a crash they are all written again.
#[derive(Debug, Default)]
struct Ending {
    /// Somebody writes them now.
    claimed: bool,
    /// Those that are left; none: all.
    left: Option<Partitions>,
}

/// Who is told when there is work that no request does.
#[derive(Debug, Clone, Default)]
pub(super) struct Wakes {
    /// Markers are to be written.
    pub(super) markers: Arc<Notify>,
    /// Transactions wait for a producer id to go on with ([`TransactionLog::take_wanting`]).
    pub(super) wanting: Arc<Notify>,
}

/// The transactional ids of one partition.
#[derive(Debug)]
pub(super) struct TransactionLog {
    timing: Timing,
    transactions: BTreeMap<String, Transaction>,
    ending: BTreeMap<String, Ending>,
    /// Transactions whose time is over and that can only be aborted with a new producer id to go on with. Those that get none
    /// are found again by the next check.
    wanting: BTreeSet<String>,
    live_bytes: u64,
    /// The newest record of all.
    newest: Option<SlotId>,
    next_check: Duration,
    next_expiry: Duration,
    wakes: Wakes,
}

impl TransactionLog {
    /// An empty partition.
    pub(super) fn new(timing: Timing, wakes: Wakes) -> Self {
        Self {
            timing,
            transactions: BTreeMap::new(),
            ending: BTreeMap::new(),
            wanting: BTreeSet::new(),
            live_bytes: 0,
            newest: None,
            next_check: Duration::ZERO,
            next_expiry: Duration::ZERO,
            wakes,
        }
    }

    pub(super) fn init(
        &mut self,
        turn: &mut Turn<'_>,
        id: &str,
        request: &Init,
    ) -> Result<Verdict<Step>, state_topic::Error> {
        match init(self.transactions.get(id), request) {
            Ok(Decision::NeedsProducerId) => Ok(Verdict::of(Step::NeedsProducerId)),
            Ok(Decision::Unchanged) => Ok(self.unchanged(id, Step::Done)),
            Ok(Decision::Write(next)) => {
                let producer = next.producer;
                let slot = self.put(turn, id, *next)?;
                Ok(Verdict { outcome: Ok(Step::Done(producer)), after: Some(slot) })
            }
            Ok(Decision::AbortFirst(next)) => {
                let slot = self.put(turn, id, *next)?;
                Ok(Verdict { outcome: Ok(Step::AbortedFirst), after: Some(slot) })
            }
            Err(refusal) => Ok(self.refused(refusal)),
        }
    }

    pub(super) fn end(
        &mut self,
        turn: &mut Turn<'_>,
        id: &str,
        request: &End,
    ) -> Result<Verdict<Step>, state_topic::Error> {
        let Some(known) = self.transactions.get(id) else {
            return Ok(self.refused(Refusal::InvalidProducerIdMapping));
        };
        match known.end(request) {
            Ok(Decision::NeedsProducerId) => Ok(Verdict::of(Step::NeedsProducerId)),
            Ok(Decision::Unchanged) => Ok(self.unchanged(id, Step::Done)),
            Ok(Decision::Write(next) | Decision::AbortFirst(next)) => {
                let producer = next.after_markers();
                let slot = self.put(turn, id, *next)?;
                Ok(Verdict { outcome: Ok(Step::Ending(producer)), after: Some(slot) })
            }
            Err(refusal) => Ok(self.refused(refusal)),
        }
    }

    pub(super) fn add(
        &mut self,
        turn: &mut Turn<'_>,
        id: &str,
        (producer, added): (Producer, &Partitions),
    ) -> Result<Verdict<()>, state_topic::Error> {
        let Some(known) = self.transactions.get(id) else {
            return Ok(self.refused(Refusal::InvalidProducerIdMapping));
        };
        match known.add(producer, added, turn.now().wall) {
            Ok(Decision::Write(next) | Decision::AbortFirst(next)) => {
                let slot = self.put(turn, id, *next)?;
                Ok(Verdict { outcome: Ok(()), after: Some(slot) })
            }
            Ok(Decision::Unchanged | Decision::NeedsProducerId) => Ok(self.unchanged(id, |_| ())),
            Err(refusal) => Ok(self.refused(refusal)),
        }
    }

    pub(super) fn verify(
        &self,
        id: &str,
        producer: Producer,
        (topic, partition): (&str, i32),
    ) -> Verdict<()> {
        let Some(known) = self.transactions.get(id) else {
            return self.refused(Refusal::InvalidProducerIdMapping);
        };
        match known.verify(producer, topic, partition) {
            Ok(()) => self.unchanged(id, |_| ()),
            Err(refusal) => self.refused(refusal),
        }
    }

    fn unchanged<T>(&self, id: &str, say: impl FnOnce(Producer) -> T) -> Verdict<T> {
        let Some(known) = self.transactions.get(id) else {
            return self.refused(Refusal::InvalidProducerIdMapping);
        };
        Verdict { outcome: Ok(say(known.producer)), after: known.newest }
    }

    /// A refusal rests on everything that was decided before it.
    fn refused<T>(&self, refusal: Refusal) -> Verdict<T> {
        Verdict { outcome: Err(refusal), after: self.newest }
    }

    /// The transaction of an id, and what it rests on.
    pub(super) fn get(&self, id: &str) -> (Option<Transaction>, Option<SlotId>) {
        (self.transactions.get(id).cloned(), self.newest)
    }

    /// All that `wanted` wants, and what it rests on.
    pub(super) fn list(
        &self,
        wanted: impl Fn(&str, &Transaction) -> bool,
    ) -> (Vec<(String, Transaction)>, Option<SlotId>) {
        let all = self.transactions.iter().filter(|(id, known)| wanted(id, known));
        (all.map(|(id, known)| (id.clone(), known.clone())).collect(), self.newest)
    }

    /// The ids whose markers nobody writes.
    pub(super) fn unclaimed(&self) -> Vec<String> {
        let free = self.ending.iter().filter(|(_, ending)| !ending.claimed);
        free.map(|(id, _)| id.clone()).collect()
    }

    /// Takes the markers of a transaction: nobody else writes them until [`Self::finished`]. None: there are none.
    pub(super) fn claim(&mut self, turn: &Turn<'_>, id: &str) -> Option<Work> {
        let ending = self.ending.get_mut(id).filter(|ending| !ending.claimed)?;
        let known = self.transactions.get(id)?;
        let coordinator_epoch = turn.partition().offsets().ok()?.leader_epoch.0;
        ending.claimed = true;
        let marker = EndMarker {
            producer_id: known.producer.id,
            producer_epoch: known.producer.epoch,
            coordinator_epoch,
            commit: known.status == Status::PrepareCommit,
            bumps_epoch: known.protocol == Protocol::OwnEpoch,
        };
        let partitions = ending.left.clone().unwrap_or_else(|| known.partitions.clone());
        Some(Work { marker, partitions })
    }

    /// Notes which markers are `left`: with none the transaction is complete. True: it is.
    pub(super) fn finished(
        &mut self,
        turn: &mut Turn<'_>,
        id: &str,
        left: Partitions,
    ) -> Result<bool, state_topic::Error> {
        let Some(ending) = self.ending.get_mut(id) else { return Ok(true) };
        if !left.is_empty() {
            *ending = Ending { claimed: false, left: Some(left) };
            return Ok(false);
        }
        let Some(known) = self.transactions.get(id) else { return Ok(true) };
        let completed = known.completed(turn.now().wall);
        self.put(turn, id, completed)?;
        Ok(true)
    }

    /// Writes a transaction's next state.
    fn put(
        &mut self,
        turn: &mut Turn<'_>,
        id: &str,
        mut next: Transaction,
    ) -> Result<SlotId, state_topic::Error> {
        let written = turn.append(&[record(id, &next)])?;
        next.newest = Some(written.slot);
        self.newest = Some(written.slot);
        self.take_up(id, Some(next));
        if self.next_check == Duration::ZERO {
            self.arm(turn.now().elapsed);
        }
        Ok(written.slot)
    }

    fn arm(&mut self, elapsed: Duration) {
        self.next_check = elapsed + self.timing.abort_every;
        if self.next_expiry == Duration::ZERO {
            self.next_expiry = elapsed + self.timing.expire_every;
        }
    }

    /// Takes up a transaction's state as it is in the log; none: it is forgotten.
    fn take_up(&mut self, id: &str, next: Option<Transaction>) {
        if let Some(before) = self.transactions.get(id) {
            self.live_bytes = self.live_bytes.saturating_sub(live_bytes(id, before));
        }
        let Some(next) = next else {
            self.transactions.remove(id);
            self.ending.remove(id);
            return;
        };
        self.live_bytes += live_bytes(id, &next);
        if next.status.is_ending() {
            self.ending.insert(id.to_owned(), Ending::default());
        } else {
            self.ending.remove(id);
        }
        self.transactions.insert(id.to_owned(), next);
    }

    fn abort_timed_out(&mut self, turn: &mut Turn<'_>) -> Result<(), state_topic::Error> {
        let now = turn.now().wall;
        let late = self.transactions.iter().filter(|(_, known)| known.is_timed_out(now));
        let late: Vec<String> = late.map(|(id, _)| id.clone()).collect();
        for id in &late {
            self.abort_late(turn, id, None)?;
        }
        if !late.is_empty() {
            self.wakes.markers.notify_one();
        }
        if !self.wanting.is_empty() {
            self.wakes.wanting.notify_one();
        }
        Ok(())
    }

    /// Aborts a transaction if its time is over; with `fresh` for the producer to go on with, if its epochs are used up.
    pub(super) fn abort_late(
        &mut self,
        turn: &mut Turn<'_>,
        id: &str,
        fresh: Option<ProducerId>,
    ) -> Result<(), state_topic::Error> {
        let now = turn.now().wall;
        let Some(known) = self.transactions.get(id).filter(|known| known.is_timed_out(now)) else {
            return Ok(());
        };
        let Some(next) = known.fence(fresh, now) else {
            self.wanting.insert(id.to_owned());
            return Ok(());
        };
        tracing::info!(transactional_id = id, "transaction timed out, aborting it");
        self.put(turn, id, next).map(drop)
    }

    /// The ids that [`Self::abort_late`] wants a producer id for: each once for each check.
    pub(super) fn take_wanting(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.wanting)
    }

    /// Forgets ids that were not used for long. True: there may be more.
    fn expire(&mut self, turn: &mut Turn<'_>) -> Result<bool, state_topic::Error> {
        let idle = i64::try_from(self.timing.id_expiration.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp(turn.now().wall.0.saturating_sub(idle));
        let idle = self.transactions.iter().filter(|(_, known)| known.is_idle(before));
        let idle: Vec<String> = idle.take(EXPIRED_AT_ONCE).map(|(id, _)| id.clone()).collect();
        if idle.is_empty() {
            return Ok(false);
        }
        let tombstones: Vec<StateRecord> = idle
            .iter()
            .map(|id| StateRecord { key: transaction_log::key(id), value: None })
            .collect();
        self.newest = Some(turn.append(&tombstones)?.slot);
        for id in &idle {
            self.take_up(id, None);
        }
        Ok(idle.len() == EXPIRED_AT_ONCE)
    }
}

impl<T> Verdict<T> {
    fn of(value: T) -> Self {
        Self { outcome: Ok(value), after: None }
    }
}

fn record(id: &str, known: &Transaction) -> StateRecord {
    StateRecord { key: transaction_log::key(id), value: Some(known.to_record().encode(true)) }
}

/// About what a transaction's record takes in the log: more topics, more bytes.
fn live_bytes(id: &str, known: &Transaction) -> u64 {
    let topics = known.partitions.iter();
    let listed: usize = topics.map(|(topic, numbers)| topic.len() + 3 + 4 * numbers.len()).sum();
    RECORD_OVERHEAD + (id.len() + listed) as u64
}

impl Machine for TransactionLog {
    fn replay(&mut self, record: &Replayed<'_>) {
        let Ok(Some(id)) = transaction_log::read_key(record.key) else {
            tracing::warn!(offset = %record.offset, "unknown key in __transaction_state");
            return;
        };
        let Some(value) = record.value else { return self.take_up(&id, None) };
        match TransactionLogValue::read(value).ok().and_then(Transaction::from_record) {
            Some(known) => self.take_up(&id, Some(known)),
            None => {
                tracing::error!(offset = %record.offset, "unknown value in __transaction_state");
            }
        }
    }

    /// Nothing here belongs to a transaction.
    fn replay_marker(&mut self, _: &ReplayedMarker) {}

    fn loaded(&mut self, turn: &mut Turn<'_>) {
        if !self.transactions.is_empty() {
            self.arm(turn.now().elapsed);
        }
        if !self.ending.is_empty() {
            self.wakes.markers.notify_one();
        }
    }

    fn deadline(&self) -> Option<Duration> {
        (self.next_check > Duration::ZERO).then_some(self.next_check)
    }

    fn on_time(&mut self, turn: &mut Turn<'_>) {
        let elapsed = turn.now().elapsed;
        if elapsed < self.next_check {
            return;
        }
        self.next_check = elapsed + self.timing.abort_every;
        if self.abort_timed_out(turn).is_err() || elapsed < self.next_expiry {
            return;
        }
        // An error closes the shard when the turn ends.
        if let Ok(more) = self.expire(turn) {
            let wait = if more { self.timing.abort_every } else { self.timing.expire_every };
            self.next_expiry = elapsed + wait;
        }
    }

    fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    fn live(&self, from: Option<&[u8]>, bytes_max: usize) -> Live {
        let from = from.and_then(|from| transaction_log::read_key(from).ok().flatten());
        let mut live = Live::default();
        let mut bytes = 0;
        for (id, known) in self.transactions.range(from.unwrap_or_default()..) {
            let record = record(id, known);
            if bytes >= bytes_max {
                live.next = Some(record.key);
                return live;
            }
            bytes += record.key.len() + record.value.as_ref().map_or(0, Vec::len);
            live.records.push(record);
        }
        live
    }

    fn oldest_needed(&self) -> Option<Offset> {
        None
    }
}
