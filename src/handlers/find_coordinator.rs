//! FindCoordinator: says that there is none yet, since neither groups nor transactions are served.
//!
//! Source: KIP-699 (many keys), KIP-932 (share groups); `KafkaApis.handleFindCoordinatorRequest`.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use uuid::Uuid;

use super::scope::text;
use crate::protocol::ErrorCode;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

pub(super) fn handle(version: i16, request: &FindCoordinatorRequest) -> FindCoordinatorResponse {
    if version < 4 {
        let (error, message) = refusal(version, request.key_type, &request.key);
        return FindCoordinatorResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(message)))
            .with_node_id(BrokerId(-1))
            .with_port(-1);
    }
    let coordinators = request.coordinator_keys.iter().map(|key| {
        let (error, message) = refusal(version, request.key_type, key);
        Coordinator::default()
            .with_key(key.clone())
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(error.code())
            .with_error_message(Some(text(message)))
    });
    FindCoordinatorResponse::default()
        .with_error_message(Some(text("")))
        .with_coordinators(coordinators.collect())
}

fn refusal(version: i16, key_type: i8, key: &str) -> (ErrorCode, &'static str) {
    let error = match key_type {
        GROUP | TRANSACTION => ErrorCode::CoordinatorNotAvailable,
        SHARE if version >= 6 && names_share_partition(key) => ErrorCode::CoordinatorNotAvailable,
        SHARE => ErrorCode::InvalidRequest,
        _ => return (ErrorCode::InvalidRequest, ErrorCode::InvalidRequest.message()),
    };
    // From version 4 on Kafka leaves the sentence out.
    (error, if version < 4 { error.message() } else { "" })
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
    fn no_coordinator_is_named_before_there_is_one() {
        use ErrorCode::{CoordinatorNotAvailable as NotYet, InvalidRequest as Invalid};
        for (version, key_type, key, expected) in [
            (0, GROUP, "g", NotYet),
            (3, TRANSACTION, "t", NotYet),
            (3, 9, "k", Invalid),
            (6, GROUP, "", NotYet),
            (6, SHARE, "k", Invalid),
            (6, SHARE, "g:AAAAAAAAAAAAAAAAAAAAAQ:0", NotYet),
            (5, SHARE, "g:AAAAAAAAAAAAAAAAAAAAAQ:0", Invalid),
        ] {
            let key = text(key);
            let request = if version < 4 {
                FindCoordinatorRequest::default().with_key(key)
            } else {
                FindCoordinatorRequest::default().with_coordinator_keys(vec![key])
            };
            let response = handle(version, &request.with_key_type(key_type));
            let code = response.coordinators.first().map_or(response.error_code, |c| c.error_code);
            assert_eq!(code, expected.code(), "version {version}, type {key_type}");
        }
    }
}
