//! The shape of every request: which fields, in which versions, and how large the decoder makes each element.
//!
//! A pure table for [`super::bounds`], held to the crate's decoders by test. Flexibility (compact types, tagged fields)
//! is a property of a whole version and stands in [`super::api`].

use std::mem::size_of;

use kafka_protocol::messages as k;
use kafka_protocol::protocol::StrBytes;

use super::{fetch, produce};

/// A struct's fields in wire order.
#[derive(Debug)]
pub(super) struct Struct {
    pub(super) fields: &'static [Field],
    /// Tagged fields with a type; they follow the others.
    pub(super) tagged: &'static [Tagged],
    /// Whether the decoder keeps tagged fields that it does not know, in a map.
    pub(super) keeps_unknown: bool,
}

/// One field, present in versions `since..=until`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) kind: Kind,
    pub(super) since: i16,
    pub(super) until: i16,
    pub(super) nullable_since: i16,
}

/// A tagged field of known type.
#[derive(Debug)]
pub(super) struct Tagged {
    pub(super) tag: u32,
    pub(super) since: i16,
    pub(super) field: Field,
}

/// What a field is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// So many bytes.
    Fixed(usize),
    Text,
    Bytes,
    /// A count and its elements.
    Array(Element),
    /// A byte that tells presence, then the struct.
    Optional(&'static Struct),
    /// A struct in a tagged field.
    Nested(&'static Struct),
}

/// What an array holds. The last number of a variant is what the decoder allocates for one element.
#[derive(Debug, Clone, Copy)]
pub(super) enum Element {
    Fixed(usize, usize),
    Text(usize),
    Struct(&'static Struct, usize),
}

const NEVER: i16 = i16::MAX;

impl Field {
    pub(super) const fn exists(&self, version: i16) -> bool {
        self.since <= version && version <= self.until
    }

    pub(super) const fn is_nullable(&self, version: i16) -> bool {
        version >= self.nullable_since
    }

    const fn since(mut self, version: i16) -> Self {
        self.since = version;
        self
    }

    const fn until(mut self, version: i16) -> Self {
        self.until = version;
        self
    }

    const fn nullable(self) -> Self {
        self.nullable_since(0)
    }

    const fn nullable_since(mut self, version: i16) -> Self {
        self.nullable_since = version;
        self
    }
}

const fn field(kind: Kind) -> Field {
    Field { kind, since: 0, until: NEVER, nullable_since: NEVER }
}

const BOOL: Field = field(Kind::Fixed(1));
const I8: Field = field(Kind::Fixed(1));
const I16: Field = field(Kind::Fixed(2));
const I32: Field = field(Kind::Fixed(4));
const I64: Field = field(Kind::Fixed(8));
const UUID: Field = field(Kind::Fixed(16));
const TEXT: Field = field(Kind::Text);
const BYTES: Field = field(Kind::Bytes);
const TEXTS: Field = field(Kind::Array(Element::Text(size_of::<StrBytes>())));
const I8S: Field = field(Kind::Array(Element::Fixed(1, 1)));
const I64S: Field = field(Kind::Array(Element::Fixed(8, 8)));
const I32S: Field = field(Kind::Array(Element::Fixed(4, 4)));

const fn array<T>(shape: &'static Struct) -> Field {
    field(Kind::Array(Element::Struct(shape, size_of::<T>())))
}

const fn shape(fields: &'static [Field]) -> Struct {
    Struct { fields, tagged: &[], keeps_unknown: true }
}

/// A struct that we decode ourselves: unknown tagged fields are skipped.
const fn own(fields: &'static [Field], tagged: &'static [Tagged]) -> Struct {
    Struct { fields, tagged, keeps_unknown: false }
}

const fn tagged(tag: u32, since: i16, field: Field) -> Tagged {
    Tagged { tag, since, field }
}

pub(super) static PRODUCE: Struct =
    own(&[TEXT.nullable(), I16, I32, array::<produce::TopicProduce>(&PRODUCE_TOPIC)], &[]);
static PRODUCE_TOPIC: Struct = own(
    &[TEXT.until(12), UUID.since(13), array::<produce::PartitionProduce>(&PRODUCE_PARTITION)],
    &[],
);
static PRODUCE_PARTITION: Struct = own(&[I32, BYTES.nullable()], &[]);

pub(super) static FETCH: Struct = own(
    &[
        I32.until(14),
        I32,
        I32,
        I32,
        I8,
        I32.since(7),
        I32.since(7),
        array::<fetch::FetchTopic>(&FETCH_TOPIC),
        array::<fetch::ForgottenTopic>(&FORGOTTEN_TOPIC).since(7),
        TEXT.since(11),
    ],
    &[tagged(0, 12, TEXT.nullable()), tagged(1, 15, field(Kind::Nested(&REPLICA_STATE)))],
);
static REPLICA_STATE: Struct = own(&[I32, I64], &[]);
static FETCH_TOPIC: Struct =
    own(&[TEXT.until(12), UUID.since(13), array::<fetch::FetchPartition>(&FETCH_PARTITION)], &[]);
static FETCH_PARTITION: Struct = own(
    &[I32, I32.since(9), I64, I32.since(12), I64.since(5), I32],
    &[tagged(0, 17, UUID), tagged(1, 18, I64)],
);
static FORGOTTEN_TOPIC: Struct = own(&[TEXT.until(12), UUID.since(13), I32S], &[]);

pub(super) static LIST_OFFSETS: Struct = shape(&[
    I32,
    I8.since(2),
    array::<k::list_offsets_request::ListOffsetsTopic>(&LIST_OFFSETS_TOPIC),
    I32.since(10),
]);
static LIST_OFFSETS_TOPIC: Struct =
    shape(&[TEXT, array::<k::list_offsets_request::ListOffsetsPartition>(&LIST_OFFSETS_PARTITION)]);
static LIST_OFFSETS_PARTITION: Struct = shape(&[I32, I32.since(4), I64]);

pub(super) static METADATA: Struct = shape(&[
    array::<k::metadata_request::MetadataRequestTopic>(&METADATA_TOPIC).nullable_since(1),
    BOOL.since(4),
    BOOL.since(8).until(10),
    BOOL.since(8),
]);
static METADATA_TOPIC: Struct = shape(&[UUID.since(10), TEXT.nullable_since(10)]);

pub(super) static FIND_COORDINATOR: Struct = shape(&[TEXT.until(3), I8.since(1), TEXTS.since(4)]);

pub(super) static OFFSET_COMMIT: Struct = shape(&[
    TEXT,
    I32,
    TEXT,
    TEXT.since(7).nullable_since(7),
    I64.until(4),
    array::<k::offset_commit_request::OffsetCommitRequestTopic>(&OFFSET_COMMIT_TOPIC),
]);
static OFFSET_COMMIT_TOPIC: Struct = shape(&[
    TEXT,
    array::<k::offset_commit_request::OffsetCommitRequestPartition>(&OFFSET_COMMIT_PARTITION),
]);
static OFFSET_COMMIT_PARTITION: Struct = shape(&[I32, I64, I32.since(6), TEXT.nullable()]);

pub(super) static OFFSET_FETCH: Struct = shape(&[
    TEXT.until(7),
    array::<k::offset_fetch_request::OffsetFetchRequestTopic>(&TOPIC_AND_PARTITIONS)
        .until(7)
        .nullable_since(2),
    array::<k::offset_fetch_request::OffsetFetchRequestGroup>(&OFFSET_FETCH_GROUP).since(8),
    BOOL.since(7),
]);
static OFFSET_FETCH_GROUP: Struct = shape(&[
    TEXT,
    TEXT.since(9).nullable_since(9),
    I32.since(9),
    array::<k::offset_fetch_request::OffsetFetchRequestTopics>(&TOPIC_AND_PARTITIONS).nullable(),
]);

pub(super) static JOIN_GROUP: Struct = shape(&[
    TEXT,
    I32,
    I32.since(1),
    TEXT,
    TEXT.since(5).nullable_since(5),
    TEXT,
    array::<k::join_group_request::JoinGroupRequestProtocol>(&JOIN_GROUP_PROTOCOL),
    TEXT.since(8).nullable_since(8),
]);
static JOIN_GROUP_PROTOCOL: Struct = shape(&[TEXT, BYTES]);

pub(super) static HEARTBEAT: Struct = shape(&[TEXT, I32, TEXT, TEXT.since(3).nullable_since(3)]);

pub(super) static LEAVE_GROUP: Struct = shape(&[
    TEXT,
    TEXT.until(2),
    array::<k::leave_group_request::MemberIdentity>(&LEAVING_MEMBER).since(3),
]);
static LEAVING_MEMBER: Struct = shape(&[TEXT, TEXT.nullable(), TEXT.since(5).nullable_since(5)]);

pub(super) static SYNC_GROUP: Struct = shape(&[
    TEXT,
    I32,
    TEXT,
    TEXT.since(3).nullable_since(3),
    TEXT.since(5).nullable_since(5),
    TEXT.since(5).nullable_since(5),
    array::<k::sync_group_request::SyncGroupRequestAssignment>(&SYNC_GROUP_ASSIGNMENT),
]);
static SYNC_GROUP_ASSIGNMENT: Struct = shape(&[TEXT, BYTES]);

pub(super) static DESCRIBE_GROUPS: Struct = shape(&[TEXTS, BOOL.since(3)]);

pub(super) static LIST_GROUPS: Struct = shape(&[TEXTS.since(4), TEXTS.since(5)]);

pub(super) static DELETE_GROUPS: Struct = shape(&[TEXTS]);

pub(super) static OFFSET_DELETE: Struct = shape(&[
    TEXT,
    array::<k::offset_delete_request::OffsetDeleteRequestTopic>(&OFFSET_DELETE_TOPIC),
]);
static OFFSET_DELETE_TOPIC: Struct = shape(&[
    TEXT,
    array::<k::offset_delete_request::OffsetDeleteRequestPartition>(&OFFSET_DELETE_PARTITION),
]);
static OFFSET_DELETE_PARTITION: Struct = shape(&[I32]);

pub(super) static CONSUMER_GROUP_HEARTBEAT: Struct = shape(&[
    TEXT,
    TEXT,
    I32,
    TEXT.nullable(),
    TEXT.nullable(),
    I32,
    TEXTS.nullable(),
    TEXT.nullable().since(1),
    TEXT.nullable(),
    array::<k::consumer_group_heartbeat_request::TopicPartitions>(&ID_AND_PARTITIONS).nullable(),
]);
static ID_AND_PARTITIONS: Struct = shape(&[UUID, I32S]);

pub(super) static CONSUMER_GROUP_DESCRIBE: Struct = shape(&[TEXTS, BOOL]);

pub(super) static SHARE_GROUP_HEARTBEAT: Struct =
    shape(&[TEXT, TEXT, I32, TEXT.nullable(), TEXTS.nullable()]);

pub(super) static SHARE_GROUP_DESCRIBE: Struct = shape(&[TEXTS, BOOL]);

pub(super) static SHARE_FETCH: Struct = shape(&[
    TEXT.nullable(),
    TEXT.nullable(),
    I32,
    I32,
    I32,
    I32,
    I32,
    I32,
    array::<k::share_fetch_request::FetchTopic>(&SHARE_FETCH_TOPIC),
    array::<k::share_fetch_request::ForgottenTopic>(&ID_AND_PARTITIONS),
]);
static SHARE_FETCH_TOPIC: Struct =
    shape(&[UUID, array::<k::share_fetch_request::FetchPartition>(&SHARE_FETCH_PARTITION)]);
static SHARE_FETCH_PARTITION: Struct =
    shape(&[I32, array::<k::share_fetch_request::AcknowledgementBatch>(&SHARE_BATCH)]);
static SHARE_BATCH: Struct = shape(&[I64, I64, I8S]);

pub(super) static SHARE_ACKNOWLEDGE: Struct = shape(&[
    TEXT.nullable(),
    TEXT.nullable(),
    I32,
    array::<k::share_acknowledge_request::AcknowledgeTopic>(&SHARE_ACKNOWLEDGE_TOPIC),
]);
static SHARE_ACKNOWLEDGE_TOPIC: Struct = shape(&[
    UUID,
    array::<k::share_acknowledge_request::AcknowledgePartition>(&SHARE_ACKNOWLEDGE_PARTITION),
]);
static SHARE_ACKNOWLEDGE_PARTITION: Struct =
    shape(&[I32, array::<k::share_acknowledge_request::AcknowledgementBatch>(&SHARE_BATCH)]);

pub(super) static DESCRIBE_SHARE_GROUP_OFFSETS: Struct = shape(&[array::<
    k::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup,
>(&SHARE_OFFSETS_GROUP)]);
static SHARE_OFFSETS_GROUP: Struct = shape(&[
    TEXT,
    array::<k::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestTopic>(
        &TOPIC_AND_PARTITIONS,
    )
    .nullable(),
]);

pub(super) static ALTER_SHARE_GROUP_OFFSETS: Struct = shape(&[
    TEXT,
    array::<k::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic>(
        &ALTER_SHARE_TOPIC,
    ),
]);
static ALTER_SHARE_TOPIC: Struct = shape(&[
    TEXT,
    array::<k::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestPartition>(
        &ALTER_SHARE_PARTITION,
    ),
]);
static ALTER_SHARE_PARTITION: Struct = shape(&[I32, I64]);

pub(super) static DELETE_SHARE_GROUP_OFFSETS: Struct = shape(&[
    TEXT,
    array::<k::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic>(
        &NAMED_TOPIC,
    ),
]);

pub(super) static API_VERSIONS: Struct = shape(&[TEXT.since(3), TEXT.since(3)]);

pub(super) static CREATE_TOPICS: Struct =
    shape(&[array::<k::create_topics_request::CreatableTopic>(&CREATABLE_TOPIC), I32, BOOL]);
static CREATABLE_TOPIC: Struct = shape(&[
    TEXT,
    I32,
    I16,
    array::<k::create_topics_request::CreatableReplicaAssignment>(&CREATABLE_ASSIGNMENT),
    array::<k::create_topics_request::CreatableTopicConfig>(&NAME_AND_VALUE),
]);
static CREATABLE_ASSIGNMENT: Struct = shape(&[I32, I32S]);
static NAME_AND_VALUE: Struct = shape(&[TEXT, TEXT.nullable()]);

pub(super) static DELETE_TOPICS: Struct = shape(&[
    array::<k::delete_topics_request::DeleteTopicState>(&DELETE_TOPIC).since(6),
    TEXTS.until(5),
    I32,
]);
static DELETE_TOPIC: Struct = shape(&[TEXT.nullable(), UUID]);

pub(super) static DELETE_RECORDS: Struct =
    shape(&[array::<k::delete_records_request::DeleteRecordsTopic>(&DELETE_RECORDS_TOPIC), I32]);
static DELETE_RECORDS_TOPIC: Struct = shape(&[
    TEXT,
    array::<k::delete_records_request::DeleteRecordsPartition>(&DELETE_RECORDS_PARTITION),
]);
static DELETE_RECORDS_PARTITION: Struct = shape(&[I32, I64]);

pub(super) static INIT_PRODUCER_ID: Struct =
    shape(&[TEXT.nullable(), I32, I64.since(3), I16.since(3)]);

pub(super) static OFFSET_FOR_LEADER_EPOCH: Struct = shape(&[
    I32.since(3),
    array::<k::offset_for_leader_epoch_request::OffsetForLeaderTopic>(&EPOCH_TOPIC),
]);
static EPOCH_TOPIC: Struct = shape(&[
    TEXT,
    array::<k::offset_for_leader_epoch_request::OffsetForLeaderPartition>(&EPOCH_PARTITION),
]);
static EPOCH_PARTITION: Struct = shape(&[I32, I32, I32]);

pub(super) static ADD_PARTITIONS_TO_TXN: Struct = shape(&[
    array::<k::add_partitions_to_txn_request::AddPartitionsToTxnTransaction>(&TXN_TO_ADD_TO)
        .since(4),
    TEXT.until(3),
    I64.until(3),
    I16.until(3),
    array::<k::add_partitions_to_txn_request::AddPartitionsToTxnTopic>(&TOPIC_AND_PARTITIONS)
        .until(3),
]);
static TXN_TO_ADD_TO: Struct = shape(&[
    TEXT,
    I64,
    I16,
    BOOL,
    array::<k::add_partitions_to_txn_request::AddPartitionsToTxnTopic>(&TOPIC_AND_PARTITIONS),
]);

pub(super) static ADD_OFFSETS_TO_TXN: Struct = shape(&[TEXT, I64, I16, TEXT]);

pub(super) static END_TXN: Struct = shape(&[TEXT, I64, I16, BOOL]);

pub(super) static WRITE_TXN_MARKERS: Struct =
    shape(&[array::<k::write_txn_markers_request::WritableTxnMarker>(&TXN_MARKER)]);
static TXN_MARKER: Struct = shape(&[
    I64,
    I16,
    BOOL,
    array::<k::write_txn_markers_request::WritableTxnMarkerTopic>(&TOPIC_AND_PARTITIONS),
    I32,
]);

pub(super) static TXN_OFFSET_COMMIT: Struct = shape(&[
    TEXT,
    TEXT,
    I64,
    I16,
    I32.since(3),
    TEXT.since(3),
    TEXT.nullable().since(3),
    array::<k::txn_offset_commit_request::TxnOffsetCommitRequestTopic>(&TXN_OFFSETS_TOPIC),
]);
static TXN_OFFSETS_TOPIC: Struct = shape(&[
    TEXT,
    array::<k::txn_offset_commit_request::TxnOffsetCommitRequestPartition>(&TXN_OFFSET),
]);
static TXN_OFFSET: Struct = shape(&[I32, I64, I32.since(2), TEXT.nullable()]);

pub(super) static DESCRIBE_TRANSACTIONS: Struct = shape(&[TEXTS]);

pub(super) static LIST_TRANSACTIONS: Struct =
    shape(&[TEXTS, I64S, I64.since(1), TEXT.nullable().since(2)]);

pub(super) static DESCRIBE_CONFIGS: Struct = shape(&[
    array::<k::describe_configs_request::DescribeConfigsResource>(&DESCRIBE_CONFIGS_RESOURCE),
    BOOL,
    BOOL.since(3),
]);
static DESCRIBE_CONFIGS_RESOURCE: Struct = shape(&[I8, TEXT, TEXTS.nullable()]);

pub(super) static ALTER_CONFIGS: Struct = shape(&[
    array::<k::alter_configs_request::AlterConfigsResource>(&ALTER_CONFIGS_RESOURCE),
    BOOL,
]);
static ALTER_CONFIGS_RESOURCE: Struct =
    shape(&[I8, TEXT, array::<k::alter_configs_request::AlterableConfig>(&NAME_AND_VALUE)]);

pub(super) static INCREMENTAL_ALTER_CONFIGS: Struct = shape(&[
    array::<k::incremental_alter_configs_request::AlterConfigsResource>(&INCREMENTAL_RESOURCE),
    BOOL,
]);
static INCREMENTAL_RESOURCE: Struct = shape(&[
    I8,
    TEXT,
    array::<k::incremental_alter_configs_request::AlterableConfig>(&INCREMENTAL_CONFIG),
]);
static INCREMENTAL_CONFIG: Struct = shape(&[TEXT, I8, TEXT.nullable()]);

pub(super) static DESCRIBE_LOG_DIRS: Struct =
    shape(&[array::<k::describe_log_dirs_request::DescribableLogDirTopic>(&TOPIC_AND_PARTITIONS)
        .nullable()]);
static TOPIC_AND_PARTITIONS: Struct = shape(&[TEXT, I32S]);

pub(super) static CREATE_PARTITIONS: Struct = shape(&[
    array::<k::create_partitions_request::CreatePartitionsTopic>(&CREATE_PARTITIONS_TOPIC),
    I32,
    BOOL,
]);
static CREATE_PARTITIONS_TOPIC: Struct = shape(&[
    TEXT,
    I32,
    array::<k::create_partitions_request::CreatePartitionsAssignment>(&BROKERS).nullable(),
]);
static BROKERS: Struct = shape(&[I32S]);

pub(super) static ELECT_LEADERS: Struct = shape(&[
    I8.since(1),
    array::<k::elect_leaders_request::TopicPartitions>(&TOPIC_AND_PARTITIONS).nullable(),
    I32,
]);

pub(super) static ALTER_PARTITION_REASSIGNMENTS: Struct = shape(&[
    I32,
    BOOL.since(1),
    array::<k::alter_partition_reassignments_request::ReassignableTopic>(&REASSIGNABLE_TOPIC),
]);
static REASSIGNABLE_TOPIC: Struct = shape(&[
    TEXT,
    array::<k::alter_partition_reassignments_request::ReassignablePartition>(
        &REASSIGNABLE_PARTITION,
    ),
]);
static REASSIGNABLE_PARTITION: Struct = shape(&[I32, I32S.nullable()]);

pub(super) static LIST_PARTITION_REASSIGNMENTS: Struct = shape(&[
    I32,
    array::<k::list_partition_reassignments_request::ListPartitionReassignmentsTopics>(
        &TOPIC_AND_PARTITIONS,
    )
    .nullable(),
]);

pub(super) static DESCRIBE_CLUSTER: Struct = shape(&[BOOL, I8.since(1), BOOL.since(2)]);

pub(super) static DESCRIBE_PRODUCERS: Struct =
    shape(&[array::<k::describe_producers_request::TopicRequest>(&TOPIC_AND_PARTITIONS)]);

pub(super) static LIST_CONFIG_RESOURCES: Struct = shape(&[I8S.since(1)]);

pub(super) static DESCRIBE_TOPIC_PARTITIONS: Struct = shape(&[
    array::<k::describe_topic_partitions_request::TopicRequest>(&NAMED_TOPIC),
    I32,
    field(Kind::Optional(&CURSOR)),
]);
static NAMED_TOPIC: Struct = shape(&[TEXT]);
static CURSOR: Struct = shape(&[TEXT, I32]);
