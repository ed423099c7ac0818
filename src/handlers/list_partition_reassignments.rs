//! ListPartitionReassignments: none is ever under way, since no data moves between brokers.
//!
//! Source: KIP-455; `ReplicationControlManager.listPartitionReassignments` in Apache Kafka.

use kafka_protocol::messages::ListPartitionReassignmentsResponse;

pub(super) fn handle() -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default().with_error_message(None)
}
