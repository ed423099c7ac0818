//! EndTxn: commits or aborts a transaction.
//!
//! Source: KIP-98, KIP-890 (version 5: the producer goes on in a new epoch); `KafkaApis.handleEndTxnRequest`.

use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse, ProducerId};

use super::{code, producer};
use crate::handlers::Session;
use crate::transactions::Protocol;

/// The first version that knows PRODUCER_FENCED.
const FENCED_SINCE: i16 = 2;
/// The first version whose transactions have epochs of their own.
const OWN_EPOCH_SINCE: i16 = 5;

pub(in crate::handlers) async fn handle(
    session: &Session,
    version: i16,
    request: EndTxnRequest,
) -> EndTxnResponse {
    let protocol =
        if version >= OWN_EPOCH_SINCE { Protocol::OwnEpoch } else { Protocol::SharedEpoch };
    let id = request.transactional_id.as_str();
    let from = producer(request.producer_id, request.producer_epoch);
    let ended = session.context.transactions.end(id, from, request.committed, protocol).await;
    let response = EndTxnResponse::default();
    match ended {
        Ok(_) if version < OWN_EPOCH_SINCE => response,
        Ok(next) => {
            response.with_producer_id(ProducerId(next.id.0)).with_producer_epoch(next.epoch)
        }
        Err(error) => response.with_error_code(code(&error, version, FENCED_SINCE).code()),
    }
}
