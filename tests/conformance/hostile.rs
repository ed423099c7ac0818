//! Clients that mean harm, or behave as if they did: the broker stays within its memory and serves the others.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::share_fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{
    ApiVersionsRequest, DescribeConfigsRequest, DescribeGroupsRequest, FetchRequest, GroupId,
    MetadataRequest, ProduceRequest, ShareFetchRequest, ShareGroupHeartbeatRequest,
};
use thalweg::base::clock::Timestamp;
use thalweg::record::Compression;
use thalweg::record::build::BatchBuilder;
use uuid::Uuid;

use crate::{
    batch::{batch, numbered, value},
    broker::Broker,
    cases::groups::{await_coordinator, group},
    cases::{append, configs, create_topic, fetch, from, produce, produce_raw, text, topic},
    talk::{Outcome, Talk, connect, read_frame},
};

const MIB: u64 = 1 << 20;
/// How long a well-behaved request may take while others misbehave, on a busy machine.
const SERVED_WITHIN: Duration = Duration::from_secs(5);

/// Ample for two turns of those that wait.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(20);

/// Twice what a client that takes nothing is given where memory is short.
const DEAF_CLOSED_WITHIN: Duration = Duration::from_secs(60);

/// The resident memory of the broker.
fn resident(broker: &Broker) -> u64 {
    memory(broker, "VmRSS:")
}

/// The most that it ever was.
fn resident_at_most(broker: &Broker) -> u64 {
    memory(broker, "VmHWM:")
}

fn memory(broker: &Broker, which: &str) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).expect("the broker runs");
    let line =
        status.lines().find(|line| line.starts_with(which)).expect("Linux reports resident memory");
    let kib: u64 =
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB");
    kib * 1024
}

fn assert_resident_below(broker: &Broker, bound: u64) {
    let now = resident(broker);
    assert!(now < bound, "{} MiB are resident, the bound is {} MiB", now / MIB, bound / MIB);
}

/// Appends and reads back as an ordinary client, in ordinary time.
fn assert_serves(talk: &mut Talk, topic: &str) {
    let start = Instant::now();
    let offset = append(talk, topic, 0, &numbered(talk.base_ms(), 0, 10));
    let answer = talk
        .quiet(12, &fetch(12, topic, Uuid::nil(), vec![from(0, offset)]))
        .expect("Fetch is answered");
    let records = answer.responses[0].partitions[0].records.as_ref().expect("records");
    assert!(!records.is_empty(), "what was just appended is there");
    assert!(start.elapsed() < SERVED_WITHIN, "an ordinary client waited {:?}", start.elapsed());
}

/// Appends `count` batches of a megabyte each.
fn fill(talk: &mut Talk, topic: &str, count: usize) {
    let large = batch(talk.base_ms(), vec![value(&"x".repeat(1_000_000))]);
    let request = produce(topic, 0, &large);
    for _ in 0..count {
        let answer = talk.quiet(9, &request).expect("Produce is answered");
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
}

/// A frame's length and the first bytes of its header.
fn claim(length: i32, api: i16, version: i16) -> Vec<u8> {
    [
        &length.to_be_bytes()[..],
        &api.to_be_bytes(),
        &version.to_be_bytes(),
        &1i32.to_be_bytes(),
        &0i16.to_be_bytes(),
    ]
    .concat()
}

#[test]
fn counts_of_500_million_cost_no_memory() {
    let broker = Broker::thalweg(&[]);
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "served", 1, &[]);
    let before = resident(&broker);
    for (api, version, ahead) in [
        (3i16, 1i16, 0usize),
        (3, 4, 0),
        (2, 1, 4),
        (19, 2, 0),
        (20, 1, 0),
        (32, 1, 0),
        (37, 0, 0),
        (0, 3, 8),
        (1, 4, 17),
    ] {
        for count in [500_000_000i32, i32::MAX, 100_000] {
            let body = [&vec![0xffu8; ahead][..], &count.to_be_bytes()].concat();
            let frame = talk.frame_of(api, version, 1, &body);
            talk.begin("counts");
            talk.exchange(&frame);
        }
    }
    talk.begin("ordinary");
    assert_serves(&mut talk, "served");
    assert_resident_below(&broker, before + 64 * MIB);
}

