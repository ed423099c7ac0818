//! The requests of transactional producers and of group members. Some are so late that whoever sent them has given up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::AbortedTransaction;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, ApiKey, BrokerId, EndTxnRequest, EndTxnResponse, FetchRequest,
    FetchResponse, FindCoordinatorRequest, FindCoordinatorResponse, GroupId, InitProducerIdRequest,
    InitProducerIdResponse, ProduceRequest, ProduceResponse, TopicName, TransactionalId,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use thalweg::base::clock::sleep;
use thalweg::base::rng::Rng;
use thalweg::base::task;
use thalweg::handlers::Context;
use thalweg::record::records::Records;
use thalweg::record::{ControlType, ValidBatch, control};

use super::super::client::{Client, decode, frame};
use super::history::Key;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// One of so many requests that may be late is.
const LATE_ONE_IN: u64 = 40;
/// The client of a late request gives up after this; the request arrives up to [`LATE_MS_MAX`] later.
const GIVES_UP: Duration = Duration::from_millis(150);
const LATE_MS_MAX: u64 = 2_500;

const FIND_COORDINATOR: i16 = 4;
const INIT_PRODUCER_ID: i16 = 4;
const ADD_PARTITIONS: i16 = 3;
const VERIFY: i16 = 5;
const ADD_OFFSETS: i16 = 3;
const FETCH: i16 = 12;

/// A producer as it names itself.
pub(super) type Identity = (i64, i16);

/// Which protocol a transactional producer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Transactions share an epoch; partitions are added before they are written to.
    Shared,
    /// Each transaction has its own epoch (KIP-890).
    Own,
}

impl Protocol {
    fn produce(self) -> i16 {
        if self == Self::Own { 12 } else { 11 }
    }

    fn end(self) -> i16 {
        if self == Self::Own { 5 } else { 4 }
    }

    pub(super) fn commit_offsets(self) -> i16 {
        if self == Self::Own { 5 } else { 4 }
    }
}

/// What a reader is to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    Uncommitted,
    Committed,
}

/// What one fetch of a partition gave.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// Offsets and values that the reader is to see.
    pub(super) records: Vec<(i64, String)>,
    /// Where it goes on.
    pub(super) next: i64,
    pub(super) last_stable_offset: i64,
    pub(super) high_watermark: i64,
}

/// A client's connection.
pub(super) struct Link {
    client: Client,
    /// None: nothing is late.
    late: Option<Rng>,
}

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

impl Link {
    pub(super) fn new(context: Arc<Context>, rng: Rng) -> Self {
        Self { client: Client::to(context), late: Some(rng) }
    }

    /// A connection on which nothing is late.
    pub(super) fn prompt(context: Arc<Context>) -> Self {
        Self { client: Client::to(context), late: None }
    }

    /// By how much the next request is late, if it is.
    fn lateness(&self) -> Option<Duration> {
        let rng = self.late.as_ref()?;
        (rng.below(LATE_ONE_IN) == 0).then(|| Duration::from_millis(rng.below(LATE_MS_MAX)))
    }

    /// One request and its answer. None: nobody knows what became of it.
    pub(super) async fn call<R: Decodable>(
        &self,
        key: ApiKey,
        version: i16,
        request: &impl Encodable,
    ) -> Option<R> {
        tokio::time::timeout(PATIENCE, self.client.call(key, version, request)).await.ok()?
    }

    /// [`Link::call`], but now and then the request is on its way for so long that its sender has given up.
    pub(super) async fn call_or_late<R: Decodable>(
        &self,
        key: ApiKey,
        version: i16,
        request: &impl Encodable,
    ) -> Option<R> {
        let frame = frame(key, version, request);
        let Some(late) = self.lateness() else {
            let answering = self.client.begin_frame(frame);
            let outcome = tokio::time::timeout(PATIENCE, answering).await.ok()?;
            return decode(outcome, version);
        };
        self.begin_late(late, frame);
        sleep(GIVES_UP).await;
        None
    }

