//! Kafka requests straight into a broker's session: real frames, no sockets.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, BrokerId, DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, FetchRequest, FetchResponse, InitProducerIdRequest,
    InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
    MetadataResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, ProduceRequest,
    ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use thalweg::base::ids::TopicId;
use thalweg::handlers::{Answering, Context, Outcome, Request, Session, Step};
use thalweg::node::Broker;
use thalweg::record::ValidBatch;
use thalweg::record::records::Records;

/// The topic of every run; it has [`PARTITIONS`].
pub(crate) const TOPIC: &str = "sim";
pub(crate) const PARTITIONS: i32 = 2;

const PRODUCE: i16 = 9;
const PRODUCE_BY_ID: i16 = 13;
const FETCH: i16 = 12;
const FETCH_BY_ID: i16 = 13;
/// The first whose answers have ids, and take none for a name.
const METADATA: i16 = 12;
const DELETE_TOPICS: i16 = 6;
const LIST_OFFSETS: i16 = 7;
const EPOCH_END: i16 = 4;
const DELETE_RECORDS: i16 = 2;
const INIT_PRODUCER_ID: i16 = 4;

/// How a request names a topic.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Topic {
    /// Whatever has the name now.
    Name(&'static str),
    /// The one that it is or was.
    Id(TopicId),
}

impl Topic {
    /// Name and id as requests have them: one of the two.
    fn named(self) -> (TopicName, uuid::Uuid) {
        match self {
            Self::Name(name) => (TopicName(StrBytes::from_static_str(name)), uuid::Uuid::nil()),
            Self::Id(id) => (TopicName::default(), id.0),
        }
    }
}

/// What one batch was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is in the log from this offset on.
    At(i64),
    /// Kafka's error code.
    Error(i16),
    /// The connection was closed.
    Gone,
}

/// A connection to a broker.
#[derive(Clone)]
pub(crate) struct Client {
    session: Arc<Session>,
    context: Arc<Context>,
}

impl Client {
    pub(crate) fn new(broker: &Broker) -> Self {
        Self::to(Arc::clone(broker.context()))
    }

    /// A connection to the broker of these parts.
    pub(crate) fn to(context: Arc<Context>) -> Self {
        let session = Session::new(Arc::clone(&context), Arc::from("PLAINTEXT"));
        Self { session: Arc::new(session), context }
    }

    /// Another connection to the same broker.
    pub(crate) fn another(&self) -> Self {
        Self::to(Arc::clone(&self.context))
    }

    /// Creates the topic by asking for it. False: not now.
    pub(crate) async fn create_topic(&self) -> bool {
        self.create(TOPIC).await
    }

    /// Creates a topic by asking for it. False: not now.
    pub(crate) async fn create(&self, topic: &'static str) -> bool {
        self.id_of(topic).await.is_some()
    }