/// 30,000 topics without a name take 60 KB on the wire and some megabytes decoded.
#[test]
fn what_decodes_to_more_than_there_is_memory_for_is_not_decoded() {
    let broker = Broker::thalweg(&["queued.max.request.bytes=1048576"]);
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "served", 1, &[]);
    let count = 30_000_i32;
    let body = [&count.to_be_bytes()[..], &vec![0; 2 * count as usize]].concat();
    let frame = talk.frame_of(3, 1, 1, &body);
    talk.begin("decoded size");
    let outcome = talk.exchange(&frame);
    assert!(matches!(outcome, Outcome::Closed), "the connection is closed unanswered");
    talk.begin("ordinary");
    assert_serves(&mut talk, "served");
}

#[test]
fn flipped_bits_harm_nobody_else() {
    let broker = Broker::thalweg(&[]);
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "served", 1, &[]);
    let base = talk.base_ms();
    let mut frames = [
        talk.frame::<ProduceRequest>(3, &produce("served", 0, &numbered(base, 0, 5))),
        talk.frame::<ProduceRequest>(9, &produce("served", 0, &numbered(base, 0, 5))),
        talk.frame::<FetchRequest>(11, &fetch(11, "served", Uuid::nil(), vec![from(0, 0)])),
        talk.frame::<FetchRequest>(12, &fetch(12, "served", Uuid::nil(), vec![from(0, 0)])),
        talk.frame(4, &MetadataRequest::default().with_topics(Some(vec![]))),
        talk.frame(12, &MetadataRequest::default().with_topics(None)),
        talk.frame(3, &ApiVersionsRequest::default().with_client_software_name(text("x"))),
    ];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).expect("below a length")
    };
    for _ in 0..2_000 {
        let which = next(frames.len());
        let frame = &mut frames[which];
        // The length stays right: what is behind it must not.
        let bit = 32 + next((frame.len() - 4) * 8);
        frame[bit / 8] ^= 1 << (bit % 8);
        let mut stream = connect(broker.address);
        stream.write_all(frame).expect("the broker accepts bytes");
        let _ = stream.shutdown(Shutdown::Write);
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a time-out above zero");
        let mut answer = [0u8; 64];
        let _ = stream.read(&mut answer);
        frames[which][bit / 8] ^= 1 << (bit % 8);
    }
    assert_serves(&mut talk, "served");
    assert_resident_below(&broker, 256 * MIB);
}

#[test]
fn ten_thousand_idle_connections_cost_little() {
    let pid = std::process::id().to_string();
    let raised = std::process::Command::new("prlimit")
        .args(["--pid", &pid, "--nofile=20000:20000"])
        .status()
        .is_ok_and(|status| status.success());
    if !raised {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "CI skips nothing: no rights to 20,000 open files"
        );
        println!("skipped: 10,000 idle connections: no rights to as many open files");
        return;
    }
    let broker = Broker::thalweg(&[]);
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "served", 1, &[]);
    // What the first records cost is no connection's.
    assert_serves(&mut talk, "served");
    let before = resident(&broker);
    let idle: Vec<TcpStream> = (0..10_000).map(|_| connect(broker.address)).collect();
    assert_serves(&mut talk, "served");
    assert_resident_below(&broker, before + 224 * MIB);
    drop(idle);
    assert_serves(&mut talk, "served");
}

