//! The write-ahead chain.

use std::time::Duration;

use super::faults::Faults;
use super::key::Kind::{self, Bytes, Int, Millis};
use super::key::{Key, Section};
use super::load::Values;
use crate::base::units::ByteSize;

/// Settings of the write-ahead chain.
#[derive(Debug, Clone)]
pub struct WalConfig {
    /// How long a record may wait for company before its slot closes; topics can say another.
    pub flush: Duration,
    /// A slot closes when it holds so much.
    pub slot_bytes: ByteSize,
    /// Slots on their way at a time, at most 64.
    pub upload_window: usize,
    /// The most memory for slots that are open or on their way; then producers wait.
    pub memory_bytes: ByteSize,
    /// How long slots may stay unknown to the manifest before producers are refused.
    pub uncommitted_max: Duration,
    /// The most index bytes of such slots.
    pub uncommitted_max_bytes: ByteSize,
    /// Without a proof of leadership for so long, readers are refused.
    pub session_timeout: Duration,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::ours(Section::Wal, name, kind, default, doc)
}

pub(super) const KEYS: &[Key] = &[
    key(
        "wal.flush.ms",
        Millis { min: 0, max: 60_000 },
        "100",
        "How long a record may wait for company before its object is written. More: fewer and larger objects, at that much \
         latency. A local directory, or 0, writes as soon as the last write is done.",
    )
    .of_topics("thalweg.flush.ms"),
    key(
        "wal.slot.bytes",
        Bytes { min: 64 << 10, max: 8 << 20 },
        "8388608",
        "An object is written when it has so much, whatever the time. A larger batch gets an object of its own.",
    ),
    key(
        "wal.upload.window",
        Int { min: 1, max: 64 },
        "32",
        "Objects that may be on their way at a time. Acknowledgements stay in order.",
    ),
    key(
        "wal.memory.bytes",
        Bytes { min: 16 << 20, max: 1 << 40 },
        "268435456",
        "The most memory for records that are not stored yet. At the bound producers wait.",
    ),
    key(
        "wal.uncommitted.max.ms",
        Millis { min: 1_000, max: 86_400_000 },
        "600000",
        "How long the broker goes on while the coordinator does not answer, before it refuses producers.",
    ),
    key(
        "wal.uncommitted.max.bytes",
        Bytes { min: 1 << 20, max: 1 << 40 },
        "268435456",
        "The most index memory for what the coordinator has not heard of, before the broker refuses producers.",
    ),
    Key::kafkas(
        Section::Wal,
        "broker.session.timeout.ms",
        Millis { min: 2_000, max: 3_600_000 },
        "9000",
        "How long a broker on a bucket goes on answering readers while the bucket does not answer it: another may have taken \
         over. It looks each second in which it writes nothing.",
    ),
];

impl WalConfig {
    pub(super) fn read(values: &Values, faults: &mut Faults) -> Self {
        let (slot, memory) = (values.size("wal.slot.bytes"), values.size("wal.memory.bytes"));
        if memory.0 < slot.0 * 2 {
            let what = format!("is less than two slots of wal.slot.bytes = {slot}");
            faults.about("wal.memory.bytes", values, &what);
        }
        Self {
            flush: values.time("wal.flush.ms"),
            slot_bytes: slot,
            upload_window: values.int("wal.upload.window"),
            memory_bytes: memory,
            uncommitted_max: values.time("wal.uncommitted.max.ms"),
            uncommitted_max_bytes: values.size("wal.uncommitted.max.bytes"),
            session_timeout: values.time("broker.session.timeout.ms"),
        }
    }
}
