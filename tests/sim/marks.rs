//! Questions about the marks of many partitions, and the offsets of many groups: one proof of leadership serves all of a request (law 9), and one time is
//! waited for. And what a leader tells of a log that others led before it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, BrokerId, DeleteRecordsRequest, DeleteRecordsResponse, FetchRequest, FetchResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, GroupId, InitProducerIdRequest,
    InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
    MetadataResponse, OffsetFetchRequest, OffsetFetchResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse, ProduceRequest, ProduceResponse, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use thalweg::base::clock::{SharedClock, Timestamp, TokioClock, sleep};
use thalweg::base::ids::ProducerId;
use thalweg::base::rng::Rng;
use thalweg::node::Broker;
use thalweg::object::build::memory;
use thalweg::object::faults::{Faults, Op, Rates};
use thalweg::object::{Locality, Store};
use thalweg::record::build::BatchBuilder;
use thalweg::record::{Attributes, Compression};
use tokio::time::Instant;

use super::client::{Answer, Client, TOPIC};
use super::world::{Settings, WALL, on_a_runtime, start_with};

/// Partitions of the topic.
const MANY: i32 = 200;
const SETTINGS: Settings = &[("num.partitions", "200"), ("wal.flush.ms", "20")];
/// Nothing that is stored stays in memory.
const FORGETFUL: Settings =
    &[("num.partitions", "200"), ("wal.flush.ms", "20"), ("tail.bytes", "0")];
/// What each call of the store takes.
const STORE: Duration = Duration::from_millis(100);
/// The time of a request that names one. Longer than the floor below which none counts.
const ASKED: Duration = Duration::from_secs(6);
/// The time of a request that names none, and that floor.
const UNASKED: Duration = Duration::from_secs(5);

const OFFSET_OUT_OF_RANGE: i16 = 1;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const REQUEST_TIMED_OUT: i16 = 7;
const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const FENCED_LEADER_EPOCH: i16 = 74;

struct Rig {
    faults: Faults,
    _broker: Broker,
    client: Client,
    producer: i64,
}

async fn rig() -> Rig {
    rig_of(SETTINGS).await
}

/// A broker with a record in each partition, over a store that takes its time. Nothing is on its way.
async fn rig_of(settings: Settings) -> Rig {
    let faults = Faults::new(Rng::from_seed(8));
    let store = Store::new(faults.wrap(memory(clock()).raw()), Locality::Bucket);
    let broker = broker_of(settings, &store, 7).await;
    let client = Client::new(&broker);
    assert!(client.create_topic().await);
    let producer = client.init_producer_id().await.expect("an id");
    let rig = Rig { faults, _broker: broker, client, producer };
    assert_eq!(rig.produce(0).await, [0; MANY as usize]);
    find_coordinator(&rig.client, 0, "group").await;
    sleep(Duration::from_secs(10)).await;
    rig.faults.set_rates(Rates { latency: (STORE, STORE), ..Rates::default() });
    rig
}

fn clock() -> SharedClock {
    Arc::new(TokioClock::starting_at(WALL))
}

async fn broker(store: &Store, seed: u64) -> Broker {
    broker_of(SETTINGS, store, seed).await
}

async fn broker_of(settings: Settings, store: &Store, seed: u64) -> Broker {
    start_with(settings, store, WALL, Rng::from_seed(seed)).await.expect("a healthy store")
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).expect("seconds")
}

/// ListOffsets for all partitions.
fn offsets(timestamp: i64, timeout: Duration) -> ListOffsetsRequest {
    let part = |index| {
        ListOffsetsPartition::default()
            .with_partition_index(index)
            .with_timestamp(timestamp)
            .with_current_leader_epoch(-1)
    };
    let all = (0..MANY).map(part).collect();
    let topic = ListOffsetsTopic::default().with_name(topic()).with_partitions(all);
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic])
        .with_timeout_ms(millis(timeout))
}