#[test]
fn clients_that_never_read_are_not_buffered_for() {
    let broker = Broker::thalweg(&[]);
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "large", 1, &[]);
    create_topic(&mut talk, "served", 1, &[]);
    fill(&mut talk, "large", 20);
    let before = resident(&broker);
    let wants =
        fetch(12, "large", Uuid::nil(), vec![from(0, 0).with_partition_max_bytes(50_000_000)])
            .with_max_bytes(50_000_000);
    let frame = talk.frame(12, &wants);
    let mut deaf = Vec::new();
    for _ in 0..40 {
        let mut stream = connect(broker.address);
        stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a time-out above zero");
        // As many requests as the socket takes: the broker must stop reading, not collect answers.
        for _ in 0..200 {
            if stream.write_all(&frame).is_err() {
                break;
            }
        }
        deaf.push(stream);
    }
    assert_serves(&mut talk, "served");
    assert_resident_below(&broker, before + 200 * MIB);
    drop(deaf);
    assert_serves(&mut talk, "served");
}

/// Each asks for records that the others do not, from a log that is not in memory.
#[test]
fn clients_that_never_read_hold_no_more_than_the_budget() {
    const MEGABYTES: usize = 120;
    let settings = ["queued.max.response.bytes=16777216", "tail.bytes=8388608"];
    let settings = [&settings[..], &["read.cache.bytes=8388608"]].concat();
    let broker = Broker::thalweg_on(&settings, |_| {});
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "large", 1, &[]);
    create_topic(&mut talk, "served", 1, &[]);
    fill(&mut talk, "large", MEGABYTES);
    let before = resident(&broker);
    let mut deaf = Vec::new();
    for first in (0..MEGABYTES as i64).step_by(2) {
        let part = from(0, first).with_partition_max_bytes(50_000_000);
        let wants = fetch(12, "large", Uuid::nil(), vec![part]).with_max_bytes(50_000_000);
        let mut stream = connect(broker.address);
        stream.write_all(&talk.frame(12, &wants)).expect("the broker reads requests");
        deaf.push(stream);
    }
    // Each has begun to answer by then: the first bytes are there to be read.
    for stream in &mut deaf {
        stream.peek(&mut [0]).expect("an answer begins");
    }
    assert_serves(&mut talk, "served");
    // The budget, a batch for each beyond it, and as much again for the memory that these lie in.
    assert_resident_below(&broker, before + 2 * (16 + 60) * MIB);
    drop(deaf);
    assert_serves(&mut talk, "served");
}

/// Each is alone in its group, and is given the same records as the others: a copy of them.
#[test]
fn share_members_that_never_read_hold_no_more_than_the_budget() {
    const PARTITIONS: i32 = 8;
    let settings = ["queued.max.response.bytes=16777216", "group.share.assignment.interval.ms=0"];
    let broker = Broker::thalweg_on(&settings, |_| {});
    let mut talk = Talk::new(&broker);
    await_coordinator(&mut talk);
    let topic_id = create_topic(&mut talk, "large", PARTITIONS, &[]);
    create_topic(&mut talk, "served", 1, &[]);
    let large = batch(talk.base_ms(), vec![value(&"x".repeat(1_000_000))]);
    for partition in 0..PARTITIONS {
        append(&mut talk, "large", partition, &large);
    }
    let wants: Vec<ShareFetchRequest> = (0..24)
        .map(|index| {
            let group = group("deaf", index);
            read_from_the_start(&mut talk, &group, PARTITIONS as usize);
            let partition = |index| FetchPartition::default().with_partition_index(index);
            let of = FetchTopic::default().with_topic_id(topic_id);
            ShareFetchRequest::default()
                .with_group_id(Some(group))
                .with_member_id(Some(text(ALONE)))
                .with_max_wait_ms(20_000)
                .with_min_bytes(1_000_000 * PARTITIONS)
                .with_max_bytes(50_000_000)
                .with_max_records(500)
                .with_batch_size(500)
                .with_topics(vec![of.with_partitions((0..PARTITIONS).map(partition).collect())])
        })
        .collect();
    let before = resident(&broker);
    let mut deaf = Vec::new();
    for wants in &wants {
        let mut stream = connect(broker.address);
        stream.write_all(&talk.frame(1, wants)).expect("the broker reads requests");
        deaf.push(stream);
    }
    for stream in &mut deaf {
        stream.peek(&mut [0]).expect("an answer begins");
    }
    assert_serves(&mut talk, "served");
    // As above: the budget, a batch for each beyond it, and as much again. All that is there were 192 MB.
    assert_resident_below(&broker, before + 2 * (16 + 24) * MIB);
    drop(deaf);
    assert_serves(&mut talk, "served");
}

