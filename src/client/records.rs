//! Records as people and programs give and take them.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::base::clock::Timestamp;
use crate::base::ids::ProducerId;
use crate::base::offset::Offset;
use crate::record::build::{BatchBuilder, NewRecord};
use crate::record::records::Records;
use crate::record::{self, Compression, ControlType, ValidBatch, control};

/// The most that the records of one batch may unpack to.
const UNPACKED_BYTES_MAX: usize = 1 << 30;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was made, or came.
    pub timestamp: Timestamp,
    /// Its key; none is not the same as empty.
    pub key: Option<Bytes>,
    /// Its value; none is a tombstone.
    pub value: Option<Bytes>,
    /// Names and values, in order; a name may come twice.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl Record {
    /// About what it takes in a batch.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let len = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + len(value) + 4).sum();
        len(&self.key) + len(&self.value) + headers + 20
    }
}

/// A record and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: Offset,
    /// The record.
    pub record: Record,
}

/// `records` as one batch; of an idempotent producer with its id, epoch and the sequence of the first record.
pub(super) fn pack(
    records: &[Record],
    codec: Compression,
    producer: Option<(ProducerId, i16, i32)>,
) -> ValidBatch {
    let mut batch = BatchBuilder::new(codec);
    if let Some((id, epoch, base_sequence)) = producer {
        batch.producer(id, epoch, base_sequence);
    }
    for record in records {
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            record.headers.iter().map(|(name, value)| (&name[..], value.as_deref())).collect();
        batch.push(&NewRecord {
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        });
    }
    batch.build()
}

/// Aborted transactions in what was fetched: the producer and the first offset of each.
pub type Aborted = Vec<(ProducerId, Offset)>;

/// What one partition's answer holds from `from` on, and the offset to go on with.
///
/// Control batches and the records of aborted transactions are left out. A batch that was cut off at the end is left for
/// the next fetch.
///
/// # Errors
/// A batch that cannot be read.
pub fn unpack(
    bytes: Bytes,
    partition: i32,
    from: Offset,
    mut aborted: Aborted,
) -> Result<(Vec<Received>, Offset), record::Error> {
    aborted.sort_by_key(|(_, first)| *first);
    let mut aborting: BTreeSet<ProducerId> = BTreeSet::new();
    let (mut received, mut next, mut rest) = (Vec::new(), from, bytes);
    while !rest.is_empty() {
        let batch = match ValidBatch::read_stored(&rest) {
            Ok(batch) => batch,
            Err(record::Error::Corrupt(record::Flaw::Truncated { .. })) => break,
            Err(error) => return Err(error),
        };
        let header = batch.header;
        rest = rest.slice(batch.total_bytes()..);
        next = next.max(header.end_offset());
        let (began, later) = split_off(aborted, header.last_offset());
        aborting.extend(began.into_iter().map(|(producer, _)| producer));
        aborted = later;
        if header.attributes.is_control() {
            if control::read(&batch)?.control == ControlType::Abort {
                aborting.remove(&header.producer_id);
            }
            continue;
        }
        if header.attributes.is_transactional() && aborting.contains(&header.producer_id) {
            continue;
        }
        read_records(&batch, partition, from, &mut received)?;
    }
    Ok((received, next))
}

fn split_off(aborted: Aborted, last: Offset) -> (Aborted, Aborted) {
    aborted.into_iter().partition(|(_, first)| *first <= last)
}

fn read_records(
    batch: &ValidBatch,
    partition: i32,
    from: Offset,
    received: &mut Vec<Received>,
) -> Result<(), record::Error> {
    let (records, body) = Records::unpack(batch, UNPACKED_BYTES_MAX)?.kept();
    for view in &records {
        let view = view?;
        if view.offset < from {
            continue;
        }
        let record = Record {
            timestamp: view.timestamp,
            key: view.key.map(|key| body.slice_ref(key)),
            value: view.value.map(|value| body.slice_ref(value)),
            headers: view
                .headers
                .map(|(name, value)| {
                    (body.slice_ref(name), value.map(|value| body.slice_ref(value)))
                })
                .collect(),
        };
        received.push(Received { partition, offset: view.offset, record });
    }
    Ok(())
}
