//! One transactional id: where its transaction stands, and every decision on it. Pure.
//!
//! Nothing is ever pending here, unlike in Apache Kafka: a decision and its record are one step, and answers wait until
//! the record is stable. So CONCURRENT_TRANSACTIONS is said only while markers are still to be written.
//!
//! Source: KIP-98, KIP-360, KIP-890; `TransactionCoordinator`, `TransactionMetadata` in Apache Kafka 4.3.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::clock::Timestamp;
use crate::base::ids::{ProducerId, SlotId};
use crate::protocol::records::transaction_log::TransactionLogValue;

/// A producer as it names itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    /// Its id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: i16,
}

/// The last epoch that a client is given: the one above is kept for fencing it.
const EPOCH_MAX: i16 = i16::MAX - 1;

/// Which protocol a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Transactions share an epoch (`transaction.version` 0 and 1).
    SharedEpoch,
    /// Each transaction has its own epoch (`transaction.version` 2, KIP-890).
    OwnEpoch,
}

impl Protocol {
    /// What older clients speak is recorded as 0, as Kafka does.
    #[must_use]
    fn level(self) -> i16 {
        match self {
            Self::SharedEpoch => 0,
            Self::OwnEpoch => 2,
        }
    }
}

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// There is none, and none was finished in this epoch.
    Empty,
    /// Partitions were added.
    Ongoing,
    /// It is committed; markers are to be written.
    PrepareCommit,
    /// It is aborted; markers are to be written.
    PrepareAbort,
    /// It was committed, all markers are written.
    CompleteCommit,
    /// It was aborted, all markers are written.
    CompleteAbort,
}

impl Status {
    /// All of them, in the order of Kafka's ids.
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    fn id(self) -> i8 {
        match self {
            Self::Empty => 0,
            Self::Ongoing => 1,
            Self::PrepareCommit => 2,
            Self::PrepareAbort => 3,
            Self::CompleteCommit => 4,
            Self::CompleteAbort => 5,
        }
    }

    fn from_id(id: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.id() == id)
    }

    /// Whether markers are still to be written.
    #[must_use]
    pub fn is_ending(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }

    fn ending(commit: bool) -> Self {
        if commit { Self::PrepareCommit } else { Self::PrepareAbort }
    }
}

/// Partitions by topic name.
pub type Partitions = BTreeMap<String, BTreeSet<i32>>;

/// One transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Who writes now.
    pub producer: Producer,
    /// The id before the last change.
    pub previous_id: ProducerId,
    /// The id to go on with when the markers are written; the epochs of the present one are used up.
    pub next_id: ProducerId,
    /// The epoch from which `producer` was raised by its own request, or -1: that request may come again.
    pub last_epoch: i16,
    /// The longest that a transaction may stay open.
    pub timeout_ms: i32,
    /// Where it stands.
    pub status: Status,
    /// What belongs to it.
    pub partitions: Partitions,
    /// When it began.
    pub start: Timestamp,
    /// When the last record was written.
    pub last_update: Timestamp,
    /// The protocol of its last end.
    pub protocol: Protocol,
    /// Where the last record is: an answer that rests on this state waits for it. None: stable for long.
    pub newest: Option<SlotId>,
}

/// Why a request is refused. Each is an error of Kafka's of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Markers are being written: the client tries again.
    #[error("the transaction before is still being completed")]
    ConcurrentTransactions,
    /// A newer producer has taken the transactional id.
    #[error("a newer producer uses the transactional id")]
    ProducerFenced,
    /// The transactional id is not known, or has another producer id.
    #[error("the producer id is not that of the transactional id")]
    InvalidProducerIdMapping,
    /// The transaction's state does not allow it.
    #[error("the transaction is in another state")]
    InvalidTxnState,
    /// The partition is not part of the transaction: it can only be aborted.
    #[error("the partition is not part of the transaction")]
    TransactionAbortable,
}

/// What InitProducerId asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Init {
    /// The longest that a transaction may stay open.
    pub timeout_ms: i32,
    /// The producer that comes back after an error (KIP-360).
    pub expected: Option<Producer>,
    /// A producer id that nobody had, if one was fetched.
    pub fresh: Option<ProducerId>,
    /// The time.
    pub now: Timestamp,
}

/// What EndTxn asks for.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// Who ends its transaction.
    pub producer: Producer,
    /// Commit, or abort.
    pub commit: bool,
    /// What the client speaks.
    pub protocol: Protocol,
    /// A producer id that nobody had, if one was fetched.
    pub fresh: Option<ProducerId>,
    /// The time.
    pub now: Timestamp,
}