/// Every partition's question, and the errors of its answers.
impl Rig {
    /// Of as many groups, none of which has committed.
    async fn group_offsets(&self) -> Vec<i16> {
        let group = |number| {
            let id = GroupId(StrBytes::from_string(format!("group-{number}")));
            OffsetFetchRequestGroup::default().with_group_id(id).with_topics(None)
        };
        let request = OffsetFetchRequest::default().with_groups((0..MANY).map(group).collect());
        let answer: Option<OffsetFetchResponse> =
            self.client.call(ApiKey::OffsetFetch, 8, &request).await;
        answer.expect("an answer").groups.into_iter().map(|group| group.error_code).collect()
    }

    async fn list(&self, timestamp: i64, timeout: Duration) -> Vec<i16> {
        const WITH_A_TIME: i16 = 10;
        let request = offsets(timestamp, timeout);
        let answer: Option<ListOffsetsResponse> =
            self.client.call(ApiKey::ListOffsets, WITH_A_TIME, &request).await;
        let parts = answer.expect("an answer").topics.remove(0).partitions;
        parts.into_iter().map(|part| part.error_code).collect()
    }

    async fn epoch_ends(&self, epoch: i32) -> Vec<i16> {
        let part = |index| {
            OffsetForLeaderPartition::default()
                .with_partition(index)
                .with_current_leader_epoch(-1)
                .with_leader_epoch(epoch)
        };
        let all = (0..MANY).map(part).collect();
        let topic = OffsetForLeaderTopic::default().with_topic(topic()).with_partitions(all);
        let request = OffsetForLeaderEpochRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic]);
        let answer: Option<OffsetForLeaderEpochResponse> =
            self.client.call(ApiKey::OffsetForLeaderEpoch, 4, &request).await;
        let parts = answer.expect("an answer").topics.remove(0).partitions;
        parts.into_iter().map(|part| part.error_code).collect()
    }

    async fn fetch(&self, offset: i64) -> Vec<i16> {
        let part = |index| {
            FetchPartition::default()
                .with_partition(index)
                .with_fetch_offset(offset)
                .with_partition_max_bytes(1 << 20)
        };
        let all = (0..MANY).map(part).collect();
        let topic = FetchTopic::default().with_topic(topic()).with_partitions(all);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_bytes(1 << 20)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let answer: Option<FetchResponse> = self.client.call(ApiKey::Fetch, 12, &request).await;
        let parts = answer.expect("an answer").responses.remove(0).partitions;
        parts.into_iter().map(|part| part.error_code).collect()
    }

    async fn delete_records(&self, before: i64, timeout: Duration) -> Vec<i16> {
        let part = |index| {
            DeleteRecordsPartition::default().with_partition_index(index).with_offset(before)
        };
        let all = (0..MANY).map(part).collect();
        let topic = DeleteRecordsTopic::default().with_name(topic()).with_partitions(all);
        let request = DeleteRecordsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(millis(timeout));
        let answer: Option<DeleteRecordsResponse> =
            self.client.call(ApiKey::DeleteRecords, 2, &request).await;
        let parts = answer.expect("an answer").topics.remove(0).partitions;
        parts.into_iter().map(|part| part.error_code).collect()
    }

    async fn produce(&self, sequence: i32) -> Vec<i16> {
        let part = |index| {
            let mut builder = BatchBuilder::new(Compression::None);
            builder.producer(ProducerId(self.producer), 0, sequence);
            builder.push_value(WALL, None, Some(b"value"));
            let records = Some(builder.build().bytes);
            PartitionProduceData::default().with_index(index).with_records(records)
        };
        let all = (0..MANY).map(part).collect();
        let topic = TopicProduceData::default().with_name(topic()).with_partition_data(all);
        let request = ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(-1)
            .with_timeout_ms(millis(ASKED))
            .with_topic_data(vec![topic]);
        let answer: Option<ProduceResponse> = self.client.call(ApiKey::Produce, 9, &request).await;
        let parts = answer.expect("an answer").responses.remove(0).partition_responses;
        parts.into_iter().map(|part| part.error_code).collect()
    }
}

