//! What clients were told and saw, and what must hold of it.

use std::collections::BTreeMap;

/// All that clients know, of all lives of the broker.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Acknowledged records by partition and offset.
    acked: BTreeMap<(i32, i64), String>,
    /// Records seen by any read, by partition and offset.
    read: BTreeMap<(i32, i64), String>,
}

impl History {
    /// A batch of `values` was acknowledged at `base`.
    pub(crate) fn acked(&mut self, partition: i32, base: i64, values: &[String]) {
        for (offset, value) in (base..).zip(values) {
            let before = self.acked.insert((partition, offset), value.clone());
            assert!(
                before.is_none() || before.as_ref() == Some(value),
                "inconsistent-offsets: {partition}@{offset} acknowledged for {before:?} and {value}"
            );
        }
    }

    /// A read saw `value`. Every read is of stable records, so all reads of an offset agree.
    pub(crate) fn read(&mut self, partition: i32, offset: i64, value: String) {
        if let Some(before) = self.read.insert((partition, offset), value.clone()) {
            assert_eq!(before, value, "ReadPrefix: {partition}@{offset} was read with two values");
        }
    }

    pub(crate) fn acked_count(&self) -> u64 {
        self.acked.len() as u64
    }

    /// Holds everything against the log as it is in the end.
    pub(crate) fn check(&self, log: &BTreeMap<(i32, i64), String>) {
        for (at, value) in &self.acked {
            assert_eq!(log.get(at), Some(value), "AckedDurable: acknowledged at {at:?}");
        }
        for (at, value) in &self.read {
            assert_eq!(log.get(at), Some(value), "ReadPrefix: read at {at:?}");
        }
        let mut places: BTreeMap<&String, (i32, i64)> = BTreeMap::new();
        let mut newest: BTreeMap<(i32, &str), u64> = BTreeMap::new();
        for (at, value) in log {
            if let Some(other) = places.insert(value, *at) {
                panic!("NoDuplicate: {value} is at {other:?} and at {at:?}");
            }
            let (producer, number) = value.split_once('-').expect("producer-number");
            let number: u64 = number.parse().expect("a number");
            if let Some(before) = newest.insert((at.0, producer), number) {
                assert!(before < number, "NoReorder: {value} at {at:?} after number {before}");
            }
        }
        for partition in 0..super::client::PARTITIONS {
            let offsets: Vec<i64> =
                log.keys().filter(|at| at.0 == partition).map(|at| at.1).collect();
            let without_gaps: Vec<i64> = (0..offsets.len() as i64).collect();
            assert_eq!(offsets, without_gaps, "partition {partition} has a gap");
        }
    }
}
