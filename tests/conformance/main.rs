//! Answers held against Apache Kafka's.
//!
//! One script of raw requests ([`cases`]) is sent to a broker; what comes back is decoded, made comparable
//! ([`normal`]) and held field by field against `fixtures/`, the answers of Apache Kafka 4.3.1. [`allowed`] lists
//! every difference that is meant. `tests/conformance/refresh` asks Kafka anew.

#![allow(clippy::disallowed_methods, reason = "real processes and sockets live in real time")]
#![allow(unreachable_pub, missing_docs, reason = "nothing outside this binary sees it")]

mod allowed;
mod batch;
mod broker;
mod cases;
mod coverage;
mod fixture;
#[cfg(target_os = "linux")]
mod hostile;
mod inspect;
#[path = "../support/java.rs"]
mod java;
#[path = "../support/kafka.rs"]
mod kafka;
mod normal;
#[path = "../support/ports.rs"]
mod ports;
mod seed;
mod settled;
mod talk;
mod tree;

use broker::Broker;
use talk::Talk;

/// Sends a group's script to our broker and compares, or to Kafka and keeps its answers.
fn hold(group: &str, script: fn(&mut Talk)) {
    if let Some(jars) = std::env::var_os("THALWEG_REFRESH_FROM") {
        let mut broker = Broker::kafka(std::path::Path::new(&jars), settings(group));
        if group == "lineage" {
            cases::lineage::live(&mut broker);
        }
        let mut talk = Talk::new(&broker);
        script(&mut talk);
        return fixture::write(group, &talk.answers);
    }
    let broker = match group {
        "lineage" => {
            let mut broker = Broker::thalweg_on(settings(group), |_| {});
            cases::lineage::live(&mut broker);
            broker
        }
        "epochs" => Broker::thalweg_on(settings(group), |data_dir| {
            seed::producers(data_dir, settings(group), &cases::epochs::ids(), cases::epochs::FIRST);
        }),
        _ => Broker::thalweg(settings(group)),
    };
    let mut talk = Talk::new(&broker);
    script(&mut talk);
    fixture::hold_against_kafka(group, &talk.answers);
}

/// Settings that both brokers are given, so that a script need not wait.
fn settings(group: &str) -> &'static [&'static str] {
    match group {
        // How many partitions they have is told.
        "metadata" => &[
            "offsets.topic.num.partitions=1",
            "share.coordinator.state.topic.num.partitions=1",
            "transaction.state.log.num.partitions=1",
        ],
        // Three members fill a group, and a script need not wait for a silent one.
        "memberships" => &[
            "group.initial.rebalance.delay.ms=0",
            "group.max.size=3",
            "group.min.session.timeout.ms=100",
        ],
        // Which partition keeps a group's offsets is told of a transaction.
        "zombies" => &[
            "group.initial.rebalance.delay.ms=0",
            "offsets.topic.num.partitions=1",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms=50",
        ],
        "epochs" => &[
            "transaction.abort.timed.out.transaction.cleanup.interval.ms=50",
            "transaction.state.log.num.partitions=1",
        ],
        "group_offsets" | "offset_transactions" => &["group.initial.rebalance.delay.ms=0"],
        "consumer_groups" | "migrations" => {
            &["group.initial.rebalance.delay.ms=0", "group.consumer.assignment.interval.ms=0"]
        }
        "corners" => &[
            "group.initial.rebalance.delay.ms=0",
            "group.consumer.assignment.interval.ms=0",
            "group.share.assignment.interval.ms=0",
            "group.consumer.max.size=2",
            "group.share.max.size=2",
        ],
        "share_groups" => &["group.share.assignment.interval.ms=0"],
        "share_fetches" => &[
            "group.share.assignment.interval.ms=0",
            "group.share.min.record.lock.duration.ms=1000",
        ],
        _ => &[],
    }
}

macro_rules! groups {
    ($($group:ident),* $(,)?) => {
        /// All of them, each with a fixture.
        const GROUPS: &[&str] = &[$(stringify!($group)),*];

        $(
            #[test]
            fn $group() {
                hold(stringify!($group), cases::$group::script);
            }
        )*
    };
}

groups! {
    api_versions, configs, consumer_groups, coordinators, corners, create_topics, epochs, fetch, fetch_sessions, frames, group_offsets, lineage, list_offsets, log_dirs, memberships,
    metadata, migrations, offset_transactions, offsets, produce, produce_errors, producers, reassignments, share_fetches, share_groups, topic_partitions, transactions, zombies,
}
