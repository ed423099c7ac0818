//! One integration suite for every store: a broker as a process, driven over the wire by the program's own client.
//!
//! What a broker does with topics, records, configs and retention is tried in memory, on a local directory and on MinIO, by
//! the same tests; what must outlive a process on the latter two; what one place alone has, there. With
//! `THALWEG_TEST_BOOTSTRAP=HOST:PORT` the first kind runs against another broker instead.

#[path = "../support/azurite.rs"]
mod azurite;
#[path = "../support/broker.rs"]
mod broker;
#[path = "../support/gcs.rs"]
mod gcs;
#[path = "../support/java.rs"]
mod java;
#[path = "../support/kafka.rs"]
mod kafka;
#[path = "../support/kafka_client.rs"]
mod kafka_client;
#[path = "../support/minio.rs"]
mod minio;
#[path = "../support/parts.rs"]
mod parts;
#[path = "../support/peer.rs"]
mod peer;
#[path = "../support/ports.rs"]
mod ports;

mod admin;
mod cli;
mod clouds;
mod credentials;
mod front;
mod full_disk;
mod groups;
mod inspectors;
mod kafka_tools;
mod kill;
mod layers;
mod listeners;
mod load;
mod place;
mod produce_fetch;
mod restart;
mod retention;
mod roles;
mod said;
mod schema_formats;
mod schema_registry;
mod serializers;
mod shares;
mod signatures;
mod stopping;
mod takeover;
mod terminal;
mod topics;
mod transactions;
mod until;
