//! Keys and values of `__share_group_state`: what is kept of a partition that a share group reads.
//!
//! ```text
//! key 0 snapshot: group string, topic id uuid, partition i32
//! value: snapshot epoch, state epoch, leader epoch i32 | start offset i64 | create, write timestamp i64
//!        | batches: first, last offset i64, delivery state i8, delivery count i16 | tagged field 0: delivery complete count i32
//! key 1 update: as key 0
//! value: snapshot epoch, leader epoch i32 | start offset i64 | batches and tagged field 0 as above
//! ```
//! Source: `ShareSnapshotKey`, `ShareSnapshotValue`, `ShareUpdateKey`, `ShareUpdateValue` in Apache Kafka 4.3.1.

use uuid::Uuid;

use super::super::Error;
use super::super::wire::{Cursor, Pieces, Sink as _, Writer, tagged_value};
use super::message::{array, body, owned, skip_tags, written};

/// The kind of a snapshot's key.
const SNAPSHOT: i16 = 0;
/// The kind of an update's key.
const UPDATE: i16 = 1;
/// What a batch takes at least: its fields and its tagged fields' count.
const BATCH_BYTES_MIN: usize = 20;
/// Not known how many deliveries are complete: the default of the tagged field.
const UNKNOWN_COUNT: i32 = -1;

/// Whose state: a group and a partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// `group_id`.
    pub group: String,
    /// The topic's UUID.
    pub topic: Uuid,
    /// The partition's number.
    pub partition: i32,
}

/// What a record tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All that is kept.
    Snapshot,
    /// What changed since the snapshot.
    Update,
}

/// Records of the partition that are in the same state of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateBatch {
    /// The first offset.
    pub first_offset: i64,
    /// The last offset.
    pub last_offset: i64,
    /// 0: available, 2: acknowledged, 4: archived.
    pub delivery_state: i8,
    /// How often they were delivered.
    pub delivery_count: i16,
}

/// All that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Counts the snapshots of this state.
    pub snapshot_epoch: i32,
    /// The epoch at which the state was initialised.
    pub state_epoch: i32,
    /// The leader epoch of the partition whose leader wrote last.
    pub leader_epoch: i32,
    /// Where reading begins; -1: not decided yet.
    pub start_offset: i64,
    /// How many records behind the start need not be delivered any more; -1: not known.
    pub delivery_complete_count: i32,
    /// When the state was initialised, in milliseconds since the Unix epoch.
    pub created: i64,
    /// When it was written.
    pub written: i64,
    /// Records behind the start that were delivered.
    pub batches: Vec<StateBatch>,
}

/// What changed since the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The snapshot's.
    pub snapshot_epoch: i32,
    /// The leader epoch of the partition whose leader wrote; -1: as before.
    pub leader_epoch: i32,
    /// Where reading begins; -1: as before.
    pub start_offset: i64,
    /// How many records behind the start need not be delivered any more; -1: not known.
    pub delivery_complete_count: i32,
    /// What changed.
    pub batches: Vec<StateBatch>,
}

impl Key {
    /// As it is written.
    #[must_use]
    pub fn encode(&self, kind: Kind) -> Vec<u8> {
        let mut pieces = Pieces::with_capacity(64);
        let mut writer = Writer::new(&mut pieces, false);
        writer.i16(match kind {
            Kind::Snapshot => SNAPSHOT,
            Kind::Update => UPDATE,
        });
        writer.string(Some(&self.group));
        writer.uuid(self.topic);
        writer.i32(self.partition);
        pieces.finish().concat()
    }

    /// `None`: a key of another kind.
    ///
    /// # Errors
    /// [`Error`]: the bytes are no such key.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Kind, Self)>, Error> {
        let mut cursor = Cursor::new(bytes, false);
        let kind = match cursor.i16()? {
            SNAPSHOT => Kind::Snapshot,
            UPDATE => Kind::Update,
            _ => return Ok(None),
        };
        let (group, topic) = (owned(&mut cursor)?, cursor.uuid()?);
        Ok(Some((kind, Self { group, topic, partition: cursor.i32()? })))
    }
}

fn write_batches(w: &mut Writer<'_, Pieces>, batches: &[StateBatch]) {
    w.count(Some(batches.len()));
    for batch in batches {
        w.i64(batch.first_offset);
        w.i64(batch.last_offset);
        w.sink.put(&batch.delivery_state.to_be_bytes());
        w.i16(batch.delivery_count);
        w.tagged(&[]);
    }
}

fn read_batches(cursor: &mut Cursor<'_>) -> Result<Vec<StateBatch>, Error> {
    array(cursor, BATCH_BYTES_MIN, |cursor| {
        let batch = StateBatch {
            first_offset: cursor.i64()?,
            last_offset: cursor.i64()?,
            delivery_state: cursor.i8()?,
            delivery_count: cursor.i16()?,
        };
        skip_tags(cursor)?;
        Ok(batch)
    })
}

fn write_complete_count(w: &mut Writer<'_, Pieces>, count: i32) {
    match count {
        UNKNOWN_COUNT => w.tagged(&[]),
        count => w.tagged(&[(0, tagged_value(|w| w.i32(count)))]),
    }
}

fn read_complete_count(cursor: &mut Cursor<'_>) -> Result<i32, Error> {
    let mut count = UNKNOWN_COUNT;
    cursor.tagged(|tag, field| {
        if tag == 0 {
            count = field.i32()?;
        }
        Ok(tag == 0)
    })?;
    Ok(count)
}