/// What a decision comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Fetch a producer id and ask again.
    NeedsProducerId,
    /// Nothing is to be written: the state says yes already.
    Unchanged,
    /// Write this.
    Write(Box<Transaction>),
    /// Write this, and tell the client to come again: an open transaction is aborted first.
    AbortFirst(Box<Transaction>),
}

impl Decision {
    fn write(transaction: Transaction) -> Self {
        Self::Write(Box::new(transaction))
    }
}

/// Decides on InitProducerId for a transactional id; `known` is what is known of it.
///
/// # Errors
/// [`Refusal::ConcurrentTransactions`], [`Refusal::ProducerFenced`].
///
/// Source: `TransactionCoordinator.prepareInitProducerIdTransit`.
pub(super) fn init(known: Option<&Transaction>, request: &Init) -> Result<Decision, Refusal> {
    let Some(known) = known else {
        let Some(id) = request.fresh else { return Ok(Decision::NeedsProducerId) };
        let blank = Transaction::new(Producer { id, epoch: 0 }, request);
        return Ok(Decision::write(blank));
    };
    if let Some(expected) = request.expected {
        // The epoch is checked below; that of an id before the present one may be used up.
        let came_back = expected.id == known.previous_id && expected.epoch >= EPOCH_MAX;
        if expected.id != known.producer.id && !came_back {
            return Err(Refusal::ProducerFenced);
        }
    }
    match known.status {
        Status::PrepareCommit | Status::PrepareAbort => Err(Refusal::ConcurrentTransactions),
        Status::Ongoing => Ok(match known.fence(request.fresh, request.now) {
            Some(aborted) => Decision::AbortFirst(Box::new(aborted)),
            None => Decision::NeedsProducerId,
        }),
        Status::Empty | Status::CompleteCommit | Status::CompleteAbort => known.next_epoch(request),
    }
}

impl Transaction {
    fn new(producer: Producer, request: &Init) -> Self {
        Self {
            producer,
            previous_id: producer.id,
            next_id: ProducerId::NONE,
            last_epoch: -1,
            timeout_ms: request.timeout_ms,
            status: Status::Empty,
            partitions: Partitions::new(),
            start: Timestamp::NONE,
            last_update: request.now,
            protocol: Protocol::SharedEpoch,
            newest: None,
        }
    }

    fn is_exhausted(&self) -> bool {
        self.producer.epoch >= EPOCH_MAX
    }

    /// The next epoch, or the next id, for a producer without an open transaction.
    fn next_epoch(&self, request: &Init) -> Result<Decision, Refusal> {
        let Producer { id, epoch } = self.producer;
        let expected = request.expected.map(|expected| expected.epoch);
        let (producer, last_epoch) = if self.is_exhausted()
            && expected.is_none_or(|expected| expected == epoch)
        {
            let Some(fresh) = request.fresh else { return Ok(Decision::NeedsProducerId) };
            (Producer { id: fresh, epoch: 0 }, if expected.is_some() { epoch } else { -1 })
        } else {
            match expected {
                None => (Producer { id, epoch: epoch + 1 }, -1),
                Some(expected) if expected == epoch => (Producer { id, epoch: epoch + 1 }, epoch),
                // Its first try was served: any newer producer would have set this to -1.
                Some(expected) if expected == self.last_epoch => (self.producer, self.last_epoch),
                Some(_) => return Err(Refusal::ProducerFenced),
            }
        };
        Ok(Decision::write(Self {
            producer,
            previous_id: id,
            next_id: ProducerId::NONE,
            last_epoch,
            timeout_ms: request.timeout_ms,
            status: Status::Empty,
            partitions: Partitions::new(),
            start: Timestamp::NONE,
            last_update: request.now,
            protocol: self.protocol,
            newest: None,
        }))
    }

    /// The open transaction aborted in an epoch that nobody has: what its producer still sends is refused everywhere. None:
    /// its epochs are used up, and there is no `fresh` producer id to go on with.
    ///
    /// Source: `prepareFenceProducerEpoch`, `prepareAbortOrCommit`.
    #[must_use]
    pub fn fence(&self, fresh: Option<ProducerId>, now: Timestamp) -> Option<Self> {
        Some(self.ended(false, Protocol::OwnEpoch, (self.next_id(fresh)?, now)))
    }

    /// The id that goes on when an end raises the epoch: none as long as there are epochs.
    fn next_id(&self, fresh: Option<ProducerId>) -> Option<ProducerId> {
        if self.is_exhausted() { fresh } else { Some(ProducerId::NONE) }
    }

