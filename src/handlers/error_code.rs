//! Errors of the domain as Kafka's codes: the only place that turns one into the other.

use super::answers::Growing;
use super::scope::Refused;
use crate::base::offset::Offset;
use crate::cluster::error::Refusal;
use crate::groups;
use crate::log::{self, Rejection};
use crate::manifest;
use crate::protocol::ErrorCode;
use crate::protocol::StrBytes;
use crate::protocol::produce::{PartitionProduceResponse, RecordError};
use crate::record;
use crate::share;
use crate::share::partition::AckError;
use crate::share::{persister, sessions};
use crate::state_topic;
use crate::transactions;
use crate::wal;

/// The code of a partition's refusal.
pub(super) fn of_log(error: &log::Error) -> ErrorCode {
    match error {
        log::Error::NotLeader { .. } => ErrorCode::NotLeaderOrFollower,
        log::Error::EpochMismatch { current, requested, .. } => {
            if requested < current {
                ErrorCode::FencedLeaderEpoch
            } else {
                ErrorCode::UnknownLeaderEpoch
            }
        }
        log::Error::Rejected { rejection, .. } => match rejection {
            Rejection::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Rejection::StaleEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Rejection::NoTransaction { .. } | Rejection::OutsideTransaction { .. } => {
                ErrorCode::InvalidTxnState
            }
            Rejection::StaleCoordinator { .. } => ErrorCode::TransactionCoordinatorFenced,
        },
        log::Error::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        log::Error::Wal(error) => of_wal(error),
        log::Error::Manifest(error) => of_manifest(error),
        log::Error::Object(error) if error.is_retriable() => ErrorCode::RequestTimedOut,
        log::Error::Object(_) => ErrorCode::KafkaStorageError,
        log::Error::Corrupt { .. } => ErrorCode::CorruptMessage,
    }
}

/// The code of a chain's refusal: always one on which a client looks for the leader anew, or tries again.
fn of_wal(error: &wal::Error) -> ErrorCode {
    match error {
        wal::Error::Ended { .. } | wal::Error::Indeterminate { .. } => {
            ErrorCode::NotLeaderOrFollower
        }
        wal::Error::Unproven { .. } => ErrorCode::RequestTimedOut,
    }
}

/// The code of a state topic that cannot answer.
pub(super) fn of_state_topic(error: state_topic::Error) -> ErrorCode {
    match error {
        state_topic::Error::NotAvailable => ErrorCode::CoordinatorNotAvailable,
        state_topic::Error::NotCoordinator => ErrorCode::NotCoordinator,
        state_topic::Error::Loading => ErrorCode::CoordinatorLoadInProgress,
    }
}

/// The code of a refusal by the transaction coordinator.
pub(super) fn of_transaction(error: &transactions::Error) -> ErrorCode {
    use transactions::Refusal;
    match error {
        transactions::Error::Refused(refusal) => match refusal {
            Refusal::ConcurrentTransactions => ErrorCode::ConcurrentTransactions,
            Refusal::ProducerFenced => ErrorCode::ProducerFenced,
            Refusal::InvalidProducerIdMapping => ErrorCode::InvalidProducerIdMapping,
            Refusal::InvalidTxnState => ErrorCode::InvalidTxnState,
            Refusal::TransactionAbortable => ErrorCode::TransactionAbortable,
        },
        transactions::Error::Coordinator(error) => of_state_topic(*error),
        transactions::Error::NoProducerId => ErrorCode::CoordinatorLoadInProgress,
        transactions::Error::NoTransactionalId => ErrorCode::InvalidRequest,
        transactions::Error::InvalidTimeout { .. } => ErrorCode::InvalidTransactionTimeout,
        transactions::Error::UnknownId => ErrorCode::TransactionalIdNotFound,
    }
}

/// The code of a batch that its transaction's coordinator did not admit, in a version of Produce.
///
/// Source: `ReplicaManager.maybeSendPartitionsToTransactionCoordinator`, `AddPartitionsToTxnManager`.
pub(super) fn of_denied_batch(error: &transactions::Error, produce_version: i16) -> ErrorCode {
    /// Clients from here on know TRANSACTION_ABORTABLE.
    const ABORTABLE_SINCE: i16 = 11;
    /// Clients from here on try again after CONCURRENT_TRANSACTIONS.
    const OWN_EPOCH_SINCE: i16 = 12;
    match of_transaction(error) {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if produce_version < ABORTABLE_SINCE => {
            ErrorCode::InvalidTxnState
        }
        ErrorCode::ConcurrentTransactions if produce_version >= OWN_EPOCH_SINCE => {
            ErrorCode::ConcurrentTransactions
        }
        // Every client tries a produce again after this, and asks for no metadata.
        ErrorCode::ConcurrentTransactions
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => ErrorCode::NotEnoughReplicas,
        code => code,
    }
}