    /// A request that is on its way for so long that nobody waits for its answer.
    pub(super) fn send_late(
        &self,
        late: Duration,
        key: ApiKey,
        version: i16,
        request: &impl Encodable,
    ) {
        self.begin_late(late, frame(key, version, request));
    }

    fn begin_late(&self, late: Duration, frame: Bytes) {
        let other = self.client.another();
        task::spawn("sim-late", async move {
            sleep(late).await;
            drop(other.begin_frame(frame).await);
        });
    }

    pub(super) async fn create(&self, topic: &'static str) {
        while tokio::time::timeout(PATIENCE, self.client.create(topic)).await != Ok(true) {
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Has the coordinator of a key found, which creates its topic. `kind` 0: a group; 1: a transactional id.
    pub(super) async fn find_coordinator(&self, kind: i8, key: &str) {
        let request = FindCoordinatorRequest::default()
            .with_key_type(kind)
            .with_coordinator_keys(vec![text(key)]);
        loop {
            let found: Option<FindCoordinatorResponse> =
                self.call(ApiKey::FindCoordinator, FIND_COORDINATOR, &request).await;
            if found.is_some_and(|found| found.coordinators.iter().all(|c| c.error_code == 0)) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// InitProducerId: an error, or who the producer is.
    pub(super) async fn init(
        &self,
        id: &str,
        timeout_ms: i32,
        expected: Option<Identity>,
    ) -> Option<Result<Identity, i16>> {
        let (producer, epoch) = expected.unwrap_or((-1, -1));
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(id))))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id(producer.into())
            .with_producer_epoch(epoch);
        let answer: InitProducerIdResponse =
            self.call(ApiKey::InitProducerId, INIT_PRODUCER_ID, &request).await?;
        Some(match answer.error_code {
            0 => Ok((answer.producer_id.0, answer.producer_epoch)),
            code => Err(code),
        })
    }

    pub(super) async fn add_partition(
        &self,
        id: &str,
        (producer, epoch): Identity,
        (topic, partition): Key,
    ) -> Option<i16> {
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(id)))
            .with_v3_and_below_producer_id(producer.into())
            .with_v3_and_below_producer_epoch(epoch)
            .with_v3_and_below_topics(vec![topic]);
        let answer: AddPartitionsToTxnResponse =
            self.call_or_late(ApiKey::AddPartitionsToTxn, ADD_PARTITIONS, &request).await?;
        let topic = answer.results_by_topic_v3_and_below.first()?;
        Some(topic.results_by_partition.first()?.partition_error_code)
    }

    /// Asks whether a partition is part of a transaction, as its leader does.
    pub(super) async fn verify(
        &self,
        id: &str,
        (producer, epoch): Identity,
        (topic, partition): Key,
    ) -> Option<i16> {
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(producer.into())
            .with_producer_epoch(epoch)
            .with_verify_only(true)
            .with_topics(vec![topic]);
        let request = AddPartitionsToTxnRequest::default().with_transactions(vec![transaction]);
        let answer: AddPartitionsToTxnResponse =
            self.call(ApiKey::AddPartitionsToTxn, VERIFY, &request).await?;
        let topic = answer.results_by_transaction.first()?.topic_results.first()?;
        Some(topic.results_by_partition.first()?.partition_error_code)
    }

    pub(super) async fn add_offsets(
        &self,
        id: &str,
        (producer, epoch): Identity,
        group: &str,
    ) -> Option<i16> {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(producer.into())
            .with_producer_epoch(epoch)
            .with_group_id(GroupId(text(group)));
        let answer: AddOffsetsToTxnResponse =
            self.call(ApiKey::AddOffsetsToTxn, ADD_OFFSETS, &request).await?;
        Some(answer.error_code)
    }

    /// Produces one batch of a transaction: its base offset, or an error.
    pub(super) async fn produce(
        &self,
        (id, protocol): (&str, Protocol),
        (topic, partition): Key,
        batch: Bytes,
    ) -> Option<Result<i64, i16>> {
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
        let topic = TopicProduceData::default()
            .with_name(topic_name(topic))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(Some(TransactionalId(text(id))))
            .with_acks(-1)
            .with_timeout_ms(10_000)
            .with_topic_data(vec![topic]);
        let answer: ProduceResponse =
            self.call_or_late(ApiKey::Produce, protocol.produce(), &request).await?;
        let part = &answer.responses[0].partition_responses[0];
        Some(match part.error_code {
            0 => Ok(part.base_offset),
            code => Err(code),
        })
    }

    /// EndTxn: an error, or who the producer is from here on, if that was said.
    pub(super) async fn end(
        &self,
        (id, protocol): (&str, Protocol),
        (producer, epoch): Identity,
        commit: bool,
    ) -> Option<Result<Option<Identity>, i16>> {
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(producer.into())
            .with_producer_epoch(epoch)
            .with_committed(commit);
        let answer: EndTxnResponse = match protocol {
            // One that comes late ends the transaction after its own: the flaw of the older protocol (KAFKA-17754).
            Protocol::Shared => self.call(ApiKey::EndTxn, protocol.end(), &request).await?,
            Protocol::Own => self.call_or_late(ApiKey::EndTxn, protocol.end(), &request).await?,
        };
        Some(match answer.error_code {
            0 if protocol == Protocol::Own => {
                Ok(Some((answer.producer_id.0, answer.producer_epoch)))
            }
            0 => Ok(None),
            code => Err(code),
        })
    }

    /// Fetches from `offset` on as a consumer does. None: not now.
    pub(super) async fn fetch(
        &self,
        (topic, partition): Key,
        offset: i64,
        isolation: Isolation,
    ) -> Option<Fetched> {
        let part = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(1 << 20);
        let topic = FetchTopic::default().with_topic(topic_name(topic)).with_partitions(vec![part]);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(50)
            .with_min_bytes(1)
            .with_max_bytes(1 << 20)
            .with_isolation_level(i8::from(isolation == Isolation::Committed))
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let answer: FetchResponse = self.call(ApiKey::Fetch, FETCH, &request).await?;
        let part = answer.responses.into_iter().next()?.partitions.into_iter().next()?;
        if part.error_code != 0 {
            return None;
        }
        let aborted = part.aborted_transactions.unwrap_or_default();
        let mut fetched = Fetched {
            records: Vec::new(),
            next: offset,
            last_stable_offset: part.last_stable_offset,
            high_watermark: part.high_watermark,
        };
        fetched.take(part.records.unwrap_or_default(), aborted);
        Some(fetched)
    }
}