    fn ended(
        &self,
        commit: bool,
        protocol: Protocol,
        (next_id, now): (ProducerId, Timestamp),
    ) -> Self {
        let Producer { id, epoch } = self.producer;
        let (producer, last_epoch) = match protocol {
            // Above the last epoch of clients there is exactly one.
            Protocol::OwnEpoch => (Producer { id, epoch: epoch.saturating_add(1) }, epoch),
            Protocol::SharedEpoch => (self.producer, self.last_epoch),
        };
        let start = if self.status == Status::Ongoing { self.start } else { now };
        let partitions = self.partitions.clone();
        Self {
            producer,
            previous_id: id,
            next_id,
            last_epoch,
            timeout_ms: self.timeout_ms,
            status: Status::ending(commit),
            partitions,
            start,
            last_update: now,
            protocol,
            newest: None,
        }
    }

    /// The state after every marker is written.
    ///
    /// Source: `prepareComplete`.
    #[must_use]
    pub fn completed(&self, now: Timestamp) -> Self {
        let status = match self.status {
            Status::PrepareCommit => Status::CompleteCommit,
            _ => Status::CompleteAbort,
        };
        Self {
            producer: self.after_markers(),
            previous_id: self.producer.id,
            next_id: ProducerId::NONE,
            status,
            partitions: Partitions::new(),
            last_update: now,
            newest: None,
            ..self.clone()
        }
    }

    /// Who the producer is when its markers are written.
    #[must_use]
    pub fn after_markers(&self) -> Producer {
        match self.next_id {
            ProducerId::NONE => self.producer,
            id => Producer { id, epoch: 0 },
        }
    }

    /// Adds partitions, and begins the transaction with the first.
    ///
    /// # Errors
    /// [`Refusal::InvalidProducerIdMapping`], [`Refusal::ProducerFenced`], [`Refusal::ConcurrentTransactions`].
    ///
    /// Source: `handleAddPartitionsToTransaction`.
    pub fn add(
        &self,
        producer: Producer,
        added: &Partitions,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        self.check_open(producer)?;
        if self.status == Status::Ongoing && self.has_all(added) {
            return Ok(Decision::Unchanged);
        }
        let mut next = self.clone();
        if self.status != Status::Ongoing {
            next.partitions.clear();
            next.start = now;
        }
        for (topic, partitions) in added {
            next.partitions.entry(topic.clone()).or_default().extend(partitions);
        }
        next.status = Status::Ongoing;
        next.previous_id = self.producer.id;
        next.last_update = now;
        next.newest = None;
        Ok(Decision::write(next))
    }

    /// Whether a partition is part of the open transaction.
    ///
    /// # Errors
    /// As [`Self::add`], and [`Refusal::TransactionAbortable`]: it is not.
    ///
    /// Source: `handleVerifyPartitionsInTransaction`.
    pub fn verify(&self, producer: Producer, topic: &str, partition: i32) -> Result<(), Refusal> {
        self.check_open(producer)?;
        let part = self.partitions.get(topic).is_some_and(|numbers| numbers.contains(&partition));
        if part { Ok(()) } else { Err(Refusal::TransactionAbortable) }
    }

    fn check_open(&self, producer: Producer) -> Result<(), Refusal> {
        if self.producer.id != producer.id {
            return Err(Refusal::InvalidProducerIdMapping);
        }
        if self.producer.epoch != producer.epoch {
            return Err(Refusal::ProducerFenced);
        }
        if self.status.is_ending() {
            return Err(Refusal::ConcurrentTransactions);
        }
        Ok(())
    }

    fn has_all(&self, added: &Partitions) -> bool {
        added.iter().all(|(topic, numbers)| {
            self.partitions.get(topic).is_some_and(|known| numbers.is_subset(known))
        })
    }

    /// Ends the transaction, as a client asks.
    ///
    /// # Errors
    /// [`Refusal::InvalidProducerIdMapping`], [`Refusal::ProducerFenced`], [`Refusal::ConcurrentTransactions`],
    /// [`Refusal::InvalidTxnState`].
    ///
    /// Source: `endTransaction`, `endTransactionWithTV1`.
    pub fn end(&self, request: &End) -> Result<Decision, Refusal> {
        match request.protocol {
            Protocol::SharedEpoch => self.end_shared(request),
            Protocol::OwnEpoch => self.end_own(request),
        }
    }

