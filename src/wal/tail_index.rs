//! What readers of the tail need of a slot's index, and no more: a broker holds this for each slot in memory, so for
//! each partition that was written once.
//!
//! Pure. The index of the object says more, to those who recover the chain.

use crate::base::clock::Timestamp;
use crate::base::ids::{TopicId, TopicPartition};
use crate::base::offset::Offset;
use crate::segment::SlotIndex;

/// One past a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchEnd {
    /// One past its last record.
    pub offset: Offset,
    /// Where it ends in its run.
    pub bytes: u32,
}

/// A run without its topic, which it shares with its neighbours.
#[derive(Debug, Clone, Copy)]
struct Kept {
    partition: i32,
    /// The first of its batches in [`TailIndex::batches`]; as many as lie before the next run's first. None: it is one batch.
    first_batch: u32,
    position: u64,
    max_timestamp: Timestamp,
    end: BatchEnd,
}

const _: () = assert!(size_of::<Kept>() <= 40, "one for each partition that was written once");

/// The runs of a slot, by partition.
#[derive(Debug, Default)]
pub struct TailIndex {
    /// Topics in order, each with the place of its first run.
    topics: Vec<(TopicId, u32)>,
    runs: Vec<Kept>,
    /// Batches of those runs that have several.
    batches: Vec<BatchEnd>,
}

/// The batches of one partition in a slot.
#[derive(Debug, Clone, Copy)]
pub struct TailRun<'a> {
    /// Where it starts in the object.
    pub position: u64,
    /// The latest timestamp among its batches.
    pub max_timestamp: Timestamp,
    /// Its batches, in offset order: at least one.
    pub batches: &'a [BatchEnd],
}

impl TailRun<'_> {
    /// One past its bytes in the object.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.position + self.batches.last().map_or(0, |last| u64::from(last.bytes))
    }

    /// The place in `batches` of the one that holds `offset`, or of the first if the run starts later.
    #[must_use]
    pub fn place_of(&self, offset: Offset) -> usize {
        self.batches.partition_point(|batch| batch.offset <= offset)
    }

    /// Where the batch at `place` starts in the object.
    #[must_use]
    pub fn start_of(&self, place: usize) -> u64 {
        let before = place.checked_sub(1).map_or(0, |before| self.batches[before].bytes);
        self.position + u64::from(before)
    }
}

impl TailIndex {
    /// What is to be kept of `index`, whose runs are in partition order.
    #[must_use]
    pub fn new(index: &SlotIndex) -> Self {
        let topics = index.runs.chunk_by(|run, next| run.tp.topic == next.tp.topic);
        let several = index.runs.iter().filter(|run| run.batches > 1);
        let mut kept = Self {
            topics: Vec::with_capacity(topics.count()),
            runs: Vec::with_capacity(index.runs.len()),
            batches: Vec::with_capacity(several.map(|run| run.batches as usize).sum()),
        };
        for run in &index.runs {
            if kept.topics.last().is_none_or(|(topic, _)| *topic != run.tp.topic) {
                kept.topics.push((run.tp.topic, count(kept.runs.len())));
            }
            let bytes = u32::try_from(run.bytes).expect("a run is bounded far below 4 GiB");
            kept.runs.push(Kept {
                partition: run.tp.partition,
                first_batch: count(kept.batches.len()),
                position: run.position,
                max_timestamp: run.max_timestamp,
                end: BatchEnd { offset: run.end_offset, bytes },
            });
            if run.batches > 1 {
                kept.batches.extend(index.batches_of(run).iter().map(|batch| BatchEnd {
                    offset: batch.end_offset(),
                    bytes: batch.position + batch.bytes,
                }));
            }
        }
        kept
    }

