//! Every API that this broker serves, with its versions: one table.
//!
//! An API that is not here is absent from ApiVersions, and a request for it closes the connection, as Kafka does.

use super::shapes::{self, Struct};

/// The APIs of the table, under Kafka's names and codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
#[expect(missing_docs, reason = "Kafka's own names")]
pub enum ApiKey {
    Produce = 0,
    Fetch = 1,
    ListOffsets = 2,
    Metadata = 3,
    OffsetCommit = 8,
    OffsetFetch = 9,
    FindCoordinator = 10,
    JoinGroup = 11,
    Heartbeat = 12,
    LeaveGroup = 13,
    SyncGroup = 14,
    DescribeGroups = 15,
    ListGroups = 16,
    ApiVersions = 18,
    CreateTopics = 19,
    DeleteTopics = 20,
    DeleteRecords = 21,
    InitProducerId = 22,
    OffsetForLeaderEpoch = 23,
    AddPartitionsToTxn = 24,
    AddOffsetsToTxn = 25,
    EndTxn = 26,
    WriteTxnMarkers = 27,
    TxnOffsetCommit = 28,
    DescribeConfigs = 32,
    AlterConfigs = 33,
    DescribeLogDirs = 35,
    CreatePartitions = 37,
    DeleteGroups = 42,
    ElectLeaders = 43,
    IncrementalAlterConfigs = 44,
    AlterPartitionReassignments = 45,
    ListPartitionReassignments = 46,
    OffsetDelete = 47,
    DescribeCluster = 60,
    DescribeProducers = 61,
    DescribeTransactions = 65,
    ListTransactions = 66,
    ConsumerGroupHeartbeat = 68,
    ConsumerGroupDescribe = 69,
    ListConfigResources = 74,
    DescribeTopicPartitions = 75,
    ShareGroupHeartbeat = 76,
    ShareGroupDescribe = 77,
    ShareFetch = 78,
    ShareAcknowledge = 79,
    DescribeShareGroupOffsets = 90,
    AlterShareGroupOffsets = 91,
    DeleteShareGroupOffsets = 92,
}

/// One API's row.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    /// Which.
    pub key: ApiKey,
    /// Kafka's name.
    pub name: &'static str,
    /// The first version named in ApiVersions.
    pub advertised_min: i16,
    /// The first version that is answered.
    pub min: i16,
    /// The last version, advertised and answered.
    pub max: i16,
    /// The first flexible version (KIP-482): compact types, tagged fields, the longer headers.
    pub flexible_min: i16,
    pub(super) shape: &'static Struct,
}

