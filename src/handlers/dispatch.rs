//! One exhaustive match over the APIs: what is advertised is served here.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use kafka_protocol::messages::{ApiVersionsResponse, ListPartitionReassignmentsRequest};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::answers::Growing;
use super::configs::{alter, describe, incremental_alter, list_resources};
use super::scope::Scope;
use super::topics::{create, create_partitions, delete, describe_partitions};
use super::transactions::describe as describe_transactions;
use super::transactions::{add_offsets, add_partitions, end, list, write_markers};
use super::{
    Answering, CloseReason, Outcome, Session, alter_partition_reassignments, api_versions,
    delete_records, describe_cluster, describe_log_dirs, describe_producers, elect_leaders, fetch,
    find_coordinator, groups, init_producer_id, list_offsets, list_partition_reassignments,
    metadata, offset_for_leader_epoch,
};
use crate::cluster::client::Visible;
use crate::protocol::ApiKey;
use crate::protocol::frame::ResponseHead;
use crate::protocol::header::RequestHeader;

/// Answers a request in a version that we do not serve.
///
/// An ApiVersions is answered in version 0 with what we serve, so that the client can choose (KIP-511).
pub(super) fn unserved(header: &RequestHeader) -> Answering {
    let outcome = if header.key == ApiKey::ApiVersions {
        let response: ApiVersionsResponse = api_versions::unsupported();
        encode(ResponseHead { version: 0, ..header.response() }, &response)
    } else {
        Outcome::Close(CloseReason::UnservedVersion {
            api: header.key.name(),
            version: header.version,
        })
    };
    std::future::ready(outcome).boxed()
}

/// Answers any request but Produce, which [`Session::begin`] admits.
pub(super) async fn handle(session: &Arc<Session>, header: RequestHeader, body: Bytes) -> Outcome {
    let api = header.key.name();
    match serve(session, header, body).await {
        Outcome::Answer(answer) => match session.context.answers.room_for_all(answer.bytes()).await
        {
            Some(room) => Outcome::Held(answer, room),
            None => Outcome::Close(CloseReason::NoMemory { api }),
        },
        outcome => outcome,
    }
}

async fn serve(session: &Session, header: RequestHeader, body: Bytes) -> Outcome {
    let version = header.version;
    match header.key {
        // It has begun before it could come here: the server is wrong, not the client.
        ApiKey::Produce => {
            Outcome::Close(CloseReason::UnservedVersion { api: header.key.name(), version })
        }
        ApiKey::Fetch => fetch::handle(session, header, body).await,
        ApiKey::ListOffsets => {
            answer(&header, body, |request| list_offsets::handle(session, version, request)).await
        }
        ApiKey::DeleteRecords => {
            answer(&header, body, |request| delete_records::handle(session, request)).await
        }
        ApiKey::OffsetForLeaderEpoch => {
            answer(&header, body, |request| offset_for_leader_epoch::handle(session, request)).await
        }
        ApiKey::DescribeProducers => {
            let describe = async |request, growing: &mut Growing| {
                describe_producers::handle(session, version, request, growing).await
            };
            answer_within(session, &header, body, describe).await
        }
        ApiKey::FindCoordinator => {
            let find = |request| find_coordinator::handle(session, version, request);
            answer(&header, body, find).await
        }
        ApiKey::InitProducerId
        | ApiKey::AddPartitionsToTxn
        | ApiKey::AddOffsetsToTxn
        | ApiKey::EndTxn
        | ApiKey::WriteTxnMarkers
        | ApiKey::DescribeTransactions
        | ApiKey::ListTransactions => transaction(session, &header, body).await,
        ApiKey::Metadata
        | ApiKey::CreateTopics
        | ApiKey::DeleteTopics
        | ApiKey::CreatePartitions
        | ApiKey::AlterConfigs
        | ApiKey::IncrementalAlterConfigs => change(session, &header, body).await,
        ApiKey::OffsetCommit
        | ApiKey::OffsetFetch
        | ApiKey::JoinGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::DeleteGroups
        | ApiKey::OffsetDelete
        | ApiKey::ConsumerGroupHeartbeat
        | ApiKey::ConsumerGroupDescribe
        | ApiKey::ShareGroupHeartbeat
        | ApiKey::ShareGroupDescribe
        | ApiKey::ShareFetch
        | ApiKey::ShareAcknowledge
        | ApiKey::DescribeShareGroupOffsets
        | ApiKey::AlterShareGroupOffsets
        | ApiKey::DeleteShareGroupOffsets
        | ApiKey::TxnOffsetCommit => groups::handle(session, &header, body).await,
        ApiKey::ApiVersions
        | ApiKey::DescribeConfigs
        | ApiKey::DescribeLogDirs
        | ApiKey::ElectLeaders
        | ApiKey::AlterPartitionReassignments
        | ApiKey::ListPartitionReassignments
        | ApiKey::DescribeCluster
        | ApiKey::ListConfigResources
        | ApiKey::DescribeTopicPartitions => show(session, &header, body).await,
    }
}

