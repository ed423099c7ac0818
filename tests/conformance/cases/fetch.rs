//! Fetch without a session: offsets, sizes, waits, epochs, isolation and errors.

use kafka_protocol::messages::{FetchRequest, fetch_request::FetchTopic};
use uuid::Uuid;

use super::{append, create_topic, fetch, foreign_id, from, topic, versions};
use crate::{batch::numbered, talk::Talk};

pub fn script(talk: &mut Talk) {
    talk.begin("set-up");
    let base = talk.base_ms();
    let id = create_topic(talk, "pages", 3, &[]);
    let other = create_topic(talk, "others", 1, &[]);
    for index in 0..4 {
        append(talk, "pages", 0, &numbered(base + i64::from(index) * 10_000, index * 5, 5));
    }
    append(talk, "pages", 1, &numbered(base, 0, 100));
    append(talk, "others", 0, &numbered(base, 0, 2));
    for version in versions::<FetchRequest>() {
        offsets(talk, version, id);
        sizes(talk, version, id);
        waits(talk, version, id);
        wrong(talk, version, id);
        several(talk, version, [id, other]);
        if version >= 9 {
            epochs(talk, version, id);
        }
        replicas(talk, version, id);
    }
}

/// Teaches the symbols the topic's name, which answers from version 13 on do not carry.
fn begin(talk: &mut Talk, conversation: &str) {
    use kafka_protocol::messages::MetadataRequest;
    talk.begin(conversation);
    let all = MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false);
    talk.quiet(12, &all);
}

fn offsets(talk: &mut Talk, version: i16, id: Uuid) {
    begin(talk, "offsets");
    for offset in [0, 1, 4, 5, 13, 19, 20, 21, -1, -2, i64::MAX] {
        talk.ask(
            &format!("from {offset}"),
            version,
            &fetch(version, "pages", id, vec![from(0, offset)]),
        );
    }
    talk.ask("an empty partition", version, &fetch(version, "pages", id, vec![from(2, 0)]));
    talk.ask("past an empty partition", version, &fetch(version, "pages", id, vec![from(2, 1)]));
    for isolation in [1, 2, -1] {
        let request =
            fetch(version, "pages", id, vec![from(0, 10)]).with_isolation_level(isolation);
        talk.ask(&format!("isolation level {isolation}"), version, &request);
    }
}

fn sizes(talk: &mut Talk, version: i16, id: Uuid) {
    begin(talk, "sizes");
    let batch = i32::try_from(numbered(0, 0, 5).encode().len()).expect("a small batch");
    for bytes in
        [-1, 0, 1, batch - 1, batch, batch + 1, 2 * batch - 1, 2 * batch, 3 * batch, i32::MAX]
    {
        let of_partition =
            fetch(version, "pages", id, vec![from(0, 0).with_partition_max_bytes(bytes)]);
        talk.ask(&format!("partition max bytes {bytes}"), version, &of_partition);
        let of_all =
            fetch(version, "pages", id, vec![from(0, 0), from(1, 0)]).with_max_bytes(bytes);
        talk.ask(&format!("max bytes {bytes}"), version, &of_all);
    }
    let second = vec![from(2, 0), from(1, 0).with_partition_max_bytes(1), from(0, 0)];
    talk.ask(
        "a large batch after an empty partition",
        version,
        &fetch(version, "pages", id, second).with_max_bytes(1),
    );
}

fn waits(talk: &mut Talk, version: i16, id: Uuid) {
    begin(talk, "waits");
    let wait = |request: FetchRequest, ms: i32, bytes: i32| {
        request.with_max_wait_ms(ms).with_min_bytes(bytes)
    };
    let at_end = || fetch(version, "pages", id, vec![from(0, 20)]);
    talk.ask("nothing new for 50 ms", version, &wait(at_end(), 50, 1));
    talk.ask(
        "less than the least for 50 ms",
        version,
        &wait(fetch(version, "pages", id, vec![from(0, 15)]), 50, 100_000),
    );
    talk.ask(
        "an error beside nothing new",
        version,
        &wait(fetch(version, "pages", id, vec![from(0, 20), from(9, 0)]), 1_000, 1),
    );
    talk.ask("a negative wait", version, &wait(at_end(), -1, 1));
    talk.ask("a negative least", version, &wait(at_end(), 5_000, -1));
}