    /// The run of `tp`, if the slot has one.
    #[must_use]
    pub fn run(&self, tp: TopicPartition) -> Option<TailRun<'_>> {
        let topic = self.topics.binary_search_by_key(&tp.topic, |(topic, _)| *topic).ok()?;
        let from = self.topics[topic].1 as usize;
        let runs = &self.runs[from..self.runs_end(topic)];
        let place = from + runs.binary_search_by_key(&tp.partition, |run| run.partition).ok()?;
        let run = &self.runs[place];
        let batches_end = self.runs.get(place + 1).map(|next| next.first_batch as usize);
        let batches =
            &self.batches[run.first_batch as usize..batches_end.unwrap_or(self.batches.len())];
        Some(TailRun {
            position: run.position,
            max_timestamp: run.max_timestamp,
            batches: if batches.is_empty() { std::slice::from_ref(&run.end) } else { batches },
        })
    }

    /// The partitions that have a run, in order.
    pub fn partitions(&self) -> impl Iterator<Item = TopicPartition> {
        self.topics.iter().enumerate().flat_map(|(place, &(topic, from))| {
            let runs = &self.runs[from as usize..self.runs_end(place)];
            runs.iter().map(move |run| TopicPartition { topic, partition: run.partition })
        })
    }

    /// One past the runs of the topic at `place`.
    fn runs_end(&self, place: usize) -> usize {
        self.topics.get(place + 1).map_or(self.runs.len(), |(_, first)| *first as usize)
    }

    /// What it takes in memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        let bytes = size_of::<Self>()
            + size_of_val(&self.topics[..])
            + size_of_val(&self.runs[..])
            + size_of_val(&self.batches[..]);
        bytes as u64
    }

    /// Bytes of all batches.
    pub(super) fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.end.bytes)).sum()
    }
}

fn count(entries: usize) -> u32 {
    u32::try_from(entries).expect("a slot is bounded far below 2^32 batches")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{LeaderEpoch, ProducerId};
    use crate::record::ControlType;
    use crate::segment::BatchEntry;

    fn tp(topic: u128, partition: i32) -> TopicPartition {
        TopicPartition { topic: TopicId(uuid::Uuid::from_u128(topic)), partition }
    }

    fn batch(base_offset: i64, records: i32, bytes: u32, at: i64) -> BatchEntry {
        BatchEntry {
            base_offset: Offset(base_offset),
            last_offset_delta: records - 1,
            position: 0,
            bytes,
            producer_id: ProducerId::NONE,
            producer_epoch: -1,
            base_sequence: -1,
            attributes: 0,
            max_timestamp: Timestamp(at),
            control: ControlType::None,
            coordinator_epoch: -1,
        }
    }

    /// Runs of one batch among runs of several, of topics with one partition and with more.
    fn index() -> SlotIndex {
        let mut index = SlotIndex::default();
        let epoch = LeaderEpoch(3);
        index.push_run(tp(1, 0), epoch, [batch(5, 1, 100, 7)]);
        index.push_run(
            tp(1, 4),
            epoch,
            [batch(0, 2, 30, 9), batch(2, 1, 20, 8), batch(3, 4, 10, 1)],
        );
        index.push_run(tp(2, 1), epoch, [batch(9, 1, 50, 2)]);
        index.push_run(tp(7, 0), epoch, [batch(1, 1, 11, 3), batch(2, 1, 12, 4)]);
        index
    }

    #[test]
    fn says_of_each_run_what_the_slots_index_says() {
        let index = index();
        let kept = TailIndex::new(&index);
        assert!(kept.partitions().eq(index.runs.iter().map(|run| run.tp)));
        assert_eq!(kept.bytes(), index.body_bytes());
        for run in &index.runs {
            let found = kept.run(run.tp).expect("it has one");
            let (end, timestamp) = (run.position + run.bytes, run.max_timestamp);
            assert_eq!(
                (found.position, found.end(), found.max_timestamp),
                (run.position, end, timestamp)
            );
            assert_eq!(found.batches.len(), run.batches as usize);
            for (place, batch) in index.batches_of(run).iter().enumerate() {
                assert_eq!(found.batches[place].offset, batch.end_offset());
                assert_eq!(found.start_of(place), run.position + u64::from(batch.position));
            }
            for offset in run.base_offset.0 - 1..=run.end_offset.0 {
                let left = &found.batches[found.place_of(Offset(offset))..];
                let expected = index.batches_of(run).iter();
                let expected = expected.filter(|batch| batch.end_offset() > Offset(offset));
                assert_eq!(left.len(), expected.count(), "{offset}");
            }
        }
    }

    #[test]
    fn knows_no_run_of_others() {
        let kept = TailIndex::new(&index());
        for other in
            [tp(0, 0), tp(1, 1), tp(1, 5), tp(2, 0), tp(2, 2), tp(3, 1), tp(7, 1), tp(8, 0)]
        {
            assert!(kept.run(other).is_none(), "{other}");
        }
        assert!(TailIndex::new(&SlotIndex::default()).run(tp(1, 0)).is_none());
    }
}