/// The table, by code. Ranges end where the `kafka-protocol` crate's end (a test holds them to it).
///
/// Produce is advertised from 0 although 3 is the first version left: librdkafka takes a higher minimum for a broker
/// without compression (KAFKA-18659).
#[rustfmt::skip]
pub static APIS: [Api; 49] = [
    api(ApiKey::Produce, "Produce", (3, 13), 9, &shapes::PRODUCE).advertised_from(0),
    api(ApiKey::Fetch, "Fetch", (4, 18), 12, &shapes::FETCH),
    api(ApiKey::ListOffsets, "ListOffsets", (1, 10), 6, &shapes::LIST_OFFSETS),
    api(ApiKey::Metadata, "Metadata", (0, 13), 9, &shapes::METADATA),
    api(ApiKey::OffsetCommit, "OffsetCommit", (2, 9), 8, &shapes::OFFSET_COMMIT),
    api(ApiKey::OffsetFetch, "OffsetFetch", (1, 9), 6, &shapes::OFFSET_FETCH),
    api(ApiKey::FindCoordinator, "FindCoordinator", (0, 6), 3, &shapes::FIND_COORDINATOR),
    api(ApiKey::JoinGroup, "JoinGroup", (0, 9), 6, &shapes::JOIN_GROUP),
    api(ApiKey::Heartbeat, "Heartbeat", (0, 4), 4, &shapes::HEARTBEAT),
    api(ApiKey::LeaveGroup, "LeaveGroup", (0, 5), 4, &shapes::LEAVE_GROUP),
    api(ApiKey::SyncGroup, "SyncGroup", (0, 5), 4, &shapes::SYNC_GROUP),
    api(ApiKey::DescribeGroups, "DescribeGroups", (0, 6), 5, &shapes::DESCRIBE_GROUPS),
    api(ApiKey::ListGroups, "ListGroups", (0, 5), 3, &shapes::LIST_GROUPS),
    api(ApiKey::ApiVersions, "ApiVersions", (0, 4), 3, &shapes::API_VERSIONS),
    api(ApiKey::CreateTopics, "CreateTopics", (2, 7), 5, &shapes::CREATE_TOPICS),
    api(ApiKey::DeleteTopics, "DeleteTopics", (1, 6), 4, &shapes::DELETE_TOPICS),
    api(ApiKey::DeleteRecords, "DeleteRecords", (0, 2), 2, &shapes::DELETE_RECORDS),
    api(ApiKey::InitProducerId, "InitProducerId", (0, 5), 2, &shapes::INIT_PRODUCER_ID),
    api(ApiKey::OffsetForLeaderEpoch, "OffsetForLeaderEpoch", (2, 4), 4, &shapes::OFFSET_FOR_LEADER_EPOCH),
    api(ApiKey::AddPartitionsToTxn, "AddPartitionsToTxn", (0, 5), 3, &shapes::ADD_PARTITIONS_TO_TXN),
    api(ApiKey::AddOffsetsToTxn, "AddOffsetsToTxn", (0, 4), 3, &shapes::ADD_OFFSETS_TO_TXN),
    api(ApiKey::EndTxn, "EndTxn", (0, 5), 3, &shapes::END_TXN),
    api(ApiKey::WriteTxnMarkers, "WriteTxnMarkers", (1, 1), 1, &shapes::WRITE_TXN_MARKERS),
    api(ApiKey::TxnOffsetCommit, "TxnOffsetCommit", (0, 5), 3, &shapes::TXN_OFFSET_COMMIT),
    api(ApiKey::DescribeConfigs, "DescribeConfigs", (1, 4), 4, &shapes::DESCRIBE_CONFIGS),
    api(ApiKey::AlterConfigs, "AlterConfigs", (0, 2), 2, &shapes::ALTER_CONFIGS),
    api(ApiKey::DescribeLogDirs, "DescribeLogDirs", (1, 4), 2, &shapes::DESCRIBE_LOG_DIRS),
    api(ApiKey::CreatePartitions, "CreatePartitions", (0, 3), 2, &shapes::CREATE_PARTITIONS),
    api(ApiKey::DeleteGroups, "DeleteGroups", (0, 2), 2, &shapes::DELETE_GROUPS),
    api(ApiKey::ElectLeaders, "ElectLeaders", (0, 2), 2, &shapes::ELECT_LEADERS),
    api(ApiKey::IncrementalAlterConfigs, "IncrementalAlterConfigs", (0, 1), 1, &shapes::INCREMENTAL_ALTER_CONFIGS),
    api(ApiKey::AlterPartitionReassignments, "AlterPartitionReassignments", (0, 1), 0, &shapes::ALTER_PARTITION_REASSIGNMENTS),
    api(ApiKey::ListPartitionReassignments, "ListPartitionReassignments", (0, 0), 0, &shapes::LIST_PARTITION_REASSIGNMENTS),
    api(ApiKey::OffsetDelete, "OffsetDelete", (0, 0), NEVER, &shapes::OFFSET_DELETE),
    api(ApiKey::DescribeCluster, "DescribeCluster", (0, 2), 0, &shapes::DESCRIBE_CLUSTER),
    api(ApiKey::DescribeProducers, "DescribeProducers", (0, 0), 0, &shapes::DESCRIBE_PRODUCERS),
    api(ApiKey::DescribeTransactions, "DescribeTransactions", (0, 0), 0, &shapes::DESCRIBE_TRANSACTIONS),
    api(ApiKey::ListTransactions, "ListTransactions", (0, 2), 0, &shapes::LIST_TRANSACTIONS),
    api(ApiKey::ConsumerGroupHeartbeat, "ConsumerGroupHeartbeat", (0, 1), 0, &shapes::CONSUMER_GROUP_HEARTBEAT),
    api(ApiKey::ConsumerGroupDescribe, "ConsumerGroupDescribe", (0, 1), 0, &shapes::CONSUMER_GROUP_DESCRIBE),
    api(ApiKey::ListConfigResources, "ListConfigResources", (0, 1), 0, &shapes::LIST_CONFIG_RESOURCES),
    api(ApiKey::DescribeTopicPartitions, "DescribeTopicPartitions", (0, 0), 0, &shapes::DESCRIBE_TOPIC_PARTITIONS),
    api(ApiKey::ShareGroupHeartbeat, "ShareGroupHeartbeat", (1, 1), 0, &shapes::SHARE_GROUP_HEARTBEAT),
    api(ApiKey::ShareGroupDescribe, "ShareGroupDescribe", (1, 1), 0, &shapes::SHARE_GROUP_DESCRIBE),
    api(ApiKey::ShareFetch, "ShareFetch", (1, 1), 0, &shapes::SHARE_FETCH),
    api(ApiKey::ShareAcknowledge, "ShareAcknowledge", (1, 1), 0, &shapes::SHARE_ACKNOWLEDGE),
    api(ApiKey::DescribeShareGroupOffsets, "DescribeShareGroupOffsets", (0, 0), 0, &shapes::DESCRIBE_SHARE_GROUP_OFFSETS),
    api(ApiKey::AlterShareGroupOffsets, "AlterShareGroupOffsets", (0, 0), 0, &shapes::ALTER_SHARE_GROUP_OFFSETS),
    api(ApiKey::DeleteShareGroupOffsets, "DeleteShareGroupOffsets", (0, 0), 0, &shapes::DELETE_SHARE_GROUP_OFFSETS),
];

