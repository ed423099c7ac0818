//! Stores one slot: the same bytes under the same name until it is stored, fenced, or refused for good.
//!
//! Does not own the try-again and the hedge (`object::retry`); says what stands in a name, and what that means for the chain.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::End;
use super::fence::{self, Name};
use super::handle::Shared;
use crate::base::backoff::Backoff;
use crate::base::clock::sleep;
use crate::base::ids::SlotId;
use crate::object::{self, Key, Payload, keys};

/// One slot on its way.
pub(super) struct Upload {
    pub(super) shared: Arc<Shared>,
    pub(super) slot: SlotId,
    pub(super) payload: Payload,
}

/// Stores the slot. Resolves when it is stored, or the chain must end.
pub(super) async fn run(upload: Upload) -> (SlotId, Result<(), End>) {
    let begun = Instant::now();
    let stored = upload.store().await;
    upload.shared.parts.metrics.upload_seconds.observe(begun.elapsed().as_secs_f64());
    (upload.slot, stored)
}

impl Upload {
    async fn store(&self) -> Result<(), End> {
        let parts = &self.shared.parts;
        let key = keys::slot(&parts.cluster, self.shared.chain, self.slot);
        let mut backoff =
            Backoff::new(Duration::from_millis(20), Duration::from_secs(5), parts.rng.clone());
        loop {
            match parts.store.put_if_absent(&key, self.payload.clone()).await {
                Ok(()) => return Ok(()),
                Err(object::Error::DurabilityLost { .. }) => return Err(End::DurabilityLost),
                Err(error) => {
                    if let Some(outcome) = self.classify(&key).await {
                        return outcome;
                    }
                    if !error.is_retriable()
                        && !matches!(error, object::Error::AlreadyExists { .. })
                    {
                        tracing::error!(%error, slot = %self.slot, "slot refused");
                        return Err(End::Refused { slot: self.slot });
                    }
                    tracing::warn!(%error, slot = %self.slot, "slot not stored yet");
                    sleep(backoff.next_delay()).await;
                }
            }
        }
    }

    /// What stands in our name: none if nothing does, or nobody can tell yet.
    async fn classify(&self, key: &Key) -> Option<Result<(), End>> {
        let store = &self.shared.parts.store;
        match fence::look(store, key, self.shared.chain, self.slot).await {
            Ok(Name::Data { incarnation }) if incarnation == self.shared.incarnation => {
                // Seen is not durable on a local directory (law 6).
                match store.make_durable(key).await {
                    Ok(()) => Some(Ok(())),
                    Err(_) => Some(Err(End::DurabilityLost)),
                }
            }
            Ok(Name::Fence) => Some(Err(End::Fenced { slot: self.slot })),
            Ok(Name::Data { .. } | Name::Foreign) => Some(Err(End::Foreign { slot: self.slot })),
            Ok(Name::Free) | Err(_) => None,
        }
    }
}
