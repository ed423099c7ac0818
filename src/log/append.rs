//! Admits one batch or marker, assigns its offsets and joins the open slot: one synchronous step.
//!
//! Does not own stability: the caller waits for the [`Stable`] that it is given.

use super::partition::State;
use super::producer_state::{Admission, EndMarker, MarkerAdmission, Origin, Rejection};
use super::verification::VerificationGuard;
use super::{Error, Partition};
use crate::base::clock::Timestamp;
use crate::base::ids::ProducerId;
use crate::base::offset::Offset;
use crate::record::assign::restamp;
use crate::record::control::{self, Marker};
use crate::record::{Attributes, ControlType, TimestampType, ValidBatch};
use crate::segment::BatchEntry;
use crate::wal::{Joining, Stable};

/// A batch that is on its way into the log.
#[derive(Debug)]
pub struct Appended {
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The broker's timestamp, with `message.timestamp.type=LogAppendTime`.
    pub log_append_time: Option<Timestamp>,
    /// The first offset that is kept.
    pub log_start: Offset,
    /// Resolves when it is in the log; none if it has been for long.
    pub stable: Option<Stable>,
    /// It was not there before.
    pub is_new: bool,
}

/// A marker that is in the log, or on its way.
#[derive(Debug)]
pub struct MarkerAppended {
    /// Its offset; none if it had been written before.
    pub offset: Option<Offset>,
    /// Resolves when it is in the log; none if it has been for long.
    pub stable: Option<Stable>,
}

/// On whose behalf a batch is appended.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Who appends.
    pub origin: Origin,
    /// What allows a transactional batch to open a transaction ([`Partition::start_verification`]).
    pub guard: Option<VerificationGuard>,
    /// The time of the append.
    pub now: Timestamp,
}

impl Terms {
    /// A client's batch that opens no transaction.
    #[must_use]
    pub fn client(now: Timestamp) -> Self {
        Self { origin: Origin::Client, guard: None, now }
    }

    /// A batch of a coordinator of this broker.
    #[must_use]
    pub fn coordinator(now: Timestamp) -> Self {
        Self { origin: Origin::Coordinator, guard: None, now }
    }
}

/// Where a batch went.
struct Joined {
    base_offset: Offset,
    log_append_time: Option<Timestamp>,
    stable: Stable,
}

impl Partition {
    /// Appends one batch.
    ///
    /// The batch then holds offsets `base_offset..base_offset + records`. Batches become stable in call order. Dropping the
    /// answer does not undo the append. A duplicate of one of a producer's last five batches is not written again: its
    /// answer waits for the original.
    ///
    /// # Errors
    /// [`Error::NotLeader`], [`Error::Rejected`], [`Error::Wal`]: nothing was written.
    ///
    /// Source: KIP-98; `UnifiedLog.append` in Apache Kafka.
    pub fn append(&self, batch: &ValidBatch, terms: Terms) -> Result<Appended, Error> {
        let mut state = self.lead()?;
        let entry = BatchEntry::new(&batch.header, Marker::NONE);
        match self.admit(&state, &entry, terms)? {
            Admission::New => {}
            Admission::Duplicate { base_offset, timestamp, slot } => {
                self.metrics.duplicates.inc();
                let stamped = state.settings.timestamp_type == TimestampType::LogAppendTime;
                return Ok(Appended {
                    base_offset,
                    log_append_time: stamped.then_some(timestamp),
                    log_start: state.log_start,
                    stable: slot.map(|slot| self.wal.wait_for(slot)),
                    is_new: false,
                });
            }
        }
        let Joined { base_offset, log_append_time, stable } =
            self.join(&mut state, batch, Marker::NONE, terms.now)?;
        let log_start = state.log_start;
        let stable = Some(stable);
        Ok(Appended { base_offset, log_append_time, log_start, stable, is_new: true })
    }

    /// Takes the right to open a transaction with a batch of this producer; none if it has one open here already, or if
    /// the batch is in the log. To be called before the transaction's coordinator is asked.
    ///
    /// `lowest_sequence`: the batch's first sequence, or 0 when every transaction has an epoch of its own.
    ///
    /// # Errors
    /// [`Error::NotLeader`]; [`Error::Rejected`]: its epoch is over here, whatever the coordinator says.
    ///
    /// Source: KIP-890; `UnifiedLog.maybeStartTransactionVerification`.
    pub fn start_verification(
        &self,
        batch: &ValidBatch,
        lowest_sequence: i32,
        now: Timestamp,
    ) -> Result<Option<VerificationGuard>, Error> {
        let mut state = self.lead()?;
        let (producer_id, epoch) = (batch.header.producer_id, batch.header.producer_epoch);
        let entry = BatchEntry::new(&batch.header, Marker::NONE);
        match state.producers.known().states.admit(&entry, Origin::Client) {
            Ok(Admission::Duplicate { .. }) => return Ok(None),
            Err(stale @ Rejection::StaleEpoch { .. }) => return Err(self.rejected(&state, stale)),
            _ => {}
        }
        if state.producers.known().states.has_open(producer_id, epoch) {
            return Ok(None);
        }
        let verifications = &mut state.producers.change().verifications;
        Ok(Some(verifications.start(producer_id, epoch, lowest_sequence, now)))
    }

