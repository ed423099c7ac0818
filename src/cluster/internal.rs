//! The topics in which coordinators keep their state: told by their names, whoever creates them.
//!
//! Source: `org.apache.kafka.common.internals.Topic` in Apache Kafka.

/// Where groups are kept: members and committed offsets.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
/// Where transactions are kept.
pub const TRANSACTION_STATE: &str = "__transaction_state";
/// Where the state of share groups' partitions is kept.
pub const SHARE_GROUP_STATE: &str = "__share_group_state";

/// Whether a topic of that name is one of them: only its coordinator writes it, and its partitions stay as many as they are.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    matches!(name, CONSUMER_OFFSETS | TRANSACTION_STATE | SHARE_GROUP_STATE)
}
