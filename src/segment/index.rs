//! The index of a slot as bytes. Numbers are varints; what follows from what stands before is not stored.
//!
//! ```text
//! header of the slot, 64 bytes, so that the object's end alone says whose it is
//! topics:     count | UUID, 16 bytes each
//! runs:       count | each: topic's place, partition, leader epoch, base offset, batches
//! batches:    of each run in order: flags u8, bytes, last offset delta
//!             [attributes] [max timestamp - the previous batch's] [producer id, epoch] [base sequence]
//!             [coordinator epoch]                               what is in brackets only if the flags say so
//! releases:   count | each: reason, then as a checkpoint
//! checkpoint: count | each: topic's place, partition, state (`state.rs`)
//! ```
//!
//! A run's position, size, end offset and max timestamp follow from its batches, a batch's base offset and position from
//! those before: an index cannot contradict itself there.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::codec::{
    malformed, put_count, take_array, take_count, take_i64, take_narrow, take_signed,
};
use super::entries::{BatchEntry, Run, SlotIndex};
use super::error::Error;
use super::format::{HEADER_BYTES, SlotHeader};
use super::state::{CHECKPOINT_BYTES, PartitionCheckpoint, RELEASE_BYTES, Release, ReleaseReason};
use crate::base::clock::Timestamp;
use crate::base::ids::{LeaderEpoch, ProducerId, TopicId, TopicPartition};
use crate::base::offset::Offset;
use crate::record::ControlType;
use crate::record::varint::{put_i64, put_u64};

/// Attribute bits follow; else they are the previous batch's, 0 at first.
const ATTRIBUTES: u8 = 0x01;
/// The difference of the max timestamp to the previous batch's, at first to the slot's creation, follows; else it is 0.
const TIMESTAMP: u8 = 0x02;
/// The batch has a producer.
const PRODUCER: u8 = 0x04;
/// Producer id and epoch follow; else they are those of the previous batch that had a producer.
const OTHER_PRODUCER: u8 = 0x08;
/// The base sequence follows; else it continues the previous batch of this run, at first 0.
const OTHER_SEQUENCE: u8 = 0x10;
/// The coordinator epoch follows; else it is -1.
const COORDINATOR_EPOCH: u8 = 0x20;
/// The two highest bits are the control type.
const CONTROL_SHIFT: u32 = 6;

/// The least that one of each takes, for bounding counts before anything is allocated.
const TOPIC_BYTES: usize = 16;
const RUN_BYTES: usize = 5;
const BATCH_BYTES: usize = 3;

/// Appends the index of the slot of `header` to `out`.
///
/// # Panics
/// If `index` contradicts itself: a reader would see other batches than were written.
pub(super) fn encode(out: &mut Vec<u8>, header: &SlotHeader, index: &SlotIndex) {
    out.reserve(2 * HEADER_BYTES + 16 * (index.runs.len() + index.batches.len()));
    out.extend_from_slice(&header.to_bytes());
    let mut topics = TopicTable::default();
    let run_topics: Vec<u64> = index.runs.iter().map(|run| topics.place(run.tp.topic)).collect();
    let states = || index.releases.iter().map(|release| &release.state).chain(&index.checkpoint);
    let state_topics: Vec<u64> = states().map(|state| topics.place(state.tp.topic)).collect();

    put_count(out, topics.ids.len());
    for id in &topics.ids {
        out.extend_from_slice(id.0.as_bytes());
    }
    put_count(out, index.runs.len());
    for (run, topic) in index.runs.iter().zip(run_topics) {
        put_partition(out, topic, run.tp);
        put_i64(out, run.leader_epoch.0.into());
        put_offset(out, run.base_offset);
        put_u64(out, run.batches.into());
    }
    put_batches(out, header.created, index);
    let mut state_topics = state_topics.into_iter();
    let mut put_state = |out: &mut Vec<u8>, state: &PartitionCheckpoint| {
        let topic = state_topics.next().expect("each state was given its topic's place");
        put_partition(out, topic, state.tp);
        state.put(out, header.created);
    };
    put_count(out, index.releases.len());
    for release in &index.releases {
        release.reason.put(out);
        put_state(out, &release.state);
    }
    put_count(out, index.checkpoint.len());
    for state in &index.checkpoint {
        put_state(out, state);
    }
}