    /// The id of a topic, which is created by asking for it. None: not now.
    pub(crate) async fn id_of(&self, topic: &'static str) -> Option<TopicId> {
        let name = Some(TopicName(StrBytes::from_static_str(topic)));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![MetadataRequestTopic::default().with_name(name)]))
            .with_allow_auto_topic_creation(true);
        let response: Option<MetadataResponse> =
            self.call(ApiKey::Metadata, METADATA, &request).await;
        let response = response?;
        let topic = response.topics.first()?;
        (topic.error_code == 0).then_some(TopicId(topic.topic_id))
    }

    /// Deletes a topic: the error, which is 0 once it is gone. None: the connection was closed.
    pub(crate) async fn delete_topic(&self, topic: Topic) -> Option<i16> {
        let (name, id) = topic.named();
        let name = id.is_nil().then_some(name);
        let state = DeleteTopicState::default().with_name(name).with_topic_id(id);
        let request =
            DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(30_000);
        let response: Option<DeleteTopicsResponse> =
            self.call(ApiKey::DeleteTopics, DELETE_TOPICS, &request).await;
        Some(response?.responses.first()?.error_code)
    }

    /// A fresh producer id. None: not now.
    pub(crate) async fn init_producer_id(&self) -> Option<i64> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let response: InitProducerIdResponse =
            self.call(ApiKey::InitProducerId, INIT_PRODUCER_ID, &request).await?;
        (response.error_code == 0).then_some(response.producer_id.0)
    }

    /// Begins a produce of one batch: it is admitted when this returns. The answer follows.
    pub(crate) fn produce(
        &self,
        partition: i32,
        batch: Bytes,
    ) -> impl Future<Output = Answer> + use<> {
        self.produce_within(partition, batch, Duration::from_secs(30))
    }

    /// Waits until the broker takes more bytes, as a connection does before it reads on.
    pub(crate) async fn admitted(&self) {
        self.session.admitted().await;
    }

    /// [`Client::produce`] with a timeout of the client's own.
    pub(crate) fn produce_within(
        &self,
        partition: i32,
        batch: Bytes,
        timeout: Duration,
    ) -> impl Future<Output = Answer> + use<> {
        self.produce_to(Topic::Name(TOPIC), partition, batch, timeout)
    }

    /// The same to any topic.
    pub(crate) fn produce_to(
        &self,
        topic: Topic,
        partition: i32,
        batch: Bytes,
        timeout: Duration,
    ) -> impl Future<Output = Answer> + use<> {
        let version = match topic {
            Topic::Name(_) => PRODUCE,
            Topic::Id(_) => PRODUCE_BY_ID,
        };
        let (name, id) = topic.named();
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
        let topic = TopicProduceData::default()
            .with_name(name)
            .with_topic_id(id)
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(-1)
            .with_timeout_ms(i32::try_from(timeout.as_millis()).expect("seconds"))
            .with_topic_data(vec![topic]);
        let answering = self.begin(ApiKey::Produce, version, &request);
        async move {
            let Some(response) = decode::<ProduceResponse>(answering.await, version) else {
                return Answer::Gone;
            };
            let part = &response.responses[0].partition_responses[0];
            match part.error_code {
                0 => Answer::At(part.base_offset),
                code => Answer::Error(code),
            }
        }
    }

    /// The records from `offset` on, as offset and value; none when there are none yet, or not now.
    pub(crate) async fn fetch(
        &self,
        partition: i32,
        offset: i64,
        max_wait_ms: i32,
    ) -> Vec<(i64, String)> {
        self.fetch_of(Topic::Name(TOPIC), partition, offset, max_wait_ms).await
    }

    /// The same of any topic.
    pub(crate) async fn fetch_of(
        &self,
        topic: Topic,
        partition: i32,
        offset: i64,
        max_wait_ms: i32,
    ) -> Vec<(i64, String)> {
        let version = match topic {
            Topic::Name(_) => FETCH,
            Topic::Id(_) => FETCH_BY_ID,
        };
        let request = fetch_request(topic, partition, offset, max_wait_ms);
        let response: Option<FetchResponse> = self.call(ApiKey::Fetch, version, &request).await;
        let records = response.and_then(|response| {
            let part = response.responses.first()?.partitions.first()?.clone();
            (part.error_code == 0).then_some(part.records)?
        });
        records.map_or_else(Vec::new, |records| decode_records(records, offset))
    }

    /// ListOffsets of one partition: error and offset.
    pub(crate) async fn list_offset(&self, partition: i32, timestamp: i64) -> (i16, i64) {
        self.list_offset_of(TOPIC, partition, timestamp).await
    }

    /// The same of any topic.
    pub(crate) async fn list_offset_of(
        &self,
        topic: &'static str,
        partition: i32,
        timestamp: i64,
    ) -> (i16, i64) {
        let part = ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_static_str(topic)))
            .with_partitions(vec![part]);
        let request =
            ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
        let response: Option<ListOffsetsResponse> =
            self.call(ApiKey::ListOffsets, LIST_OFFSETS, &request).await;
        let part = &response.expect("an answer").topics[0].partitions[0];
        (part.error_code, part.offset)
    }

    /// OffsetForLeaderEpoch of one partition: error and end of the epoch.
    pub(crate) async fn epoch_end(&self, partition: i32, epoch: i32) -> (i16, i64) {
        let part = OffsetForLeaderPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(-1)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(TopicName(StrBytes::from_static_str(TOPIC)))
            .with_partitions(vec![part]);
        let request = OffsetForLeaderEpochRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic]);
        let response: Option<OffsetForLeaderEpochResponse> =
            self.call(ApiKey::OffsetForLeaderEpoch, EPOCH_END, &request).await;
        let part = &response.expect("an answer").topics[0].partitions[0];
        (part.error_code, part.end_offset)
    }

    /// Deletes the records of one partition below `to`. False: not now.
    pub(crate) async fn delete_records(&self, partition: i32, to: i64) -> bool {
        self.delete_records_error(partition, to).await == Some(0)
    }

    /// The error that a deletion of the records below `to` is answered with.
    pub(crate) async fn delete_records_error(&self, partition: i32, to: i64) -> Option<i16> {
        let part =
            DeleteRecordsPartition::default().with_partition_index(partition).with_offset(to);
        let topic = DeleteRecordsTopic::default()
            .with_name(TopicName(StrBytes::from_static_str(TOPIC)))
            .with_partitions(vec![part]);
        let request =
            DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
        let response: Option<DeleteRecordsResponse> =
            self.call(ApiKey::DeleteRecords, DELETE_RECORDS, &request).await;
        response.map(|response| response.topics[0].partitions[0].error_code)
    }

    /// The error that a fetch from `offset` is answered with.
    pub(crate) async fn fetch_error(&self, partition: i32, offset: i64) -> i16 {
        let request = fetch_request(Topic::Name(TOPIC), partition, offset, 0);
        let response: Option<FetchResponse> = self.call(ApiKey::Fetch, FETCH, &request).await;
        response.expect("an answer").responses[0].partitions[0].error_code
    }

    /// One request and its answer. None: the connection was closed.
    pub(crate) async fn call<R: Decodable>(
        &self,
        key: ApiKey,
        version: i16,
        request: &impl Encodable,
    ) -> Option<R> {
        decode(self.begin(key, version, request).await, version)
    }

    fn begin(&self, key: ApiKey, version: i16, request: &impl Encodable) -> Answering {
        self.begin_frame(frame(key, version, request))
    }

    /// Begins a request that is a frame already.
    pub(crate) fn begin_frame(&self, frame: Bytes) -> Answering {
        let request = Request::read(frame).expect("a request that is served");
        match Session::begin(&self.session, request) {
            Step::Pipelined(answering) | Step::Alone(answering) => answering,
        }
    }
}

