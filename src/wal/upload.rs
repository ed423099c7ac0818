//! Stores one slot: the same bytes under the same name until it is stored, fenced, or refused for good.
//!
//! Does not own the try-again and the hedge (`object::retry`): says whose object stands in a name, and what that means for
//! the chain.

use std::sync::Arc;

use tokio::time::Instant;

use super::End;
use super::fence::{self, Name};
use super::handle::Shared;
use crate::base::ids::SlotId;
use crate::object::retry::{Outcome, Ownership};
use crate::object::{self, Payload, keys};

/// One slot on its way.
pub(super) struct Upload {
    pub(super) shared: Arc<Shared>,
    pub(super) slot: SlotId,
    pub(super) payload: Payload,
}

/// Stores the slot. Resolves when it is stored, or the chain must end; in an outage that is never.
pub(super) async fn run(upload: Upload) -> (SlotId, Result<(), End>) {
    let Upload { shared, slot, payload } = upload;
    let begun = Instant::now();
    let (chain, incarnation) = (shared.chain, shared.incarnation);
    let whose = move |header: &[u8]| match fence::classify(header, chain, slot) {
        Name::Data { incarnation: writer } if writer == incarnation => Ownership::Ours,
        Name::Fence => Ownership::Fence,
        Name::Data { .. } | Name::Foreign | Name::Free => Ownership::Foreign,
    };
    let key = keys::slot(&shared.parts.cluster, chain, slot);
    let stored = match shared.parts.putter.put_once(&key, payload, &whose).await {
        Outcome::Stored => Ok(()),
        Outcome::Fenced { .. } => Err(End::Fenced { slot }),
        Outcome::Foreign { .. } => Err(End::Foreign { slot }),
        Outcome::Refused(object::Error::DurabilityLost { .. }) => Err(End::DurabilityLost),
        Outcome::Refused(error) => {
            tracing::error!(%key, %error, "slot was refused");
            Err(End::Refused { slot })
        }
    };
    shared.parts.metrics.upload_seconds.observe(begun.elapsed().as_secs_f64());
    (slot, stored)
}
