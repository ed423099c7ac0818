//! Where a log begins and ends, and which offset belongs to a timestamp or a leader epoch.
//!
//! Look-ups are exact to the record: manifest and indexes find the run and the batch, and that one batch is decoded.

use bytes::Bytes;

use super::remote::Remote;
use super::{Error, Isolation, Partition};
use crate::base::clock::Timestamp;
use crate::base::ids::LeaderEpoch;
use crate::base::offset::Offset;
use crate::manifest::client::{ManifestClient, PlannedRun};
use crate::record::records::{RecordView, Records};
use crate::record::{self, BatchHeader, ValidBatch};

/// Kafka's marks of a partition. All but `log_end` are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// The first offset that is kept.
    pub log_start: Offset,
    /// One past the last record that is stored for good.
    pub high_watermark: Offset,
    /// One past the last record below every open transaction.
    pub last_stable_offset: Offset,
    /// The next offset to be assigned: speculative.
    pub log_end: Offset,
    /// The epoch in which this broker leads.
    pub leader_epoch: LeaderEpoch,
}

/// A record that a look-up found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// The epoch in which it was written.
    pub leader_epoch: LeaderEpoch,
}

/// What a look-up seeks.
#[derive(Debug, Clone, Copy)]
enum Sought {
    AtOrAfter(Timestamp),
    Exactly(Timestamp),
}

impl Sought {
    fn may_be_in(self, max_timestamp: Timestamp) -> bool {
        match self {
            Self::AtOrAfter(at) | Self::Exactly(at) => max_timestamp >= at,
        }
    }

    fn is(self, timestamp: Timestamp) -> bool {
        match self {
            Self::AtOrAfter(at) => timestamp >= at,
            Self::Exactly(at) => timestamp == at,
        }
    }
}

