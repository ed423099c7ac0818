//! What must hold of the objects themselves, looked at from outside: names, fences, chains, and what the manifest says.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use thalweg::base::ids::{ChainId, SlotId, TopicId, TopicPartition};
use thalweg::base::offset::Offset;
use thalweg::node::Broker;
use thalweg::object::{Payload, Store, keys};
use thalweg::segment::{Kind, Run, SlotIndex, decode_slot, read_header};

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

    /// At the end of a life, before anybody mends anything: every slot before one that holds an acknowledged record is
    /// stored. `acked` is by topic, partition and offset; of the topics in `passing` by their id, and of none for the one
    /// that is there in every run.
    pub(crate) fn check_acknowledged(
        &self,
        passing: &BTreeSet<TopicId>,
        acked: impl IntoIterator<Item = Acked>,
    ) {
        let runs = runs(&self.0);
        let topic = |tp: TopicPartition| passing.contains(&tp.topic).then_some(tp.topic);
        let found: BTreeMap<(Option<TopicId>, i32, Offset), Offset> = runs
            .into_iter()
            .map(|((tp, base), (_, _, end))| ((topic(tp), tp.partition, base), end))
            .collect();
        for (of, partition, offset) in acked {
            let offset = Offset(offset);
            let run =
                found.range((of, partition, Offset::ZERO)..=(of, partition, offset)).next_back();
            if run.is_some_and(|(_, end)| offset < *end) {
                continue;
            }
            let is_of = |tp: TopicPartition| (topic(tp), tp.partition) == (of, partition);
            let behind = self.0.iter().find(|(_, object)| holds(object, is_of, offset));
            match behind {
                Some((name, _)) => panic!(
                    "PrefixAck: {of:?} {partition}@{offset} was acknowledged in {name:?}, and not all before it is stored"
                ),
                None => panic!(
                    "AckedDurable: {of:?} {partition}@{offset} was acknowledged and is nowhere"
                ),
            }
        }
    }
}

/// An acknowledged record: the topic's id where it comes and goes, partition, offset.
pub(crate) type Acked = (Option<TopicId>, i32, i64);

/// Whether a slot, wherever it stands, has a run with this record.
fn holds(object: &Bytes, is_of: impl Fn(TopicPartition) -> bool, offset: Offset) -> bool {
    let holds = |run: &Run| is_of(run.tp) && (run.base_offset..run.end_offset).contains(&offset);
    !is_fence(object) && decode_slot(object).is_ok_and(|slot| slot.index.runs.iter().any(holds))
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

pub(crate) fn is_fence(object: &Bytes) -> bool {
    read_header(object).is_ok_and(|header| header.kind == Kind::Fence)
}

/// The runs of all chains up to their ends: the fence below which every name holds data. What is above is void.
fn runs(objects: &Objects) -> BTreeMap<(TopicPartition, Offset), Place> {
    let mut runs = BTreeMap::new();
    let mut released = Released::default();
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
        released.follow((chain, slot), &index, &runs);
    }
    let mut before: Option<(TopicPartition, Offset)> = None;
    for ((tp, base), (chain, slot, end)) in &runs {
        let expected = before.filter(|(other, _)| other == tp).map_or(Offset::ZERO, |(_, end)| end);
        assert_eq!(*base, expected, "OneSequencer: {tp} has a gap or an overlap in {chain}/{slot}");
        before = Some((*tp, *end));
    }
    runs
}

/// The partitions that were released, and where. Only deletions release here: nothing of a partition comes after that.
#[derive(Debug, Default)]
struct Released(BTreeMap<TopicPartition, (ChainId, SlotId)>);