/// The member of a group that has no other.
const ALONE: &str = "alone";

/// Lets a share group of one member begin at the start, and waits until it may read so many partitions of `large`.
fn read_from_the_start(talk: &mut Talk, group: &GroupId, partitions: usize) {
    let earliest = [("share.auto.offset.reset", "earliest")];
    let set = configs::set_of_group(group.as_str(), earliest.iter().copied());
    let answer = talk.quiet(1, &set).expect("IncrementalAlterConfigs is answered");
    assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    let join = ShareGroupHeartbeatRequest::default()
        .with_group_id(group.clone())
        .with_member_id(text(ALONE))
        .with_rack_id(None)
        .with_subscribed_topic_names(Some(vec![topic("large")]));
    talk.until(1, &join, |answer| {
        let assigned = answer.assignment.as_ref();
        assigned.is_some_and(|assigned| {
            let each = assigned.topic_partitions.iter().map(|of| of.partitions.len());
            each.sum::<usize>() == partitions
        })
    });
}

/// What the kernel takes from us for a client is nobody's shortage: their answers are larger than that.
#[test]
fn clients_that_never_read_are_closed_where_memory_is_short() {
    let broker = Broker::thalweg_on(&["queued.max.response.bytes=67108864"], |_| {});
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "large", 1, &[]);
    fill(&mut talk, "large", 60);
    let part = from(0, 0).with_partition_max_bytes(50_000_000);
    let wants = fetch(12, "large", Uuid::nil(), vec![part]).with_max_bytes(50_000_000);
    let deaf: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = connect(broker.address);
            stream.write_all(&talk.frame(12, &wants)).expect("the broker reads requests");
            stream.peek(&mut [0]).expect("an answer begins");
            stream
        })
        .collect();
    let mut bytes = || {
        let answer = talk.quiet(12, &wants).expect("Fetch is answered");
        answer.responses[0].partitions[0].records.as_ref().map_or(0, |records| records.len())
    };
    assert!(bytes() < 8 << 20, "the deaf have most of the memory");
    let start = Instant::now();
    // Half of it is free again, and half of that is room for one answer.
    while bytes() < 15 << 20 {
        assert!(start.elapsed() < DEAF_CLOSED_WITHIN, "the deaf keep their memory");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(deaf);
}

/// A million records without a key, in less than a megabyte. What is wrong with each of them is hundreds of bytes.
#[test]
fn a_batch_of_which_every_record_is_wrong_is_refused_in_few_words() {
    let broker = Broker::thalweg(&[]);
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "compacted", 1, &[("cleanup.policy", "compact")]);
    create_topic(&mut talk, "served", 1, &[]);
    let mut keyless = BatchBuilder::new(Compression::Zstd);
    for _ in 0..1_000_000 {
        keyless.push_value(Timestamp(talk.base_ms()), None, None);
    }
    let keyless = keyless.build().bytes.to_vec();
    assert!(keyless.len() < 1_000_000, "{} bytes", keyless.len());
    let before = resident_at_most(&broker);
    let request = produce_raw("compacted", 0, -1, Some(keyless));
    let answer = talk.quiet(9, &request).expect("Produce is answered");
    let refused = &answer.responses[0].partition_responses[0];
    assert_eq!(refused.error_code, 87, "INVALID_RECORD");
    let said = refused.record_errors.len();
    assert!((1..=1000).contains(&said), "{said} records are named");
    let message = refused.error_message.as_ref().expect("words");
    assert!(message.contains("due to 1000000 record errors in total"), "{message}");
    assert_serves(&mut talk, "served");
    // What it came as, what it unpacks to, and little more.
    let now = resident_at_most(&broker);
    assert!(now < before + 96 * MIB, "{} MiB more", (now - before) / MIB);
}