/// What a question costs: names of slots that were looked at, and time.
fn costs(what: i16, question: impl AsyncFn(&Rig) -> Vec<i16>) {
    on_a_runtime(async {
        let rig = rig().await;
        let looked = || rig.faults.count(Op::Get, "/w/");
        let (before, begun) = (looked(), Instant::now());
        assert_eq!(question(&rig).await, [what; MANY as usize]);
        let (looks, took) = (looked() - before, begun.elapsed());
        assert!(looks <= 2, "{looks} looks, for one round that is on its way and the next");
        assert!(took <= 2 * STORE + Duration::from_millis(5), "{took:?}");
    });
}

/// How long a question waits for a store that is away.
fn waits(within: Duration, question: impl AsyncFn(&Rig) -> Vec<i16>) {
    waits_for(REQUEST_TIMED_OUT, within, question);
}

/// The same, and what it is answered then.
fn waits_for(what: i16, within: Duration, question: impl AsyncFn(&Rig) -> Vec<i16>) {
    on_a_runtime(async {
        let rig = rig().await;
        rig.faults.set_rates(Rates { unavailable: 1000, ..Rates::default() });
        let begun = Instant::now();
        assert_eq!(question(&rig).await, [what; MANY as usize]);
        let took = begun.elapsed();
        assert!(took >= within && took < within + Duration::from_millis(50), "{took:?}");
    });
}

#[test]
fn the_ends_of_many_logs() {
    costs(0, async |rig| rig.list(-1, ASKED).await);
    waits(ASKED, async |rig| rig.list(-1, ASKED).await);
    waits(UNASKED, async |rig| rig.list(-1, Duration::ZERO).await);
}

#[test]
fn that_no_records_of_many_logs_are_so_new() {
    costs(0, async |rig| rig.list(WALL.0 + 1, ASKED).await);
    waits(ASKED, async |rig| rig.list(WALL.0 + 1, ASKED).await);
}

/// Look-ups that find something need no proof, but each a look into the store: many go on side by side.
#[test]
fn the_first_records_of_many_logs_since_a_time() {
    on_a_runtime(async {
        let rig = rig_of(FORGETFUL).await;
        rig.faults.set_rates(Rates::default());
        let later = Timestamp(WALL.0 + 5_000);
        for partition in 0..MANY {
            // A slot of its own.
            let mut builder = BatchBuilder::new(Compression::None);
            builder.push_value(later, None, Some(b"later"));
            let answer = rig.client.produce(partition, builder.build().bytes).await;
            assert_eq!(answer, Answer::At(1));
        }
        sleep(Duration::from_secs(10)).await;
        rig.faults.set_rates(Rates { latency: (STORE, STORE), ..Rates::default() });
        let (before, begun) = (rig.faults.count(Op::Get, "/w/"), Instant::now());
        assert_eq!(rig.list(later.0, Duration::from_secs(30)).await, [0; MANY as usize]);
        let looks = rig.faults.count(Op::Get, "/w/") - before;
        assert!(looks >= MANY as usize, "{looks} looks: some records are in memory");
        assert!(begun.elapsed() < 20 * STORE, "{:?}", begun.elapsed());
    });
}

#[test]
fn the_ends_of_the_current_epochs_of_many_logs() {
    costs(0, async |rig| rig.epoch_ends(0).await);
    waits(UNASKED, async |rig| rig.epoch_ends(0).await);
}

#[test]
fn offsets_out_of_range_of_many_logs() {
    costs(OFFSET_OUT_OF_RANGE, async |rig| rig.fetch(5).await);
    waits(UNASKED, async |rig| rig.fetch(5).await);
}

#[test]
fn the_offsets_of_many_groups() {
    costs(0, async |rig| rig.group_offsets().await);
    waits_for(COORDINATOR_LOAD_IN_PROGRESS, UNASKED, async |rig| rig.group_offsets().await);
}

#[test]
fn deletions_out_of_range_of_many_logs() {
    costs(OFFSET_OUT_OF_RANGE, async |rig| rig.delete_records(5, ASKED).await);
    waits(ASKED, async |rig| rig.delete_records(5, ASKED).await);
}

#[test]
fn sequences_that_fit_none_of_many_logs() {
    costs(OUT_OF_ORDER_SEQUENCE_NUMBER, async |rig| rig.produce(7).await);
    waits(UNASKED, async |rig| rig.produce(7).await);
}

