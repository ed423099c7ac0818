//! FindCoordinator: the leader of the partition that holds a key. Internal topics come into being by it.
//!
//! Source: KIP-699 (many keys), KIP-932 (share groups); `KafkaApis.handleFindCoordinatorRequest`.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use uuid::Uuid;

use super::scope::text;
use super::{Session, error_code};
use crate::base::ids;
use crate::protocol::ErrorCode;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// The first version of many keys.
const MANY_KEYS_SINCE: i16 = 4;
/// The first version that knows share groups.
const SHARE_SINCE: i16 = 6;

/// A coordinator, or that there is none.
struct Found {
    error: ErrorCode,
    node: BrokerId,
    host: String,
    port: i32,
    message: &'static str,
}

pub(super) async fn handle(
    session: &Session,
    version: i16,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if version < MANY_KEYS_SINCE {
        let found = find(session, version, request.key_type, &request.key).await;
        return FindCoordinatorResponse::default()
            .with_error_code(found.error.code())
            .with_error_message(Some(text(found.message)))
            .with_node_id(found.node)
            .with_host(text(found.host))
            .with_port(found.port);
    }
    let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
    for key in request.coordinator_keys {
        let found = find(session, version, request.key_type, &key).await;
        let coordinator = Coordinator::default()
            .with_error_code(found.error.code())
            .with_error_message(Some(text(found.message)))
            .with_node_id(found.node)
            .with_host(text(found.host))
            .with_port(found.port);
        coordinators.push(coordinator.with_key(key));
    }
    FindCoordinatorResponse::default()
        .with_error_message(Some(text("")))
        .with_coordinators(coordinators)
}

async fn find(session: &Session, version: i16, key_type: i8, key: &str) -> Found {
    let kept = |error: ErrorCode| if version < MANY_KEYS_SINCE { error.message() } else { "" };
    let leader = match key_type {
        GROUP => session.context.groups.coordinator_of(key).await.map_err(error_code::of_group),
        TRANSACTION => {
            let leader = session.context.transactions.leader_of(key).await;
            leader.map_err(|_| ErrorCode::CoordinatorNotAvailable)
        }
        SHARE if version >= SHARE_SINCE && names_share_partition(key) => {
            let leader = session.context.persister.coordinator_of(key).await;
            leader.map_err(error_code::of_persister)
        }
        SHARE => Err(ErrorCode::InvalidRequest),
        _ => return nobody(ErrorCode::InvalidRequest, ErrorCode::InvalidRequest.message()),
    };
    // From version 4 on Kafka leaves the sentence out, but for a kind of key that there is none of.
    let found = leader.map(|leader| leader.and_then(|leader| reached(session, version, leader)));
    match found {
        Ok(Some(found)) => found,
        Ok(None) => {
            let error = ErrorCode::CoordinatorNotAvailable;
            nobody(error, kept(error))
        }
        Err(error) => nobody(error, kept(error)),
    }
}

/// The broker, as the client's listener reaches it.
fn reached(session: &Session, version: i16, leader: ids::BrokerId) -> Option<Found> {
    let image = session.context.image();
    let endpoint = image.brokers.get(&leader)?.listeners.get(&*session.listener)?;
    Some(Found {
        error: ErrorCode::None,
        node: BrokerId(leader.0),
        host: endpoint.host.clone(),
        port: i32::from(endpoint.port),
        message: if version < MANY_KEYS_SINCE { "NONE" } else { "" },
    })
}

fn nobody(error: ErrorCode, message: &'static str) -> Found {
    Found { error, node: BrokerId(-1), host: String::new(), port: -1, message }
}

/// `group:topic id:partition`, the id in base 64.
fn names_share_partition(key: &str) -> bool {
    let mut parts = key.rsplitn(3, ':');
    let partition = parts.next().is_some_and(|part| part.parse::<i32>().is_ok_and(|n| n >= 0));
    let id_chars = Uuid::nil().as_bytes().len().div_ceil(3) * 4 - 2;
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let id = parts.next().is_some_and(|id| id.len() == id_chars && id.chars().all(fine));
    partition && id && parts.next().is_some_and(|group| !group.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_partitions_are_told_from_other_keys() {
        for (key, expected) in [
            ("", false),
            ("k", false),
            ("g:AAAAAAAAAAAAAAAAAAAAAQ:0", true),
            ("g:with:colons:AAAAAAAAAAAAAAAAAAAAAQ:0", true),
            (":AAAAAAAAAAAAAAAAAAAAAQ:0", false),
            ("g:AAAAAAAAAAAAAAAAAAAAAQ:-1", false),
            ("g:AAAA:0", false),
        ] {
            assert_eq!(names_share_partition(key), expected, "{key}");
        }
    }
}
