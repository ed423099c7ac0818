//! The manifest in memory: a pure function of the edits that were applied, in order.
//!
//! Owns what every edit does and which rows it changes ([`State::take_changes`]). Decides nothing and refuses nothing: the
//! coordinator does, before it makes an edit. No clock, no store. What must hold is in [`super::invariants`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::alike::Alike;
use super::chain::{Chain, Phase, Place};
use super::edit::{Broker, ConfigOwner, Edit, NewTopic, Term};
use super::partition::{Mark, Partition, Pushed, Run};
use super::row::{RunRow, SlotRow};
use crate::base::clock::Timestamp;
use crate::base::ids::{BrokerId, ChainId, ProducerId, SlotId, TopicId, TopicPartition};
use crate::base::offset::Offset;

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) deleting: bool,
    pub(crate) replication_factor: i16,
    pub(crate) configs: BTreeMap<String, String>,
    pub(crate) partitions: Vec<Partition>,
}

/// Objects that wait for deletion, from the slot that they are filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) end: SlotId,
    pub(crate) queued_at: Timestamp,
}

/// A row of the manifest, by what it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowKey {
    Meta,
    Broker(BrokerId),
    Chain(ChainId),
    Topic(TopicId),
    Partition(TopicPartition),
    Slot(ChainId, SlotId),
    Configs(ConfigOwner),
    Gone(TopicId),
    Deletion(ChainId, SlotId),
}

/// What edits since the last durable write changed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Rows to be written as they are now, or removed if they are not there any more.
    pub(crate) rows: BTreeSet<RowKey>,
    /// New slot rows: the state does not keep them.
    pub(crate) slots: Vec<(ChainId, SlotRow)>,
    /// Topics whose image changed.
    pub(crate) topics: BTreeSet<TopicId>,
    /// Brokers or configs changed.
    pub(crate) cluster: bool,
}

impl Changes {
    /// Whether nothing has to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.slots.is_empty()
    }
}

/// The whole manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) term: Term,
    pub(crate) next_chain: ChainId,
    pub(crate) next_producer: ProducerId,
    pub(crate) brokers: BTreeMap<BrokerId, Broker>,
    pub(crate) chains: BTreeMap<ChainId, Chain>,
    pub(crate) topics: BTreeMap<TopicId, Topic>,
    /// Every topic's name, those being deleted included.
    pub(crate) names: BTreeMap<String, TopicId>,
    pub(crate) configs: BTreeMap<ConfigOwner, BTreeMap<String, String>>,
    /// Deleted topics of which chains below this one may still bring runs.
    pub(crate) gone: BTreeMap<TopicId, ChainId>,
    pub(crate) deletions: BTreeMap<(ChainId, SlotId), Queued>,
    pub(crate) changes: Changes,
}

impl Default for State {
    fn default() -> Self {
        let nobody = crate::base::ids::Incarnation(uuid::Uuid::nil());
        Self {
            term: Term { term: 0, broker: BrokerId(-1), incarnation: nobody },
            next_chain: ChainId(1),
            next_producer: ProducerId(0),
            brokers: BTreeMap::new(),
            chains: BTreeMap::new(),
            topics: BTreeMap::new(),
            names: BTreeMap::new(),
            configs: BTreeMap::new(),
            gone: BTreeMap::new(),
            deletions: BTreeMap::new(),
            changes: Changes::default(),
        }
    }
}

impl State {
    /// What changed since the last call.
    pub(crate) fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Has the next write happen even if nothing changed.
    pub(crate) fn touch_meta(&mut self) {
        self.changes.rows.insert(RowKey::Meta);
    }

    /// The partition, if its topic is there.
    pub(crate) fn partition(&self, tp: &TopicPartition) -> Option<&Partition> {
        self.topics.get(&tp.topic)?.partitions.get(usize::try_from(tp.partition).ok()?)
    }

