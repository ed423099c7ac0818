//! One partition of `__share_group_state`: the state of share groups' partitions. Pure.
//!
//! Source: `ShareCoordinatorShard` in Apache Kafka 4.3.1.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use uuid::Uuid;

use super::combine::{combined, lay_over};
use super::partition::{Change, Loaded};
use super::persister::{Error, Summary};
use crate::base::ids::SlotId;
use crate::base::offset::Offset;
use crate::protocol;
use crate::protocol::records::share_state::{Key, Kind, Snapshot, Update};
use crate::state_topic::{Live, Machine, Replayed, ReplayedMarker, StateRecord, Turn};

/// Of what nothing is known.
const UNKNOWN: i64 = -1;
/// Of who does not say: as before, and never fenced.
const UNKNOWN_EPOCH: i32 = -1;

/// A state, and the slot of its record if that was written here.
#[derive(Debug)]
struct Kept {
    /// As it would be written now.
    snapshot: Snapshot,
    /// How many updates were written since it was.
    updates: u32,
    slot: Option<SlotId>,
}

impl Kept {
    fn of(snapshot: Snapshot, slot: Option<SlotId>) -> Self {
        Self { snapshot, updates: 0, slot }
    }
}

/// An answer, and the slot that must be stable before it is told.
pub(super) type Settled<T> = (T, Option<SlotId>);

/// The state of one shard.
#[derive(Debug)]
pub(super) struct ShareStates {
    updates_per_snapshot: u32,
    kept: BTreeMap<Key, Kept>,
    bytes: u64,
    /// The newest slot that removed a state: that one is not there rests on it.
    removed_slot: Option<SlotId>,
}

impl ShareStates {
    /// Without any state. One is written whole after `updates_per_snapshot` changes.
    pub(super) fn new(updates_per_snapshot: u32) -> Self {
        Self { updates_per_snapshot, kept: BTreeMap::new(), bytes: 0, removed_slot: None }
    }

    /// Initialises a state, or begins it anew. A group that has gone on since has a higher epoch.
    pub(super) fn initialize(
        &mut self,
        turn: &mut Turn<'_>,
        key: &Key,
        (state_epoch, start_offset): (i32, i64),
    ) -> Settled<Result<(), Error>> {
        let before = self.kept.get(key);
        if let Some(Kept { snapshot, slot, .. }) = before
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
        let record = whole(key, &snapshot);
        // The turn fails, and with it this machine, if nothing can be written.
        let Ok(written) = turn.append(&[record]) else {
            return (Err(Error::NotCoordinator), None);
        };
        self.put(key.clone(), Kept::of(snapshot, Some(written.slot)));
        (Ok(()), Some(written.slot))
    }

    /// Deletes a state. One that is not there is deleted.
    pub(super) fn delete(&mut self, turn: &mut Turn<'_>, key: &Key) -> Settled<Result<(), Error>> {
        if !self.kept.contains_key(key) {
            return (Ok(()), self.removed_slot);
        }
        let tombstone = tombstone(key);
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
            let tombstones = keys.iter().map(tombstone);
            // The turn fails, and with it this machine, if nothing can be written.
            let Ok(written) = turn.append(&tombstones.collect::<Vec<_>>()) else { return };
            keys.iter().for_each(|key| self.remove(key));
            self.removed_slot = Some(written.slot);
        }
    }

    /// What is known of a state.
    pub(super) fn summary(&self, key: &Key) -> Settled<Summary> {
        match self.kept.get(key) {
            Some(Kept { snapshot, slot, .. }) => (Summary::of(snapshot), *slot),
            None => (Summary::UNKNOWN, self.removed_slot),
        }
    }

    /// What is kept, for the partition's leader: leaders of an older epoch are fenced from now on.
    pub(super) fn read(
        &mut self,
        turn: &mut Turn<'_>,
        key: &Key,
        leader_epoch: i32,
    ) -> Settled<Result<Loaded, Error>> {
        let Some(Kept { snapshot, slot, .. }) = self.kept.get(key) else {
            return (Err(Error::NotInitialized), self.removed_slot);
        };
        if let Err(fenced) = check_leader(snapshot, leader_epoch) {
            return (Err(fenced), *slot);
        }
        let loaded = Loaded {
            start_offset: Offset(snapshot.start_offset),
            batches: snapshot.batches.clone(),
            state_epoch: snapshot.state_epoch,
        };
        if leader_epoch == UNKNOWN_EPOCH || leader_epoch == snapshot.leader_epoch {
            return (Ok(loaded), *slot);
        }
        let update = Update {
            snapshot_epoch: snapshot.snapshot_epoch,
            leader_epoch,
            start_offset: snapshot.start_offset,
            delivery_complete_count: snapshot.delivery_complete_count,
            batches: Vec::new(),
        };
        let (updated, slot) = self.update(turn, key, &update);
        (updated.map(|()| loaded), slot)
    }

    /// Takes a change by the partition's leader.
    pub(super) fn write(
        &mut self,
        turn: &mut Turn<'_>,
        key: &Key,
        (leader_epoch, state_epoch): (i32, i32),
        change: &Change,
    ) -> Settled<Result<(), Error>> {
        let Some(Kept { snapshot, slot, .. }) = self.kept.get(key) else {
            return (Err(Error::NotInitialized), self.removed_slot);
        };
        if let Err(fenced) = check_leader(snapshot, leader_epoch) {
            return (Err(fenced), *slot);
        }
        let known = snapshot.state_epoch;
        if state_epoch != UNKNOWN_EPOCH && known > state_epoch {
            return (Err(Error::Fenced { received: state_epoch, known }), *slot);
        }
        // A change that was overtaken by one with a later start must not bring back what went with that.
        let start_offset = snapshot.start_offset.max(change.start_offset.0);
        let delivery_complete_count = if start_offset > change.start_offset.0 {
            snapshot.delivery_complete_count
        } else {
            change.delivery_complete_count
        };
        let update = Update {
            snapshot_epoch: snapshot.snapshot_epoch,
            leader_epoch: snapshot.leader_epoch,
            start_offset,
            delivery_complete_count,
            batches: combined(&[], &change.batches, start_offset),
        };
        self.update(turn, key, &update)
    }

    /// Writes an update, or the whole state with it if there were many.
    fn update(
        &mut self,
        turn: &mut Turn<'_>,
        key: &Key,
        update: &Update,
    ) -> Settled<Result<(), Error>> {
        let Kept { mut snapshot, mut updates, .. } = self.take(key).expect("the caller found it");
        updates += 1;
        merge(&mut snapshot, update);
        let record = if updates > self.updates_per_snapshot {
            updates = 0;
            snapshot.snapshot_epoch += 1;
            snapshot.created = turn.now().wall.0;
            snapshot.written = snapshot.created;
            whole(key, &snapshot)
        } else {
            StateRecord { key: key.encode(Kind::Update), value: Some(update.encode()) }
        };
        // The turn fails, and with it this machine, if nothing can be written.
        let Ok(written) = turn.append(&[record]) else {
            return (Err(Error::NotCoordinator), None);
        };
        let slot = Some(written.slot);
        self.put(key.clone(), Kept { snapshot, updates, slot });
        (Ok(()), slot)
    }

    fn put(&mut self, key: Key, kept: Kept) {
        self.remove(&key);
        self.bytes += size(&key, &kept.snapshot);
        self.kept.insert(key, kept);
    }

    fn remove(&mut self, key: &Key) {
        self.take(key);
    }

    fn take(&mut self, key: &Key) -> Option<Kept> {
        let kept = self.kept.remove(key)?;
        self.bytes -= size(key, &kept.snapshot);
        Some(kept)
    }
}

