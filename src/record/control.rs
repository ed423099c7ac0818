//! Control batches: a transaction's commit or abort, written by its coordinator.
//!
//! The type and the coordinator's epoch lie in the record, so they are read once, when the batch is appended, and kept in
//! the slot's index: a rebuild of a partition's state then reads no batch.
//!
//! Source: `ControlRecordType`, `EndTransactionMarker` in Apache Kafka.

use crate::base::clock::Timestamp;
use crate::base::ids::ProducerId;

use super::batch::{Attributes, ValidBatch};
use super::build::BatchBuilder;
use super::compression::Compression;
use super::error::{Error, Flaw};
use super::records::Records;

/// What a batch is to its producer's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ControlType {
    /// Records.
    #[default]
    None,
    /// The transaction is committed.
    Commit,
    /// The transaction is aborted.
    Abort,
    /// A control record of another kind.
    Other,
}

/// A control batch's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// What it says of the transaction.
    pub control: ControlType,
    /// The epoch of the coordinator that wrote it; -1 when it carries none.
    pub coordinator_epoch: i32,
}

impl Marker {
    /// What a batch of records has.
    pub const NONE: Self = Self { control: ControlType::None, coordinator_epoch: -1 };
}

const ABORT: i16 = 0;
const COMMIT: i16 = 1;
/// Far above what a control record takes.
const CONTROL_BYTES_MAX: usize = 64 << 10;

/// Reads what `batch` says of its transaction: [`Marker::NONE`] for a batch of records.
///
/// # Errors
/// [`Error::Invalid`]: a control batch whose record has no type, or an end marker without an epoch.
pub fn read(batch: &ValidBatch) -> Result<Marker, Error> {
    if !batch.header.attributes.is_control() {
        return Ok(Marker::NONE);
    }
    let malformed = Error::Invalid(Flaw::ControlRecord);
    let records = Records::unpack(batch, CONTROL_BYTES_MAX)?;
    let record = records.iter().next().ok_or_else(|| malformed.clone())??;
    let kind = record.key.and_then(|key| number::<2>(key, 2)).ok_or_else(|| malformed.clone())?;
    let control = match i16::from_be_bytes(kind) {
        ABORT => ControlType::Abort,
        COMMIT => ControlType::Commit,
        _ => return Ok(Marker { control: ControlType::Other, coordinator_epoch: -1 }),
    };
    let epoch = record.value.and_then(|value| number::<4>(value, 2)).ok_or(malformed)?;
    Ok(Marker { control, coordinator_epoch: i32::from_be_bytes(epoch) })
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Builds the batch that ends a transaction; `commit` says which way.
#[must_use]
pub fn end_marker(
    commit: bool,
    (producer_id, producer_epoch): (ProducerId, i16),
    coordinator_epoch: i32,
    now: Timestamp,
) -> ValidBatch {
    let version = 0_i16.to_be_bytes();
    let kind = if commit { COMMIT } else { ABORT }.to_be_bytes();
    let key = [version, kind].concat();
    let value = [&version[..], &coordinator_epoch.to_be_bytes()].concat();
    let mut builder = BatchBuilder::new(Compression::None);
    builder.producer(producer_id, producer_epoch, -1);
    builder.attributes(Attributes::default().transactional().control());
    builder.push_value(now, Some(&key), Some(&value));
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_markers_are_read_back() {
        for (commit, control) in [(true, ControlType::Commit), (false, ControlType::Abort)] {
            let batch = end_marker(commit, (ProducerId(9), 3), 17, Timestamp(5));
            assert!(
                batch.header.attributes.is_control() && batch.header.attributes.is_transactional()
            );
            assert_eq!((batch.header.producer_id, batch.header.base_sequence), (ProducerId(9), -1));
            assert_eq!(read(&batch), Ok(Marker { control, coordinator_epoch: 17 }));
        }
    }

    #[test]
    fn a_batch_of_records_is_no_marker() {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push_value(Timestamp(1), Some(&[0, 0, 0, 1]), None);
        assert_eq!(read(&builder.build()), Ok(Marker::NONE));
    }

    #[test]
    fn other_and_malformed_control_records() {
        let control = |key: Option<&[u8]>, value: Option<&[u8]>| {
            let mut builder = BatchBuilder::new(Compression::None);
            builder.attributes(Attributes::default().control());
            builder.push_value(Timestamp(1), key, value);
            read(&builder.build())
        };
        assert_eq!(
            control(Some(&[0, 0, 0, 4]), None).map(|marker| marker.control),
            Ok(ControlType::Other)
        );
        let malformed = Err(Error::Invalid(Flaw::ControlRecord));
        assert_eq!(control(None, None), malformed);
        assert_eq!(control(Some(&[0, 0, 1]), None), malformed);
        assert_eq!(control(Some(&[0, 0, 0, 1]), Some(&[0, 0, 0, 0])), malformed);
    }
}