    /// All partitions of topics that are not being deleted.
    pub(crate) fn live_partitions(
        &self,
    ) -> impl Iterator<Item = (TopicPartition, &Topic, &Partition)> {
        self.topics.iter().filter(|(_, topic)| !topic.deleting).flat_map(|(id, topic)| {
            topic.partitions.iter().zip(0..).map(move |(partition, number)| {
                (TopicPartition { topic: *id, partition: number }, topic, partition)
            })
        })
    }

    /// Partitions led by `chain`, those of topics being deleted included.
    pub(crate) fn led_by(&self, chain: ChainId) -> Vec<TopicPartition> {
        let of_topic = |(id, topic): (&TopicId, &Topic)| {
            let led = topic.partitions.iter().zip(0..).filter(|(p, _)| p.lease == Some(chain));
            let topic = *id;
            led.map(|(_, partition)| TopicPartition { topic, partition }).collect::<Vec<_>>()
        };
        self.topics.iter().flat_map(of_topic).collect()
    }

    /// Does what the edit says.
    ///
    /// # Panics
    /// When the edit contradicts the state: a wrong manifest loses data, a stopped one does not.
    pub(crate) fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::Term(term) => self.set_term(term),
            Edit::Registered { id, broker } => self.register(id, broker),
            Edit::ChainFencing { chain } => self.fence(chain),
            Edit::ChainSealed { chain, sealed_at } => self.seal(chain, sealed_at),
            Edit::Slot { chain, row } => self.add_slot(chain, row),
            Edit::TopicCreated(topic) => self.create_topic(topic),
            Edit::PartitionsAdded { topic, replicas } => self.add_partitions(topic, replicas),
            Edit::TopicConfigs { topic, configs } => self.topic_mut(topic).configs = configs,
            Edit::TopicDeleting { topic } => self.start_deleting(topic),
            Edit::TopicGone { topic } => self.drop_topic(topic),
            Edit::Granted { tp, chain } => self.grant(tp, chain),
            Edit::Released { tp } => self.partition_mut(tp).release(None),
            Edit::Configs { owner, configs } => self.set_configs(owner, configs),
            Edit::ProducerIds { next } => self.set_next_producer(next),
            Edit::LogStart { tp, to } => self.advance_log_start(tp, to),
            Edit::Trimmed { chain, end, now } => self.trim(chain, end, now),
            Edit::Deleted { chain, from, end } => self.deleted(chain, from, end),
        }
    }

    fn chain_mut(&mut self, chain: ChainId) -> &mut Chain {
        self.changes.rows.insert(RowKey::Chain(chain));
        self.chains.get_mut(&chain).expect("edits name chains that exist")
    }

    fn topic_mut(&mut self, topic: TopicId) -> &mut Topic {
        self.changes.rows.insert(RowKey::Topic(topic));
        self.changes.topics.insert(topic);
        self.topics.get_mut(&topic).expect("edits name topics that exist")
    }

    fn partition_mut(&mut self, tp: TopicPartition) -> &mut Partition {
        self.changes.rows.insert(RowKey::Partition(tp));
        self.changes.topics.insert(tp.topic);
        self.find_mut(tp).expect("edits name partitions that exist")
    }

    fn find_mut(&mut self, tp: TopicPartition) -> Option<&mut Partition> {
        self.topics.get_mut(&tp.topic)?.partitions.get_mut(usize::try_from(tp.partition).ok()?)
    }

    fn set_term(&mut self, term: Term) {
        assert!(term.term > self.term.term, "term {} after {}", term.term, self.term.term);
        self.changes.rows.insert(RowKey::Meta);
        self.term = term;
    }

    fn set_next_producer(&mut self, next: ProducerId) {
        assert!(next >= self.next_producer, "producer id {next} was given away already");
        self.changes.rows.insert(RowKey::Meta);
        self.next_producer = next;
    }

    fn register(&mut self, id: BrokerId, broker: Broker) {
        if broker.chain >= self.next_chain {
            self.next_chain = ChainId(broker.chain.0 + 1);
            self.chains.insert(broker.chain, Chain::open(id, broker.incarnation));
            self.changes.rows.extend([RowKey::Meta, RowKey::Chain(broker.chain)]);
        }
        self.brokers.insert(id, broker);
        self.changes.rows.insert(RowKey::Broker(id));
        self.changes.cluster = true;
    }

    fn fence(&mut self, chain: ChainId) {
        let fenced = self.chain_mut(chain);
        assert!(fenced.phase == Phase::Open, "chain {chain} fenced while {:?}", fenced.phase);
        fenced.phase = Phase::Fencing;
        // Nobody leads them until the chain is sealed, and the image says so.
        let led = self.led_by(chain).into_iter().map(|tp| tp.topic);
        self.changes.topics.extend(led);
    }

    fn seal(&mut self, chain: ChainId, sealed_at: SlotId) {
        let sealed = self.chain_mut(chain);
        assert!(sealed.phase == Phase::Fencing, "chain {chain} sealed while {:?}", sealed.phase);
        assert!(
            sealed.committed_end == sealed_at,
            "sealed at {sealed_at}, not {}",
            sealed.committed_end
        );
        sealed.phase = Phase::Sealed(sealed_at);
        for tp in self.led_by(chain) {
            self.partition_mut(tp).release(None);
        }
        self.forget_gone();
    }

    /// A deleted topic is remembered only while a chain that knew it may still bring runs of it.
    fn forget_gone(&mut self) {
        let unsealed = |(id, chain): (&ChainId, &Chain)| chain.sealed_at().is_none().then_some(*id);
        let oldest = self.chains.iter().find_map(unsealed).unwrap_or(self.next_chain);
        let forget = self.gone.extract_if(.., |_, before| *before <= oldest);
        self.changes.rows.extend(forget.map(|(topic, _)| RowKey::Gone(topic)));
    }

    fn add_slot(&mut self, chain: ChainId, row: SlotRow) {
        let place = Place { chain, slot: row.slot };
        self.chain_mut(chain).push(row.slot);
        for run in &row.runs {
            self.add_run(place, run);
        }
        for checkpoint in &row.checkpoints {
            self.add_checkpoint(checkpoint.tp, Mark { epoch: checkpoint.leader_epoch, place });
        }
        for release in &row.releases {
            if self.partition(&release.tp).is_some_and(|p| p.lease == Some(chain)) {
                self.partition_mut(release.tp).release(Some(row.slot.next()));
            }
        }
        self.changes.slots.push((chain, row));
    }

    fn is_live(&self, topic: TopicId) -> bool {
        self.topics.get(&topic).is_some_and(|topic| !topic.deleting)
    }

    fn add_run(&mut self, place: Place, run: &RunRow) {
        if !self.is_live(run.tp.topic) {
            return;
        }
        let partition = self.find_mut(run.tp).expect("admitted runs are of known partitions");
        let was_online = partition.offline.is_none();
        match partition.push(Run::new(place, run)) {
            Pushed::Live => {}
            // The row keeps the end, which no run tells any more.
            Pushed::Dead => {
                self.changes.rows.insert(RowKey::Partition(run.tp));
                return;
            }
            Pushed::Pinned if was_online => drop(self.partition_mut(run.tp)),
            Pushed::Pinned => {}
        }
        self.chains.get_mut(&place.chain).expect("the row's chain is there").retain(place.slot);
    }

    fn add_checkpoint(&mut self, tp: TopicPartition, mark: Mark) {
        if self.is_live(tp.topic) {
            self.find_mut(tp)
                .expect("admitted checkpoints are of known partitions")
                .checkpoint(mark);
        }
    }

    fn create_topic(&mut self, new: NewTopic) {
        let NewTopic { id, name, replication_factor, configs, replicas } = new;
        let taken = self.names.insert(name.clone(), id);
        assert!(taken.is_none(), "topic name {name} is taken");
        let deleting = false;
        let partitions = Vec::new();
        let topic = Topic { name, deleting, replication_factor, configs, partitions };
        let known = self.topics.insert(id, topic);
        assert!(known.is_none(), "topic id {id} is taken");
        self.add_partitions(id, replicas);
    }

    fn add_partitions(&mut self, id: TopicId, replicas: Vec<Vec<BrokerId>>) {
        let topic = self.topic_mut(id);
        let first = topic.partitions.len();
        topic.partitions.reserve_exact(replicas.len());
        let mut alike = Alike::new();
        topic.partitions.extend(replicas.iter().map(|on| Partition::new(alike.of(on))));
        let numbers = (0..).take(topic.partitions.len()).skip(first);
        let rows = numbers.map(|n| RowKey::Partition(TopicPartition { topic: id, partition: n }));
        self.changes.rows.extend(rows);
    }

    fn start_deleting(&mut self, id: TopicId) {
        let topic = self.topic_mut(id);
        topic.deleting = true;
        let kept: Vec<Place> = topic.partitions.iter_mut().flat_map(Partition::abandon).collect();
        for place in kept {
            self.release_run(place);
        }
    }

    fn release_run(&mut self, place: Place) {
        self.chains.get_mut(&place.chain).expect("runs lie in known chains").release(place.slot);
    }

    fn drop_topic(&mut self, id: TopicId) {
        let topic = self.topics.remove(&id).expect("edits name topics that exist");
        assert!(topic.deleting, "topic {id} gone before its deletion began");
        assert!(topic.partitions.iter().all(|p| p.lease.is_none()), "topic {id} gone while led");
        self.names.remove(&topic.name);
        self.gone.insert(id, self.next_chain);
        let numbers = (0..).take(topic.partitions.len());
        let rows = numbers.map(|n| RowKey::Partition(TopicPartition { topic: id, partition: n }));
        self.changes.rows.extend(rows.chain([RowKey::Topic(id), RowKey::Gone(id)]));
        self.changes.topics.insert(id);
        self.forget_gone();
    }

    fn grant(&mut self, tp: TopicPartition, chain: ChainId) {
        let granted = self.chains.get(&chain).expect("edits name chains that exist");
        assert!(
            granted.phase == Phase::Open,
            "{tp} granted to chain {chain}, which is {:?}",
            granted.phase
        );
        let from = granted.committed_end;
        let partition = self.partition_mut(tp);
        assert!(partition.lease.is_none(), "{tp} granted twice");
        partition.grant(chain, from);
        self.share_epochs(tp);
    }

    /// Partitions of a topic mostly begin alike: a list of epochs like the left neighbour's is the neighbour's.
    fn share_epochs(&mut self, tp: TopicPartition) {
        let left = TopicPartition { partition: tp.partition - 1, ..tp };
        let Some(epochs) = self.partition(&left).map(|left| Arc::clone(&left.epochs)) else {
            return;
        };
        let partition = self.find_mut(tp).expect("it was just granted");
        if partition.epochs == epochs {
            partition.epochs = epochs;
        }
    }

    fn set_configs(&mut self, owner: ConfigOwner, configs: BTreeMap<String, String>) {
        self.changes.rows.insert(RowKey::Configs(owner.clone()));
        self.changes.cluster = true;
        if configs.is_empty() {
            self.configs.remove(&owner);
        } else {
            self.configs.insert(owner, configs);
        }
    }

    fn advance_log_start(&mut self, tp: TopicPartition, to: Offset) {
        while let Some(place) = self.partition_mut(tp).pop_below(to) {
            self.release_run(place);
        }
    }

    fn trim(&mut self, chain: ChainId, end: SlotId, now: Timestamp) {
        let from = self.chain_mut(chain).trimmed_end;
        assert!(from < end, "chain {chain} trimmed backwards: {end} after {from}");
        self.chain_mut(chain).trim(end);
        self.changes.rows.extend((from.0..end.0).map(|slot| RowKey::Slot(chain, SlotId(slot))));
        self.deletions.insert((chain, from), Queued { end, queued_at: now });
        self.changes.rows.insert(RowKey::Deletion(chain, from));
    }

    fn deleted(&mut self, chain: ChainId, from: SlotId, end: SlotId) {
        let queued = self.deletions.remove(&(chain, from)).expect("only queued deletions are done");
        self.changes.rows.insert(RowKey::Deletion(chain, from));
        if end < queued.end {
            self.deletions.insert((chain, end), queued);
            self.changes.rows.insert(RowKey::Deletion(chain, end));
        }
    }
}
