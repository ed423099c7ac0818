//! Keeps a state topic from growing: the live state is written anew at the end of the log, and the log then starts there.
//!
//! The copies are ordinary records, so a reader of any kind, Kafka's tools included, sees nothing unusual. A crash on the
//! way leaves copies of what is still there: replay comes to the same state. What belongs to open transactions is not
//! copied (its order to the marker matters); it holds the start of the log back instead.

use std::sync::Arc;

use super::Error;
use super::machine::{Live, Machine};
use super::shard::Shard;

/// Bytes of one batch of copies.
const PIECE_BYTES_MAX: usize = 256 << 10;

/// Whether garbage outweighs what lives, and is worth the writing.
pub(super) fn is_due(log_bytes: u64, garbage_bytes_min: u64, live: impl FnOnce() -> u64) -> bool {
    if log_bytes < garbage_bytes_min {
        return false;
    }
    let live = live();
    let garbage = log_bytes.saturating_sub(live);
    garbage >= garbage_bytes_min.max(live)
}

/// Copies the live state forward and lets go of what lies before it. Returns about how many bytes the log then holds; none
/// if an open transaction holds everything back.
///
/// # Errors
/// [`Error`]: copies may have been written; nothing is lost.
pub(super) async fn copy_forward<M: Machine>(shard: &Arc<Shard<M>>) -> Result<Option<u64>, Error> {
    let before = shard.log_bytes();
    let mut to = shard.partition().offsets()?.log_end;
    let mut from: Option<Vec<u8>> = None;
    let mut newest = None;
    loop {
        // One piece a turn: requests go on between the pieces, and what they write comes after the copies.
        let (slot, next, needed) = shard.turn(|machine, turn| {
            let Live { records, next } = machine.live(from.as_deref(), PIECE_BYTES_MAX);
            let slot = match records.as_slice() {
                [] => None,
                records => Some(turn.append(records)?.slot),
            };
            Ok::<_, Error>((slot, next, machine.oldest_needed()))
        })??;
        // What this piece left out must stay, whatever becomes of its transaction meanwhile.
        to = needed.map_or(to, |needed| needed.min(to));
        newest = slot.or(newest);
        // At most one piece is on its way: clients' requests are not crowded out.
        shard.stable(slot).await?;
        match next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    shard.stable(newest).await?;
    let partition = shard.partition();
    if to <= partition.offsets()?.log_start {
        return Ok(None);
    }
    partition.delete_records(shard.parts().manifest.as_ref(), Some(to)).await?;
    let after = shard.log_bytes();
    tracing::info!(tp = %partition.tp(), log_start = %to, "live state copied forward");
    // What was written since the beginning is kept; what a transaction held back is counted again in the next round.
    Ok(Some(after.saturating_sub(before)))
}