/// Reads an index whose checksum held, with the header that it copies.
///
/// # Errors
/// [`Error::Malformed`], and what the copied header gives.
pub(super) fn decode(bytes: &[u8]) -> Result<(SlotHeader, SlotIndex), Error> {
    let mut rest = bytes;
    let header = SlotHeader::from_bytes(&take_array(&mut rest)?)?;
    let from = &mut rest;
    let topics = (0..take_count(from, TOPIC_BYTES)?)
        .map(|_| Ok(TopicId(Uuid::from_bytes(take_array(from)?))))
        .collect::<Result<Vec<_>, Error>>()?;
    let mut runs = (0..take_count(from, RUN_BYTES)?)
        .map(|_| take_run(from, &topics))
        .collect::<Result<Vec<_>, Error>>()?;
    let batches = take_batches(from, header.created, &mut runs)?;
    let releases = (0..take_count(from, RELEASE_BYTES)?)
        .map(|_| {
            let reason = ReleaseReason::take(from)?;
            Ok(Release { reason, state: take_state(from, &topics, header.created)? })
        })
        .collect::<Result<_, Error>>()?;
    let checkpoint = (0..take_count(from, CHECKPOINT_BYTES)?)
        .map(|_| take_state(from, &topics, header.created))
        .collect::<Result<_, Error>>()?;
    if !rest.is_empty() {
        return Err(malformed("bytes are left"));
    }
    Ok((header, SlotIndex { runs, batches, releases, checkpoint }))
}

/// Gives each topic a place, so that a run does not repeat 16 bytes.
#[derive(Default)]
struct TopicTable {
    ids: Vec<TopicId>,
    places: BTreeMap<TopicId, u64>,
    last: Option<(TopicId, u64)>,
}

impl TopicTable {
    fn place(&mut self, id: TopicId) -> u64 {
        // Runs mostly stand by topic.
        if let Some((last, place)) = self.last
            && last == id
        {
            return place;
        }
        let place = *self.places.entry(id).or_insert_with(|| {
            self.ids.push(id);
            self.ids.len() as u64 - 1
        });
        self.last = Some((id, place));
        place
    }
}

fn put_partition(out: &mut Vec<u8>, topic: u64, tp: TopicPartition) {
    put_u64(out, topic);
    put_u64(out, u64::try_from(tp.partition).expect("partitions count from 0"));
}

fn take_partition(from: &mut &[u8], topics: &[TopicId]) -> Result<TopicPartition, Error> {
    let place: usize = take_narrow(from)?;
    let topic = *topics.get(place).ok_or_else(|| malformed("a topic that is not listed"))?;
    Ok(TopicPartition { topic, partition: take_narrow(from)? })
}

fn put_offset(out: &mut Vec<u8>, offset: Offset) {
    put_u64(out, u64::try_from(offset.0).expect("offsets count from 0"));
}

fn take_state(
    from: &mut &[u8],
    topics: &[TopicId],
    created: Timestamp,
) -> Result<PartitionCheckpoint, Error> {
    let tp = take_partition(from, topics)?;
    PartitionCheckpoint::take(from, tp, created)
}

/// A run whose batches are still to come.
fn take_run(from: &mut &[u8], topics: &[TopicId]) -> Result<Run, Error> {
    let tp = take_partition(from, topics)?;
    let leader_epoch = LeaderEpoch(take_signed(from)?);
    let base_offset = Offset(take_narrow(from)?);
    let batches = take_narrow(from)?;
    Ok(Run {
        tp,
        leader_epoch,
        base_offset,
        end_offset: base_offset,
        position: 0,
        bytes: 0,
        first_batch: 0,
        batches,
        max_timestamp: Timestamp(i64::MIN),
    })
}

/// What a batch's encoding leaves out because the batches before it say it.
struct Previous {
    attributes: i16,
    max_timestamp: Timestamp,
    producer: (ProducerId, i16),
    /// Of this run.
    next_sequence: i32,
}

