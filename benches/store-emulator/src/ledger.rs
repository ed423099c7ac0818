//! Counts what was asked of the store, and what it would have cost.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;

use crate::{faults::Fault, latency::Profile};

/// The operations that the emulator serves, as its ledger names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// PutObject.
    Put,
    /// UploadPart.
    Part,
    /// CreateMultipartUpload, CompleteMultipartUpload, AbortMultipartUpload.
    Multipart,
    /// CopyObject.
    Copy,
    /// GetObject.
    Get,
    /// HeadObject.
    Head,
    /// ListObjectsV2.
    List,
    /// DeleteObject and DeleteObjects (one request each).
    Delete,
    /// Bucket operations.
    Bucket,
}

const OPERATIONS: [(Operation, &str); 9] = [
    (Operation::Put, "put"),
    (Operation::Part, "upload_part"),
    (Operation::Multipart, "multipart"),
    (Operation::Copy, "copy"),
    (Operation::Get, "get"),
    (Operation::Head, "head"),
    (Operation::List, "list"),
    (Operation::Delete, "delete"),
    (Operation::Bucket, "bucket"),
];

#[derive(Default)]
struct Counter {
    requests: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// Requests, bytes and injected faults since the start or the last reset.
#[derive(Default)]
pub struct Ledger {
    operations: [Counter; 9],
    faults: Mutex<FaultCounts>,
    /// Conditional writes that lost: answered 412.
    refused: AtomicU64,
    puts: Mutex<VecDeque<Put>>,
}

/// The latest PutObject requests that are remembered.
const PUTS_MAX: usize = 100_000;

/// A PutObject, and the latency that was drawn for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Put {
    key: String,
    milliseconds: f64,
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
struct FaultCounts {
    slow_down: u64,
    conflict: u64,
    lost_reply: u64,
    stall: u64,
}

#[derive(Serialize)]
struct Line {
    operation: &'static str,
    requests: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// The ledger as it is served.
#[derive(Serialize)]
pub struct Statement {
    operations: Vec<Line>,
    faults: FaultCounts,
    preconditions_failed: u64,
    objects: u64,
    bytes_held: u64,
    dollars: Dollars,
}

/// List prices of us-east-1, without storage.
#[derive(Serialize)]
struct Dollars {
    tier: &'static str,
    requests: f64,
    transfer: f64,
}

impl Ledger {
    /// Counts one request and the bytes of its bodies.
    pub fn count(&self, operation: Operation, bytes_in: u64, bytes_out: u64) {
        let counter = &self.operations[operation as usize];
        counter.requests.fetch_add(1, Ordering::Relaxed);
        counter.bytes_in.fetch_add(bytes_in, Ordering::Relaxed);
        counter.bytes_out.fetch_add(bytes_out, Ordering::Relaxed);
    }

    /// Counts one injected fault.
    pub fn count_fault(&self, fault: Fault) {
        let mut counts = self.faults.lock().expect("no holder panics");
        match fault {
            Fault::SlowDown => counts.slow_down += 1,
            Fault::Conflict => counts.conflict += 1,
            Fault::LostReply => counts.lost_reply += 1,
            Fault::Stall => counts.stall += 1,
        }
    }

    /// Counts one conditional write that was refused.
    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Remembers a PutObject, as it begins.
    pub fn note_put(&self, key: &str, latency: Duration) {
        let mut puts = self.puts.lock().expect("no holder panics");
        if puts.len() == PUTS_MAX {
            puts.pop_front();
        }
        puts.push_back(Put { key: key.to_owned(), milliseconds: latency.as_secs_f64() * 1_000.0 });
    }

    /// The PutObject requests since the start or the last reset, the latest of them, in the order in which they began.
    pub fn puts(&self) -> Vec<Put> {
        self.puts.lock().expect("no holder panics").iter().cloned().collect()
    }

    /// Starts the count anew.
    pub fn reset(&self) {
        for counter in &self.operations {
            counter.requests.store(0, Ordering::Relaxed);
            counter.bytes_in.store(0, Ordering::Relaxed);
            counter.bytes_out.store(0, Ordering::Relaxed);
        }
        self.refused.store(0, Ordering::Relaxed);
        self.puts.lock().expect("no holder panics").clear();
        *self.faults.lock().expect("no holder panics") = FaultCounts::default();
    }

    /// The ledger now, priced for the tier that the profile stands for.
    pub fn statement(&self, profile: Profile, objects: u64, bytes_held: u64) -> Statement {
        let operations: Vec<Line> = OPERATIONS
            .iter()
            .map(|(operation, name)| {
                let counter = &self.operations[*operation as usize];
                Line {
                    operation: name,
                    requests: counter.requests.load(Ordering::Relaxed),
                    bytes_in: counter.bytes_in.load(Ordering::Relaxed),
                    bytes_out: counter.bytes_out.load(Ordering::Relaxed),
                }
            })
            .collect();
        Statement {
            dollars: price(profile, &operations),
            operations,
            faults: *self.faults.lock().expect("no holder panics"),
            preconditions_failed: self.refused.load(Ordering::Relaxed),
            objects,
            bytes_held,
        }
    }
}

/// S3 Standard charges $0.005 for 1,000 writes and lists and $0.0004 for 1,000 reads; Express One Zone $0.00113 and
/// $0.00003, and $0.0032 for each GB in and $0.0006 for each GB out. Deletes are free.
fn price(profile: Profile, lines: &[Line]) -> Dollars {
    let of = |operations: &[Operation]| -> f64 {
        operations.iter().map(|operation| lines[*operation as usize].requests as f64).sum()
    };
    let writes = of(&[
        Operation::Put,
        Operation::Part,
        Operation::Multipart,
        Operation::Copy,
        Operation::List,
        Operation::Bucket,
    ]);
    let reads = of(&[Operation::Get, Operation::Head]);
    let gigabytes_in = lines.iter().map(|line| line.bytes_in as f64).sum::<f64>() / 1e9;
    let gigabytes_out = lines.iter().map(|line| line.bytes_out as f64).sum::<f64>() / 1e9;
    match profile {
        Profile::S3Express => Dollars {
            tier: "S3 Express One Zone",
            requests: writes * 0.00113 / 1_000.0 + reads * 0.00003 / 1_000.0,
            transfer: gigabytes_in * 0.0032 + gigabytes_out * 0.0006,
        },
        _ => Dollars {
            tier: "S3 Standard",
            requests: writes * 0.005 / 1_000.0 + reads * 0.0004 / 1_000.0,
            transfer: 0.0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_counts_in_its_own_line() {
        for (index, (operation, _)) in OPERATIONS.iter().enumerate() {
            assert_eq!(*operation as usize, index);
        }
    }

    #[test]
    fn the_latest_puts_are_remembered_until_a_reset() {
        let ledger = Ledger::default();
        for number in 0..=PUTS_MAX {
            ledger.note_put(&number.to_string(), Duration::from_millis(7));
        }
        let puts = ledger.puts();
        assert_eq!(puts.len(), PUTS_MAX);
        assert_eq!(puts[0], Put { key: "1".to_owned(), milliseconds: 7.0 });
        ledger.reset();
        assert_eq!(ledger.puts(), []);
    }

    #[test]
    fn a_million_puts_cost_five_dollars() {
        let ledger = Ledger::default();
        for _ in 0..1_000 {
            ledger.count(Operation::Put, 10, 0);
        }
        let statement = ledger.statement(Profile::S3Standard, 0, 0);
        assert!((statement.dollars.requests - 0.005).abs() < 1e-9);
        assert_eq!(statement.operations[0].bytes_in, 10_000);
    }
}
