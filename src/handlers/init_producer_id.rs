//! InitProducerId: a number that no producer had before, for idempotence.
//!
//! Source: KIP-98, KIP-360; `TransactionCoordinator.handleInitProducerId`.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::Session;
use crate::protocol::ErrorCode;

pub(super) async fn handle(
    session: &Session,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let refused = |error: ErrorCode| {
        InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
    };
    if request.transactional_id.is_some() {
        // Transactions are not built: no broker coordinates them.
        return refused(ErrorCode::CoordinatorNotAvailable);
    }
    match session.context.producer_ids.next(session.context.cluster.as_ref()).await {
        Some(id) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(id.0))
            .with_producer_epoch(0),
        None => refused(ErrorCode::CoordinatorLoadInProgress),
    }
}
