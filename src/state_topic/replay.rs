//! Rebuilds a machine from its partition's records, in order, markers included.

use bytes::Bytes;

use super::machine::{Machine, Replayed, ReplayedMarker};
use crate::base::offset::Offset;
use crate::log::{self, Isolation, PartitionHandle, ReadBounds, Remote};
use crate::record::control::{self, ControlType};
use crate::record::records::Records;
use crate::record::{self, ValidBatch};

/// Bytes read at once.
const READ_BYTES_MAX: usize = 8 << 20;
/// The most that one stored batch may unpack to.
const UNPACKED_BYTES_MAX: usize = 256 << 20;

/// Replays the partition into `machine` up to its end, and returns how many bytes the log holds.
///
/// # Errors
/// Those of reading: the machine is half built and must be thrown away.
pub(super) async fn replay(
    machine: &mut impl Machine,
    partition: &PartitionHandle,
    remote: &Remote,
) -> Result<u64, log::Error> {
    let offsets = partition.offsets()?;
    let (mut at, end) = (offsets.log_start, offsets.log_end);
    let mut log_bytes = 0;
    while at < end {
        let bounds = ReadBounds {
            offset: at,
            bytes_max: READ_BYTES_MAX,
            at_least_one: true,
            isolation: Isolation::ReadUncommitted,
        };
        let read = partition.read(remote, bounds).await?;
        let before = at;
        log_bytes += read.bytes as u64;
        at = replay_batches(machine, read.whole(), at).map_err(|error| {
            tracing::error!(tp = %partition.tp(), offset = %at, %error, "state topic could not be replayed");
            log::Error::Corrupt { tp: partition.tp(), offset: at }
        })?;
        if at == before {
            // The start of the log may have moved meanwhile; anything else is a hole.
            let log_start = partition.offsets()?.log_start;
            if log_start <= at {
                return Err(log::Error::Corrupt { tp: partition.tp(), offset: at });
            }
            at = log_start;
        }
    }
    Ok(log_bytes)
}

/// Replays whole batches, and returns where they end.
fn replay_batches(
    machine: &mut impl Machine,
    mut batches: Bytes,
    from: Offset,
) -> Result<Offset, record::Error> {
    let mut at = from;
    while !batches.is_empty() {
        let batch = ValidBatch::read_stored(&batches)?;
        batches = batches.slice(batch.total_bytes()..);
        replay_batch(machine, &batch, from)?;
        at = batch.header.end_offset();
    }
    Ok(at)
}

fn replay_batch(
    machine: &mut impl Machine,
    batch: &ValidBatch,
    from: Offset,
) -> Result<(), record::Error> {
    let header = &batch.header;
    let producer = (header.producer_id, header.producer_epoch);
    if header.attributes.is_control() {
        let commit = match control::read(batch)?.control {
            ControlType::Commit => true,
            ControlType::Abort => false,
            ControlType::None | ControlType::Other => return Ok(()),
        };
        let offset = header.base_offset;
        machine.replay_marker(&ReplayedMarker { offset, producer, commit, slot: None });
        return Ok(());
    }
    let transaction = header.attributes.is_transactional().then_some(producer);
    for record in &Records::unpack(batch, UNPACKED_BYTES_MAX)? {
        let record = record?;
        // A batch may begin below the start of the log.
        let Some(key) = record.key.filter(|_| record.offset >= from) else { continue };
        machine.replay(&Replayed {
            offset: record.offset,
            timestamp: record.timestamp,
            key,
            value: record.value,
            transaction,
        });
    }
    Ok(())
}
