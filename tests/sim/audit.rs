//! What must hold of the objects themselves, looked at from outside: names, fences, chains, and what the manifest says.

use std::collections::BTreeMap;

use bytes::Bytes;
use thalweg::base::ids::{ChainId, SlotId, TopicPartition};
use thalweg::base::offset::Offset;
use thalweg::node::Broker;
use thalweg::object::{Store, keys};
use thalweg::segment::{Kind, decode_slot, read_header};

use super::client::{PARTITIONS, TOPIC};

/// The cluster of every run: the default of `cluster.id`.
pub(crate) const CLUSTER: &str = "thalweg";

/// `wal.upload.window` of every run: small enough to be filled.
pub(crate) const WINDOW: u64 = 3;

/// Data objects by chain and slot.
pub(crate) type Objects = BTreeMap<(ChainId, SlotId), Bytes>;

/// Where a run lies: its chain, its slot and its end.
type Place = (ChainId, SlotId, Offset);

/// The objects as they were at the end of the last life.
#[derive(Debug, Default)]
pub(crate) struct Audit(Objects);

impl Audit {
    /// Holds the objects against what they were: none changes, and in these runs none is old enough to be deleted.
    pub(crate) fn compare(&mut self, found: Objects) {
        for (name, before) in &self.0 {
            let now = found.get(name);
            if is_fence(before) {
                assert_eq!(now, Some(before), "FencePermanent: {name:?}");
            }
            assert!(now == Some(before), "WriteOnce: {name:?} was written again, or is gone");
        }
        check_window(&found);
        self.0 = found;
    }
}

/// A slot is sent only when all but a window of those before it are stored: no data lies further behind a hole.
fn check_window(objects: &Objects) {
    let mut first_free = BTreeMap::<ChainId, SlotId>::new();
    for ((chain, slot), _) in objects.iter().filter(|(_, object)| !is_fence(object)) {
        let free = first_free.entry(*chain).or_insert(SlotId(0));
        if *slot == *free {
            *free = free.next();
        }
        let ahead = slot.0.saturating_sub(free.0);
        assert!(ahead < WINDOW, "UploadWindow: {chain}/{slot} was sent before {free}");
    }
}

/// Every data object.
pub(crate) async fn objects(store: &Store) -> Objects {
    let mut found = Objects::new();
    for listed in store.list(&keys::slots_prefix(CLUSTER)).await.expect("a sound store") {
        let name = keys::parse_slot(CLUSTER, &listed.key).expect("a slot's name");
        found.insert(name, store.get(&listed.key).await.expect("it was listed"));
    }
    found
}

fn is_fence(object: &Bytes) -> bool {
    read_header(object).is_ok_and(|header| header.kind == Kind::Fence)
}

/// The runs of all chains up to their ends: the fence below which every name holds data. What is above is void.
fn runs(objects: &Objects) -> BTreeMap<(TopicPartition, Offset), Place> {
    let mut runs = BTreeMap::new();
    let mut next: Option<(ChainId, SlotId)> = None;
    for (&(chain, slot), object) in objects {
        if next.is_none_or(|(current, _)| current != chain) {
            next = Some((chain, SlotId(0)));
        }
        // A gap ends a chain just as a fence does; what lies behind either is void.
        if next != Some((chain, slot)) || is_fence(object) {
            continue;
        }
        next = Some((chain, slot.next()));
        let index = decode_slot(object).expect("a whole slot").index;
        for run in &index.runs {
            let at = (run.tp, run.base_offset);
            let other = runs.insert(at, (chain, slot, run.end_offset));
            assert!(other.is_none(), "OneSequencer: {at:?} in {chain}/{slot} and in {other:?}");
        }
    }
    let mut before: Option<(TopicPartition, Offset)> = None;
    for ((tp, base), (chain, slot, end)) in &runs {
        let expected = before.filter(|(other, _)| other == tp).map_or(Offset::ZERO, |(_, end)| end);
        assert_eq!(*base, expected, "OneSequencer: {tp} has a gap or an overlap in {chain}/{slot}");
        before = Some((*tp, *end));
    }
    runs
}

/// The manifest names every run of every chain once, and nothing else.
pub(crate) async fn check_manifest(broker: &Broker, sound: &Store) {
    let context = broker.context();
    let Some(topic) = context.image().topic(TOPIC).map(|topic| topic.id) else { return };
    let mut written = runs(&objects(sound).await);
    written.retain(|(tp, _), _| tp.topic == topic);
    let mut committed = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let tp = TopicPartition { topic, partition };
        let mut from = Offset::ZERO;
        loop {
            let plan = context.manifest.plan(tp, from, 64).await.expect("a healthy coordinator");
            let Some(last) = plan.runs.last() else { break };
            from = last.run.end_offset;
            for planned in &plan.runs {
                let place = (planned.chain, planned.slot, planned.run.end_offset);
                let other = committed.insert((tp, planned.run.base_offset), place);
                assert!(other.is_none(), "CommitOnce: {tp} {place:?} and {other:?}");
            }
        }
    }
    assert_eq!(committed, written, "CommitOnce: the manifest is not what the chains hold");
}
