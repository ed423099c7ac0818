//! Retention, trimming and the queue of deletions. The policies are [`crate::maintenance`]'s; this applies them.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::machine::Machine;
use crate::base::clock::Timestamp;
use crate::base::ids::{BrokerId, ChainId, SlotId, TopicPartition};
use crate::base::offset::Offset;
use crate::cluster::config::live_defaults;
use crate::cluster::internal::is_internal;
use crate::maintenance::gc;
use crate::maintenance::retention::{Aged, Policy, Standing, log_start_after};
use crate::manifest::Error;
use crate::manifest::chain::Phase;
use crate::manifest::client::{Deletion, RetentionDefaults, SealedChain, Trimmed};
use crate::manifest::edit::{ConfigOwner, Edit};
use crate::manifest::partition::{Partition, Run};
use crate::manifest::state::Topic;

impl Machine {
    pub(super) fn retain(&mut self, now: Timestamp, defaults: RetentionDefaults) -> usize {
        let mut moves: Vec<(TopicPartition, Offset)> = Vec::new();
        let live = self.live_defaults();
        // What a coordinator keeps goes when the coordinator has copied it forward, whatever configs its topic was given.
        let ages = |topic: &Topic| !topic.deleting && !is_internal(&topic.name);
        for (id, topic) in self.state.topics.iter().filter(|(_, topic)| ages(topic)) {
            let policies = live.iter().map(|(broker, live)| {
                let mut configs = live.clone();
                configs
                    .extend(topic.configs.iter().map(|(key, value)| (key.clone(), value.clone())));
                (*broker, Policy::of(&configs, defaults))
            });
            let policies: BTreeMap<Option<BrokerId>, Policy> = policies.collect();
            if policies.values().all(|policy| !policy.limits()) {
                continue;
            }
            let online = topic.partitions.iter().zip(0..).filter(|(p, _)| p.offline.is_none());
            let moved = online.filter_map(|(partition, number)| {
                let leader = partition.lease.and_then(|chain| self.state.chains.get(&chain));
                let leader = leader.map(|chain| chain.broker);
                let policy = policies.get(&leader).or_else(|| policies.get(&None))?;
                let to = retained_from(partition, policy, now);
                let tp = TopicPartition { topic: *id, partition: number };
                (to > partition.log_start).then_some((tp, to))
            });
            moves.extend(moved);
        }
        let moved = moves.len();
        for (tp, to) in moves {
            self.state.apply(Edit::LogStart { tp, to });
        }
        moved
    }

    /// What clients have changed of the defaults of topic configs: for all brokers (none), and for each that was told
    /// something of its own.
    fn live_defaults(&self) -> BTreeMap<Option<BrokerId>, BTreeMap<String, String>> {
        let configs = &self.state.configs;
        let common = configs.get(&ConfigOwner::Broker(None));
        let own = configs.iter().filter_map(|(owner, own)| match owner {
            ConfigOwner::Broker(broker @ Some(_)) => {
                Some((*broker, live_defaults(common.into_iter().chain([own]))))
            }
            _ => None,
        });
        let mut live: BTreeMap<_, _> = own.collect();
        live.insert(None, live_defaults(common));
        live
    }

    pub(super) fn trim(&mut self, now: Timestamp, slots_max: u64) -> Trimmed {
        let mut trimmed = Trimmed::default();
        let pins = self.pins();
        let mut ends: Vec<(ChainId, SlotId)> = Vec::new();
        for (id, chain) in &self.state.chains {
            // A recoverer probes a fencing chain's names: they stay as they are until it is sealed.
            if chain.phase == Phase::Fencing || chain.live.is_empty() {
                continue;
            }
            let pins = pins.get(id).map_or(&[][..], Vec::as_slice);
            let left = slots_max - trimmed.slots;
            let decision = gc::trim(chain.trimmed_end, chain.live.iter().copied(), pins, left);
            trimmed.slots += decision.end.0 - chain.trimmed_end.0;
            trimmed.checkpoint_anew.extend(decision.checkpoint_anew);
            if decision.end > chain.trimmed_end {
                ends.push((*id, decision.end));
            }
        }
        for (chain, end) in ends {
            self.state.apply(Edit::Trimmed { chain, end, now });
        }
        trimmed
    }

    /// From which slots partitions' states are rebuilt, ascending, by chain.
    fn pins(&self) -> BTreeMap<ChainId, Vec<(SlotId, TopicPartition)>> {
        let mut pins: BTreeMap<ChainId, Vec<(SlotId, TopicPartition)>> = BTreeMap::new();
        for (tp, _, partition) in self.state.live_partitions() {
            if let Some(place) = partition.state_at() {
                pins.entry(place.chain).or_default().push((place.slot, tp));
            }
        }
        pins.values_mut().for_each(|pins| pins.sort_unstable());
        pins
    }

    pub(super) fn deletions(&self, queued_by: Timestamp, ranges_max: usize) -> Vec<Deletion> {
        let queued = self.state.deletions.iter().map(|((chain, from), queued)| Deletion {
            chain: *chain,
            from: *from,
            end: queued.end,
            queued_at: queued.queued_at,
        });
        let mut due: Vec<Deletion> = queued.filter(|d| d.queued_at <= queued_by).collect();
        due.sort_by_key(|deletion| deletion.queued_at);
        due.truncate(ranges_max);
        due
    }

    pub(super) fn sealed_chains(
        &self,
        after: Option<ChainId>,
        chains_max: usize,
    ) -> Vec<SealedChain> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let sealed = self.state.chains.range((from, Bound::Unbounded)).filter_map(|(id, chain)| {
            let queued = self.state.deletions.range((*id, SlotId(0))..=(*id, SlotId(u64::MAX)));
            let first_queued = queued.map(|((_, from), _)| *from).next();
            Some(SealedChain {
                chain: *id,
                deleted_end: first_queued.unwrap_or(chain.trimmed_end).min(chain.trimmed_end),
                sealed_at: chain.sealed_at()?,
            })
        });
        sealed.take(chains_max).collect()
    }

    pub(super) fn deleted(&mut self, done: &[Deletion]) -> Result<(), Error> {
        for Deletion { chain, from, end, .. } in done {
            let queued = self.state.deletions.get(&(*chain, *from));
            if queued.is_some_and(|queued| *from < *end && *end <= queued.end) {
                self.state.apply(Edit::Deleted { chain: *chain, from: *from, end: *end });
            }
        }
        Ok(())
    }
}

/// Committed runs are stable: the committed end is at most the high watermark.
fn retained_from(partition: &Partition, policy: &Policy, now: Timestamp) -> Offset {
    let standing = Standing {
        log_start: partition.log_start,
        high_watermark: partition.end,
        bytes: partition.bytes,
    };
    let aged = |run: &Run| Aged {
        end_offset: run.end_offset,
        bytes: run.bytes,
        max_timestamp: run.max_timestamp,
    };
    log_start_after(policy, standing, partition.runs.iter().map(aged), now)
}