/// A few kilobytes each, of which every one unpacks to all that is allowed, on more threads than there are cores.
#[test]
fn batches_that_unpack_to_hundreds_of_megabytes_do_so_one_at_a_time() {
    const VALUE_BYTES: usize = 250 << 20;
    let broker = Broker::thalweg(&["worker.threads=8"]);
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "compacted", 1, &[("cleanup.policy", "compact")]);
    create_topic(&mut talk, "served", 1, &[]);
    let mut keyless = BatchBuilder::new(Compression::Zstd);
    keyless.push_value(Timestamp(talk.base_ms()), None, Some(&vec![0; VALUE_BYTES]));
    let keyless = keyless.build().bytes.to_vec();
    assert!(keyless.len() < 100_000, "{} bytes", keyless.len());
    let frame = talk.frame(9, &produce_raw("compacted", 0, -1, Some(keyless)));
    let before = resident_at_most(&broker);
    let mut streams: Vec<_> = (0..16).map(|_| connect(broker.address)).collect();
    for stream in &mut streams {
        stream.write_all(&frame).expect("the connection is open");
    }
    for stream in &mut streams {
        let answer = read_frame(stream).expect("an answer");
        let says = b"due to 1 record errors in total";
        assert!(answer.windows(says.len()).any(|words| words == says), "{answer:?}");
    }
    assert_serves(&mut talk, "served");
    // One, the little that all may have before their turn, and what the allocator has not given back of what they grew from.
    let now = resident_at_most(&broker);
    assert!(now < before + 3 * VALUE_BYTES as u64, "{} MiB more", (now - before) / MIB);
}

/// A request of a megabyte that asks for gigabytes: the same settings, and the same groups, over and over.
#[test]
fn what_is_asked_for_again_and_again_ends_the_connection() {
    let broker = Broker::thalweg_on(&["queued.max.response.bytes=67108864"], |_| {});
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "served", 1, &[]);
    await_coordinator(&mut talk);
    let before = resident_at_most(&broker);
    let resource = DescribeConfigsResource::default()
        .with_resource_type(4)
        .with_resource_name(text("1"))
        .with_configuration_keys(None);
    let settings = DescribeConfigsRequest::default()
        .with_include_synonyms(true)
        .with_include_documentation(true);
    // A few are answered.
    let answer = talk.quiet(4, &settings.clone().with_resources(vec![resource.clone(); 20]));
    let answer = answer.expect("DescribeConfigs is answered");
    assert!(answer.results.iter().all(|result| result.configs.len() > 100), "{answer:?}");
    let group = |index| group(&format!("{}{index}", "g".repeat(200)), 0);
    let groups: Vec<_> = (0..100_000).map(|index| group(index % 2)).collect();
    let frames = [
        talk.frame(4, &settings.with_resources(vec![resource; 200_000])),
        talk.frame(6, &DescribeGroupsRequest::default().with_groups(groups)),
    ];
    for frame in frames {
        let mut stream = connect(broker.address);
        stream.write_all(&frame).expect("the broker reads requests");
        assert!(read_frame(&mut stream).is_err(), "an answer without end");
        assert_serves(&mut talk, "served");
    }
    let now = resident_at_most(&broker);
    assert!(now < before + 192 * MIB, "{} MiB more", (now - before) / MIB);
}

