//! Which brokers stand for a partition's replicas.
//!
//! The data has one copy in the bucket, so a replica is a broker that may lead, and the factor is what clients asked for:
//! where fewer brokers are registered, one stands for several and is repeated.
//! Source: `ReplicationControlManager.validateManualPartitionAssignment` in Apache Kafka.

use std::collections::{BTreeMap, BTreeSet};

use super::machine::Machine;
use crate::base::ids::BrokerId;
use crate::cluster::error::{AssignmentFault, Refusal, RequestFault};

impl Machine {
    /// Replicas for partitions `first..first + count`: brokers in turn.
    pub(super) fn spread(&self, first: usize, count: usize, factor: usize) -> Vec<Vec<BrokerId>> {
        let brokers: Vec<BrokerId> = self.state.brokers.keys().copied().collect();
        if brokers.is_empty() {
            return vec![Vec::new(); count];
        }
        let of = |partition: usize| {
            (0..factor).map(|n| brokers[(partition + n) % brokers.len()]).collect()
        };
        (first..first + count).map(of).collect()
    }

    /// One manual assignment; `factor` is what those before it have.
    pub(super) fn check_manual(
        &self,
        replicas: &[BrokerId],
        factor: Option<usize>,
    ) -> Result<(), AssignmentFault> {
        if replicas.is_empty() {
            return Err(AssignmentFault::Empty);
        }
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        let mut seen = BTreeSet::new();
        for broker in sorted {
            if !self.state.brokers.contains_key(&broker) {
                return Err(AssignmentFault::UnknownBroker { broker });
            }
            if !seen.insert(broker) {
                return Err(AssignmentFault::Duplicate { broker });
            }
        }
        match factor {
            Some(expected) if expected != replicas.len() => {
                Err(AssignmentFault::Uneven { given: replicas.len(), expected })
            }
            _ => Ok(()),
        }
    }

    /// The manual assignments of a new topic.
    pub(super) fn check_manuals(
        &self,
        assignments: BTreeMap<i32, Vec<BrokerId>>,
        counts: (Option<i32>, Option<i16>),
    ) -> Result<Vec<Vec<BrokerId>>, Refusal> {
        if counts.1.is_some() {
            return Err(Refusal::InvalidRequest(RequestFault::FactorBesideAssignment));
        }
        if counts.0.is_some() {
            return Err(Refusal::InvalidRequest(RequestFault::CountBesideAssignment));
        }
        let mut factor = None;
        for replicas in assignments.values() {
            self.check_manual(replicas, factor).map_err(Refusal::InvalidReplicaAssignment)?;
            factor = Some(replicas.len());
        }
        if !assignments.keys().copied().eq((0..).take(assignments.len())) {
            return Err(Refusal::InvalidReplicaAssignment(AssignmentFault::NotConsecutive));
        }
        Ok(assignments.into_values().collect())
    }
}