/// The code of a refusal by the coordinator, for a request about one partition.
fn of_manifest(error: &manifest::Error) -> ErrorCode {
    match error {
        manifest::Error::Fenced { .. }
        | manifest::Error::Superseded { .. }
        | manifest::Error::Gap { .. }
        | manifest::Error::StillOpen { .. }
        | manifest::Error::AlreadySealed { .. }
        | manifest::Error::NotSealed { .. } => ErrorCode::NotLeaderOrFollower,
        manifest::Error::Unavailable => ErrorCode::RequestTimedOut,
        manifest::Error::UnknownPartition { .. } => ErrorCode::UnknownTopicOrPartition,
        manifest::Error::BelowLogStart { .. } => ErrorCode::OffsetOutOfRange,
        manifest::Error::Refused { .. } => ErrorCode::KafkaStorageError,
    }
}

/// The code of a group coordinator's refusal.
pub(super) fn of_group(refusal: groups::Refusal) -> ErrorCode {
    use groups::Refusal as R;
    match refusal {
        R::NotAvailable => ErrorCode::CoordinatorNotAvailable,
        R::NotCoordinator => ErrorCode::NotCoordinator,
        R::Loading => ErrorCode::CoordinatorLoadInProgress,
        R::InvalidGroupId => ErrorCode::InvalidGroupId,
        R::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
        R::UnknownMemberId => ErrorCode::UnknownMemberId,
        R::MemberIdRequired => ErrorCode::MemberIdRequired,
        R::FencedInstanceId => ErrorCode::FencedInstanceId,
        R::IllegalGeneration => ErrorCode::IllegalGeneration,
        R::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
        R::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        R::GroupMaxSizeReached => ErrorCode::GroupMaxSizeReached,
        R::GroupIdNotFound | R::NotClassic => ErrorCode::GroupIdNotFound,
        R::NonEmptyGroup => ErrorCode::NonEmptyGroup,
        R::SubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
        R::StaleMemberEpoch => ErrorCode::StaleMemberEpoch,
        R::UnsupportedVersion => ErrorCode::UnsupportedVersion,
        R::OffsetMetadataTooLarge => ErrorCode::OffsetMetadataTooLarge,
        R::ShareState(error) => of_persister(error),
        R::UnstableOffsetCommit => ErrorCode::UnstableOffsetCommit,
        R::InvalidProducerEpoch => ErrorCode::InvalidProducerEpoch,
        R::InvalidTxnState => ErrorCode::InvalidTxnState,
    }
}

/// The code of a refusal by a group of the consumer protocol.
pub(super) fn of_consumer_group(error: &groups::consumer::Error) -> ErrorCode {
    use groups::consumer::Error as E;
    match error {
        E::GroupNotFound { .. } => ErrorCode::GroupIdNotFound,
        E::UnknownMember { .. } | E::UnknownInstance(_) => ErrorCode::UnknownMemberId,
        E::Fenced(_) => ErrorCode::FencedMemberEpoch,
        E::Unreleased { .. } => ErrorCode::UnreleasedInstanceId,
        E::FencedInstance { .. } => ErrorCode::FencedInstanceId,
        E::Full(_) => ErrorCode::GroupMaxSizeReached,
        E::InvalidRegex { .. } => ErrorCode::InvalidRegularExpression,
    }
}

/// The code of a share partition's state that could not be read or changed.
pub(super) fn of_persister(error: persister::Error) -> ErrorCode {
    match error {
        persister::Error::NotAvailable => ErrorCode::CoordinatorNotAvailable,
        persister::Error::NotCoordinator => ErrorCode::NotCoordinator,
        persister::Error::Loading => ErrorCode::CoordinatorLoadInProgress,
        persister::Error::Fenced { .. } => ErrorCode::FencedStateEpoch,
        persister::Error::FencedLeader { .. } => ErrorCode::FencedLeaderEpoch,
        persister::Error::NotInitialized => ErrorCode::InvalidRequest,
    }
}

/// The code of a share partition's refusal.
///
/// Source: `SharePartition.fetchPersisterError` in Apache Kafka 4.3.1.
pub(super) fn of_share(error: &share::Error) -> ErrorCode {
    match error {
        share::Error::NotLeader => ErrorCode::NotLeaderOrFollower,
        share::Error::NotLoaded => ErrorCode::UnknownTopicOrPartition,
        share::Error::Acknowledgement(AckError::InvalidRecordState) => {
            ErrorCode::InvalidRecordState
        }
        share::Error::Acknowledgement(AckError::InvalidRequest) => ErrorCode::InvalidRequest,
        share::Error::State(error) => match error {
            persister::Error::NotAvailable
            | persister::Error::NotCoordinator
            | persister::Error::Loading => ErrorCode::CoordinatorNotAvailable,
            persister::Error::Fenced { .. } | persister::Error::FencedLeader { .. } => {
                ErrorCode::NotLeaderOrFollower
            }
            persister::Error::NotInitialized => ErrorCode::UnknownServerError,
        },
        share::Error::Log(error) => of_log(error),
    }
}