/// A batch of four kilobytes, and two megabytes that are none.
#[test]
fn frames_are_counted_whole_when_little_of_them_is_kept() {
    let settings = ["tail.bytes=16777216", "wal.memory.bytes=33554432"];
    let broker = Broker::thalweg_on(&settings, |_| {});
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "small", 1, &[]);
    create_topic(&mut talk, "served", 1, &[]);
    let mut records = batch(talk.base_ms(), vec![value(&"x".repeat(4096))]).encode();
    // The head of a batch that never comes: Kafka drops what is behind the first, too.
    let mut rest = vec![0; 1_900_000];
    rest[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    rest[16] = 2;
    records.extend(rest);
    let request = produce_raw("small", 0, -1, Some(records));
    let before = resident(&broker);
    for _ in 0..200 {
        let answer = talk.quiet(9, &request).expect("Produce is answered");
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
    assert_serves(&mut talk, "served");
    // All of it were 380 MB.
    assert_resident_below(&broker, before + 128 * MIB);
}

/// There is memory for two of those that claim two megabytes, and for four of the others.
#[test]
fn claimed_lengths_take_no_memory_from_others() {
    let broker = Broker::thalweg_on(&["queued.max.request.bytes=8388608"], |_| {});
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "served", 1, &[]);
    create_topic(&mut talk, "large", 1, &[]);
    let held: Vec<TcpStream> = (0..60)
        .map(|index| {
            let mut stream = connect(broker.address);
            let length = if index % 2 == 0 { 2_000_000 } else { 7 << 20 };
            stream.write_all(&claim(length, 0, 9)).expect("the broker reads requests");
            stream
        })
        .collect();
    assert_serves(&mut talk, "served");
    let start = Instant::now();
    fill(&mut talk, "large", 10);
    assert!(start.elapsed() < SERVED_WITHIN, "an ordinary client waited {:?}", start.elapsed());
    drop(held);
}

/// Each sends two megabytes but for the last byte. There is memory for six of them at a time.
#[test]
fn requests_that_never_end_hold_no_more_than_the_budget_and_no_place_for_long() {
    const COUNT: usize = 18;
    let broker = Broker::thalweg_on(&["queued.max.request.bytes=25165824"], |_| {});
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "served", 1, &[]);
    create_topic(&mut talk, "large", 1, &[]);
    let before = resident(&broker);
    let begun = [claim(2_000_000, 0, 9), vec![1; 1_999_989]].concat();
    let mut held = Vec::new();
    for _ in 0..COUNT {
        let mut stream = connect(broker.address);
        stream.set_write_timeout(Some(Duration::from_millis(50))).expect("a time-out above zero");
        // What the broker does not read lies in the kernel's buffers, or is not sent.
        let _ = stream.write_all(&begun);
        held.push(stream);
    }
    assert_serves(&mut talk, "served");
    assert_resident_below(&broker, before + 2 * 12 * MIB);
    // They wait for each other's memory, which none has for longer than three seconds; the last six are in nobody's way yet.
    let start = Instant::now();
    while held.iter_mut().map(is_closed).filter(|closed| *closed).count() < COUNT - 6 {
        assert!(start.elapsed() < GIVEN_UP_WITHIN, "requests that never end keep their memory");
        std::thread::sleep(Duration::from_millis(100));
    }
    let start = Instant::now();
    fill(&mut talk, "large", 10);
    assert!(start.elapsed() < SERVED_WITHIN, "an ordinary client waited {:?}", start.elapsed());
}

