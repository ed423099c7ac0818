//! The memory that requests on their way in may hold, over all connections.
//!
//! Only what has arrived counts, so a claimed length costs nothing; frames up to [`FREE_BYTES`] are exempt, so that a few
//! large requests never keep small ones out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::units::ByteSize;

/// Frames up to this size need no permit.
pub(super) const FREE_BYTES: usize = 64 << 10;
/// The budget is kept in units of this size.
const UNIT_BYTES: usize = 4 << 10;
/// A connection that gets no memory for so long is closed: others hold it without progress.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bound on the bytes of requests that are being received.
#[derive(Debug, Clone)]
pub struct RequestBudget(Arc<Semaphore>);

/// Memory granted to one frame; dropping it gives the memory back.
#[derive(Debug, Default)]
pub(super) struct Granted(Option<OwnedSemaphorePermit>);

impl RequestBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: ByteSize) -> Self {
        let units = (bytes.as_usize() / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(units)))
    }

    /// Grants `bytes` more to a frame; waits while there is none. False: none came in time.
    pub(super) async fn grow(&self, granted: &mut Granted, bytes: usize) -> bool {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let acquire = Arc::clone(&self.0).acquire_many_owned(units);
        let Ok(Ok(more)) = tokio::time::timeout(PATIENCE, acquire).await else { return false };
        match &mut granted.0 {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        true
    }
}
