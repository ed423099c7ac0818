//! Admits one batch, assigns its offsets and joins the open slot: one synchronous step.
//!
//! Does not own stability: the caller waits for the [`Stable`] that it is given.

use std::sync::Arc;

use super::producer_state::{Admission, Rejection};
use super::{Error, Partition};
use crate::base::clock::Timestamp;
use crate::base::ids::ProducerId;
use crate::base::offset::Offset;
use crate::record::assign::restamp;
use crate::record::control::Marker;
use crate::record::{Attributes, TimestampType, ValidBatch};
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
}

impl Partition {
    /// Appends one batch that a client sent.
    ///
    /// The batch then holds offsets `base_offset..base_offset + records`. Batches become stable in call order. Dropping the
    /// answer does not undo the append. A duplicate of one of a producer's last five batches is not written again: its
    /// answer waits for the original.
    ///
    /// # Errors
    /// [`Error::NotLeader`], [`Error::Rejected`], [`Error::Wal`]: nothing was written.
    ///
    /// Source: KIP-98; `UnifiedLog.append` in Apache Kafka.
    pub fn append(&self, batch: &ValidBatch, now: Timestamp) -> Result<Appended, Error> {
        let mut state = self.lead()?;
        let settings = Arc::clone(&state.settings);
        let stamped;
        let (batch, log_append_time) = match settings.timestamp_type {
            TimestampType::CreateTime => (batch, None),
            TimestampType::LogAppendTime => {
                stamped = restamp(batch, now);
                (&stamped, Some(now))
            }
        };
        let mut entry = BatchEntry::new(&batch.header, Marker::NONE);
        entry.base_offset = state.log_end;
        match self.admit(&state, &entry)? {
            Admission::New => {}
            Admission::Duplicate { base_offset, timestamp, slot } => {
                self.metrics.duplicates.inc();
                return Ok(Appended {
                    base_offset,
                    log_append_time: log_append_time.map(|_| timestamp),
                    log_start: state.log_start,
                    stable: slot.map(|slot| self.wal.wait_for(slot)),
                });
            }
        }
        let joining = Joining {
            tp: self.tp,
            leader_epoch: state.epochs.current(),
            base_offset: state.log_end,
            batch,
            marker: Marker::NONE,
            budget: settings.budget,
        };
        let stable = self.wal.join(&joining)?;
        let base_offset = state.log_end;
        let bytes = batch.bytes.len() as u64;
        state.joined(stable.slot(), entry.end_offset(), bytes);
        state.producers.apply(&entry, Some(stable.slot()));
        state.forget_below(self.wal.tail_first());
        self.metrics.appended_batches.inc();
        self.metrics.appended_bytes.inc_by(bytes);
        Ok(Appended {
            base_offset,
            log_append_time,
            log_start: state.log_start,
            stable: Some(stable),
        })
    }

    fn admit(
        &self,
        state: &super::partition::State,
        entry: &BatchEntry,
    ) -> Result<Admission, Error> {
        if entry.producer_id == ProducerId::NONE {
            return Ok(Admission::New);
        }
        let rejected = |rejection| {
            self.metrics.rejected.inc();
            Error::Rejected { tp: self.tp, rejection, after: state.tail.back().map(|run| run.slot) }
        };
        if Attributes(entry.attributes).is_transactional() {
            // Transactions are not built yet: nobody can have begun one here.
            return Err(rejected(Rejection::NoTransaction { producer_id: entry.producer_id }));
        }
        state.producers.admit(entry).map_err(rejected)
    }
}