/// A request as bytes.
pub(crate) fn frame(key: ApiKey, version: i16, request: &impl Encodable) -> Bytes {
    let mut frame = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str("sim")));
    header.encode(&mut frame, key.request_header_version(version)).expect("a header");
    request.encode(&mut frame, version).expect("a request");
    frame.freeze()
}

fn fetch_request(topic: Topic, partition: i32, offset: i64, max_wait_ms: i32) -> FetchRequest {
    let (name, id) = topic.named();
    let part = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic =
        FetchTopic::default().with_topic(name).with_topic_id(id).with_partitions(vec![part]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// The versions used here are all flexible: their response header is version 1.
pub(crate) fn decode<R: Decodable>(outcome: Outcome, version: i16) -> Option<R> {
    let (Outcome::Answer(frame) | Outcome::Held(frame, _)) = outcome else { return None };
    let mut whole = BytesMut::new();
    for piece in frame.pieces {
        whole.put(piece);
    }
    let mut bytes = whole.freeze().slice(4..);
    ResponseHeader::decode(&mut bytes, 1).expect("a response header");
    Some(R::decode(&mut bytes, version).expect("a response"))
}

fn decode_records(mut bytes: Bytes, from: i64) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = i32::from_be_bytes(bytes[8..12].try_into().expect("four bytes"));
        let batch = bytes.split_to(usize::try_from(length).expect("a length") + 12);
        let batch = ValidBatch::read_stored(&batch).expect("a batch that was stored");
        for record in &Records::unpack(&batch, 1 << 20).expect("records") {
            let record = record.expect("a record");
            if record.offset.0 >= from {
                let value = String::from_utf8(record.value.expect("a value").to_vec());
                found.push((record.offset.0, value.expect("text")));
            }
        }
    }
    found
}