/// No version is flexible.
const NEVER: i16 = i16::MAX;

const fn api(
    key: ApiKey,
    name: &'static str,
    versions: (i16, i16),
    flexible_min: i16,
    shape: &'static Struct,
) -> Api {
    let (min, max) = versions;
    Api { key, name, advertised_min: min, min, max, flexible_min, shape }
}

impl Api {
    const fn advertised_from(mut self, version: i16) -> Self {
        self.advertised_min = version;
        self
    }

    /// Whether requests of this version are answered.
    #[must_use]
    pub const fn serves(&self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Whether this version has compact types and tagged fields.
    #[must_use]
    pub const fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible_min
    }

    /// The version of the header in front of a request.
    #[must_use]
    pub const fn request_header_version(&self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the header in front of a response. ApiVersions always has the oldest, since a client that asks
    /// for it does not know yet what the broker speaks (KIP-511).
    #[must_use]
    pub const fn response_header_version(&self, version: i16) -> i16 {
        if matches!(self.key, ApiKey::ApiVersions) || !self.is_flexible(version) { 0 } else { 1 }
    }
}

impl ApiKey {
    /// The API of a received key.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        APIS.binary_search_by_key(&code, |api| api.key as i16).ok().map(|index| APIS[index].key)
    }

    /// The key as it is sent.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Its row.
    #[must_use]
    pub fn api(self) -> &'static Api {
        let index = APIS.binary_search_by_key(&self, |api| api.key);
        &APIS[index.expect("the table holds every key: its test says so")]
    }

    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.api().name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_the_order_of_the_codes() {
        assert!(APIS.is_sorted_by_key(|api| api.key as i16));
        for api in &APIS {
            assert_eq!(ApiKey::from_code(api.key.code()), Some(api.key));
            assert_eq!(api.key.name(), format!("{:?}", api.key));
        }
        assert_eq!(
            ApiKey::from_code(83),
            None,
            "state of share groups is no other broker's business"
        );
        assert_eq!(ApiKey::from_code(-1), None);
    }

    #[test]
    fn headers_follow_the_crate() {
        use kafka_protocol::messages::ApiKey as Theirs;
        for api in &APIS {
            let theirs = Theirs::try_from(api.key.code()).expect("the crate knows every API");
            let range = theirs.valid_versions();
            // Some of the crate's requests end before their responses do.
            let max = match api.key {
                ApiKey::InitProducerId => 5,
                ApiKey::OffsetCommit | ApiKey::OffsetFetch => 9,
                _ => range.max,
            };
            assert_eq!((api.min, api.max), (range.min, max), "{}", api.name);
            for version in api.min..=api.max {
                let ours =
                    (api.request_header_version(version), api.response_header_version(version));
                let crates = (
                    theirs.request_header_version(version),
                    theirs.response_header_version(version),
                );
                assert_eq!(ours, crates, "{} {version}", api.name);
            }
        }
    }
}