    fn end_shared(&self, request: &End) -> Result<Decision, Refusal> {
        if self.producer.id != request.producer.id {
            return Err(Refusal::InvalidProducerIdMapping);
        }
        if self.producer.epoch != request.producer.epoch {
            return Err(Refusal::ProducerFenced);
        }
        match (self.status, request.commit) {
            (Status::Ongoing, commit) => {
                let next = (ProducerId::NONE, request.now);
                Ok(Decision::write(self.ended(commit, Protocol::SharedEpoch, next)))
            }
            (Status::CompleteCommit, true) | (Status::CompleteAbort, false) => {
                Ok(Decision::Unchanged)
            }
            (Status::PrepareCommit, true) | (Status::PrepareAbort, false) => {
                Err(Refusal::ConcurrentTransactions)
            }
            _ => Err(Refusal::InvalidTxnState),
        }
    }

    fn end_own(&self, request: &End) -> Result<Decision, Refusal> {
        let Producer { id, epoch } = request.producer;
        // The first try raised the epoch, or went over to a new id.
        let raised = self.producer.id == id && epoch.checked_add(1) == Some(self.producer.epoch);
        let rotated = self.previous_id == id && epoch == EPOCH_MAX && self.producer.epoch == 0;
        let again = raised || rotated;
        if self.producer.id != id && !rotated {
            return Err(Refusal::InvalidProducerIdMapping);
        }
        let fits = match self.status {
            Status::Ongoing | Status::Empty => epoch == self.producer.epoch,
            Status::PrepareCommit | Status::PrepareAbort => raised,
            Status::CompleteCommit | Status::CompleteAbort => again || epoch == self.producer.epoch,
        };
        if !fits {
            return Err(Refusal::ProducerFenced);
        }
        match (self.status, request.commit) {
            (Status::Ongoing, commit) => Ok(self.raise(commit, request)),
            (Status::CompleteCommit, true) | (Status::CompleteAbort, false) if again => {
                Ok(Decision::Unchanged)
            }
            (Status::PrepareCommit, true) | (Status::PrepareAbort, false) => {
                Err(Refusal::ConcurrentTransactions)
            }
            // Nothing was added, and the client may not know: it gets the next epoch (KIP-890).
            (Status::Empty | Status::CompleteCommit | Status::CompleteAbort, false) if !again => {
                Ok(self.raise(false, request))
            }
            _ => Err(Refusal::InvalidTxnState),
        }
    }

    fn raise(&self, commit: bool, request: &End) -> Decision {
        match self.next_id(request.fresh) {
            Some(next) => {
                Decision::write(self.ended(commit, Protocol::OwnEpoch, (next, request.now)))
            }
            None => Decision::NeedsProducerId,
        }
    }

    /// Whether the transaction has been open for longer than it may.
    #[must_use]
    pub fn is_timed_out(&self, now: Timestamp) -> bool {
        let until = self.start.0.saturating_add(i64::from(self.timeout_ms));
        self.status == Status::Ongoing && until < now.0
    }

    /// Whether nobody has used the id since `before`.
    #[must_use]
    pub fn is_idle(&self, before: Timestamp) -> bool {
        let at_rest = !self.status.is_ending() && self.status != Status::Ongoing;
        at_rest && self.last_update <= before
    }

    /// The record's value.
    #[must_use]
    pub fn to_record(&self) -> TransactionLogValue {
        let partitions = self.partitions.iter();
        let listed =
            partitions.map(|(topic, numbers)| (topic.clone(), numbers.iter().copied().collect()));
        TransactionLogValue {
            producer_id: self.producer.id.0,
            previous_producer_id: self.previous_id.0,
            next_producer_id: self.next_id.0,
            producer_epoch: self.producer.epoch,
            timeout_ms: self.timeout_ms,
            status: self.status.id(),
            partitions: (self.status != Status::Empty).then(|| listed.collect()),
            last_update_ms: self.last_update.0,
            start_ms: self.start.0,
            client_transaction_version: self.protocol.level(),
        }
    }

    /// The state that a record tells, but for the last epoch, which Kafka does not store. None: a status that is not known.
    #[must_use]
    pub fn from_record(record: TransactionLogValue) -> Option<Self> {
        let listed = record.partitions.into_iter().flatten();
        Some(Self {
            producer: Producer { id: ProducerId(record.producer_id), epoch: record.producer_epoch },
            previous_id: ProducerId(record.previous_producer_id),
            next_id: ProducerId(record.next_producer_id),
            last_epoch: -1,
            timeout_ms: record.timeout_ms,
            status: Status::from_id(record.status)?,
            partitions: listed
                .map(|(topic, numbers)| (topic, numbers.into_iter().collect()))
                .collect(),
            start: Timestamp(record.start_ms),
            last_update: Timestamp(record.last_update_ms),
            protocol: if record.client_transaction_version >= 2 {
                Protocol::OwnEpoch
            } else {
                Protocol::SharedEpoch
            },
            newest: None,
        })
    }
}

#[cfg(test)]
mod tests;
