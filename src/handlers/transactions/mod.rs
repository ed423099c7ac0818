//! The APIs of transactions: codec on top of the transaction coordinator.

pub(super) mod add_offsets;
pub(super) mod add_partitions;
pub(super) mod describe;
pub(super) mod end;
pub(super) mod list;
pub(super) mod write_markers;

use super::error_code;
use crate::base::ids::ProducerId;
use crate::protocol::ErrorCode;
use crate::transactions::{Error, Producer};

/// A producer as requests name it.
fn producer(id: kafka_protocol::messages::ProducerId, epoch: i16) -> Producer {
    Producer { id: ProducerId(id.0), epoch }
}

/// The code of a refusal; clients below `fenced_since` do not know PRODUCER_FENCED.
pub(super) fn code(error: &Error, version: i16, fenced_since: i16) -> ErrorCode {
    match error_code::of_transaction(error) {
        ErrorCode::ProducerFenced if version < fenced_since => ErrorCode::InvalidProducerEpoch,
        code => code,
    }
}
