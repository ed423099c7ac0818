//! What the messages of groups' records have in common.
//!
//! A value is its version as INT16 and a flexible message (KIP-482): compact types, and tagged fields at the end.

use uuid::Uuid;

use super::super::Error;
use super::super::wire::{Cursor, Pieces, Writer, tagged_value};

/// The version of every value.
const VERSION: i16 = 0;

/// Partitions of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPartitions {
    /// The topic's UUID.
    pub topic: Uuid,
    /// The partitions.
    pub partitions: Vec<i32>,
    /// The member epoch at which each was assigned, in the order of `partitions` (Kafka 4.2 on, current assignments only).
    pub epochs: Option<Vec<i32>>,
}

/// `ConsumerGroupTargetAssignmentMetadataValue` and its like of share groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetValue {
    /// The group epoch that the assignment was computed for.
    pub epoch: i32,
    /// When, in milliseconds since the Unix epoch; 0: unknown.
    pub timestamp: i64,
}

/// The message behind a value's version. Kafka refuses versions that it does not know.
pub(super) fn body(value: &[u8]) -> Result<Cursor<'_>, Error> {
    let mut cursor = Cursor::new(value, true);
    if cursor.i16()? != VERSION {
        return Err(cursor.invalid("version of a group's record"));
    }
    Ok(cursor)
}

pub(super) fn written(write: impl FnOnce(&mut Writer<'_, Pieces>)) -> Vec<u8> {
    let mut pieces = Pieces::with_capacity(64);
    let mut writer = Writer::new(&mut pieces, true);
    writer.i16(VERSION);
    write(&mut writer);
    pieces.finish().concat()
}

/// The one tagged field of a message; 0, the default, is left out.
pub(super) fn write_tagged_i64(w: &mut Writer<'_, Pieces>, value: i64) {
    match value {
        0 => w.tagged(&[]),
        value => w.tagged(&[(0, tagged_value(|w| w.i64(value)))]),
    }
}

pub(super) fn write_target(w: &mut Writer<'_, Pieces>, value: &TargetValue) {
    w.i32(value.epoch);
    write_tagged_i64(w, value.timestamp);
}

pub(super) fn write_strings(w: &mut Writer<'_, Pieces>, texts: &[String]) {
    w.count(Some(texts.len()));
    for text in texts {
        w.string(Some(text));
    }
}

pub(super) fn write_numbers(w: &mut Writer<'_, Pieces>, numbers: &[i32]) {
    w.count(Some(numbers.len()));
    for number in numbers {
        w.i32(*number);
    }
}

pub(super) fn write_partitions(w: &mut Writer<'_, Pieces>, topics: &[TopicPartitions]) {
    w.count(Some(topics.len()));
    for topic in topics {
        w.uuid(topic.topic);
        write_numbers(w, &topic.partitions);
        match &topic.epochs {
            None => w.tagged(&[]),
            Some(epochs) => w.tagged(&[(0, tagged_value(|w| write_numbers(w, epochs)))]),
        }
    }
}

pub(super) fn owned(cursor: &mut Cursor<'_>) -> Result<String, Error> {
    let text = cursor.string()?.map(str::to_owned);
    text.ok_or_else(|| cursor.invalid("null string"))
}

pub(super) fn nullable(cursor: &mut Cursor<'_>) -> Result<Option<String>, Error> {
    Ok(cursor.string()?.map(str::to_owned))
}

pub(super) fn array<'a, T>(
    cursor: &mut Cursor<'a>,
    least_bytes: usize,
    mut element: impl FnMut(&mut Cursor<'a>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let count = cursor.count(least_bytes)?;
    let count = count.ok_or_else(|| cursor.invalid("null array"))?;
    (0..count).map(|_| element(cursor)).collect()
}

pub(super) fn numbers(cursor: &mut Cursor<'_>) -> Result<Vec<i32>, Error> {
    array(cursor, 4, Cursor::i32)
}

/// The one tagged field of a message, an INT64 that is 0 when it is left out.
pub(super) fn tagged_i64(cursor: &mut Cursor<'_>) -> Result<i64, Error> {
    let mut value = 0;
    cursor.tagged(|tag, field| {
        if tag == 0 {
            value = field.i64()?;
        }
        Ok(tag == 0)
    })?;
    Ok(value)
}

pub(super) fn read_target(cursor: &mut Cursor<'_>) -> Result<TargetValue, Error> {
    Ok(TargetValue { epoch: cursor.i32()?, timestamp: tagged_i64(cursor)? })
}

pub(super) fn skip_tags(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    cursor.tagged(|_, _| Ok(false)).map(|_| ())
}

pub(super) fn read_partitions(cursor: &mut Cursor<'_>) -> Result<Vec<TopicPartitions>, Error> {
    array(cursor, 18, |cursor| {
        let topic = cursor.uuid()?;
        let partitions = numbers(cursor)?;
        let mut epochs = None;
        cursor.tagged(|tag, field| {
            if tag == 0 {
                let count = field.count(4)?;
                epochs =
                    count.map(|count| (0..count).map(|_| field.i32()).collect()).transpose()?;
            }
            Ok(tag == 0)
        })?;
        Ok(TopicPartitions { topic, partitions, epochs })
    })
}

pub(super) fn read_target_member(cursor: &mut Cursor<'_>) -> Result<Vec<TopicPartitions>, Error> {
    let topics = read_partitions(cursor)?;
    skip_tags(cursor)?;
    Ok(topics)
}
