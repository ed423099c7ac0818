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

    /// Partition and offset of every acknowledged record.
    pub(crate) fn acked_at(&self) -> impl Iterator<Item = (i32, i64)> {
        self.acked.keys().copied()
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

/// Claims about the checks themselves: each lie of a client or a log is noticed, by the name of the promise it breaks.
mod tests {
    use super::*;

    fn log(values: &[&str]) -> BTreeMap<(i32, i64), String> {
        (0..).zip(values).map(|(offset, value)| ((0, offset), (*value).to_owned())).collect()
    }

    fn verdict(acked: &[(i64, &str)], read: &[(i64, &str)], values: &[&str]) -> String {
        let check = std::panic::AssertUnwindSafe(|| {
            let mut history = History::default();
            for (at, value) in acked {
                history.acked(0, *at, &[(*value).to_owned()]);
            }
            for (at, value) in read {
                history.read(0, *at, (*value).to_owned());
            }
            history.check(&log(values));
        });
        let Err(panic) = std::panic::catch_unwind(check) else { return "sound".to_owned() };
        panic.downcast_ref::<String>().cloned().expect("a message with values")
    }

    #[test]
    fn every_lie_has_a_name() {
        let sound = ["p0-0", "p1-0", "p0-1"];
        assert_eq!(verdict(&[(0, "p0-0"), (2, "p0-1")], &[(1, "p1-0")], &sound), "sound");
        let lies = [
            ("AckedDurable", verdict(&[(3, "p0-2")], &[], &sound)),
            ("AckedDurable", verdict(&[(1, "p0-0")], &[], &sound)),
            ("inconsistent-offsets", verdict(&[(0, "p0-0"), (0, "p1-0")], &[], &sound)),
            ("ReadPrefix", verdict(&[], &[(1, "p1-0"), (1, "p0-0")], &sound)),
            ("ReadPrefix", verdict(&[], &[(3, "p0-2")], &sound)),
            ("NoDuplicate", verdict(&[], &[], &["p0-0", "p0-0"])),
            ("NoReorder", verdict(&[], &[], &["p0-1", "p0-0"])),
        ];
        for (name, verdict) in lies {
            assert!(verdict.contains(name), "{name}: {verdict}");
        }
        let mut gap = log(&sound);
        gap.remove(&(0, 1));
        let check = std::panic::catch_unwind(|| History::default().check(&gap));
        assert!(check.is_err(), "a gap is noticed");
    }
}