impl Fetched {
    /// Goes through the batches as `Fetcher` of a Java consumer does: an aborted transaction begins at its first offset and
    /// ends at its producer's marker.
    fn take(&mut self, mut bytes: Bytes, mut aborted: Vec<AbortedTransaction>) {
        aborted.sort_by_key(|txn| std::cmp::Reverse(txn.first_offset));
        let mut open: BTreeSet<i64> = BTreeSet::new();
        let from = self.next;
        while !bytes.is_empty() {
            let length = i32::from_be_bytes(bytes[8..12].try_into().expect("four bytes"));
            let batch = bytes.split_to(usize::try_from(length).expect("a length") + 12);
            let batch = ValidBatch::read_stored(&batch).expect("a batch that was stored");
            let header = &batch.header;
            self.next = header.end_offset().0;
            while aborted.last().is_some_and(|txn| txn.first_offset < self.next) {
                open.extend(aborted.pop().map(|txn| txn.producer_id.0));
            }
            if header.attributes.is_control() {
                if control::read(&batch).expect("a marker").control == ControlType::Abort {
                    open.remove(&header.producer_id.0);
                }
                continue;
            }
            if header.attributes.is_transactional() && open.contains(&header.producer_id.0) {
                continue;
            }
            for record in &Records::unpack(&batch, 1 << 20).expect("records") {
                let record = record.expect("a record");
                if record.offset.0 >= from {
                    let value = String::from_utf8(record.value.expect("a value").to_vec());
                    self.records.push((record.offset.0, value.expect("text")));
                }
            }
        }
    }
}
