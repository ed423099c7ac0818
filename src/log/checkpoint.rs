//! Writes partitions' states into the chain, so that a recovery reads few indexes and the collector is not held back.
//!
//! A new leader's first checkpoint follows at once, even when idle; then one round each [`SLOTS_BETWEEN`] slots.

use std::time::Duration;

use super::registry::Registry;
use crate::base::clock::sleep;
use crate::wal::Wal;

/// A recovery replays at most about so many indexes.
const SLOTS_BETWEEN: u64 = 512;
/// After the start of a leader: within 5 s even when idle.
const FIRST_AFTER: Duration = Duration::from_secs(2);
/// Producers are looked over for expiry this often (`producer.id.expiration.check.interval.ms`).
const EXPIRE_EVERY: Duration = Duration::from_secs(600);

/// Writes checkpoints until the chain ends.
pub(super) async fn run(registry: Registry, wal: Wal) {
    let mut progress = wal.progress();
    sleep(FIRST_AFTER).await;
    loop {
        for partition in registry.partitions() {
            // A partition that was released or whose chain ended needs no checkpoint.
            let _ = partition.checkpoint();
        }
        let next = wal.stable() + SLOTS_BETWEEN;
        loop {
            registry.expire_producers();
            let enough = progress.wait_for(|now| now.ended.is_some() || now.stable >= next);
            match tokio::time::timeout(EXPIRE_EVERY, enough).await {
                Ok(Ok(now)) if now.ended.is_none() => break,
                Ok(_) => return,
                Err(_) => {}
            }
        }
    }
}