impl Snapshot {
    /// As it is written.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        written(|w| {
            w.i32(self.snapshot_epoch);
            w.i32(self.state_epoch);
            w.i32(self.leader_epoch);
            w.i64(self.start_offset);
            w.i64(self.created);
            w.i64(self.written);
            write_batches(w, &self.batches);
            write_complete_count(w, self.delivery_complete_count);
        })
    }

    /// As it was written.
    ///
    /// # Errors
    /// [`Error`]: the bytes are not what Kafka writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = body(bytes)?;
        let mut snapshot = Self {
            snapshot_epoch: cursor.i32()?,
            state_epoch: cursor.i32()?,
            leader_epoch: cursor.i32()?,
            start_offset: cursor.i64()?,
            delivery_complete_count: UNKNOWN_COUNT,
            created: cursor.i64()?,
            written: cursor.i64()?,
            batches: read_batches(&mut cursor)?,
        };
        snapshot.delivery_complete_count = read_complete_count(&mut cursor)?;
        Ok(snapshot)
    }
}

impl Update {
    /// As it is written.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        written(|w| {
            w.i32(self.snapshot_epoch);
            w.i32(self.leader_epoch);
            w.i64(self.start_offset);
            write_batches(w, &self.batches);
            write_complete_count(w, self.delivery_complete_count);
        })
    }

    /// As it was written.
    ///
    /// # Errors
    /// [`Error`]: the bytes are not what Kafka writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = body(bytes)?;
        let mut update = Self {
            snapshot_epoch: cursor.i32()?,
            leader_epoch: cursor.i32()?,
            start_offset: cursor.i64()?,
            delivery_complete_count: UNKNOWN_COUNT,
            batches: read_batches(&mut cursor)?,
        };
        update.delivery_complete_count = read_complete_count(&mut cursor)?;
        Ok(update)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    /// Written by Apache Kafka 4.3.1's own classes.
    fn goldens() -> [(Snapshot, &'static str); 2] {
        let plain = Snapshot {
            snapshot_epoch: 1,
            state_epoch: 2,
            leader_epoch: 3,
            start_offset: -1,
            delivery_complete_count: -1,
            created: 1_700_000_000_000,
            written: 1_700_000_000_001,
            batches: Vec::new(),
        };
        let batch =
            StateBatch { first_offset: 41, last_offset: 43, delivery_state: 2, delivery_count: 1 };
        let begun = Snapshot {
            start_offset: 40,
            delivery_complete_count: 3,
            batches: vec![batch],
            ..plain.clone()
        };
        [
            (
                plain,
                "0000000000010000000200000003ffffffffffffffff0000018bcfe568000000018bcfe568010100",
            ),
            (
                begun,
                "000000000001000000020000000300000000000000280000018bcfe568000000018bcfe56801020000\
                 000000000029000000000000002b0200010001000400000003",
            ),
        ]
    }

    /// Written by Apache Kafka 4.3.1's own classes.
    fn golden_updates() -> [(Update, &'static str); 2] {
        let plain = Update {
            snapshot_epoch: 1,
            leader_epoch: 3,
            start_offset: -1,
            delivery_complete_count: -1,
            batches: Vec::new(),
        };
        let batch =
            StateBatch { first_offset: 41, last_offset: 43, delivery_state: 2, delivery_count: 1 };
        let begun = Update {
            start_offset: 40,
            delivery_complete_count: 3,
            batches: vec![batch],
            ..plain.clone()
        };
        [
            (plain, "00000000000100000003ffffffffffffffff0100"),
            (
                begun,
                "000000000001000000030000000000000028020000000000000029000000000000002b0200010001\
                 000400000003",
            ),
        ]
    }

    #[test]
    fn states_are_written_and_read_as_kafka_writes_them() {
        let topic = Uuid::from_u128(0x0123_4567_89ab_cdef_0fed_cba9_8765_4321);
        let key = Key { group: "g".to_owned(), topic, partition: 5 };
        let written = bytes("00000001670123456789abcdef0fedcba98765432100000005");
        assert_eq!(key.encode(Kind::Snapshot), written);
        assert_eq!(Key::decode(&written), Ok(Some((Kind::Snapshot, key.clone()))));
        let written = bytes("00010001670123456789abcdef0fedcba98765432100000005");
        assert_eq!(key.encode(Kind::Update), written);
        assert_eq!(Key::decode(&written), Ok(Some((Kind::Update, key))));
        assert_eq!(Key::decode(&[0, 2]), Ok(None));
        for (snapshot, hex) in goldens() {
            assert_eq!(snapshot.encode(), bytes(hex), "{snapshot:?}");
            assert_eq!(Snapshot::decode(&bytes(hex)), Ok(snapshot));
        }
        for (update, hex) in golden_updates() {
            assert_eq!(update.encode(), bytes(hex), "{update:?}");
            assert_eq!(Update::decode(&bytes(hex)), Ok(update));
        }
    }

    #[test]
    fn a_cut_state_and_an_unknown_version_are_refused() {
        for (_, hex) in goldens() {
            let value = bytes(hex);
            for cut in 0..value.len() {
                assert!(Snapshot::decode(&value[..cut]).is_err(), "at {cut}");
            }
            let mut newer = value;
            newer[1] = 1;
            assert!(Snapshot::decode(&newer).is_err());
        }
        for (_, hex) in golden_updates() {
            let value = bytes(hex);
            for cut in 0..value.len() {
                assert!(Update::decode(&value[..cut]).is_err(), "at {cut}");
            }
            let mut newer = value;
            newer[1] = 1;
            assert!(Update::decode(&newer).is_err());
        }
    }
}
