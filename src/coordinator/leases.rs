//! Who leads what: sealing a chain and granting what it led, taking leases up, giving them back.

use std::sync::Arc;

use super::machine::Machine;
use crate::base::ids::{ChainId, SlotId, TopicPartition};
use crate::manifest::Error;
use crate::manifest::chain::Phase;
use crate::manifest::client::{ChainSpan, Lease};
use crate::manifest::edit::Edit;
use crate::manifest::partition::{Grant, Partition};
use crate::manifest::state::Topic;

impl Machine {
    /// Ends a fencing chain. The seal, the new epochs and their grants are one change.
    pub(super) fn seal(&mut self, chain: ChainId, sealed_at: SlotId) -> Result<(), Error> {
        let known = self.state.chains.get(&chain).ok_or(Error::Fenced { chain })?;
        match known.phase {
            Phase::Open => return Err(Error::StillOpen { chain }),
            Phase::Sealed(end) if end == sealed_at => return Ok(()),
            Phase::Sealed(end) => return Err(Error::AlreadySealed { chain, sealed_at: end }),
            Phase::Fencing => {}
        }
        if known.committed_end != sealed_at {
            return Err(Error::Gap { chain, expected: known.committed_end, given: sealed_at });
        }
        let broker = known.broker;
        let led = self.state.led_by(chain);
        self.state.apply(Edit::ChainSealed { chain, sealed_at });
        self.finish_deletions();
        if let Some((next, _)) = self.open_chain(broker) {
            self.grant(next, &led);
        }
        Ok(())
    }

    /// Grants those partitions that can be led and that nobody leads.
    pub(super) fn grant(&mut self, chain: ChainId, partitions: &[TopicPartition]) {
        for tp in partitions {
            let kept = self.state.topics.get(&tp.topic).is_some_and(|topic| !topic.deleting);
            let partition = self.state.partition(tp);
            let free = partition.is_some_and(|p| p.lease.is_none() && p.offline.is_none());
            if kept && free {
                self.state.apply(Edit::Granted { tp: *tp, chain });
            }
        }
    }

    /// Everything that the chain leads, after what nobody leads was granted.
    pub(super) fn acquire(&mut self, chain: ChainId) -> Result<Vec<Lease>, Error> {
        self.prove_office();
        let known = self.state.chains.get(&chain).filter(|known| known.phase == Phase::Open);
        let broker = known.ok_or(Error::Fenced { chain })?.broker;
        let fencing = self.fencing(broker);
        if let Some(first) = fencing.first() {
            return Err(Error::NotSealed { chains: fencing.len(), first: first.chain });
        }
        let mine = |partition: &Partition| partition.replicas.first() == Some(&broker);
        let free = self.state.live_partitions().filter(|(_, _, p)| p.lease.is_none() && mine(p));
        let free: Vec<TopicPartition> = free.map(|(tp, _, _)| tp).collect();
        self.grant(chain, &free);
        let led = self.state.live_partitions().filter(|(_, _, p)| p.lease == Some(chain));
        let online = led.filter(|(_, _, partition)| partition.offline.is_none());
        Ok(online.map(|(tp, topic, partition)| self.lease(tp, topic, partition)).collect())
    }

    fn lease(&self, tp: TopicPartition, topic: &Topic, partition: &Partition) -> Lease {
        Lease {
            tp,
            topic: topic.name.clone(),
            leader_epoch: partition.leader_epoch,
            start: partition.start,
            log_start: partition.log_start,
            epochs: Arc::clone(&partition.epochs),
            replay: self.replay(partition),
        }
    }

    /// The slots between the partition's last checkpoint and its present epoch.
    fn replay(&self, partition: &Partition) -> Vec<ChainSpan> {
        let earlier = partition.grants.iter().filter(|grant| grant.epoch < partition.leader_epoch);
        let span = |grant: &Grant| {
            let sealed = || self.state.chains.get(&grant.chain).and_then(|chain| chain.sealed_at());
            let mark = partition.checkpoint.as_deref().filter(|mark| mark.epoch == grant.epoch);
            let from = mark.map_or(grant.from, |mark| mark.place.slot);
            let end =
                grant.until().or_else(sealed).expect("an epoch follows only one that has ended");
            ChainSpan { chain: grant.chain, from, end }
        };
        earlier.map(span).filter(|span| span.from < span.end).collect()
    }

    /// Takes back leases of topics that are being deleted.
    pub(super) fn released(
        &mut self,
        chain: ChainId,
        partitions: &[TopicPartition],
    ) -> Result<(), Error> {
        if !self.state.chains.contains_key(&chain) {
            return Err(Error::Fenced { chain });
        }
        for tp in partitions {
            let deleting = self.state.topics.get(&tp.topic).is_some_and(|topic| topic.deleting);
            let led = self.state.partition(tp).is_some_and(|p| p.lease == Some(chain));
            if deleting && led {
                self.state.apply(Edit::Released { tp: *tp });
            }
        }
        self.finish_deletions();
        Ok(())
    }
}
