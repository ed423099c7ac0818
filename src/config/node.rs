//! Who this process is, and how it logs.

use super::key::Kind::{Int, Name, OneOf, Text};
use super::key::{Key, Section, int_from};
use super::load::Values;
use crate::base::ids::BrokerId;

/// Settings of the process as a whole.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The first part of every object's name.
    pub cluster_id: String,
    /// This broker's number.
    pub broker_id: BrokerId,
    /// The zone that this broker stands in, if it was said.
    pub broker_rack: Option<String>,
    /// Threads that run tasks; none: one a core.
    pub worker_threads: Option<usize>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged: a level, or directives such as `info,thalweg::wal=debug`.
    pub log_level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

const fn key(
    name: &'static str,
    kind: super::Kind,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key::ours(Section::Node, name, kind, default, doc)
}

pub(super) const KEYS: &[Key] = &[
    Key::kafkas(
        Section::Node,
        "cluster.id",
        Name { max: 64 },
        "thalweg",
        "The cluster's name. Every object's name starts with it, so clusters can share a bucket, and it must never change.",
    ),
    Key::kafkas(
        Section::Node,
        "broker.id",
        int_from(0),
        "1",
        "This broker's number. A second process with the same number on the same bucket takes over from the first.",
    )
    .also(&[("node.id", 1)]),
    Key::kafkas(
        Section::Node,
        "broker.rack",
        Text,
        "",
        "The zone that this broker stands in, as clients are told.",
    ),
    key(
        "worker.threads",
        Int { min: 0, max: 1024 },
        "0",
        "Threads that run the broker's tasks; 0 is one for each core.",
    ),
    key("log.format", OneOf(&["text", "json"]), "text", "How log lines look."),
    key(
        "log.level",
        Text,
        "info",
        "What is logged: error, warn, info, debug or trace; or by part, such as `info,thalweg::wal=debug`. Clients change it until \
         the next start as the level of the broker's logger `root`.",
    ),
];

impl NodeConfig {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            cluster_id: values.text("cluster.id"),
            broker_id: BrokerId(values.int("broker.id")),
            broker_rack: values.said("broker.rack"),
            worker_threads: Some(values.int("worker.threads")).filter(|n| *n > 0),
            log_format: match values.text("log.format").as_str() {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            },
            log_level: values.text("log.level"),
        }
    }
}
