//! Producing and fetching a batch allocates as often for a hundred records as for a thousand: nothing is done for each.
//!
//! Over a socket, and all that the process does meanwhile is counted. What others do only adds, so the least of many
//! counts is taken.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, MetadataRequest, ProduceRequest, ProduceResponse,
    RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use stats_alloc::Region;
use thalweg::base::clock::{Clock as _, SystemClock};
use thalweg::base::rng::Rng;
use thalweg::config::Config;
use thalweg::node::Node;
use thalweg::record::Compression;
use thalweg::record::build::BatchBuilder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{ALLOCATOR, alone};

const TOPIC: &str = "counted";
const METADATA: i16 = 9;
const PRODUCE: i16 = 9;
const FETCH: i16 = 12;

/// About what a batch is large, whatever the number of its records: buffers are alike for all.
const BATCH_BYTES: usize = 100_000;
/// About what a record takes beside its value.
const FRAMING: usize = 9;
const FEW: usize = 100;
const MANY: usize = 1000;

/// By so much the counts may differ: a number that takes a byte more can let the index of its slot grow once more, and the
/// process has other things to do meanwhile. One for each record would be hundreds.
const LEEWAY: usize = 4;

/// So often each is measured.
const ROUNDS: usize = 40;

#[test]
fn produce_and_fetch_allocate_nothing_for_each_record() {
    let _alone = alone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(measure());
}

async fn measure() {
    let config = Config::with([
        ("store.url", "memory://"),
        ("listeners", "127.0.0.1:0"),
        ("http.listen", "127.0.0.1:0"),
        ("schema.registry.listen", "none"),
        ("num.partitions", "1"),
    ])
    .expect("settings");
    let node = Box::pin(Node::start(config)).await.expect("a node in memory");
    let mut wire = Wire::connect(&node).await;
    wire.create_topic().await;
    for codec in [Compression::None, Compression::Lz4] {
        let batches = [FEW, MANY].map(|records| batch(codec, records));
        let mut least = [[usize::MAX; 2]; 2];
        for round in 0..ROUNDS {
            // Each comes first as often as the other: what is done after every second request meets both.
            for which in [round % 2, (round + 1) % 2] {
                let counted = wire.round_trip(&batches[which]).await;
                least[which] = [0, 1].map(|at| least[which][at].min(counted[at]));
            }
        }
        let [few, many] = least;
        println!("{codec:?}: produced and fetched: {FEW} records {few:?}, {MANY} records {many:?}");
        assert!(few.iter().all(|count| *count > 0), "nothing was counted: {few:?}");
        let alike = few.iter().zip(&many).all(|(few, many)| few.abs_diff(*many) <= LEEWAY);
        assert!(alike, "{codec:?}: {few:?} for {FEW} records, {many:?} for {MANY}");
    }
    node.shutdown().await.expect("it stops in order");
}

/// A batch of so many records, always about as large.
fn batch(codec: Compression, records: usize) -> Bytes {
    let rng = Rng::from_seed(1);
    let mut builder = BatchBuilder::new(codec);
    for _ in 0..records {
        // Nothing that a codec makes smaller.
        let value: Vec<u8> =
            (0..BATCH_BYTES / records - FRAMING).map(|_| rng.u64().to_le_bytes()[0]).collect();
        builder.push_value(SystemClock.now(), None, Some(&value));
    }
    builder.build().bytes
}

/// A connection that allocates nothing of its own once its requests are built.
struct Wire {
    socket: TcpStream,
    answer: Vec<u8>,
}

impl Wire {
    async fn connect(node: &Node) -> Self {
        let address = node.addresses().kafka["PLAINTEXT"];
        let socket = TcpStream::connect(address).await.expect("the node listens");
        socket.set_nodelay(true).expect("a socket");
        Self { socket, answer: Vec::with_capacity(1 << 20) }
    }

    async fn create_topic(&mut self) {
        let topic = MetadataRequestTopic::default().with_name(Some(name()));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(true);
        for _ in 0..100 {
            self.call(&frame(&request, METADATA)).await;
            if self.read::<MetadataRequest>(METADATA).topics[0].error_code == 0 {
                return;
            }
        }
        panic!("the topic was not created");
    }

    /// Writes a batch and reads it back: the allocations of each.
    async fn round_trip(&mut self, batch: &Bytes) -> [usize; 2] {
        let request = frame(&produce(batch), PRODUCE);
        let produced = self.counted(&request).await;
        let answer: ProduceResponse = self.read::<ProduceRequest>(PRODUCE);
        let part = &answer.responses[0].partition_responses[0];
        assert_eq!(part.error_code, 0, "the batch was refused");
        let request = frame(&fetch(part.base_offset), FETCH);
        let fetched = self.counted(&request).await;
        let answer: FetchResponse = self.read::<FetchRequest>(FETCH);
        let records = answer.responses[0].partitions[0].records.as_ref();
        assert_eq!(records.map(Bytes::len), Some(batch.len()), "one whole batch is read");
        [produced, fetched]
    }

    async fn counted(&mut self, request: &[u8]) -> usize {
        let region = Region::new(ALLOCATOR);
        self.call(request).await;
        let change = region.change();
        change.allocations + change.reallocations
    }

    /// Sends a request and takes its answer.
    async fn call(&mut self, request: &[u8]) {
        self.socket.write_all(request).await.expect("sent");
        let mut length = [0; 4];
        self.socket.read_exact(&mut length).await.expect("an answer");
        let length = usize::try_from(u32::from_be_bytes(length)).expect("a length");
        assert!(length <= self.answer.capacity(), "{length} bytes");
        self.answer.resize(length, 0);
        self.socket.read_exact(&mut self.answer).await.expect("a whole answer");
    }

    fn read<R: Request>(&self, version: i16) -> R::Response {
        let mut bytes = Bytes::copy_from_slice(&self.answer);
        let header = R::Response::header_version(version);
        ResponseHeader::decode(&mut bytes, header).expect("a header");
        R::Response::decode(&mut bytes, version).expect("an answer")
    }
}

fn name() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

fn frame<R: Request>(request: &R, version: i16) -> BytesMut {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str("alloc")));
    let mut frame = BytesMut::from(&[0; 4][..]);
    header.encode(&mut frame, R::header_version(version)).expect("a header");
    request.encode(&mut frame, version).expect("a request");
    let length = u32::try_from(frame.len() - 4).expect("a small request");
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

fn produce(batch: &Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch.clone()));
    let topic = TopicProduceData::default().with_name(name()).with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic])
}

/// What begins at `offset`, and one batch of it however large.
fn fetch(offset: i64) -> FetchRequest {
    let part = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1);
    let topic = FetchTopic::default().with_topic(name()).with_partitions(vec![part]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(1000)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}
