//! Claims about one connection to a whole broker (law 5): what overlaps, what waits, and what shares a slot; and what
//! clients hear of a broker that is superseded. Real sockets; the clock is paused and each call of the store takes a second
//! of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::FutureExt as _;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
    MetadataResponse, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::broker::Broker;
use super::{Error, Surroundings, settings};
use crate::base::clock::{SharedClock, Timestamp, TokioClock, sleep};
use crate::base::ids::{Incarnation, ProducerId, SlotId};
use crate::base::rng::Rng;
use crate::base::task;
use crate::config::{Address, Config, Listener};
use crate::manifest::store;
use crate::object::build::memory;
use crate::object::faults::{Fault, Faults, Op, Rates, Script};
use crate::object::{Locality, Payload, Store, keys};
use crate::record::Compression;
use crate::record::build::BatchBuilder;
use crate::segment::{Kind, SlotHeader, encode_fence};
use crate::server::{Bound, Listeners, Metrics};
use crate::telemetry;

const PRODUCE: i16 = 9;
const FETCH: i16 = 12;
const LIST_OFFSETS: i16 = 7;
const METADATA: i16 = 9;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
/// What each call of the store takes.
const STORE: Duration = Duration::from_secs(1);
/// What an open slot waits for company on a bucket, by default.
const FLUSH: Duration = Duration::from_millis(100);
/// How long the Fetch in between waits for records.
const FETCH_WAIT: Duration = Duration::from_millis(500);

struct Rig {
    broker: Broker,
    /// As it is, without latency.
    sound: Store,
    faults: Faults,
    at: SocketAddr,
    socket: TcpStream,
    _listeners: Listeners,
    sent: i32,
    answered: i32,
}

async fn rig() -> Rig {
    let clock: SharedClock = Arc::new(TokioClock::starting_at(Timestamp(1_700_000_000_000)));
    let faults = Faults::new(Rng::from_seed(5));
    let sound = Store::new(memory(Arc::clone(&clock)).raw(), Locality::Bucket);
    let store = sound.wrapped(|raw| faults.wrap(raw));
    let config = Arc::new(Config::with([]).expect("defaults are valid"));
    let address = Address { host: "127.0.0.1".to_owned(), port: 0 };
    let listener = Listener { name: "PLAINTEXT".to_owned(), address };
    let bound = vec![Bound::bind(&listener).await.expect("a free port")];
    let at = bound[0].address;
    let endpoints: BTreeMap<_, _> = settings::advertised(&config, &bound);
    let metrics = telemetry::Registry::new();
    let surroundings = Surroundings { clock, rng: Rng::from_seed(6), store: Some(store) };
    let starting = Broker::start(Arc::clone(&config), surroundings, endpoints, &metrics);
    let broker = Box::pin(starting).await.expect("a broker starts");
    let server = settings::server(&config, Metrics::new(&metrics), broker.voice());
    let listeners = Listeners::start(bound, broker.context(), &server);
    let socket = TcpStream::connect(at).await.expect("it listens");
    // Otherwise the system holds back what follows until the first is acknowledged, which takes none of our time.
    socket.set_nodelay(true).expect("a socket");
    let (sent, answered) = (0, 0);
    let mut rig = Rig { broker, sound, faults, at, socket, _listeners: listeners, sent, answered };
    rig.create_topic().await;
    // The first checkpoint is behind it: no slot but those of the test.
    sleep(Duration::from_secs(10)).await;
    rig.faults.set_rates(Rates { latency: (STORE, STORE), ..Rates::default() });
    drop(task::spawn("ticks", ticks()));
    rig
}

/// A paused clock goes on to the next timer when a socket wakes its reader, as when nobody is awake. So there is one each
/// millisecond.
async fn ticks() {
    loop {
        sleep(Duration::from_millis(1)).await;
    }
}

fn name() -> TopicName {
    TopicName(StrBytes::from_static_str("t"))
}

/// A batch of one record of producer 7.
fn produce(partition: i32, sequence: i32) -> ProduceRequest {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.producer(ProducerId(7), 0, sequence);
    builder.push_value(Timestamp(1_700_000_000_000), None, Some(b"value"));
    let batch = Some(builder.build().bytes);
    let data = PartitionProduceData::default().with_index(partition).with_records(batch);
    let topic = TopicProduceData::default().with_name(name()).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![topic])
}

fn latest() -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default().with_timestamp(-1);
    let topic = ListOffsetsTopic::default().with_name(name()).with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic])
}

fn fetch(offset: i64) -> FetchRequest {
    let partition =
        FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name()).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(i32::try_from(FETCH_WAIT.as_millis()).expect("small"))
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

fn frame(key: ApiKey, version: i16, request: &impl Encodable, correlation: i32) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_correlation_id(correlation);
    let mut frame = BytesMut::zeroed(4);
    header.encode(&mut frame, key.request_header_version(version)).expect("a header");
    request.encode(&mut frame, version).expect("a request");
    let length = u32::try_from(frame.len() - 4).expect("small");
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}

