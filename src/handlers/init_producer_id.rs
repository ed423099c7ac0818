//! InitProducerId: a number that no producer had before, or the next epoch of a transactional id's producer.
//!
//! Source: KIP-98, KIP-360; `KafkaApis.handleInitProducerIdRequest`, `TransactionCoordinator.handleInitProducerId`.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::transactions::code;
use super::{Session, error_code};
use crate::base::ids::ProducerId as Id;
use crate::protocol::ErrorCode;
use crate::transactions::Producer;

/// The first version that knows PRODUCER_FENCED.
const FENCED_SINCE: i16 = 4;

pub(super) async fn handle(
    session: &Session,
    version: i16,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let expected = match expected(&request) {
        Ok(expected) => expected,
        Err(error) => return refused(error),
    };
    let transactions = &session.context.transactions;
    let given = match &request.transactional_id {
        None => match transactions.fresh_id().await {
            Ok(id) => Ok(Producer { id, epoch: 0 }),
            Err(error) => Err(error_code::of_transaction(&error)),
        },
        Some(id) => {
            let timeout_ms = request.transaction_timeout_ms;
            let given = transactions.init(id.as_str(), timeout_ms, expected).await;
            given.map_err(|error| code(&error, version, FENCED_SINCE))
        }
    };
    match given {
        Ok(Producer { id, epoch }) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(id.0))
            .with_producer_epoch(epoch),
        Err(error) => refused(error),
    }
}

/// A producer comes back with both its id and its epoch, or with neither.
fn expected(request: &InitProducerIdRequest) -> Result<Option<Producer>, ErrorCode> {
    match (request.producer_id.0, request.producer_epoch) {
        (-1, -1) => Ok(None),
        (-1, _) | (_, -1) => Err(ErrorCode::InvalidRequest),
        (id, epoch) => Ok(Some(Producer { id: Id(id), epoch })),
    }
}

fn refused(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(error.code())
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_comes_back_with_id_and_epoch_or_with_neither() {
        let back = Producer { id: Id(5), epoch: 1 };
        for (id, epoch, known) in [
            (-1, -1, Ok(None)),
            (5, 1, Ok(Some(back))),
            (5, -1, Err(ErrorCode::InvalidRequest)),
            (-1, 5, Err(ErrorCode::InvalidRequest)),
        ] {
            let request = InitProducerIdRequest::default()
                .with_producer_id(ProducerId(id))
                .with_producer_epoch(epoch);
            assert_eq!(expected(&request), known, "{id} {epoch}");
        }
    }
}