/// The code of a request that does not go with its share session.
pub(super) fn of_share_session(error: sessions::Error) -> ErrorCode {
    match error {
        sessions::Error::NotFound => ErrorCode::ShareSessionNotFound,
        sessions::Error::InvalidEpoch => ErrorCode::InvalidShareSessionEpoch,
        sessions::Error::LimitReached => ErrorCode::ShareSessionLimitReached,
        sessions::Error::InvalidRequest => ErrorCode::InvalidRequest,
    }
}

/// A share group's refusal, with what Kafka says beside the code.
impl From<groups::share::Error> for Refused {
    fn from(error: groups::share::Error) -> Self {
        use groups::share::Error as E;
        let code = match &error {
            E::NoShareGroup(_) | E::NotFound(_) | E::OfAnotherKind(_) => ErrorCode::GroupIdNotFound,
            E::UnknownMember { .. } => ErrorCode::UnknownMemberId,
            E::Ahead { .. } | E::Behind { .. } => ErrorCode::FencedMemberEpoch,
            E::Full(_) => ErrorCode::GroupMaxSizeReached,
            E::NotEmpty => ErrorCode::NonEmptyGroup,
        };
        Self::new(code, error.to_string())
    }
}

/// Not all schemas are known here. Kafka has no word for it: one that has clients try again, here or elsewhere.
pub(super) const SCHEMAS_NOT_READY: ErrorCode = ErrorCode::NotLeaderOrFollower;

/// The answer to a batch that breaks a rule, with what Kafka tells beside the code: of as many records as there is room for.
pub(super) fn refused_batch(
    topic: &str,
    index: i32,
    error: &record::Error,
    log_start_offset: Offset,
    growing: &mut Growing,
) -> PartitionProduceResponse {
    let code = match error {
        record::Error::Corrupt(_) => ErrorCode::CorruptMessage,
        record::Error::Invalid(_) => ErrorCode::InvalidRecord,
        record::Error::TooLarge { .. } => ErrorCode::MessageTooLarge,
        record::Error::UnsupportedCompression { .. } => ErrorCode::UnsupportedCompressionType,
        record::Error::Rejected(_) if error.is_timestamp() => ErrorCode::InvalidTimestamp,
        record::Error::Rejected(_) => ErrorCode::InvalidRecord,
        record::Error::SchemasNotReady => SCHEMAS_NOT_READY,
    };
    let partition = format_args!("{topic}-{index}");
    let mut response = PartitionProduceResponse::refused(index, code);
    response.error_message = error.message(&partition).map(StrBytes::from_string);
    if error.is_of_append() {
        response.log_start_offset = log_start_offset;
    }
    if let record::Error::Rejected(rejections) = error {
        let each = rejections.first().iter().map(|record| RecordError {
            batch_index: record.index,
            message: Some(StrBytes::from_string(record.message(&partition))),
        });
        let fits = |error: &RecordError| {
            let text = error.message.as_ref().map_or(0, |message| message.len());
            growing.takes(size_of::<RecordError>() + text)
        };
        response.record_errors = each.take_while(fits).collect();
    }
    response
}

/// A coordinator's refusal, with what Kafka says beside the code.
impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let error = match &refusal {
            Refusal::TopicExists { .. } => ErrorCode::TopicAlreadyExists,
            Refusal::InvalidTopicName(_) => ErrorCode::InvalidTopicException,
            Refusal::UnknownTopicName { .. } => ErrorCode::UnknownTopicOrPartition,
            Refusal::UnknownTopicId { .. } => ErrorCode::UnknownTopicId,
            Refusal::InvalidPartitions(_) => ErrorCode::InvalidPartitions,
            Refusal::TooManyPartitions => ErrorCode::PolicyViolation,
            Refusal::InvalidReplicationFactor | Refusal::ReplicationFactorTooLarge { .. } => {
                ErrorCode::InvalidReplicationFactor
            }
            Refusal::InvalidReplicaAssignment(_) => ErrorCode::InvalidReplicaAssignment,
            Refusal::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Refusal::InvalidConfig(_) => ErrorCode::InvalidConfig,
        };
        Self::new(error, refusal.to_string())
    }
}