    /// Ends a producer's transaction here. Every marker goes through this function.
    ///
    /// In one step the marker joins the slot, the transaction closes, and an abort is listed for read_committed readers. The
    /// last stable offset moves when the marker is stable. A marker that had been written before is not written again: the
    /// answer waits for the first.
    ///
    /// # Errors
    /// [`Error::NotLeader`], [`Error::Rejected`], [`Error::Wal`]: nothing was written.
    ///
    /// Source: KIP-98, KIP-890; `ProducerAppendInfo.appendEndTxnMarker` in Apache Kafka.
    pub fn append_marker(
        &self,
        marker: &EndMarker,
        now: Timestamp,
    ) -> Result<MarkerAppended, Error> {
        let mut state = self.lead()?;
        let admitted = state.producers.known().states.admit_marker(marker);
        match admitted.map_err(|rejection| self.rejected(&state, rejection))? {
            MarkerAdmission::New => {}
            MarkerAdmission::Written => {
                let stable = state.tail.back().map(|run| self.wal.wait_for(run.slot));
                return Ok(MarkerAppended { offset: None, stable });
            }
        }
        let EndMarker { producer_id, producer_epoch, coordinator_epoch, commit, .. } = *marker;
        let batch =
            control::end_marker(commit, (producer_id, producer_epoch), coordinator_epoch, now);
        let control = if commit { ControlType::Commit } else { ControlType::Abort };
        let joined = self.join(&mut state, &batch, Marker { control, coordinator_epoch }, now)?;
        Ok(MarkerAppended { offset: Some(joined.base_offset), stable: Some(joined.stable) })
    }

    /// Joins an admitted batch to the open slot and takes it up in the state.
    fn join(
        &self,
        state: &mut State,
        batch: &ValidBatch,
        marker: Marker,
        now: Timestamp,
    ) -> Result<Joined, Error> {
        let stamped;
        let (batch, log_append_time) = match state.settings.timestamp_type {
            TimestampType::CreateTime => (batch, None),
            TimestampType::LogAppendTime => {
                stamped = restamp(batch, now);
                (&stamped, Some(now))
            }
        };
        let base_offset = state.log_end;
        let mut entry = BatchEntry::new(&batch.header, marker);
        entry.base_offset = base_offset;
        let joining = Joining {
            tp: self.tp,
            leader_epoch: state.epochs.current(),
            base_offset,
            batch,
            marker,
            budget: state.settings.budget,
        };
        let stable = self.wal.join(&joining)?;
        let bytes = batch.bytes.len() as u64;
        state.joined(stable.slot(), entry.end_offset(), bytes);
        state.producers.take_up(&entry, stable.slot());
        state.forget_below(self.wal.tail_first());
        self.metrics.appended_batches.inc();
        self.metrics.appended_bytes.inc_by(bytes);
        Ok(Joined { base_offset, log_append_time, stable })
    }

    fn admit(&self, state: &State, entry: &BatchEntry, terms: Terms) -> Result<Admission, Error> {
        let producer_id = entry.producer_id;
        if producer_id == ProducerId::NONE {
            return Ok(Admission::New);
        }
        let rejected = |rejection| self.rejected(state, rejection);
        let known = state.producers.known();
        let admission = known.states.admit(entry, terms.origin).map_err(rejected)?;
        let opens = Attributes(entry.attributes).is_transactional()
            && !known.states.has_open(producer_id, entry.producer_epoch);
        if admission != Admission::New || terms.origin == Origin::Coordinator {
            return Ok(admission);
        }
        if opens && !known.verifications.holds(producer_id, terms.guard) {
            return Err(rejected(Rejection::NoTransaction { producer_id }));
        }
        // Of a producer that is not known here, an earlier batch may still be on its way to being verified.
        match known.verifications.lowest_sequence(producer_id) {
            Some(last) if entry.base_sequence > last => {
                let given = entry.base_sequence;
                Err(rejected(Rejection::OutOfOrderSequence { producer_id, given, last }))
            }
            _ => Ok(admission),
        }
    }

    fn rejected(&self, state: &State, rejection: Rejection) -> Error {
        self.metrics.rejected.inc();
        Error::Rejected { tp: self.tp, rejection, after: state.tail.back().map(|run| run.slot) }
    }
}