/// Whether the broker has closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn slow_readers_get_their_answer_and_delay_nobody() {
    let broker = Broker::thalweg(&[]);
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "large", 1, &[]);
    create_topic(&mut talk, "served", 1, &[]);
    fill(&mut talk, "large", 10);
    let wants =
        fetch(12, "large", Uuid::nil(), vec![from(0, 0).with_partition_max_bytes(50_000_000)])
            .with_max_bytes(50_000_000);
    let frame = talk.frame(12, &wants);
    let address = broker.address;
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let frame = frame.clone();
            std::thread::spawn(move || read_slowly(&mut connect(address), &frame))
        })
        .collect();
    while readers.iter().any(|reader| !reader.is_finished()) {
        assert_serves(&mut talk, "served");
    }
    for reader in readers {
        let bytes = reader.join().expect("a slow reader gets its answer");
        assert!(bytes > 10_000_000, "a slow reader got {bytes} bytes");
    }
}

fn read_slowly(stream: &mut TcpStream, frame: &[u8]) -> usize {
    stream.write_all(frame).expect("the broker reads requests");
    let mut length = [0u8; 4];
    stream.read_exact(&mut length).expect("an answer begins");
    let length = usize::try_from(i32::from_be_bytes(length)).expect("a length");
    let mut piece = vec![0u8; length / 40 + 1];
    let mut got = 0;
    while got < length {
        let part = piece.len().min(length - got);
        stream.read_exact(&mut piece[..part]).expect("the answer goes on");
        got += part;
        std::thread::sleep(Duration::from_millis(50));
    }
    got
}

/// Apache Kafka with a heap of 1 GB stops answering for good after this.
#[test]
fn three_hundred_hostile_connections_stop_nothing() {
    let broker = Broker::thalweg(&[]);
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "large", 1, &[]);
    create_topic(&mut talk, "served", 1, &[]);
    fill(&mut talk, "large", 10);
    let mut held = Vec::new();
    for index in 0..300usize {
        held.push(hostile(&mut talk, &broker, index));
    }
    for _ in 0..10 {
        assert_serves(&mut talk, "served");
        fill(&mut talk, "large", 2);
    }
    assert_resident_below(&broker, 900 * MIB);
    drop(held);
    assert_serves(&mut talk, "served");
}

/// One connection of six kinds: every sixth claims a frame of 90 MiB.
fn hostile(talk: &mut Talk, broker: &Broker, index: usize) -> TcpStream {
    let mut stream = connect(broker.address);
    stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a time-out above zero");
    let wants =
        fetch(12, "large", Uuid::nil(), vec![from(0, 0).with_partition_max_bytes(50_000_000)])
            .with_max_bytes(50_000_000);
    let bytes = match index % 6 {
        // The claim, a header that looks like Produce, and six megabytes of what was promised: together more than the budget.
        0 => [claim(90 << 20, 0, 9), vec![1u8; 6 << 20]].concat(),
        1 => claim(2_000_000, 1, 12),
        2 => vec![0xff; 64],
        3 => talk.frame(12, &wants).repeat(50),
        4 => talk.frame_of(3, 1, 1, &500_000_000i32.to_be_bytes()),
        _ => talk.frame(9, &produce_raw("served", 0, -1, Some(vec![0; 200_000]))).repeat(20),
    };
    let _ = stream.write_all(&bytes);
    stream
}

#[test]
fn frames_cut_off_at_every_length_leave_nothing_behind() {
    let broker = Broker::thalweg(&[]);
    let mut talk = Talk::new(&broker);
    create_topic(&mut talk, "served", 1, &[]);
    let frame =
        talk.frame::<ProduceRequest>(9, &produce("served", 0, &numbered(talk.base_ms(), 0, 5)));
    let before = resident(&broker);
    for _ in 0..10 {
        for end in 0..frame.len() {
            let mut stream = connect(broker.address);
            stream.write_all(&frame[..end]).expect("the broker accepts bytes");
        }
    }
    let answer = talk
        .quiet(9, &produce("served", 0, &numbered(talk.base_ms(), 0, 1)))
        .expect("Produce is answered");
    assert_eq!(
        answer.responses[0].partition_responses[0].base_offset, 0,
        "no half request was appended"
    );
    assert_resident_below(&broker, before + 64 * MIB);
}
