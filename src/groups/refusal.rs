//! Why a group's coordinator does not do what it is asked. The variants follow Kafka's error codes.

use crate::share::persister;
use crate::state_topic;

/// A refusal. Nothing of the request was done, but for [`Refusal::NotCoordinator`], after which it may have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `COORDINATOR_NOT_AVAILABLE`.
    #[error("the group coordinator is not available")]
    NotAvailable,
    /// `NOT_COORDINATOR`.
    #[error("another broker coordinates the group")]
    NotCoordinator,
    /// `COORDINATOR_LOAD_IN_PROGRESS`.
    #[error("the group coordinator is loading")]
    Loading,
    /// `INVALID_GROUP_ID`.
    #[error("the group id is not valid")]
    InvalidGroupId,
    /// `INVALID_SESSION_TIMEOUT`.
    #[error("the session timeout is out of bounds")]
    InvalidSessionTimeout,
    /// `UNKNOWN_MEMBER_ID`.
    #[error("the group has no such member")]
    UnknownMemberId,
    /// `MEMBER_ID_REQUIRED`: the answer names the id to join with.
    #[error("the member must join with the id that it was given")]
    MemberIdRequired,
    /// `FENCED_INSTANCE_ID`.
    #[error("another member has taken the group instance id")]
    FencedInstanceId,
    /// `ILLEGAL_GENERATION`.
    #[error("the generation is not the group's")]
    IllegalGeneration,
    /// `INCONSISTENT_GROUP_PROTOCOL`.
    #[error("the member's protocols are not the group's")]
    InconsistentProtocol,
    /// `REBALANCE_IN_PROGRESS`.
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    /// `GROUP_MAX_SIZE_REACHED`.
    #[error("the group is full")]
    GroupMaxSizeReached,
    /// `GROUP_ID_NOT_FOUND`.
    #[error("there is no such group")]
    GroupIdNotFound,
    /// `GROUP_ID_NOT_FOUND`: there is one, of another protocol.
    #[error("the group is not of the classic protocol")]
    NotClassic,
    /// `NON_EMPTY_GROUP`.
    #[error("the group has members")]
    NonEmptyGroup,
    /// `GROUP_SUBSCRIBED_TO_TOPIC`.
    #[error("the group consumes the topic")]
    SubscribedToTopic,
    /// `STALE_MEMBER_EPOCH`.
    #[error("the member epoch is not the one that the group knows")]
    StaleMemberEpoch,
    /// `UNSUPPORTED_VERSION`: the request cannot carry a member epoch.
    #[error("members of the consumer protocol commit with a later version")]
    UnsupportedVersion,
    /// `OFFSET_METADATA_TOO_LARGE`.
    #[error("the offset's metadata is too large")]
    OffsetMetadataTooLarge,
    /// `UNSTABLE_OFFSET_COMMIT`.
    #[error("a transaction that commits the offset is open")]
    UnstableOffsetCommit,
    /// The state of a share group's partitions could not be deleted.
    #[error("the state of the group's partitions: {0}")]
    ShareState(persister::Error),
    /// `INVALID_PRODUCER_EPOCH`, from the partition's own state.
    #[error("the producer's epoch is not valid")]
    InvalidProducerEpoch,
    /// `INVALID_TXN_STATE`, from the partition's own state.
    #[error("the producer has no open transaction here")]
    InvalidTxnState,
}

impl Refusal {
    /// Whether it may only be said by a coordinator that has proven to lead (law 9).
    #[must_use]
    pub fn needs_proof(self) -> bool {
        matches!(self, Self::FencedInstanceId | Self::InvalidProducerEpoch | Self::InvalidTxnState)
    }
}

impl From<state_topic::Error> for Refusal {
    fn from(error: state_topic::Error) -> Self {
        match error {
            state_topic::Error::NotAvailable => Self::NotAvailable,
            state_topic::Error::NotCoordinator => Self::NotCoordinator,
            state_topic::Error::Loading => Self::Loading,
        }
    }
}
