//! InitProducerId: a number that no producer had before, for idempotence.
//!
//! Source: KIP-98, KIP-360; `KafkaApis.handleInitProducerIdRequest`, `TransactionCoordinator.handleInitProducerId`.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::Session;
use crate::config::Config;
use crate::protocol::ErrorCode;

pub(super) async fn handle(
    session: &Session,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    if let Some(error) = refusal(&session.context.config, &request) {
        return refused(error);
    }
    match session.context.producer_ids.next(session.context.cluster.as_ref()).await {
        Some(id) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(id.0))
            .with_producer_epoch(0),
        None => refused(ErrorCode::CoordinatorLoadInProgress),
    }
}

fn refused(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(error.code())
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1)
}

fn refusal(config: &Config, request: &InitProducerIdRequest) -> Option<ErrorCode> {
    // A producer comes back with both or with neither.
    if (request.producer_id.0 == -1) != (request.producer_epoch == -1) {
        return Some(ErrorCode::InvalidRequest);
    }
    let id = request.transactional_id.as_ref()?;
    let longest = config.transactions.max_timeout.as_millis();
    let timeout = u128::try_from(request.transaction_timeout_ms).unwrap_or(0);
    Some(if id.is_empty() {
        ErrorCode::InvalidRequest
    } else if timeout == 0 || timeout > longest {
        ErrorCode::InvalidTransactionTimeout
    } else {
        // Transactions are not built: no broker coordinates them.
        ErrorCode::CoordinatorNotAvailable
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::TransactionalId;
    use kafka_protocol::protocol::StrBytes;

    #[test]
    fn idempotent_producers_are_served_and_transactional_ones_told_why_not() {
        let config = Config::with([]).expect("defaults are valid");
        for (transactional_id, timeout_ms, producer, expected) in [
            (None, 0, (-1, -1), None),
            (None, 0, (5, 1), None),
            (None, 0, (5, -1), Some(ErrorCode::InvalidRequest)),
            (None, 0, (-1, 5), Some(ErrorCode::InvalidRequest)),
            (Some(""), 1000, (-1, -1), Some(ErrorCode::InvalidRequest)),
            (Some("t"), 0, (-1, -1), Some(ErrorCode::InvalidTransactionTimeout)),
            (Some("t"), 2_000_000_000, (-1, -1), Some(ErrorCode::InvalidTransactionTimeout)),
            (Some("t"), 60_000, (-1, -1), Some(ErrorCode::CoordinatorNotAvailable)),
        ] {
            let id = transactional_id.map(|id| TransactionalId(StrBytes::from_static_str(id)));
            let request = InitProducerIdRequest::default()
                .with_transactional_id(id)
                .with_transaction_timeout_ms(timeout_ms)
                .with_producer_id(ProducerId(producer.0))
                .with_producer_epoch(producer.1);
            assert_eq!(refusal(&config, &request), expected, "{transactional_id:?} {timeout_ms}");
        }
    }
}
