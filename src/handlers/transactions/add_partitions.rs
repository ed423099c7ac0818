//! AddPartitionsToTxn: adds partitions to a transaction; from version 4 on of many, or only asks whether they are in it.
//!
//! Source: KIP-98, KIP-890; `KafkaApis.handleAddPartitionsToTxnRequest`.

use std::collections::BTreeMap;

use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{code, producer};
use crate::cluster::image::Image;
use crate::handlers::Session;
use crate::protocol::ErrorCode;
use crate::transactions::{Error, Partitions};

/// The first version that knows PRODUCER_FENCED.
const FENCED_SINCE: i16 = 2;
/// The first version that brokers send to one another: many transactions at once.
const BATCHED_SINCE: i16 = 4;

type Results = BTreeMap<String, BTreeMap<i32, ErrorCode>>;

pub(in crate::handlers) async fn handle(
    session: &Session,
    version: i16,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let response = AddPartitionsToTxnResponse::default();
    if version < BATCHED_SINCE {
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(request.v3_and_below_transactional_id)
            .with_producer_id(request.v3_and_below_producer_id)
            .with_producer_epoch(request.v3_and_below_producer_epoch)
            .with_topics(request.v3_and_below_topics);
        let results = one(session, version, &transaction).await;
        return response.with_results_by_topic_v3_and_below(listed(results));
    }
    let mut all = Vec::with_capacity(request.transactions.len());
    for transaction in request.transactions {
        let results = one(session, version, &transaction).await;
        let result = AddPartitionsToTxnResult::default()
            .with_transactional_id(transaction.transactional_id)
            .with_topic_results(listed(results));
        all.push(result);
    }
    response.with_results_by_transaction(all)
}

async fn one(
    session: &Session,
    version: i16,
    transaction: &AddPartitionsToTxnTransaction,
) -> Results {
    let wanted = wanted(&transaction.topics);
    let image = session.context.image();
    if wanted.iter().any(|(topic, numbers)| numbers.iter().any(|n| !exists(&image, topic, *n))) {
        // One that does not exist keeps all others out.
        return each(&wanted, |topic, number| {
            if exists(&image, topic, number) {
                ErrorCode::OperationNotAttempted
            } else {
                ErrorCode::UnknownTopicOrPartition
            }
        });
    }
    let transactions = &session.context.transactions;
    let id = transaction.transactional_id.as_str();
    let from = producer(transaction.producer_id, transaction.producer_epoch);
    if !transaction.verify_only {
        let added = transactions.add(id, from, &wanted).await;
        let code = added.err().map_or(ErrorCode::None, |e| code(&e, version, FENCED_SINCE));
        return each(&wanted, |_, _| code);
    }
    let told = |error: &Error| code(error, version, FENCED_SINCE);
    match transactions.verify(id, from, &wanted).await {
        Err(error) => each(&wanted, |_, _| told(&error)),
        Ok(verified) => each(&wanted, |topic, number| match verified[topic][&number] {
            Ok(()) => ErrorCode::None,
            Err(refusal) => told(&refusal.into()),
        }),
    }
}

fn wanted(topics: &[AddPartitionsToTxnTopic]) -> Partitions {
    let mut wanted = Partitions::new();
    for topic in topics {
        wanted.entry(topic.name.to_string()).or_default().extend(&topic.partitions);
    }
    wanted
}

fn exists(image: &Image, topic: &str, number: i32) -> bool {
    let found = image.topic(topic);
    found.is_some_and(|found| {
        usize::try_from(number).is_ok_and(|number| number < found.partitions.len())
    })
}

fn each(wanted: &Partitions, code: impl Fn(&str, i32) -> ErrorCode) -> Results {
    let topics = wanted.iter().map(|(topic, numbers)| {
        let codes = numbers.iter().map(|number| (*number, code(topic, *number)));
        (topic.clone(), codes.collect())
    });
    topics.collect()
}

fn listed(results: Results) -> Vec<AddPartitionsToTxnTopicResult> {
    let topics = results.into_iter().map(|(topic, codes)| {
        let partitions = codes.into_iter().map(|(number, code)| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(number)
                .with_partition_error_code(code.code())
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(TopicName(StrBytes::from_string(topic)))
            .with_results_by_partition(partitions.collect())
    });
    topics.collect()
}