fn wrong(talk: &mut Talk, version: i16, id: Uuid) {
    begin(talk, "wrong");
    talk.ask("an unknown partition", version, &fetch(version, "pages", id, vec![from(9, 0)]));
    talk.ask("a negative partition", version, &fetch(version, "pages", id, vec![from(-1, 0)]));
    talk.ask("no partitions", version, &fetch(version, "pages", id, vec![]));
    talk.ask(
        "a partition twice",
        version,
        &fetch(version, "pages", id, vec![from(0, 0), from(0, 15)]),
    );
    if version < 13 {
        talk.ask("an unknown topic", version, &fetch(version, "unknown", id, vec![from(0, 0)]));
        talk.ask("an invalid topic", version, &fetch(version, "in valid", id, vec![from(0, 0)]));
        talk.ask("an empty topic", version, &fetch(version, "", id, vec![from(0, 0)]));
    } else {
        talk.ask("an unknown id", version, &fetch(version, "", foreign_id(), vec![from(0, 0)]));
        talk.ask("no id", version, &fetch(version, "", Uuid::nil(), vec![from(0, 0)]));
        let mut both = fetch(version, "", foreign_id(), vec![from(0, 0)]);
        both.topics.extend(fetch(version, "", id, vec![from(0, 15)]).topics);
        talk.ask("an unknown id and a known", version, &both);
    }
    talk.ask("nothing", version, &fetch(version, "pages", id, vec![]).with_topics(vec![]));
    if version >= 5 {
        talk.ask(
            "a log start of its own",
            version,
            &fetch(version, "pages", id, vec![from(0, 15).with_log_start_offset(3)]),
        );
    }
    if version >= 11 {
        let rack = fetch(version, "pages", id, vec![from(0, 15)]).with_rack_id(super::text("rack"));
        talk.ask("a rack", version, &rack);
    }
    if version >= 12 {
        let cluster = fetch(version, "pages", id, vec![from(0, 15)])
            .with_cluster_id(Some(super::text("another-cluster")));
        talk.ask("another cluster's id", version, &cluster);
    }
}

fn several(talk: &mut Talk, version: i16, ids: [Uuid; 2]) {
    begin(talk, "several");
    let mut request = fetch(version, "pages", ids[0], vec![from(1, 99), from(0, 15)]);
    let other = FetchTopic::default().with_partitions(vec![from(0, 0)]);
    let other =
        if version < 13 { other.with_topic(topic("others")) } else { other.with_topic_id(ids[1]) };
    request.topics.push(other);
    talk.ask("two topics", version, &request);
}

fn epochs(talk: &mut Talk, version: i16, id: Uuid) {
    begin(talk, "epochs");
    for epoch in [-1, 0, 1, 50, -2] {
        let request =
            fetch(version, "pages", id, vec![from(0, 15).with_current_leader_epoch(epoch)]);
        talk.ask(&format!("current epoch {epoch}"), version, &request);
    }
    if version >= 12 {
        for epoch in [0, 1, 7] {
            let request =
                fetch(version, "pages", id, vec![from(0, 15).with_last_fetched_epoch(epoch)]);
            talk.ask(&format!("last fetched epoch {epoch}"), version, &request);
        }
        let ahead = fetch(version, "pages", id, vec![from(0, 90).with_last_fetched_epoch(0)]);
        talk.ask("last fetched epoch 0 past the end", version, &ahead);
    }
}

fn replicas(talk: &mut Talk, version: i16, id: Uuid) {
    begin(talk, "replicas");
    if version <= 14 {
        for replica in [-2, -3] {
            let request =
                fetch(version, "pages", id, vec![from(0, 15)]).with_replica_id(replica.into());
            talk.ask(&format!("as replica {replica}"), version, &request);
        }
    }
}
