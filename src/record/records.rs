//! The records inside a batch, one after another. Off the hot path: look-ups by timestamp, rules that need keys, tools.
//!
//! ```text
//! length varint | attributes i8 | timestamp delta varint | offset delta varint
//! | key length varint (-1: none), key | value length varint (-1: none), value
//! | header count varint | per header: name length varint, name, value length varint (-1: none), value
//! ```
//!
//! Source: `DefaultRecord` in Apache Kafka.

use bytes::Bytes;

use super::batch::{BatchHeader, TimestampType, ValidBatch};
use super::compression;
use super::error::{Error, Flaw};
use super::unpacked::Unpacked;
use super::varint::{self, Malformed};
use crate::base::clock::Timestamp;
use crate::base::offset::Offset;

/// The unpacked records of one batch. Of large ones there is one at a time in a process: whoever holds one unpacks no other.
#[derive(Debug)]
pub struct Records {
    header: BatchHeader,
    body: Unpacked,
}

/// One record; key, value and headers lie in its [`Records`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Its offset in the partition.
    pub offset: Offset,
    /// Its own timestamp, or the batch's time of append.
    pub timestamp: Timestamp,
    /// Its key; none is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers<'a>,
}

/// A record's headers: iterate for (name, value).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    count: i32,
    bytes: &'a [u8],
}

impl Records {
    /// Unpacks the records of `batch`, at most `bytes_max` of them; shares its memory when it is not compressed.
    ///
    /// # Errors
    /// An unknown codec, malformed compression, or more than `bytes_max` bytes.
    pub fn unpack(batch: &ValidBatch, bytes_max: usize) -> Result<Self, Error> {
        let codec = batch.header.attributes.compression()?;
        let body = compression::decompress(codec, &batch.tail(), bytes_max)?;
        Ok(Self { header: batch.header, body })
    }

    /// The records in order. After an error there are no more.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { header: &self.header, next: 0, rest: self.body.bytes() }
    }

    /// The records' bytes, not compressed.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.bytes()
    }

    /// The records, and their bytes for whoever keeps some of them: they take no turn any more.
    #[must_use]
    pub fn kept(self) -> (Self, Bytes) {
        let body = self.body.into_bytes();
        (Self { header: self.header, body: Unpacked::shared(&body) }, body)
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Result<RecordView<'a>, Error>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterates over the records of a batch.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    header: &'a BatchHeader,
    next: i32,
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<RecordView<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.header.record_count {
            return None;
        }
        let index = self.next;
        self.next += 1;
        let mut record = take_record(self.header, &mut self.rest)
            .map_err(|Malformed| Error::Invalid(Flaw::Record { index }));
        if record.is_ok() && self.next == self.header.record_count && !self.rest.is_empty() {
            record = Err(Error::Invalid(Flaw::Remaining));
        }
        if record.is_err() {
            self.next = self.header.record_count;
        }
        Some(record)
    }
}

fn take_record<'a>(header: &BatchHeader, rest: &mut &'a [u8]) -> Result<RecordView<'a>, Malformed> {
    let length = usize::try_from(varint::take_i32(rest)?).map_err(|_| Malformed)?;
    let mut record = take(rest, length)?;
    take(&mut record, 1)?;
    let timestamp_delta = varint::take_i64(&mut record)?;
    let offset_delta = varint::take_i32(&mut record)?;
    let key = take_nullable(&mut record)?;
    let value = take_nullable(&mut record)?;
    let headers = take_headers(record)?;
    let timestamp = match header.attributes.timestamp_type() {
        TimestampType::LogAppendTime => header.max_timestamp,
        TimestampType::CreateTime => {
            Timestamp(header.base_timestamp.0.wrapping_add(timestamp_delta))
        }
    };
    let offset = Offset(header.base_offset.0.wrapping_add(i64::from(offset_delta)));
    Ok(RecordView { offset, timestamp, key, value, headers })
}

/// Walks the headers once, so that iterating over them later meets no malformed one.
fn take_headers(mut record: &[u8]) -> Result<Headers<'_>, Malformed> {
    let count = varint::take_i32(&mut record)?;
    let headers = Headers { count, bytes: record };
    if count < 0 {
        return Err(Malformed);
    }
    for _ in 0..count {
        take_header(&mut record)?;
    }
    if record.is_empty() { Ok(headers) } else { Err(Malformed) }
}

fn take_header<'a>(from: &mut &'a [u8]) -> Result<(&'a [u8], Option<&'a [u8]>), Malformed> {
    Ok((take_nullable(from)?.ok_or(Malformed)?, take_nullable(from)?))
}

fn take<'a>(from: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = from.split_at_checked(length).ok_or(Malformed)?;
    *from = rest;
    Ok(taken)
}

fn take_nullable<'a>(from: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    // Kafka takes any negative length for null.
    match usize::try_from(varint::take_i32(from)?) {
        Ok(length) => take(from, length).map(Some),
        Err(_) => Ok(None),
    }
}

impl Headers<'_> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count <= 0
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_empty() {
            return None;
        }
        self.count -= 1;
        take_header(&mut self.bytes).ok()
    }
}