/// Asks who leads what. False: the connection is closed instead.
async fn is_answered(socket: &mut TcpStream) -> bool {
    let request = frame(ApiKey::Metadata, METADATA, &MetadataRequest::default(), 0);
    if socket.write_all(&request).await.is_err() {
        return false;
    }
    let Ok(length) = socket.read_u32().await else { return false };
    let mut rest = vec![0; length as usize];
    socket.read_exact(&mut rest).await.is_ok()
}

impl Rig {
    /// Another connection, which is answered.
    async fn another(&self) -> TcpStream {
        let mut socket = TcpStream::connect(self.at).await.expect("it listens");
        socket.set_nodelay(true).expect("a socket");
        assert!(is_answered(&mut socket).await);
        socket
    }

    /// Opens the manifest as another process does that dies before it has signed its term.
    async fn supersede(&self) -> store::Store {
        let config = &self.broker.context().config;
        let options = store::Options {
            raw: self.sound.raw(),
            path: keys::meta(&config.node.cluster_id),
            locality: Locality::Bucket,
            if_match: true,
            clock: Arc::clone(&self.broker.context().clock),
            rng: Rng::from_seed(8),
        };
        Box::pin(store::Store::open(&options, None)).await.expect("a sound store").0
    }

    /// Does as a recoverer: the chain is at its end, and the broker does not know.
    async fn plant_fence(&self) {
        let wal = self.broker.registry().wal().expect("a chain");
        let (chain, slot) = (wal.chain(), SlotId(wal.stable()));
        let (kind, created) = (Kind::Fence, Timestamp(1));
        let incarnation = Incarnation(Rng::from_seed(99).uuid());
        let fence = encode_fence(&SlotHeader { kind, chain, slot, incarnation, created });
        let key = keys::slot(&self.broker.context().config.node.cluster_id, chain, slot);
        self.sound.put_if_absent(&key, Payload::from(fence)).await.expect("a free name");
    }