impl Previous {
    fn before_all(created: Timestamp) -> Self {
        Self {
            attributes: 0,
            max_timestamp: created,
            producer: (ProducerId::NONE, -1),
            next_sequence: 0,
        }
    }

    fn follow(&mut self, batch: &BatchEntry) {
        self.attributes = batch.attributes;
        self.max_timestamp = batch.max_timestamp;
        if has_producer(batch) {
            self.producer = (batch.producer_id, batch.producer_epoch);
            self.next_sequence = sequence_after(batch);
        }
    }
}

/// Anything but what a batch without idempotence carries.
fn has_producer(batch: &BatchEntry) -> bool {
    (batch.producer_id, batch.producer_epoch, batch.base_sequence) != (ProducerId::NONE, -1, -1)
}

/// Sequence numbers wrap to 0 after 2^31 - 1 (`DefaultRecordBatch.incrementSequence`).
fn sequence_after(batch: &BatchEntry) -> i32 {
    let next = i64::from(batch.base_sequence) + i64::from(batch.last_offset_delta) + 1;
    i32::try_from(next & i64::from(i32::MAX)).expect("31 bits")
}

fn put_batches(out: &mut Vec<u8>, created: Timestamp, index: &SlotIndex) {
    let mut previous = Previous::before_all(created);
    let mut position = HEADER_BYTES as u64;
    let mut first_batch = 0;
    for run in &index.runs {
        assert!(run.first_batch == first_batch, "the batches of {} are not in place", run.tp);
        assert!(run.position == position, "{} at {} instead of {position}", run.tp, run.position);
        previous.next_sequence = 0;
        let mut seen = Run { end_offset: run.base_offset, bytes: 0, ..*run };
        seen.max_timestamp = Timestamp(i64::MIN);
        for batch in index.batches_of(run) {
            assert!(
                batch.base_offset == seen.end_offset,
                "gap in {} at {}",
                run.tp,
                seen.end_offset
            );
            assert!(u64::from(batch.position) == seen.bytes, "gap in the bytes of {}", run.tp);
            put_batch(out, &mut previous, batch);
            seen.end_offset = batch.end_offset();
            seen.bytes += u64::from(batch.bytes);
            seen.max_timestamp = seen.max_timestamp.max(batch.max_timestamp);
        }
        assert!(run.batches > 0 && seen == *run, "{run:?} is not what its batches make: {seen:?}");
        first_batch += run.batches;
        position += run.bytes;
    }
    assert!(first_batch as usize == index.batches.len(), "a batch belongs to no run");
}

fn put_batch(out: &mut Vec<u8>, previous: &mut Previous, batch: &BatchEntry) {
    let producer = (batch.producer_id, batch.producer_epoch);
    let elapsed = batch.max_timestamp.0.wrapping_sub(previous.max_timestamp.0);
    let with_producer = has_producer(batch);
    let flag = |condition: bool, bit: u8| if condition { bit } else { 0 };
    let flags = flag(batch.attributes != previous.attributes, ATTRIBUTES)
        | flag(elapsed != 0, TIMESTAMP)
        | flag(with_producer, PRODUCER)
        | flag(with_producer && producer != previous.producer, OTHER_PRODUCER)
        | flag(with_producer && batch.base_sequence != previous.next_sequence, OTHER_SEQUENCE)
        | flag(batch.coordinator_epoch != -1, COORDINATOR_EPOCH)
        | (control_bits(batch.control) << CONTROL_SHIFT);
    out.push(flags);
    put_u64(out, batch.bytes.into());
    put_u64(out, u64::try_from(batch.last_offset_delta).expect("a batch holds a record"));
    if flags & ATTRIBUTES != 0 {
        put_i64(out, batch.attributes.into());
    }
    if flags & TIMESTAMP != 0 {
        put_i64(out, elapsed);
    }
    if flags & OTHER_PRODUCER != 0 {
        put_i64(out, producer.0.0);
        put_i64(out, producer.1.into());
    }
    if flags & OTHER_SEQUENCE != 0 {
        put_i64(out, batch.base_sequence.into());
    }
    if flags & COORDINATOR_EPOCH != 0 {
        put_i64(out, batch.coordinator_epoch.into());
    }
    previous.follow(batch);
}

