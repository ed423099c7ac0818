//! Rebuilds the state from its rows: the same state that wrote them.

use std::collections::BTreeMap;

use super::alike::Alike;
use super::chain::Place;
use super::codec;
use super::partition::{Mark, Partition, Pushed, Run};
use super::row::SlotRow;
use super::state::{RowKey, State};
use super::wire::Malformed;
use crate::base::ids::{ChainId, SlotId, TopicPartition};

/// Rows that do not make a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unloadable {
    /// One row cannot be read.
    #[error("row {key:02x?} cannot be read")]
    Row {
        /// Its key.
        key: Vec<u8>,
        /// Why not.
        #[source]
        source: Malformed,
    },
    /// A row names something that has no row.
    #[error("row {key:02x?} belongs to nothing")]
    Orphan {
        /// Its key.
        key: Vec<u8>,
    },
    /// A chain's slots are not all there.
    #[error("chain {chain} has rows for {found} of its slots {from} to {end}")]
    Hole {
        /// The chain.
        chain: ChainId,
        /// The first slot that must have a row.
        from: SlotId,
        /// One past the last.
        end: SlotId,
        /// How many have.
        found: u64,
    },
    /// The rows contradict each other.
    #[error("invariant {invariant} is broken: {what}")]
    Broken {
        /// Its name in [`super::invariants`].
        invariant: &'static str,
        /// What breaks it.
        what: String,
    },
}

/// Something in a partition's history that only slot rows tell.
#[derive(Debug, Clone, Copy)]
enum Happened {
    Run(Run),
    Checkpoint(Mark),
}

impl Happened {
    fn order(&self) -> (crate::base::ids::LeaderEpoch, SlotId) {
        match self {
            Self::Run(run) => (run.leader_epoch, run.place.slot),
            Self::Checkpoint(mark) => mark.order(),
        }
    }
}

/// Collects rows in any order, and makes the state of them.
#[derive(Debug, Default)]
pub(crate) struct Loader {
    state: State,
    partitions: BTreeMap<TopicPartition, Partition>,
    slots: BTreeMap<ChainId, u64>,
    history: BTreeMap<TopicPartition, Vec<Happened>>,
}

