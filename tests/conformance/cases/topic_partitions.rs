//! DescribeTopicPartitions: order, limit and cursor.

use kafka_protocol::messages::{
    DescribeTopicPartitionsRequest,
    describe_topic_partitions_request::{Cursor, TopicRequest},
};

use super::{create_topic, topic};
use crate::talk::Talk;

pub fn script(talk: &mut Talk) {
    talk.begin("partitions");
    create_topic(talk, "walk-b", 3, &[]);
    create_topic(talk, "walk-a", 2, &[]);
    create_topic(talk, "walk-c", 1, &[]);
    talk.symbols.keep_order = true;
    let of = |names: &[&str], limit: i32| {
        let topics = names.iter().map(|name| TopicRequest::default().with_name(topic(name)));
        DescribeTopicPartitionsRequest::default()
            .with_topics(topics.collect())
            .with_response_partition_limit(limit)
    };
    let cursor = |name: &str, partition: i32| {
        Some(Cursor::default().with_topic_name(topic(name)).with_partition_index(partition))
    };
    let all = ["walk-b", "walk-a", "walk-c"];
    talk.ask("all topics", 0, &of(&[], 2000));
    talk.ask("in another order", 0, &of(&all, 2000));
    talk.ask("a topic twice", 0, &of(&["walk-a", "walk-a"], 2000));
    for limit in [0, -1, 1, 2, 3, 5, 6] {
        talk.ask(&format!("limit {limit}"), 0, &of(&all, limit));
    }
    for (step, name, partition) in [
        ("at the first", "walk-a", 0),
        ("inside", "walk-a", 1),
        ("past the last partition", "walk-a", 2),
        ("at the second topic", "walk-b", 1),
        ("at a topic not asked", "walk-az", 0),
        ("after all", "zzz", 0),
        ("a negative partition", "walk-a", -1),
    ] {
        talk.ask(&format!("cursor {step}"), 0, &of(&all, 2).with_cursor(cursor(name, partition)));
        talk.ask(
            &format!("cursor {step}, all topics"),
            0,
            &of(&[], 2).with_cursor(cursor(name, partition)),
        );
    }
    talk.ask("unknown", 0, &of(&["unknown", "walk-a"], 2000));
    talk.ask("an invalid name", 0, &of(&["in valid"], 2000));
    talk.ask("an empty name", 0, &of(&[""], 2000));
    talk.ask("unknown, with a limit", 0, &of(&["aaa", "walk-a", "walk-b"], 1));
}