/// Moves of one request become durable together, and a time that is shorter than that takes does not count.
#[test]
fn the_starts_of_many_logs_move_together() {
    on_a_runtime(async {
        let rig = rig().await;
        let begun = Instant::now();
        assert_eq!(rig.delete_records(-1, Duration::ZERO).await, [0; MANY as usize]);
        assert!(begun.elapsed() < 20 * STORE, "{:?}", begun.elapsed());
    });
    waits(UNASKED, async |rig| rig.delete_records(-1, Duration::ZERO).await);
}

/// A produce goes on whether or not it is waited for, so a time that is shorter than a put takes does not count.
#[test]
fn a_produce_waits_for_its_put_however_short_its_time() {
    on_a_runtime(async {
        let rig = rig().await;
        let produce = |sequence, timeout| {
            let mut builder = BatchBuilder::new(Compression::None);
            builder.producer(ProducerId(rig.producer), 0, sequence);
            builder.push_value(WALL, None, Some(b"value"));
            rig.client.produce_within(0, builder.build().bytes, timeout)
        };
        assert_eq!(produce(1, Duration::ZERO).await, Answer::At(1));
        assert_eq!(produce(2, Duration::from_millis(1)).await, Answer::At(2));
        rig.faults.set_rates(Rates { unavailable: 1000, ..Rates::default() });
        let begun = Instant::now();
        let timed_out = Answer::Error(REQUEST_TIMED_OUT);
        assert_eq!(produce(3, Duration::ZERO).await, timed_out);
        assert_eq!(begun.elapsed().as_secs(), UNASKED.as_secs(), "the store is away");
        assert_eq!(produce(4, ASKED).await, timed_out);
        assert_eq!(begun.elapsed().as_secs(), (UNASKED + ASKED).as_secs(), "its own time");
    });
}

/// One record outside of transactions and, later than it, one of a transaction that stays open. Then another broker leads.
async fn with_an_open_transaction(store: &Store) -> (Broker, Client) {
    let before = broker(store, 7).await;
    let client = Client::new(&before);
    assert!(client.create_topic().await);
    find_coordinator(&client, 1, "open").await;
    let init = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str("open"))))
        .with_transaction_timeout_ms(600_000)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let given: Option<InitProducerIdResponse> = client.call(ApiKey::InitProducerId, 4, &init).await;
    let given = given.expect("an answer");
    assert_eq!(given.error_code, 0);
    let mut plain = BatchBuilder::new(Compression::None);
    plain.push_value(WALL, None, Some(b"plain"));
    assert_eq!(client.produce(0, plain.build().bytes).await, Answer::At(0));
    let mut open = BatchBuilder::new(Compression::None);
    open.producer(ProducerId(given.producer_id.0), given.producer_epoch, 0);
    open.attributes(Attributes::default().transactional());
    open.push_value(Timestamp(WALL.0 + 5_000), None, Some(b"open"));
    let produced = produce_of(&client, "open", open.build().bytes).await;
    assert_eq!(produced.responses[0].partition_responses[0].error_code, 0, "{produced:?}");
    before.shutdown(Duration::from_secs(10)).await.expect("it stops in order");
    let after = broker(store, 9).await;
    let client = Client::new(&after);
    while client.list_offset(0, -2).await.0 != 0 {
        sleep(Duration::from_millis(10)).await;
    }
    (after, client)
}

/// Has a coordinator found, which makes the topic behind it.
async fn find_coordinator(client: &Client, kind: i8, key: &'static str) {
    let request = FindCoordinatorRequest::default()
        .with_key_type(kind)
        .with_coordinator_keys(vec![StrBytes::from_static_str(key)]);
    let found: Option<FindCoordinatorResponse> =
        client.call(ApiKey::FindCoordinator, 4, &request).await;
    assert_eq!(found.expect("an answer").coordinators[0].error_code, 0);
}

/// A batch of a transaction whose partitions join it with their first (KIP-890).
async fn produce_of(client: &Client, id: &'static str, batch: Bytes) -> ProduceResponse {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(topic()).with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str(id))))
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    client.call(ApiKey::Produce, 12, &request).await.expect("an answer")
}

