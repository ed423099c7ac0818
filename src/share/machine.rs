//! One partition of `__share_group_state`: the state of share groups' partitions. Pure.
//!
//! Source: `ShareCoordinatorShard` in Apache Kafka 4.3.1.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use uuid::Uuid;

use super::persister::{Error, Summary};
use crate::base::ids::SlotId;
use crate::base::offset::Offset;
use crate::protocol::records::share_state::{Key, Snapshot};
use crate::state_topic::{Live, Machine, Replayed, ReplayedMarker, StateRecord, Turn};

/// Of what nothing is known.
const UNKNOWN: i64 = -1;

/// A state, and the slot of its record if that was written here.
#[derive(Debug)]
struct Kept {
    snapshot: Snapshot,
    slot: Option<SlotId>,
}

/// An answer, and the slot that must be stable before it is told.
pub(super) type Settled<T> = (T, Option<SlotId>);

/// The state of one shard.
#[derive(Debug, Default)]
pub(super) struct ShareStates {
    kept: BTreeMap<Key, Kept>,
    bytes: u64,
    /// The newest slot that removed a state: that one is not there rests on it.
    removed_slot: Option<SlotId>,
}

impl ShareStates {
    /// Initialises a state, or begins it anew. A group that has gone on since has a higher epoch.
    pub(super) fn initialize(
        &mut self,
        turn: &mut Turn<'_>,
        key: &Key,
        (state_epoch, start_offset): (i32, i64),
    ) -> Settled<Result<(), Error>> {
        let before = self.kept.get(key);
        if let Some(Kept { snapshot, slot }) = before
            && snapshot.state_epoch > state_epoch
        {
            let fenced = Error::Fenced { received: state_epoch, known: snapshot.state_epoch };
            return (Err(fenced), *slot);
        }
        let now = turn.now().wall.0;
        let snapshot = Snapshot {
            snapshot_epoch: before.map_or(0, |before| before.snapshot.snapshot_epoch + 1),
            state_epoch,
            leader_epoch: 0,
            start_offset,
            // What was never begun to be read is not counted.
            delivery_complete_count: if start_offset == UNKNOWN { -1 } else { 0 },
            created: now,
            written: now,
            batches: Vec::new(),
        };
        let record = StateRecord { key: key.encode(), value: Some(snapshot.encode()) };
        // The turn fails, and with it this machine, if nothing can be written.
        let Ok(written) = turn.append(&[record]) else {
            return (Err(Error::NotCoordinator), None);
        };
        self.put(key.clone(), Kept { snapshot, slot: Some(written.slot) });
        (Ok(()), Some(written.slot))
    }

    /// Deletes a state. One that is not there is deleted.
    pub(super) fn delete(&mut self, turn: &mut Turn<'_>, key: &Key) -> Settled<Result<(), Error>> {
        if !self.kept.contains_key(key) {
            return (Ok(()), self.removed_slot);
        }
        let tombstone = StateRecord { key: key.encode(), value: None };
        let Ok(written) = turn.append(&[tombstone]) else {
            return (Err(Error::NotCoordinator), None);
        };
        self.remove(key);
        self.removed_slot = Some(written.slot);
        (Ok(()), Some(written.slot))
    }

    /// Topics are gone: nobody will ask for their partitions' states again.
    pub(super) fn topics_gone(&mut self, turn: &mut Turn<'_>, gone: &BTreeSet<Uuid>) {
        /// Tombstones in one batch.
        const BATCH_RECORDS_MAX: usize = 1000;
        let keys: Vec<Key> =
            self.kept.keys().filter(|key| gone.contains(&key.topic)).cloned().collect();
        for keys in keys.chunks(BATCH_RECORDS_MAX) {
            let tombstones = keys.iter().map(|key| StateRecord { key: key.encode(), value: None });
            // The turn fails, and with it this machine, if nothing can be written.
            let Ok(written) = turn.append(&tombstones.collect::<Vec<_>>()) else { return };
            keys.iter().for_each(|key| self.remove(key));
            self.removed_slot = Some(written.slot);
        }
    }

    /// What is known of a state.
    pub(super) fn summary(&self, key: &Key) -> Settled<Summary> {
        match self.kept.get(key) {
            Some(Kept { snapshot, slot }) => (Summary::of(snapshot), *slot),
            None => (Summary::UNKNOWN, self.removed_slot),
        }
    }

    fn put(&mut self, key: Key, kept: Kept) {
        self.remove(&key);
        self.bytes += size(&key, &kept.snapshot);
        self.kept.insert(key, kept);
    }

    fn remove(&mut self, key: &Key) {
        if let Some(kept) = self.kept.remove(key) {
            self.bytes -= size(key, &kept.snapshot);
        }
    }
}

/// About what a state takes in batches.
fn size(key: &Key, snapshot: &Snapshot) -> u64 {
    const RECORD_BYTES: usize = 70;
    const BATCH_BYTES: usize = 20;
    let bytes = key.group.len() + RECORD_BYTES + BATCH_BYTES * snapshot.batches.len();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl Machine for ShareStates {
    fn replay(&mut self, record: &Replayed<'_>) {
        let read = Key::decode(record.key).and_then(|key| {
            let snapshot = record.value.map(Snapshot::decode).transpose()?;
            Ok((key, snapshot))
        });
        match read {
            Ok((Some(key), Some(snapshot))) => self.put(key, Kept { snapshot, slot: None }),
            Ok((Some(key), None)) => self.remove(&key),
            Ok((None, _)) => {
                tracing::warn!(offset = %record.offset, "unknown key in __share_group_state");
            }
            Err(error) => {
                tracing::warn!(offset = %record.offset, %error, "state of a share partition could not be read");
            }
        }
    }

    fn replay_marker(&mut self, _marker: &ReplayedMarker) {}

    fn loaded(&mut self, _turn: &mut Turn<'_>) {}

    fn deadline(&self) -> Option<Duration> {
        None
    }

    fn on_time(&mut self, _turn: &mut Turn<'_>) {}

    fn live_bytes(&self) -> u64 {
        self.bytes
    }

    fn live(&self, from: Option<&[u8]>, bytes_max: usize) -> Live {
        let from = from.and_then(|from| Key::decode(from).ok().flatten());
        let from = from.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let mut live = Live::default();
        let mut bytes = 0;
        for (key, Kept { snapshot, .. }) in self.kept.range((from, Bound::Unbounded)) {
            if bytes >= bytes_max {
                live.next = Some(key.encode());
                break;
            }
            let record = StateRecord { key: key.encode(), value: Some(snapshot.encode()) };
            bytes += record.key.len() + record.value.as_ref().map_or(0, Vec::len);
            live.records.push(record);
        }
        live
    }

    fn oldest_needed(&self) -> Option<Offset> {
        None
    }
}