/// Reads the batches of all runs and gives the runs what follows from them.
fn take_batches(
    from: &mut &[u8],
    created: Timestamp,
    runs: &mut [Run],
) -> Result<Vec<BatchEntry>, Error> {
    let total: u64 = runs.iter().map(|run| u64::from(run.batches)).sum();
    let bound = from.len() / BATCH_BYTES;
    let total = usize::try_from(total).ok().filter(|total| *total <= bound);
    let total = total.ok_or_else(|| malformed("a count exceeds what is left"))?;
    let mut batches = Vec::with_capacity(total);
    let mut previous = Previous::before_all(created);
    let mut position = HEADER_BYTES as u64;
    for run in runs {
        if run.batches == 0 {
            return Err(malformed("a run without batches"));
        }
        run.position = position;
        run.first_batch =
            u32::try_from(batches.len()).map_err(|_| malformed("too many batches"))?;
        previous.next_sequence = 0;
        for _ in 0..run.batches {
            let batch = take_batch(from, &mut previous, run)?;
            batches.push(batch);
        }
        position =
            position.checked_add(run.bytes).ok_or_else(|| malformed("a run exceeds any object"))?;
    }
    Ok(batches)
}

/// Reads the next batch of `run` and counts it in.
fn take_batch(
    from: &mut &[u8],
    previous: &mut Previous,
    run: &mut Run,
) -> Result<BatchEntry, Error> {
    let [flags] = take_array(from)?;
    let bytes = take_narrow(from)?;
    let last_offset_delta: i32 = take_narrow(from)?;
    let given = |bit: u8| flags & bit != 0;
    if given(OTHER_PRODUCER | OTHER_SEQUENCE) && !given(PRODUCER) {
        return Err(malformed("a producer and none"));
    }
    let attributes = if given(ATTRIBUTES) { take_signed(from)? } else { previous.attributes };
    let elapsed = if given(TIMESTAMP) { take_i64(from)? } else { 0 };
    let (producer_id, producer_epoch) = if given(OTHER_PRODUCER) {
        (ProducerId(take_i64(from)?), take_signed(from)?)
    } else if given(PRODUCER) {
        previous.producer
    } else {
        (ProducerId::NONE, -1)
    };
    let base_sequence = if given(OTHER_SEQUENCE) {
        take_signed(from)?
    } else if given(PRODUCER) {
        previous.next_sequence
    } else {
        -1
    };
    let coordinator_epoch = if given(COORDINATOR_EPOCH) { take_signed(from)? } else { -1 };
    let batch = BatchEntry {
        base_offset: run.end_offset,
        last_offset_delta,
        position: u32::try_from(run.bytes).map_err(|_| malformed("a run exceeds 4 GiB"))?,
        bytes,
        producer_id,
        producer_epoch,
        base_sequence,
        attributes,
        max_timestamp: Timestamp(previous.max_timestamp.0.wrapping_add(elapsed)),
        control: control_type(flags >> CONTROL_SHIFT),
        coordinator_epoch,
    };
    let records = i64::from(last_offset_delta) + 1;
    let end_offset = run.end_offset.0.checked_add(records);
    run.end_offset = Offset(end_offset.ok_or_else(|| malformed("an offset exceeds 63 bits"))?);
    run.bytes += u64::from(bytes);
    run.max_timestamp = run.max_timestamp.max(batch.max_timestamp);
    previous.follow(&batch);
    Ok(batch)
}

fn control_bits(control: ControlType) -> u8 {
    match control {
        ControlType::None => 0,
        ControlType::Commit => 1,
        ControlType::Abort => 2,
        ControlType::Other => 3,
    }
}

fn control_type(bits: u8) -> ControlType {
    match bits {
        0 => ControlType::None,
        1 => ControlType::Commit,
        2 => ControlType::Abort,
        _ => ControlType::Other,
    }
}
