//! Proofs of leadership for what one request says of many partitions (law 9).
//!
//! A proof is of a chain, so one serves all partitions of that chain, however many a request names. What is said is read
//! before the proof begins: a chain that was open later was open then.

use std::collections::BTreeMap;

use futures::future::join_all;
use tokio::time::Instant;

use super::{Error, Partition, PartitionHandle};
use crate::base::ids::ChainId;

/// What was proven of each chain.
#[derive(Debug, Default)]
pub struct Proofs(BTreeMap<ChainId, Result<(), Error>>);

impl Proofs {
    /// Proves that the chains of these partitions are open, at a time after the call and before the deadline: what was read
    /// of them until now may then be said. Without partitions it asks and waits for nothing.
    pub async fn of(partitions: Vec<&PartitionHandle>, deadline: Instant) -> Self {
        let chains: BTreeMap<_, _> =
            partitions.into_iter().map(|one| (one.wal.chain(), one)).collect();
        let within = deadline.saturating_duration_since(Instant::now());
        let mut rounds = Vec::with_capacity(chains.len());
        for (chain, one) in chains {
            rounds.push(async move { (chain, one.prove(within).await) });
        }
        Self(join_all(rounds).await.into_iter().collect())
    }

    /// Whether what was read of one of the partitions may be said.
    ///
    /// # Errors
    /// [`Error::Wal`]: its chain ended, or no proof came in time; this is said instead.
    ///
    /// # Panics
    /// When the partition is none of those that were proven.
    pub fn check(&self, partition: &Partition) -> Result<(), Error> {
        let proof = self.0.get(&partition.wal.chain());
        proof.expect("a proof of each partition that waits for one").clone()
    }
}