impl Loader {
    /// Takes one row.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), Unloadable> {
        self.read(key, value).map_err(|source| Unloadable::Row { key: key.to_vec(), source })
    }

    fn read(&mut self, key: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let state = &mut self.state;
        match codec::read_key(key)? {
            RowKey::Meta => {
                let meta = codec::read_meta(value)?;
                state.term = meta.term;
                state.next_chain = meta.next_chain;
                state.next_producer = meta.next_producer;
            }
            RowKey::Broker(id) => drop(state.brokers.insert(id, codec::read_broker(value)?)),
            RowKey::Chain(id) => drop(state.chains.insert(id, codec::read_chain(value)?)),
            RowKey::Topic(id) => {
                let topic = codec::read_topic(value)?;
                state.names.insert(topic.name.clone(), id);
                state.topics.insert(id, topic);
            }
            RowKey::Partition(tp) => {
                self.partitions.insert(tp, codec::read_partition(value)?);
            }
            RowKey::Slot(chain, slot) => self.add_slot(chain, &codec::read_slot(slot, value)?),
            RowKey::Configs(owner) => {
                drop(state.configs.insert(owner, codec::read_configs(value)?))
            }
            RowKey::Gone(id) => drop(state.gone.insert(id, codec::read_gone(value)?)),
            RowKey::Deletion(chain, from) => {
                state.deletions.insert((chain, from), codec::read_deletion(value)?);
            }
        }
        Ok(())
    }

    fn add_slot(&mut self, chain: ChainId, row: &SlotRow) {
        *self.slots.entry(chain).or_default() += 1;
        let place = Place { chain, slot: row.slot };
        for run in &row.runs {
            self.history.entry(run.tp).or_default().push(Happened::Run(Run::new(place, run)));
        }
        for checkpoint in &row.checkpoints {
            let mark = Mark { epoch: checkpoint.leader_epoch, place };
            self.history.entry(checkpoint.tp).or_default().push(Happened::Checkpoint(mark));
        }
    }

    /// The state.
    pub(crate) fn finish(mut self) -> Result<State, Unloadable> {
        self.place_partitions()?;
        self.count_slots()?;
        for (tp, mut history) in std::mem::take(&mut self.history) {
            // Rows come in the order of chains; a partition's history goes by epochs, each of which is one chain's.
            history.sort_by_key(Happened::order);
            self.replay(tp, &history);
        }
        super::invariants::check(&self.state).map_err(|broken| Unloadable::Broken {
            invariant: broken.invariant,
            what: broken.what,
        })?;
        Ok(self.state)
    }

    fn place_partitions(&mut self) -> Result<(), Unloadable> {
        let (mut replicas, mut epochs) = (Alike::new(), Alike::new());
        for (tp, mut partition) in std::mem::take(&mut self.partitions) {
            let orphan = || Unloadable::Orphan { key: codec::key(&RowKey::Partition(tp)) };
            let topic = self.state.topics.get_mut(&tp.topic).ok_or_else(orphan)?;
            if usize::try_from(tp.partition) != Ok(topic.partitions.len()) {
                return Err(orphan());
            }
            partition.replicas = replicas.of(&partition.replicas);
            partition.epochs = epochs.of(&partition.epochs);
            topic.partitions.push(partition);
        }
        // Their rows were not written again when the deletion began.
        for topic in self.state.topics.values_mut().filter(|topic| topic.deleting) {
            topic.partitions.iter_mut().for_each(|partition| drop(partition.abandon()));
        }
        Ok(())
    }

    fn count_slots(&mut self) -> Result<(), Unloadable> {
        for (id, chain) in &mut self.state.chains {
            let (from, end) = (chain.trimmed_end, chain.committed_end);
            let found = self.slots.remove(id).unwrap_or(0);
            if end.0.checked_sub(from.0) != Some(found) {
                return Err(Unloadable::Hole { chain: *id, from, end, found });
            }
            chain.live.extend((0..found).map(|_| 0));
        }
        match self.slots.first_key_value() {
            Some((chain, _)) => Err(Unloadable::Orphan { key: codec::key(&RowKey::Chain(*chain)) }),
            None => Ok(()),
        }
    }

    fn replay(&mut self, tp: TopicPartition, history: &[Happened]) {
        let Some(topic) = self.state.topics.get_mut(&tp.topic).filter(|topic| !topic.deleting)
        else {
            return;
        };
        let number = usize::try_from(tp.partition).unwrap_or(usize::MAX);
        let Some(partition) = topic.partitions.get_mut(number) else {
            return;
        };
        for place in replay_partition(partition, history) {
            let chain = self.state.chains.get_mut(&place.chain).expect("counted with its slots");
            chain.retain(place.slot);
        }
    }
}

/// Brings one partition up to date and returns the places of the runs that keep their slots.
fn replay_partition(partition: &mut Partition, history: &[Happened]) -> Vec<Place> {
    let since = partition.offline.take().map(|offline| offline.since);
    let known_end = partition.end;
    let fits = |happened: &Happened| since.is_none_or(|since| happened.order() < since.order());
    let mut kept = Vec::new();
    let mut first = true;
    for happened in history.iter().filter(|happened| fits(happened)) {
        match happened {
            Happened::Checkpoint(mark) => partition.checkpoint(*mark),
            Happened::Run(run) if run.end_offset <= partition.log_start => {}
            Happened::Run(run) => {
                if std::mem::take(&mut first) {
                    partition.end = run.base_offset; // What came before it has no rows any more.
                }
                if partition.push(*run) == Pushed::Live {
                    kept.push(run.place);
                }
            }
        }
    }
    partition.end = if first { known_end } else { partition.end.max(known_end) };
    if let Some(since) = since {
        let runs =
            history.iter().filter(|happened| !fits(happened)).filter_map(
                |happened| match happened {
                    Happened::Run(run) => Some(run.place),
                    Happened::Checkpoint(_) => None,
                },
            );
        let pinned: Vec<Place> = runs.collect();
        kept.extend(&pinned);
        partition.offline = Some(Box::new(super::partition::Offline { since, pinned }));
    }
    kept
}
