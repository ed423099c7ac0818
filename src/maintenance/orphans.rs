//! Deletes data of sealed chains that no manifest will ever name: puts that landed late.
//!
//! A put may land after its reply was lost, long after its chain ended: above the end such a slot is void for ever, and below
//! the trim it comes back where it was deleted. So the sweep recurs. What a listing shows is only looked at; whether it goes
//! follows from the manifest alone, of facts that never change back: the chain is sealed, and how far it is trimmed. Fences
//! are never deleted, nor slots that are queued for deletion: those have their grace.

use super::metrics::Metrics;
use crate::base::ids::ChainId;
use crate::manifest::client::SealedChain;
use crate::manifest::{Error, ManifestClient};
use crate::object::{Listed, Store, keys};
use crate::segment::format::HEADER_BYTES;

/// Chains looked at in one round.
const CHAINS_MAX: usize = 16;

/// Goes through the sealed chains, a few each round, and begins anew behind the last.
#[derive(Debug)]
pub struct Orphans {
    store: Store,
    cluster_id: String,
    /// The last chain that was looked at.
    after: Option<ChainId>,
}

impl Orphans {
    /// Starts with the first chain.
    #[must_use]
    pub fn new(store: Store, cluster_id: &str) -> Self {
        Self { store, cluster_id: cluster_id.to_owned(), after: None }
    }

    /// Looks at the next chains, and returns how many orphans are gone.
    ///
    /// # Errors
    /// The coordinator's. The store's are counted, and the chain is looked at again when its turn comes.
    pub async fn run(
        &mut self,
        manifest: &dyn ManifestClient,
        metrics: &Metrics,
    ) -> Result<u64, Error> {
        let chains = manifest.sealed_chains(self.after, CHAINS_MAX).await?;
        self.after = chains.last().map(|last| last.chain).filter(|_| chains.len() == CHAINS_MAX);
        let mut gone = 0;
        for chain in &chains {
            let listed = self.store.list(&keys::chain_dir(&self.cluster_id, chain.chain)).await;
            let Ok(listed) = listed.inspect_err(|_| metrics.failed.inc()) else { continue };
            for orphan in listed.iter().filter(|one| is_orphan(&self.cluster_id, chain, one)) {
                match self.store.delete(&orphan.key).await {
                    Ok(()) => {
                        tracing::info!(key = %orphan.key, "late slot of a sealed chain deleted");
                        metrics.orphans.inc();
                        gone += 1;
                    }
                    Err(_) => metrics.failed.inc(),
                }
            }
        }
        Ok(gone)
    }
}

/// Whether an object is data that nothing will ever reference.
fn is_orphan(cluster: &str, chain: &SealedChain, listed: &Listed) -> bool {
    // A fence is nothing but a header.
    if listed.bytes <= HEADER_BYTES as u64 {
        return false;
    }
    match keys::parse_slot(cluster, &listed.key) {
        Some((of, slot)) if of == chain.chain => slot < chain.deleted_end || slot > chain.sealed_at,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::SlotId;

    #[test]
    fn only_data_below_the_trim_or_above_the_end_is_an_orphan() {
        let chain =
            SealedChain { chain: ChainId(3), deleted_end: SlotId(10), sealed_at: SlotId(20) };
        let check = |of: u64, slot: u64, bytes: u64, expected: bool| {
            let key = keys::slot("c", ChainId(of), SlotId(slot));
            let found = is_orphan("c", &chain, &Listed { key, bytes });
            assert_eq!(found, expected, "{of} {slot} {bytes}");
        };
        for (slot, expected) in [(0, true), (9, true), (10, false), (19, false), (21, true)] {
            check(3, slot, 5000, expected);
            check(3, slot, HEADER_BYTES as u64, false);
        }
        // Whatever has the name of the end: it is what ended the chain.
        check(3, 20, 5000, false);
        check(4, 0, 5000, false);
    }
}
