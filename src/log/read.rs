//! Reads whole batches of one partition: the tail from memory as shared slices, older ones by range GETs.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::remote::Remote;
use super::{Error, Offsets, Partition};
use crate::base::ids::SlotId;
use crate::base::offset::Offset;
use crate::record::batch::LENGTH_OVERHEAD;
use crate::segment::AbortedTxn;
use crate::wal::{BodySource, TailIndex};

/// How far a consumer may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset.
    ReadCommitted,
}

impl Isolation {
    /// One past the last offset that may be seen.
    #[must_use]
    pub fn end(self, offsets: &Offsets) -> Offset {
        match self {
            Self::ReadUncommitted => offsets.high_watermark,
            Self::ReadCommitted => offsets.last_stable_offset,
        }
    }
}

/// What to read.
#[derive(Debug, Clone, Copy)]
pub struct ReadBounds {
    /// The first record wanted; the batch that holds it is returned whole.
    pub offset: Offset,
    /// Stop before the batch that would exceed this.
    pub bytes_max: usize,
    /// The first batch is returned even if it alone exceeds `bytes_max`.
    pub at_least_one: bool,
    /// How far.
    pub isolation: Isolation,
}

/// What was read.
#[derive(Debug)]
pub struct Read {
    /// Whole batches in offset order, as slices of what lies in memory: cut anywhere, also within a batch.
    pub slices: Vec<Bytes>,
    /// Their sum.
    pub bytes: usize,
    /// The partition's marks when the read began.
    pub offsets: Offsets,
    /// With read_committed: aborted transactions that have records in what was read.
    pub aborted: Option<Vec<AbortedTxn>>,
}

impl Read {
    /// The batches in one piece: copied only if they lie in several.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        match &self.slices[..] {
            [only] => only.clone(),
            several => several.concat().into(),
        }
    }
}

/// A run of batches to take from one slot.
struct Taken {
    from: u64,
    to: u64,
    end: Offset,
    full: bool,
}

impl Partition {
    /// How many bytes a read at `offset` would find now; `None`: more than memory holds.
    ///
    /// # Errors
    /// [`Error::NotLeader`], also without a proof of leadership for a session timeout; [`Error::OffsetOutOfRange`].
    pub fn available(&self, offset: Offset, isolation: Isolation) -> Result<Option<u64>, Error> {
        self.check_readable()?;
        let state = self.lead()?;
        let offsets = state.offsets();
        self.check_range(offset, &offsets)?;
        let end = isolation.end(&offsets);
        if offset >= end {
            return Ok(Some(0));
        }
        Ok(state.bytes_between(offset, end))
    }

    /// Bytes of stable batches from `offset` on, as far as they are in the tail.
    ///
    /// # Errors
    /// [`Error::NotLeader`].
    pub fn bytes_from(&self, offset: Offset) -> Result<u64, Error> {
        let state = self.lead()?;
        Ok(state.bytes_between(offset, state.high_watermark).unwrap_or(0))
    }

    fn check_range(&self, offset: Offset, offsets: &Offsets) -> Result<(), Error> {
        if offset >= offsets.log_start && offset <= offsets.log_end {
            return Ok(());
        }
        let (tp, log_start, log_end) = (self.tp, offsets.log_start, offsets.log_end);
        Err(Error::OffsetOutOfRange { tp, offset, log_start, log_end })
    }

    /// Reads batches from `bounds.offset` on. Never waits for records, only for the store.
    ///
    /// # Errors
    /// [`Error::NotLeader`], also without a proof of leadership for a session timeout; [`Error::OffsetOutOfRange`], which
    /// needs a proof of leadership before it is said (law 9); [`Error::Object`], [`Error::Manifest`], [`Error::Corrupt`] of
    /// reads from the store.
    pub async fn read(&self, remote: &Remote, bounds: ReadBounds) -> Result<Read, Error> {
        self.check_readable()?;
        let (offsets, runs) = {
            let state = self.lead()?;
            let offsets = state.offsets();
            self.check_range(bounds.offset, &offsets)?;
            let runs = state
                .place_of(bounds.offset)
                .map(|place| state.stable_from(place, bounds.bytes_max));
            (offsets, runs)
        };
        let end = bounds.isolation.end(&offsets);
        let slices = if bounds.offset >= end {
            Vec::new()
        } else {
            match runs {
                Some(runs) => self.read_tail(remote, bounds, end, runs).await?,
                None => remote.read(self.tp, bounds, end).await?,
            }
        };
        let bytes = slices.iter().map(Bytes::len).sum();
        let aborted = self.aborted_in(bounds, end, &slices);
        Ok(Read { slices, bytes, offsets, aborted })
    }

    /// Begins to fetch what a read will want of the store, if anything, so that the reads of many partitions wait side by
    /// side.
    pub async fn warm(&self, remote: &Remote, offset: Offset, bytes: usize) {
        if matches!(self.available(offset, Isolation::ReadUncommitted), Ok(None)) {
            remote.warm(self.tp, offset, bytes).await;
        }
    }

    /// The aborted transactions with records in what was read.
    fn aborted_in(
        &self,
        bounds: ReadBounds,
        end: Offset,
        slices: &[Bytes],
    ) -> Option<Vec<AbortedTxn>> {
        match bounds.isolation {
            Isolation::ReadUncommitted => None,
            Isolation::ReadCommitted if slices.is_empty() => Some(Vec::new()),
            Isolation::ReadCommitted => {
                let state = self.lock();
                let aborted = &state.producers.known().aborted;
                if !aborted.any_from(bounds.offset) {
                    return Some(Vec::new());
                }
                let read_to = end_of_batches(slices).map_or(end, |read| read.min(end));
                Some(aborted.between(bounds.offset, read_to))
            }
        }
    }

