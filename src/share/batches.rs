//! The record batches of a read, as far as a share group cares: their offsets, and whether anybody is to have them. Pure.
//!
//! Source: `SharePartition.filterAbortedTransactionalRecords`, `ShareFetchUtils.maybeSliceFetchRecords` in Apache Kafka 4.3.1.

use bytes::Bytes;

use super::partition::Acquired;
use crate::base::offset::Offset;
use crate::record::BatchHeader;
use crate::segment::AbortedTxn;

/// One batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: Offset,
    last: Offset,
    /// Where it begins and ends in what was read.
    bytes: (usize, usize),
    /// No member is to have it: a marker, or a part of an aborted transaction.
    void: bool,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Batches {
    bytes: Bytes,
    spans: Vec<Span>,
}

impl Batches {
    /// Finds the batches in `bytes`. `aborted` is what a read_committed read says of them; without it all are wanted.
    pub(super) fn find(bytes: Bytes, aborted: Option<&[AbortedTxn]>) -> Self {
        let mut spans = Vec::new();
        let mut at = 0;
        while let Some(Ok(header)) = bytes.get(at..).map(BatchHeader::read) {
            let end = at + header.total_bytes();
            if end > bytes.len() {
                break;
            }
            let void = aborted.is_some_and(|aborted| is_void(&header, aborted));
            let (first, last) = (header.base_offset, header.last_offset());
            spans.push(Span { first, last, bytes: (at, end), void });
            at = end;
        }
        Self { bytes, spans }
    }

    /// The first and last offset of each.
    pub(super) fn offsets(&self) -> Vec<(Offset, Offset)> {
        self.spans.iter().map(|span| (span.first, span.last)).collect()
    }

    /// The first and last offset of what nobody is to have.
    pub(super) fn void(&self) -> impl Iterator<Item = (Offset, Offset)> {
        self.spans.iter().filter(|span| span.void).map(|span| (span.first, span.last))
    }

    /// The batches from the first to the last that hold something acquired.
    pub(super) fn holding(&self, acquired: &[Acquired]) -> Bytes {
        let (Some(first), Some(last)) = (acquired.first(), acquired.last()) else {
            return Bytes::new();
        };
        let (first, last) = (first.first, last.last);
        let mut held = self.spans.iter().filter(|span| span.last >= first && span.first <= last);
        let Some(begin) = held.next() else { return Bytes::new() };
        let end = held.next_back().unwrap_or(begin);
        self.bytes.slice(begin.bytes.0..end.bytes.1)
    }
}

fn is_void(header: &BatchHeader, aborted: &[AbortedTxn]) -> bool {
    if header.attributes.is_control() {
        return true;
    }
    header.attributes.is_transactional()
        && aborted.iter().any(|txn| {
            txn.producer_id == header.producer_id
                && (txn.first_offset..=txn.last_offset).contains(&header.base_offset)
        })
}

/// How many records there are in ranges.
pub(super) fn count(acquired: &[Acquired]) -> usize {
    let records = acquired.iter().map(|range| (range.last - range.first + 1).unsigned_abs());
    usize::try_from(records.sum::<u64>()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::ids::ProducerId;
    use crate::record::build::BatchBuilder;
    use crate::record::{Attributes, Compression};

    fn batch(base: i64, records: usize, producer: i64, attributes: Attributes) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.producer(ProducerId(producer), 0, 0);
        builder.attributes(attributes);
        for _ in 0..records {
            builder.push_value(Timestamp(1), None, Some(b"v"));
        }
        let mut bytes = builder.build().bytes.to_vec();
        bytes[..8].copy_from_slice(&base.to_be_bytes());
        bytes
    }

    fn acquired(first: i64, last: i64) -> Acquired {
        Acquired { first: Offset(first), last: Offset(last), delivery_count: 1 }
    }

    #[test]
    fn aborted_records_and_markers_are_taken_out() {
        let plain = Attributes::default();
        let txn = plain.transactional();
        let bytes = [
            batch(0, 3, -1, plain),
            batch(3, 2, 7, txn),
            batch(5, 1, 7, txn.control()),
            batch(6, 2, 8, txn),
            batch(8, 4, 7, txn),
        ]
        .concat();
        let aborted = [AbortedTxn {
            producer_id: ProducerId(7),
            first_offset: Offset(3),
            last_offset: Offset(5),
            last_stable_offset: Offset(6),
        }];
        let whole = bytes.len();
        let read = Batches::find(bytes.into(), Some(&aborted));
        assert_eq!(read.offsets().len(), 5);
        let void: Vec<_> = read.void().collect();
        assert_eq!(void, [(Offset(3), Offset(4)), (Offset(5), Offset(5))]);
        let left = [acquired(1, 2), acquired(6, 9)];
        assert_eq!(count(&left), 6);
        assert_eq!(read.holding(&left).len(), whole);
        let some = read.holding(&[acquired(6, 7)]);
        assert_eq!(Batches::find(some, None).offsets(), [(Offset(6), Offset(7))]);
        assert!(read.holding(&[]).is_empty());
    }

    #[test]
    fn a_batch_that_is_cut_off_ends_the_read() {
        let mut bytes =
            [batch(0, 1, -1, Attributes::default()), batch(1, 1, -1, Attributes::default())]
                .concat();
        bytes.pop();
        let read = Batches::find(bytes.into(), None);
        assert_eq!(read.offsets(), [(Offset(0), Offset(0))]);
    }
}