impl Partition {
    /// The largest known leader epoch at or below `asked`, and the stable offset at which it ended. None: no epoch, or one
    /// that is not here yet.
    ///
    /// # Errors
    /// [`Error::NotLeader`].
    ///
    /// Source: KIP-320; OffsetForLeaderEpoch.
    pub fn end_offset_for_epoch(
        &self,
        asked: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, Error> {
        let state = self.lead()?;
        Ok(state.epochs.end_of(asked, state.log_start, state.high_watermark))
    }

    /// The first record with a timestamp of at least `at` that `isolation` may see. None needs a proof of leadership
    /// before it is said (law 9).
    ///
    /// # Errors
    /// [`Error::NotLeader`], and those of reading.
    pub async fn offset_for_timestamp(
        &self,
        remote: &Remote,
        at: Timestamp,
        isolation: Isolation,
    ) -> Result<Option<FoundOffset>, Error> {
        let offsets = self.offsets()?;
        let sought = Sought::AtOrAfter(at);
        let committed = match remote.plan_timestamp(self.tp, at).await? {
            Some(first) => self.find_from(remote, first, offsets.log_start, sought).await?,
            None => None,
        };
        let found = match committed {
            Some(found) => Some(found),
            None => self.find_in_tail(remote, offsets.log_start, sought).await?,
        };
        Ok(found.filter(|found| found.offset < isolation.end(&offsets)))
    }

    /// The first record with the largest timestamp of all, if `isolation` may see it. None needs a proof of leadership
    /// before it is said (law 9).
    ///
    /// # Errors
    /// [`Error::NotLeader`], and those of reading.
    ///
    /// Source: KIP-734; `Partition.fetchOffsetForTimestamp`, `ReplicaManager.fetchOffset`.
    pub async fn offset_of_max_timestamp(
        &self,
        remote: &Remote,
        isolation: Isolation,
    ) -> Result<Option<FoundOffset>, Error> {
        let offsets = self.offsets()?;
        let found = self.find_max_timestamp(remote, offsets.log_start).await?;
        Ok(found.filter(|found| found.offset < isolation.end(&offsets)))
    }

    async fn find_max_timestamp(
        &self,
        remote: &Remote,
        log_start: Offset,
    ) -> Result<Option<FoundOffset>, Error> {
        let planned = remote.plan_max_timestamp(self.tp).await?;
        let committed_max = planned.map_or(Timestamp::NONE, |planned| planned.run.max_timestamp);
        let tail_max = self.tail_max_timestamp(committed_max);
        if let Some(max) = tail_max {
            return self.find_in_tail(remote, log_start, Sought::Exactly(max)).await;
        }
        match planned {
            Some(planned) => {
                self.find_from(remote, planned, log_start, Sought::Exactly(committed_max)).await
            }
            None => Ok(None),
        }
    }

    /// The largest timestamp in the stable tail, if it is above `known`.
    fn tail_max_timestamp(&self, known: Timestamp) -> Option<Timestamp> {
        let slots = self.stable_tail_slots();
        let newest = slots.into_iter().filter_map(|slot| {
            let index = self.index_of(slot)?;
            index.run(self.tp).map(|run| run.max_timestamp)
        });
        newest.max().filter(|max| *max > known)
    }

    /// Scans committed runs from `first` on.
    async fn find_from(
        &self,
        remote: &Remote,
        first: PlannedRun,
        log_start: Offset,
        sought: Sought,
    ) -> Result<Option<FoundOffset>, Error> {
        let mut planned = vec![first];
        loop {
            for run in &planned {
                if !sought.may_be_in(run.run.max_timestamp) {
                    continue;
                }
                let bytes = remote.run(run).await?;
                if let Some(found) = self.find_in_run(bytes, log_start, sought)? {
                    return Ok(Some(found));
                }
            }
            // The run straddled log_start, and what was sought in it lies below.
            let Some(last) = planned.last() else { return Ok(None) };
            planned = remote.plan(self.tp, last.run.end_offset).await?;
        }
    }

    async fn find_in_tail(
        &self,
        remote: &Remote,
        log_start: Offset,
        sought: Sought,
    ) -> Result<Option<FoundOffset>, Error> {
        for slot in self.stable_tail_slots() {
            let Some(index) = self.index_of(slot) else { continue };
            let Some(run) = index.run(self.tp) else { continue };
            if !sought.may_be_in(run.max_timestamp) {
                continue;
            }
            let bytes = self.bytes_of(remote, slot, run.position, run.end()).await?;
            if let Some(found) = self.find_in_run(bytes, log_start, sought)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Finds the record in the bytes of a run: batch by batch, then record by record.
    fn find_in_run(
        &self,
        run: Bytes,
        log_start: Offset,
        sought: Sought,
    ) -> Result<Option<FoundOffset>, Error> {
        let mut rest = run;
        while !rest.is_empty() {
            let corrupt = |offset| Error::Corrupt { tp: self.tp, offset };
            let header = BatchHeader::read(&rest).map_err(|_| corrupt(log_start))?;
            let total = header.total_bytes();
            if total > rest.len() {
                return Err(corrupt(header.base_offset));
            }
            let batch = rest.split_to(total);
            if header.end_offset() <= log_start || !sought.may_be_in(header.max_timestamp) {
                continue;
            }
            let found = first_record(&batch, |record| {
                record.offset >= log_start && sought.is(record.timestamp)
            })
            .map_err(|_| corrupt(header.base_offset))?;
            if let Some((offset, timestamp)) = found {
                let leader_epoch = self.lock().epochs.of_offset(offset);
                return Ok(Some(FoundOffset { offset, timestamp, leader_epoch }));
            }
        }
        Ok(None)
    }
}

/// The most that one stored batch may unpack to.
const UNPACKED_BYTES_MAX: usize = 256 << 20;

fn first_record(
    batch: &Bytes,
    wanted: impl Fn(&RecordView<'_>) -> bool,
) -> Result<Option<(Offset, Timestamp)>, record::Error> {
    let batch = ValidBatch::read_stored(batch)?;
    let records = Records::unpack(&batch, UNPACKED_BYTES_MAX)?;
    for record in &records {
        let record = record?;
        if wanted(&record) {
            return Ok(Some((record.offset, record.timestamp)));
        }
    }
    Ok(None)
}

impl Partition {
    /// Moves the start of the log up to `before` (none: the high watermark), durably, and returns where it is.
    ///
    /// # Errors
    /// [`Error::OffsetOutOfRange`]: above the high watermark. [`Error::Manifest`]: it may have moved; try again.
    ///
    /// Source: KIP-107; `ReplicaManager.deleteRecords`.
    pub async fn delete_records(
        &self,
        manifest: &dyn ManifestClient,
        before: Option<Offset>,
    ) -> Result<Offset, Error> {
        let Offsets { log_start, high_watermark, .. } = self.offsets()?;
        let to = before.unwrap_or(high_watermark);
        if to < Offset::ZERO || to > high_watermark {
            let (tp, log_end) = (self.tp, high_watermark);
            return Err(Error::OffsetOutOfRange { tp, offset: to, log_start, log_end });
        }
        let now = manifest.advance_log_start(self.tp, to).await?;
        self.advance_log_start(now);
        Ok(self.offsets()?.log_start)
    }

    /// The epoch in which the record at `offset` was, or is to be, written.
    ///
    /// # Errors
    /// [`Error::NotLeader`].
    pub fn epoch_of(&self, offset: Offset) -> Result<LeaderEpoch, Error> {
        Ok(self.lead()?.epochs.of_offset(offset))
    }
}
