//! TxnOffsetCommit: commits a group's offsets as a part of a transaction.
//!
//! Source: KIP-98, KIP-447 (members are fenced), KIP-890 (from version 5 on the group's partition becomes part of the
//! transaction by it); `KafkaApis.handleTxnOffsetCommitRequest`.

use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::{code, owned};
use crate::base::ids::{ProducerId, TopicId};
use crate::cluster::image::Image;
use crate::cluster::internal::CONSUMER_OFFSETS;
use crate::groups::{CommitRequest, OffsetToCommit, TransactionalCommit};
use crate::handlers::{Session, error_code};
use crate::protocol::ErrorCode;
use crate::transactions::{Admission, Producer};

/// The first version whose transactions have epochs of their own.
const OWN_EPOCH_SINCE: i16 = 5;
/// Older clients take COORDINATOR_LOAD_IN_PROGRESS for fatal (KAFKA-7296).
const LOADING_SINCE: i16 = 2;
/// Clients from here on know TRANSACTION_ABORTABLE.
const ABORTABLE_SINCE: i16 = 4;

pub(super) async fn commit(
    session: &Session,
    version: i16,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let image = session.context.image();
    let offsets: Vec<OffsetToCommit> =
        request.topics.iter().flat_map(|topic| known_of(&image, version, topic)).collect();
    let commit = CommitRequest {
        group_id: request.group_id.as_str().to_owned(),
        generation_id: if version >= 3 { request.generation_id } else { -1 },
        member_id: request.member_id.as_str().to_owned(),
        group_instance_id: owned(request.group_instance_id.clone()),
        retention: None,
        knows_group_id_not_found: false,
        offsets,
    };
    // Kafka asks nobody about topics that do not exist.
    let committed = if commit.offsets.is_empty() {
        Ok(Vec::new())
    } else {
        commit_known(session, version, &request, commit).await
    };
    let mut each = committed.as_ref().map_or(&[][..], Vec::as_slice).iter();
    let all = committed.as_ref().err().copied();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|part| {
            let known = id_of(&image, topic, part.partition_index).is_some();
            let error_code = match all {
                _ if !known => ErrorCode::UnknownTopicOrPartition.code(),
                Some(code) => code,
                None => each.next().copied().unwrap_or(ErrorCode::None.code()),
            };
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(part.partition_index)
                .with_error_code(error_code)
        });
        let partitions = partitions.collect();
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions)
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

/// The codes of all offsets in order, or one for all.
async fn commit_known(
    session: &Session,
    version: i16,
    request: &TxnOffsetCommitRequest,
    commit: CommitRequest,
) -> Result<Vec<i16>, i16> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest.code());
    }
    let transactions = &session.context.transactions;
    let producer =
        Producer { id: ProducerId(request.producer_id.0), epoch: request.producer_epoch };
    let admission = if version >= OWN_EPOCH_SINCE { Admission::Add } else { Admission::Verify };
    let id = request.transactional_id.as_str();
    let asked = TransactionalCommit { producer: (producer.id, producer.epoch), commit };
    let committed = session.context.groups.commit_transactional(&asked, |partition| {
        transactions.admit(id, producer, (CONSUMER_OFFSETS, partition), admission)
    });
    match committed.await {
        Ok(Ok(each)) => Ok(each.into_iter().map(code).collect()),
        Ok(Err(refusal)) => Err(told(version, code(Some(refusal)))),
        Err(denied) => {
            let error = transactions.confirm(denied).await;
            let code = match error_code::of_transaction(&error) {
                ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
                ErrorCode::TransactionAbortable if version < ABORTABLE_SINCE => {
                    ErrorCode::InvalidTxnState
                }
                code => code,
            };
            Err(told(version, code.code()))
        }
    }
}

fn told(version: i16, code: i16) -> i16 {
    if version < LOADING_SINCE && code == ErrorCode::CoordinatorLoadInProgress.code() {
        return ErrorCode::CoordinatorNotAvailable.code();
    }
    code
}

/// The topic's id, if it has the partition.
fn id_of(image: &Image, topic: &TxnOffsetCommitRequestTopic, partition: i32) -> Option<TopicId> {
    let found = image.topic(topic.name.as_str())?;
    let index = usize::try_from(partition).ok()?;
    (index < found.partitions.len()).then_some(found.id)
}

fn known_of<'a>(
    image: &'a Image,
    version: i16,
    topic: &'a TxnOffsetCommitRequestTopic,
) -> impl Iterator<Item = OffsetToCommit> + 'a {
    topic.partitions.iter().filter_map(move |part| {
        let metadata = part.committed_metadata.as_ref();
        Some(OffsetToCommit {
            topic: topic.name.as_str().to_owned(),
            topic_id: id_of(image, topic, part.partition_index)?.0,
            partition: part.partition_index,
            offset: part.committed_offset,
            leader_epoch: if version >= 2 { part.committed_leader_epoch } else { -1 },
            metadata: metadata.map(|text| text.as_str().to_owned()).unwrap_or_default(),
        })
    })
}
