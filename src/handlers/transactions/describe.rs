//! DescribeTransactions: where transactional ids stand.
//!
//! Source: KIP-664; `KafkaApis.handleDescribeTransactionsRequest`.

use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, ProducerId, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::handlers::answers::Growing;
use crate::handlers::{Session, error_code};
use crate::transactions::Transaction;

pub(in crate::handlers) async fn handle(
    session: &Session,
    version: i16,
    request: DescribeTransactionsRequest,
    growing: &mut Growing,
) -> DescribeTransactionsResponse {
    let mut states = Vec::with_capacity(request.transactional_ids.len());
    for id in request.transactional_ids {
        let state = match session.context.transactions.describe(id.as_str()).await {
            Ok(known) => state(&known),
            Err(error) => TransactionState::default()
                .with_error_code(error_code::of_transaction(&error).code()),
        };
        if !growing.push(&mut states, version, state.with_transactional_id(id)) {
            break;
        }
    }
    DescribeTransactionsResponse::default().with_transaction_states(states)
}

fn state(known: &Transaction) -> TransactionState {
    let topics = known.partitions.iter().map(|(topic, numbers)| {
        TopicData::default()
            .with_topic(TopicName(StrBytes::from_string(topic.clone())))
            .with_partitions(numbers.iter().copied().collect())
    });
    TransactionState::default()
        .with_transaction_state(StrBytes::from_static_str(known.status.name()))
        .with_transaction_timeout_ms(known.timeout_ms)
        .with_transaction_start_time_ms(known.start.0)
        .with_producer_id(ProducerId(known.producer.id.0))
        .with_producer_epoch(known.producer.epoch)
        .with_topics(topics.collect())
}