impl Released {
    /// Takes up the next slot. `runs` are those up to it: the RELEASE in it holds the state behind all of them.
    fn follow(
        &mut self,
        at: (ChainId, SlotId),
        index: &SlotIndex,
        runs: &BTreeMap<(TopicPartition, Offset), Place>,
    ) {
        let of_runs = index.runs.iter().map(|run| run.tp);
        let of_checkpoints = index.checkpoint.iter().map(|checkpoint| checkpoint.tp);
        let of_releases = index.releases.iter().map(|release| release.state.tp);
        for tp in of_runs.chain(of_checkpoints).chain(of_releases) {
            let before = self.0.get(&tp);
            assert!(
                before.is_none(),
                "ReleaseFinal: {tp} in {at:?} behind its RELEASE, {before:?}"
            );
        }
        for release in &index.releases {
            let (tp, end) = (release.state.tp, release.state.end_offset);
            let last = runs.range((tp, Offset::ZERO)..=(tp, Offset(i64::MAX))).next_back();
            let last = last.map_or(Offset::ZERO, |(_, (_, _, end))| *end);
            assert_eq!(end, last, "ReleaseFinal: the end of {tp} in its RELEASE, {at:?}");
            self.0.insert(tp, at);
        }
    }
}

/// Every run of the topic from `from` on that the manifest names, by its start. Each lies in an object that is there.
async fn named(
    broker: &Broker,
    objects: &Objects,
    (topic, from): (TopicId, &[i64]),
) -> BTreeMap<(TopicPartition, Offset), Place> {
    let mut named = BTreeMap::new();
    for (partition, from) in (0..PARTITIONS).zip(from) {
        let (tp, mut from) = (TopicPartition { topic, partition }, Offset(*from));
        loop {
            let plan = broker.context().manifest.plan(tp, from, 64).await;
            let plan = plan.expect("a healthy coordinator");
            let Some(last) = plan.runs.last() else { break };
            from = last.run.end_offset;
            for planned in &plan.runs {
                let (chain, slot) = (planned.chain, planned.slot);
                let is_there = objects.get(&(chain, slot)).is_some_and(|object| !is_fence(object));
                assert!(is_there, "NoDanglingReference: {tp} has a run in {chain}/{slot}");
                let place = (chain, slot, planned.run.end_offset);
                let other = named.insert((tp, planned.run.base_offset), place);
                assert!(other.is_none(), "CommitOnce: {tp} {place:?} and {other:?}");
            }
        }
    }
    named
}

/// After records were deleted: what the manifest still names from `from` on is there. Gives how many runs that are.
pub(crate) async fn check_references(broker: &Broker, sound: &Store, from: &[i64]) -> usize {
    let topic = broker.context().image().topic(TOPIC).map(|topic| topic.id).expect("a topic");
    named(broker, &objects(sound).await, (topic, from)).await.len()
}

/// After all records were deleted and the collector had its time: of the chains that have ended nothing is left but fences.
pub(crate) async fn check_leaks(broker: &Broker, sound: &Store) {
    let open = broker.registry().wal().expect("a chain").chain();
    for (name, object) in objects(sound).await {
        assert!(name.0 == open || is_fence(&object), "NoLeak: nothing references {name:?}");
    }
}

/// Does as a put whose reply was lost long ago: data lands above the end of a chain. False: no chain has ended, or none
/// holds data.
pub(crate) async fn land_late(broker: &Broker, sound: &Store) -> bool {
    let chains = broker.context().manifest.sealed_chains(None, 1).await.expect("it is up");
    let objects = objects(sound).await;
    let data = objects.values().find(|object| !is_fence(object));
    let (Some(chain), Some(data)) = (chains.first(), data) else { return false };
    let key = keys::slot(CLUSTER, chain.chain, SlotId(chain.sealed_at.0 + 2));
    sound.put_if_absent(&key, Payload::from(data.clone())).await.expect("a free name");
    true
}

/// The manifest names every run of every chain once, and nothing else: of the topic that is there in every run, and of
/// another.
pub(crate) async fn check_manifest(broker: &Broker, sound: &Store, other: Option<TopicId>) {
    let topic = broker.context().image().topic(TOPIC).map(|topic| topic.id);
    let objects = objects(sound).await;
    let written = runs(&objects);
    for topic in topic.into_iter().chain(other) {
        let mut written = written.clone();
        written.retain(|(tp, _), _| tp.topic == topic);
        let committed = named(broker, &objects, (topic, &[0; PARTITIONS as usize])).await;
        assert_eq!(committed, written, "CommitOnce: the manifest is not what the chains hold");
    }
}