    async fn create_topic(&mut self) {
        let topic = MetadataRequestTopic::default().with_name(Some(name()));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(true);
        loop {
            let frame = self.frame(ApiKey::Metadata, METADATA, &request);
            self.send(&[frame]).await;
            let answer: MetadataResponse = self.answer(METADATA).await;
            if answer.topics[0].error_code == 0 {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn frame(&mut self, key: ApiKey, version: i16, request: &impl Encodable) -> Bytes {
        self.sent += 1;
        frame(key, version, request, self.sent - 1)
    }

    fn produce(&mut self, partition: i32, sequence: i32) -> Bytes {
        self.frame(ApiKey::Produce, PRODUCE, &produce(partition, sequence))
    }

    /// All of them at once, none waiting for an answer.
    async fn send(&mut self, frames: &[Bytes]) {
        self.socket.write_all(&frames.concat()).await.expect("it is read");
    }

    /// The next answer, which is to the next request in order.
    async fn answer<A: Decodable>(&mut self, version: i16) -> A {
        let length = self.socket.read_u32().await.expect("an answer");
        let mut bytes = BytesMut::with_capacity(length as usize).limit(length as usize);
        while bytes.has_remaining_mut() {
            self.socket.read_buf(&mut bytes).await.expect("the whole answer");
        }
        let mut bytes = bytes.into_inner().freeze();
        let header = ResponseHeader::decode(&mut bytes, 1).expect("a header");
        assert_eq!(header.correlation_id, self.answered, "answers leave in the order of requests");
        self.answered += 1;
        A::decode(&mut bytes, version).expect("an answer")
    }

    /// The next answer, to a Produce: its error and offset.
    async fn produced(&mut self) -> (i16, i64) {
        let answer: ProduceResponse = self.answer(PRODUCE).await;
        let partition = &answer.responses[0].partition_responses[0];
        (partition.error_code, partition.base_offset)
    }

    /// Slots that are stable, and puts of slots that were sent.
    fn slots(&self) -> (u64, usize) {
        let stable = self.broker.registry().wal().expect("a chain").stable();
        (stable, self.faults.count(Op::Put, "/w/"))
    }
}

#[tokio::test(start_paused = true)]
async fn five_produces_in_flight_ride_in_two_slots_at_most() {
    let mut rig = rig().await;
    let (stable, puts) = rig.slots();
    let begun = Instant::now();
    let frames: Vec<Bytes> = (0..5).map(|sequence| rig.produce(0, sequence)).collect();
    rig.send(&frames).await;
    for offset in 0..5 {
        assert_eq!(rig.produced().await, (0, offset));
    }
    assert!(begun.elapsed() < 2 * STORE, "{:?}", begun.elapsed());
    let (stable, puts) = (rig.slots().0 - stable, rig.slots().1 - puts);
    assert!((1..=2).contains(&stable) && (1..=2).contains(&puts), "{stable} slots, {puts} puts");
}

#[tokio::test(start_paused = true)]
async fn produces_do_not_wait_for_each_other_and_their_answers_stay_in_order() {
    let mut rig = rig().await;
    let begun = Instant::now();
    let first = rig.produce(0, 0);
    rig.send(&[first]).await;
    // The first one's slot is on its way.
    sleep(STORE / 2).await;
    // The third is refused as soon as it is read, and still answered last.
    let frames = [rig.produce(0, 1), rig.produce(99, 0)];
    rig.send(&frames).await;
    assert_eq!(rig.produced().await, (0, 0));
    assert!(begun.elapsed() >= STORE, "it is durable first: {:?}", begun.elapsed());
    assert_eq!(rig.produced().await, (0, 1));
    // One after the other they would take two of the store's seconds.
    assert!(begun.elapsed() < 2 * STORE, "{:?}", begun.elapsed());
    assert_eq!(rig.produced().await.0, UNKNOWN_TOPIC_OR_PARTITION);
}

#[tokio::test(start_paused = true)]
async fn any_other_request_waits_for_all_before_it_and_holds_back_all_behind_it() {
    let mut rig = rig().await;
    let begun = Instant::now();
    let frames = [
        rig.produce(0, 0),
        rig.frame(ApiKey::ListOffsets, LIST_OFFSETS, &latest()),
        rig.frame(ApiKey::Fetch, FETCH, &fetch(1)),
        rig.produce(0, 1),
    ];
    rig.send(&frames).await;
    assert_eq!(rig.produced().await, (0, 0));
    // Begun before the produce's answer it would have told 0.
    let listed: ListOffsetsResponse = rig.answer(LIST_OFFSETS).await;
    let partition = &listed.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.offset), (0, 1));
    // The produce behind it, begun before its answer, would have given it a record.
    let fetched: FetchResponse = rig.answer(FETCH).await;
    let partition = &fetched.responses[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    assert!(partition.records.as_ref().is_none_or(Bytes::is_empty), "a record that came later");
    assert_eq!(rig.produced().await, (0, 1));
    let least = (FLUSH + STORE) + FETCH_WAIT + (FLUSH + STORE);
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
}

/// Whoever is told that its append failed hears it from a process that says nothing else any more, to anybody: it would name
/// itself as the leader of what another leads.
#[tokio::test(start_paused = true)]
async fn a_superseded_broker_refuses_what_is_not_acknowledged_and_answers_nothing_further() {
    let mut rig = rig().await;
    let (mut idle, mut asking) = (rig.another().await, rig.another().await);
    let hang = Fault::Hang { wait: Duration::from_secs(600), applied: false };
    rig.faults.script(Script::next(Op::Put, "/w/", hang).times(u32::MAX));
    let frames = [rig.produce(0, 0), rig.produce(0, 1)];
    rig.send(&frames).await;
    sleep(STORE).await;
    assert!(is_answered(&mut asking).await);
    // It waits for records that nobody will send.
    let mut waiting = rig.another().await;
    let request = fetch(0).with_max_wait_ms(600_000);
    waiting.write_all(&frame(ApiKey::Fetch, FETCH, &request, 0)).await.expect("it is read");

    let _successor = rig.supersede().await;
    assert_eq!(rig.produced().await.0, NOT_LEADER_OR_FOLLOWER);
    assert!(!is_answered(&mut asking).await, "it names itself as leader");
    assert!(rig.broker.failed().now_or_never().is_none(), "it looks for its successor's name");
    let verdict = rig.broker.readiness().verdict();
    assert!(!verdict.ready && verdict.lines.contains("chain: superseded: "), "{}", verdict.lines);
    // The second of them was refused, too, and its connection is closed behind it.
    assert_eq!(rig.produced().await.0, NOT_LEADER_OR_FOLLOWER);
    for socket in [&mut rig.socket, &mut idle, &mut waiting] {
        let next = socket.read_u32().await;
        assert!(next.is_err(), "{next:?}");
    }
    let connected = TcpStream::connect(rig.at).await;
    assert!(connected.is_err(), "it still listens");
    let error = rig.broker.failed().await;
    assert!(matches!(*error, Error::Superseded { .. }), "{error}");
}

/// The fence of a chain tells first; whether another process has taken over, the coordinator knows. Nobody has, here.
#[tokio::test(start_paused = true)]
async fn a_fenced_broker_answers_nothing_before_it_knows_whether_it_leads() {
    let mut rig = rig().await;
    let (mut idle, mut asking) = (rig.another().await, rig.another().await);
    let request = rig.produce(0, 0);
    rig.send(&[request]).await;
    // It is admitted, and its put has not arrived.
    sleep(FLUSH).await;
    rig.plant_fence().await;
    assert_eq!(rig.produced().await.0, NOT_LEADER_OR_FOLLOWER);
    assert!(!is_answered(&mut asking).await, "it names itself as leader");
    let verdict = rig.broker.readiness().verdict();
    assert!(!verdict.ready && verdict.lines.contains("chain: fenced: "), "{}", verdict.lines);
    assert!(idle.read_u32().await.is_err());

    // It is kept waiting, and answered by a leader.
    let mut again = TcpStream::connect(rig.at).await.expect("it listens");
    assert!(is_answered(&mut again).await);
    assert!(rig.broker.readiness().verdict().ready);
    rig.socket = again;
    let request = rig.produce(0, 0);
    rig.send(&[request]).await;
    assert_eq!(rig.produced().await, (0, 0));
}