fn whole(key: &Key, snapshot: &Snapshot) -> StateRecord {
    StateRecord { key: key.encode(Kind::Snapshot), value: Some(snapshot.encode()) }
}

fn tombstone(key: &Key) -> StateRecord {
    StateRecord { key: key.encode(Kind::Snapshot), value: None }
}

/// A leader that has been followed by another may do nothing.
fn check_leader(snapshot: &Snapshot, received: i32) -> Result<(), Error> {
    let known = snapshot.leader_epoch;
    if received != UNKNOWN_EPOCH && known > received {
        return Err(Error::FencedLeader { received, known });
    }
    Ok(())
}

/// Takes up what changed since the snapshot.
fn merge(snapshot: &mut Snapshot, update: &Update) {
    if update.start_offset != UNKNOWN {
        snapshot.start_offset = update.start_offset;
    }
    if update.leader_epoch != UNKNOWN_EPOCH {
        snapshot.leader_epoch = update.leader_epoch;
    }
    snapshot.delivery_complete_count = update.delivery_complete_count;
    lay_over(&mut snapshot.batches, &update.batches, snapshot.start_offset);
}

/// About what a state takes in batches.
fn size(key: &Key, snapshot: &Snapshot) -> u64 {
    const RECORD_BYTES: usize = 70;
    const BATCH_BYTES: usize = 20;
    let bytes = key.group.len() + RECORD_BYTES + BATCH_BYTES * snapshot.batches.len();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl ShareStates {
    fn take_up(
        &mut self,
        kind: Kind,
        key: Key,
        value: Option<&[u8]>,
    ) -> Result<(), protocol::Error> {
        match (kind, value) {
            (Kind::Snapshot, Some(value)) => {
                let mut snapshot = Snapshot::decode(value)?;
                // What was kept need not be what this program writes: it may overlap.
                snapshot.batches = combined(&[], &snapshot.batches, snapshot.start_offset);
                self.put(key, Kept::of(snapshot, None));
            }
            (Kind::Update, Some(value)) => {
                let update = Update::decode(value)?;
                // Of a state that is gone: its tombstone came first.
                if let Some(Kept { mut snapshot, updates, .. }) = self.take(&key) {
                    merge(&mut snapshot, &update);
                    self.put(key, Kept { snapshot, updates: updates + 1, slot: None });
                }
            }
            (_, None) => {
                self.take(&key);
            }
        }
        Ok(())
    }
}

impl Machine for ShareStates {
    fn replay(&mut self, record: &Replayed<'_>) {
        let taken = Key::decode(record.key).and_then(|key| match (key, record.value) {
            (Some((kind, key)), value) => self.take_up(kind, key, value).map(|()| true),
            (None, _) => Ok(false),
        });
        match taken {
            Ok(true) => {}
            Ok(false) => {
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
        let from = from.and_then(|from| Key::decode(from).ok().flatten()).map(|(_, key)| key);
        let from = from.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let mut live = Live::default();
        let mut bytes = 0;
        for (key, Kept { snapshot, .. }) in self.kept.range((from, Bound::Unbounded)) {
            if bytes >= bytes_max {
                live.next = Some(key.encode(Kind::Snapshot));
                break;
            }
            let record = whole(key, snapshot);
            bytes += record.key.len() + record.value.as_ref().map_or(0, Vec::len);
            live.records.push(record);
        }
        live
    }

    fn oldest_needed(&self) -> Option<Offset> {
        None
    }
}