/// What was written last and is not committed is the newest record only for those who see it; and the end of the log is told
/// with the epoch of who leads, wherever it lies (`Partition.fetchOffsetForTimestamp`).
#[test]
fn marks_above_an_open_transaction_of_an_older_epoch() {
    on_a_runtime(async {
        let store = Store::new(memory(clock()).raw(), Locality::Bucket);
        let (_broker, client) = with_an_open_transaction(&store).await;
        let listed = async |timestamp, isolation| {
            let mut request = offsets(timestamp, ASKED).with_isolation_level(isolation);
            request.topics[0].partitions.truncate(1);
            let answer: Option<ListOffsetsResponse> =
                client.call(ApiKey::ListOffsets, 7, &request).await;
            let part: ListOffsetsPartitionResponse =
                answer.expect("an answer").topics.remove(0).partitions.remove(0);
            (part.error_code, part.offset, part.timestamp, part.leader_epoch)
        };
        let newest = WALL.0 + 5_000;
        assert_eq!(listed(-3, 0).await, (0, 1, newest, 0));
        assert_eq!(listed(-3, 1).await, (0, -1, -1, -1), "it may not be seen");
        assert_eq!(listed(newest, 1).await, (0, -1, -1, -1));
        let (error, offset, _, epoch) = listed(-1, 0).await;
        assert!(epoch > 0, "another leads: {epoch}");
        assert_eq!((error, offset), (0, 2));
        assert_eq!(listed(-1, 1).await, (0, 1, -1, epoch), "the end of what is committed");
        assert_eq!(listed(-2, 1).await, (0, 0, -1, 0));
    });
}

/// Who comes to a leader that it knows from before, or to one that was superseded, is told who leads (KIP-951).
#[test]
fn who_leads_is_told_beside_errors_that_say_not_here() {
    on_a_runtime(async {
        let store = Store::new(memory(clock()).raw(), Locality::Bucket);
        let (broker, client) = with_an_open_transaction(&store).await;
        let metadata: Option<MetadataResponse> =
            client.call(ApiKey::Metadata, 12, &MetadataRequest::default().with_topics(None)).await;
        let metadata = metadata.expect("an answer");
        let known = metadata.topics.iter().find(|one| one.name.as_ref() == Some(&topic()));
        let known = known.expect("the topic");
        let (leader, epoch) = (known.partitions[0].leader_id, known.partitions[0].leader_epoch);
        let part = FetchPartition::default()
            .with_partition(0)
            .with_partition_max_bytes(1 << 20)
            .with_current_leader_epoch(epoch - 1);
        let one = FetchTopic::default().with_topic_id(known.topic_id).with_partitions(vec![part]);
        let fetch = FetchRequest::default()
            .with_max_bytes(1 << 20)
            .with_session_epoch(-1)
            .with_topics(vec![one]);
        for version in [15, 16, 17] {
            let fetched: Option<FetchResponse> = client.call(ApiKey::Fetch, version, &fetch).await;
            let fetched = fetched.expect("an answer");
            let part = &fetched.responses[0].partitions[0];
            assert_eq!(part.error_code, FENCED_LEADER_EPOCH);
            let told = (part.current_leader.leader_id, part.current_leader.leader_epoch);
            let nodes: Vec<_> =
                fetched.node_endpoints.iter().map(|one| (one.node_id, one.port)).collect();
            if version < 16 {
                assert_eq!((told, nodes), ((BrokerId(-1), -1), vec![]), "not asked for");
            } else {
                assert_eq!((told, nodes), ((leader, epoch), vec![(leader, 9092)]));
            }
        }
        super::stale::plant_fence(&store, &broker).await;
        let mut plain = BatchBuilder::new(Compression::None);
        plain.push_value(WALL, None, Some(b"plain"));
        let produced = produce_of(&client, "another", plain.build().bytes).await;
        let part = &produced.responses[0].partition_responses[0];
        assert_eq!(part.error_code, NOT_LEADER_OR_FOLLOWER, "{produced:?}");
        assert_eq!(part.current_leader.leader_id, leader);
        assert_eq!(produced.node_endpoints[0].host.as_str(), "sim");
    });
}