/// What concerns transactions.
async fn transaction(session: &Session, header: &RequestHeader, body: Bytes) -> Outcome {
    let version = header.version;
    match header.key {
        ApiKey::InitProducerId => {
            let init = |request| init_producer_id::handle(session, version, request);
            answer(header, body, init).await
        }
        ApiKey::AddPartitionsToTxn => {
            let add = |request| add_partitions::handle(session, version, request);
            answer(header, body, add).await
        }
        ApiKey::AddOffsetsToTxn => {
            answer(header, body, |request| add_offsets::handle(session, version, request)).await
        }
        ApiKey::EndTxn => {
            answer(header, body, |request| end::handle(session, version, request)).await
        }
        ApiKey::WriteTxnMarkers => {
            answer(header, body, |request| write_markers::handle(session, request)).await
        }
        ApiKey::DescribeTransactions => {
            let describe = async |request, growing: &mut Growing| {
                describe_transactions::handle(session, version, request, growing).await
            };
            answer_within(session, header, body, describe).await
        }
        _ => answer(header, body, |request| list::handle(session, request)).await,
    }
}

/// What changes metadata: the answer waits until this broker's log has seen the change (law 5).
async fn change(session: &Session, header: &RequestHeader, body: Bytes) -> Outcome {
    let scope = &Scope::of(session);
    let version = header.version;
    match header.key {
        ApiKey::CreateTopics => {
            let create = |request| seen(session, create::handle(scope, version, request));
            answer(header, body, create).await
        }
        ApiKey::DeleteTopics => {
            let delete = |request| seen(session, delete::handle(scope, version, request));
            answer(header, body, delete).await
        }
        ApiKey::CreatePartitions => {
            answer(header, body, |request| seen(session, create_partitions::handle(scope, request)))
                .await
        }
        ApiKey::AlterConfigs => {
            answer(header, body, |request| seen(session, alter::handle(scope, request))).await
        }
        ApiKey::IncrementalAlterConfigs => {
            answer(header, body, |request| seen(session, incremental_alter::handle(scope, request)))
                .await
        }
        _ => {
            let metadata = |request| seen(session, metadata::handle(scope, version, request));
            answer(header, body, metadata).await
        }
    }
}

async fn seen<R>(session: &Session, change: impl Future<Output = Visible<R>>) -> R {
    let Visible { value, version } = change.await;
    session.context.log.caught_up(version).await;
    value
}

/// What only shows metadata: a plain function of the image.
async fn show(session: &Session, header: &RequestHeader, body: Bytes) -> Outcome {
    use std::future::ready;
    let scope = &Scope::of(session);
    let version = header.version;
    match header.key {
        ApiKey::ApiVersions => {
            answer(header, body, |request| ready(api_versions::handle(scope, version, &request)))
                .await
        }
        ApiKey::DescribeConfigs => {
            let describe = async |request, growing: &mut Growing| {
                describe::handle(scope, version, request, growing)
            };
            answer_within(session, header, body, describe).await
        }
        ApiKey::DescribeLogDirs => {
            let context = &session.context;
            answer(header, body, |request| describe_log_dirs::handle(context, scope, request)).await
        }
        ApiKey::ElectLeaders => {
            answer(header, body, |request| ready(elect_leaders::handle(scope, version, &request)))
                .await
        }
        ApiKey::AlterPartitionReassignments => {
            let reassign = |request| ready(alter_partition_reassignments::handle(scope, request));
            answer(header, body, reassign).await
        }
        ApiKey::ListPartitionReassignments => {
            let list = |_: ListPartitionReassignmentsRequest| {
                ready(list_partition_reassignments::handle())
            };
            answer(header, body, list).await
        }
        ApiKey::DescribeCluster => {
            answer(header, body, |request| ready(describe_cluster::handle(scope, &request))).await
        }
        ApiKey::ListConfigResources => {
            answer(header, body, |request| ready(list_resources::handle(scope, version, &request)))
                .await
        }
        _ => {
            answer(header, body, |request| ready(describe_partitions::handle(scope, &request)))
                .await
        }
    }
}

/// As [`answer`], for what a small request can make large: `respond` makes room for each piece, and leaves off where there is
/// none.
pub(super) async fn answer_within<Q, R>(
    session: &Session,
    header: &RequestHeader,
    body: Bytes,
    respond: impl AsyncFnOnce(Q, &mut Growing) -> R,
) -> Outcome
where
    Q: Decodable,
    R: Encodable,
{
    let mut growing = session.context.answers.growing();
    let outcome = answer(header, body, |request| respond(request, &mut growing)).await;
    match outcome {
        _ if growing.is_over() => Outcome::Close(CloseReason::NoMemory { api: header.key.name() }),
        Outcome::Answer(answer) => {
            let room = growing.made(answer.bytes());
            Outcome::Held(answer, room)
        }
        outcome => outcome,
    }
}

/// Decodes the request, lets `respond` answer it, and encodes the response.
pub(super) async fn answer<Q, R, F>(
    header: &RequestHeader,
    mut body: Bytes,
    respond: impl FnOnce(Q) -> F,
) -> Outcome
where
    Q: Decodable,
    R: Encodable,
    F: Future<Output = R>,
{
    match Q::decode(&mut body, header.version) {
        Ok(request) => encode(header.response(), &respond(request).await),
        Err(_) => Outcome::Close(CloseReason::Malformed { api: header.key.name() }),
    }
}

fn encode<R: Encodable>(head: ResponseHead, response: &R) -> Outcome {
    match head.frame(response) {
        Ok(frame) => Outcome::Answer(frame),
        Err(error) => {
            tracing::error!(%error, "response could not be encoded");
            Outcome::Close(CloseReason::BadRequest(error))
        }
    }
}