    async fn read_tail(
        &self,
        remote: &Remote,
        bounds: ReadBounds,
        end: Offset,
        slots: Vec<SlotId>,
    ) -> Result<Vec<Bytes>, Error> {
        let mut slices = Vec::new();
        let mut left = bounds;
        let mut bytes = 0_usize;
        for slot in slots {
            let source = self.wal.source(slot);
            let index: &Arc<TailIndex> = match &source {
                BodySource::Memory(tail) => &tail.index,
                BodySource::Store(index) => index,
                // It was committed and let go since the plan was made: the rest is the manifest's.
                BodySource::Manifest if slices.is_empty() => {
                    return remote.read(self.tp, left, end).await;
                }
                BodySource::Manifest => break,
            };
            left.bytes_max = bounds.bytes_max.saturating_sub(bytes);
            left.at_least_one = bounds.at_least_one && slices.is_empty();
            let Some(taken) = self.take(index, left, end) else { break };
            match &source {
                BodySource::Memory(tail) => tail.slices(taken.from, taken.to, &mut slices),
                _ => {
                    let range = taken.from..taken.to;
                    let pieces = remote.slot_range(self.wal.chain(), slot, range).await?;
                    pieces.slices(0, pieces.len(), &mut slices);
                }
            }
            bytes += usize::try_from(taken.to - taken.from).expect("a slot fits in memory");
            left.offset = taken.end;
            if taken.full {
                break;
            }
        }
        Ok(slices)
    }

    /// The batches of this partition's run that fit. None: not even the first.
    fn take(&self, index: &TailIndex, left: ReadBounds, end: Offset) -> Option<Taken> {
        let run = index.run(self.tp)?;
        let first = run.place_of(left.offset);
        let from = run.start_of(first);
        let mut taken: Option<Taken> = None;
        for batch in &run.batches[first..] {
            let to = run.position + u64::from(batch.bytes);
            let fits = to - from <= left.bytes_max as u64 || (taken.is_none() && left.at_least_one);
            if !fits || batch.offset > end {
                return taken.map(|taken| Taken { full: true, ..taken });
            }
            taken = Some(Taken { from, to, end: batch.offset, full: false });
        }
        taken
    }

    /// The slots of the stable tail, oldest first.
    pub(super) fn stable_tail_slots(&self) -> Vec<SlotId> {
        self.lock().stable_from(0, usize::MAX)
    }

    pub(super) fn index_of(&self, slot: SlotId) -> Option<Arc<TailIndex>> {
        match self.wal.source(slot) {
            BodySource::Memory(tail) => Some(Arc::clone(&tail.index)),
            BodySource::Store(index) => Some(index),
            BodySource::Manifest => None,
        }
    }

    /// The bytes `from..to` of a slot of our own chain, in one piece.
    pub(super) async fn bytes_of(
        &self,
        remote: &Remote,
        slot: SlotId,
        from: u64,
        to: u64,
    ) -> Result<Bytes, Error> {
        let BodySource::Memory(tail) = self.wal.source(slot) else {
            return Ok(remote.slot_range(self.wal.chain(), slot, from..to).await?.whole());
        };
        let mut slices = Vec::new();
        tail.slices(from, to, &mut slices);
        if let [only] = slices.as_slice() {
            return Ok(only.clone());
        }
        let mut whole =
            BytesMut::with_capacity(usize::try_from(to - from).expect("a slot fits in memory"));
        for slice in &slices {
            whole.extend_from_slice(slice);
        }
        Ok(whole.freeze())
    }
}

/// One past the last record of whole batches that may be cut into slices anywhere; none if they do not parse.
fn end_of_batches(slices: &[Bytes]) -> Option<Offset> {
    /// Up to `last_offset_delta`, and it.
    const HEAD: usize = 27;
    let mut slices = slices.iter().map(|slice| slice.as_ref());
    let mut rest: &[u8] = &[];
    let mut end = None;
    loop {
        let mut head = [0; HEAD];
        let mut filled = 0;
        while filled < HEAD {
            if rest.is_empty() {
                match slices.next() {
                    Some(next) => rest = next,
                    None => return if filled == 0 { end } else { None },
                }
            }
            let part = rest.len().min(HEAD - filled);
            head[filled..filled + part].copy_from_slice(&rest[..part]);
            (filled, rest) = (filled + part, &rest[part..]);
        }
        let number = |at: usize| -> Option<i32> {
            Some(i32::from_be_bytes(*head.get(at..)?.first_chunk()?))
        };
        let base = i64::from_be_bytes(*head.first_chunk()?);
        end = Some(Offset(base.checked_add(i64::from(number(23)?) + 1)?));
        let mut skip = (usize::try_from(number(8)?).ok()? + LENGTH_OVERHEAD).checked_sub(HEAD)?;
        while skip > rest.len() {
            skip -= rest.len();
            rest = slices.next()?;
        }
        rest = &rest[skip..];
    }
}

impl super::partition::State {
    /// The slots of stable runs from `place` on that together hold at least `bytes`, or all.
    fn stable_from(&self, place: usize, bytes: usize) -> Vec<SlotId> {
        let mut slots = Vec::new();
        let mut reach = None;
        for run in self.tail.from(place).take_while(|run| run.end <= self.high_watermark) {
            // The first run may hold wanted bytes only at its end, so its size does not count.
            let reach = *reach.get_or_insert_with(|| run.bytes_end.saturating_add(bytes as u64));
            slots.push(run.slot);
            if run.bytes_end > reach {
                break;
            }
        }
        slots
    }
}
