//! Producer ids for clients, out of blocks that the coordinator gives to nobody else.
//!
//! Source: KIP-730; `ProducerIdManager`.

use tokio::sync::Mutex;

use crate::base::ids::ProducerId;
use crate::cluster::client::{ClusterClient, ProducerIdBlock};

/// The rest of the current block.
#[derive(Debug, Default)]
pub(super) struct ProducerIds(Mutex<Option<ProducerIdBlock>>);

impl ProducerIds {
    /// An id that was never given before. None: the coordinator does not answer. Those who come meanwhile wait their turn,
    /// so that one block serves them all.
    pub(super) async fn next(&self, cluster: &dyn ClusterClient) -> Option<ProducerId> {
        let mut rest = self.0.lock().await;
        let block = match rest.take().filter(|block| block.count > 0) {
            Some(block) => block,
            None => cluster.allocate_producer_ids().await.ok()?,
        };
        let next = ProducerId(block.first.0 + 1);
        *rest = Some(ProducerIdBlock { first: next, count: block.count - 1 });
        Some(block.first)
    }
}
