//! From settings as they are said to what each part is given.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::units::ByteSize;
use crate::base::watch;
use crate::cache;
use crate::cluster::internal::{SHARE_GROUP_STATE, TRANSACTION_STATE};
use crate::config::{Config, ShareGroupsConfig, TransactionsConfig};
use crate::log::TopicDefaults;
use crate::manifest::client::{Endpoint, RetentionDefaults};
use crate::object::retry::{Policy, ReadPolicy};
use crate::object::{Locality, Store};
use crate::record::Compression;
use crate::record::TimestampType;
use crate::server::{self, Bound, FrameBuffers, RequestBudget, ServerSettings, Voice};
use crate::state_topic::TopicSpec;
use crate::{transactions, wal};

/// Questions that may wait at the coordinator.
pub(super) const COORDINATOR_QUEUE_MAX: usize = 1024;

/// Garbage that a partition of `__transaction_state` or `__share_group_state` may hold before its live state is copied forward.
pub(super) const STATE_GARBAGE_BYTES_MIN: u64 = 8 << 20;

/// The transaction coordinator's settings.
pub(super) fn transactions(config: &TransactionsConfig) -> transactions::Settings {
    let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    transactions::Settings {
        topic: TopicSpec {
            name: TRANSACTION_STATE,
            partitions: config.state_partitions,
            replication_factor: config.state_replication_factor,
            configs: BTreeMap::from([
                text("cleanup.policy", "compact"),
                text("compression.type", "uncompressed"),
                text("min.insync.replicas", &config.state_min_isr.to_string()),
                text("segment.bytes", &config.state_segment_bytes.0.to_string()),
                text("unclean.leader.election.enable", "false"),
            ]),
        },
        timeout_max: config.max_timeout,
        timing: transactions::Timing {
            abort_every: config.abort_every,
            expire_every: config.expire_every,
            id_expiration: config.id_expiration,
        },
    }
}

/// How `__share_group_state` is created.
pub(super) fn share_states(config: &ShareGroupsConfig) -> TopicSpec {
    let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    TopicSpec {
        name: SHARE_GROUP_STATE,
        partitions: config.state_partitions,
        replication_factor: config.state_replication_factor,
        configs: BTreeMap::from([
            // What is superseded goes because it is copied forward, as in Kafka: never by its age or size.
            text("cleanup.policy", "delete"),
            text("compression.type", "producer"),
            text("min.insync.replicas", &config.state_min_isr.to_string()),
            text("retention.bytes", "-1"),
            text("retention.ms", "-1"),
            text("segment.bytes", &config.state_segment_bytes.0.to_string()),
        ]),
    }
}

/// The overrides of the topic that holds schemas: whoever registers one waits for its slot.
pub(super) fn schemas_topic() -> BTreeMap<String, String> {
    let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    BTreeMap::from([text("cleanup.policy", "compact"), text("thalweg.flush.ms", "0")])
}

/// What topics without overrides use.
pub(super) fn topic_defaults(config: &Config) -> TopicDefaults {
    let topic = &config.topic;
    let names = |policy: &str| topic.cleanup_policy.iter().any(|named| named == policy);
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    TopicDefaults {
        max_message_bytes: topic.message_max_bytes,
        timestamp_type: match topic.timestamp_type.as_str() {
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        },
        timestamp_before_max_ms: millis(topic.timestamp_before_max),
        timestamp_after_max_ms: millis(topic.timestamp_after_max),
        compacted: names("compact"),
        deletes: names("delete"),
        compression: Compression::from_name(&topic.compression_type),
        compression_levels: topic.compression_levels,
        flush: config.wal.flush,
    }
}

/// What topics without overrides keep.
pub(super) fn retention_defaults(config: &Config) -> RetentionDefaults {
    let millis = |limit: Duration| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
    RetentionDefaults {
        retention_ms: config.topic.retention.map(millis),
        retention_bytes: config.topic.retention_bytes.map(|limit| limit.0),
        delete: config.topic.cleanup_policy.iter().any(|policy| policy == "delete"),
    }
}

/// The chain's bounds.
pub(super) fn chain(config: &Config, locality: Locality) -> wal::Settings {
    wal::Settings {
        slot_bytes_max: config.wal.slot_bytes,
        window: config.wal.upload_window,
        flush: config.wal.flush,
        unstable_bytes_max: config.wal.memory_bytes,
        tail_bytes: config.log.tail_bytes,
        uncommitted_bytes_max: config.wal.uncommitted_max_bytes,
        uncommitted_age_max: config.wal.uncommitted_max,
        // A directory is held by a lock of the operating system; memory is this process's own.
        lock_is_proof: match locality {
            Locality::Memory | Locality::Directory => true,
            Locality::Bucket => false,
        },
        session_timeout: config.wal.session_timeout,
    }
}

/// Where clients are told to connect, by listener: what is advertised, with the ports that were bound.
pub(super) fn advertised(config: &Config, bound: &[Bound]) -> BTreeMap<String, Endpoint> {
    let server = &config.server;
    let endpoints = server.advertised_listeners.iter().map(|advertised| {
        let port = match advertised.address.port {
            0 => bound
                .iter()
                .find(|bound| bound.name == advertised.name)
                .map_or(0, |b| b.address.port()),
            port => port,
        };
        (advertised.name.clone(), Endpoint { host: advertised.address.host.clone(), port })
    });
    endpoints.collect()
}

/// How puts are tried again.
pub(super) fn puts(config: &Config) -> Policy {
    Policy {
        try_timeout: config.store.request_timeout,
        hedge: config.store.hedge,
        ..Policy::default()
    }
}

/// How reads are tried again.
pub(super) fn gets(config: &Config) -> ReadPolicy {
    let policy = ReadPolicy::default();
    ReadPolicy {
        try_timeout: config.store.request_timeout.min(policy.try_timeout),
        hedge: config.store.hedge,
        ..policy
    }
}

/// How long a request waits for reads of the store: less than clients wait for their answer by default (30 s).
const READ_WITHIN: Duration = Duration::from_secs(20);

/// The cache of objects. What a store in memory holds is shared as it is, and nothing is won by keeping it alive.
pub(super) fn cache(config: &Config, locality: Locality) -> cache::Options {
    let bytes_max = match locality {
        Locality::Memory => ByteSize(0),
        Locality::Directory | Locality::Bucket => config.log.read_cache_bytes,
    };
    cache::Options { bytes_max, within: READ_WITHIN }
}

/// The sockets' bounds.
pub(super) fn server(
    config: &Config,
    metrics: server::Metrics,
    voice: watch::Receiver<Voice>,
) -> ServerSettings {
    let server = &config.server;
    ServerSettings {
        request_bytes_max: server.socket_request_max_bytes.as_usize(),
        connections_max: server.max_connections,
        idle_max: server.connections_max_idle,
        budget: RequestBudget::new(ByteSize(server.queued_max_request_bytes.0)),
        // As much as records in memory may take: the buffers of all of them may come back at once.
        buffers: FrameBuffers::new(
            config.wal.memory_bytes.as_usize().saturating_add(config.log.tail_bytes.as_usize()),
        ),
        metrics,
        voice,
    }
}

/// Where the data lies, for people.
pub(super) fn place(config: &Config, store: &Store) -> String {
    match &config.store.url {
        Some(url) => url.clone(),
        None if store.locality() == Locality::Directory => {
            config.store.data_dir.display().to_string()
        }
        None => store.to_string(),
    }
}
