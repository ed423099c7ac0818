//! Thalweg: a Kafka-compatible event-streaming system whose only stateful dependency is an object-storage bucket.
//!
//! This file is the map. Modules stand in reading order, from the program's start down to bytes and places, and a
//! module names only modules declared below it; `tests/tidy.rs` reads this order and fails otherwise.
//!
//! The path of a record: [`server`] reads a frame, [`handlers`] decode and check it, [`log`] assigns its offset and
//! joins the open slot of [`wal`], which stores it under a name never used before. From there the record exists;
//! acknowledgement, high watermark and wake-ups follow in slot order. The [`manifest`] learns of the slot later.

// -- start-up --
// The command line: one file a subcommand; `serve` starts a [`node`], the others speak the Kafka protocol.
pub mod cli;
// The composition root: the only place that builds parts, connects them and stops them.
pub mod node;

// -- surfaces --
// HTTP for operators: `/metrics`, `/healthz`, `/readyz`.
pub mod console;
// Schema Registry: Confluent's REST interface over the compacted topic `_schemas`.
pub mod schema_registry;
// Producer, consumer and admin over the Kafka protocol, for the command line: works against any broker.
pub mod client;

// -- the broker's face --
// Sockets: listeners, frames in, responses out in request order.
pub mod server;
// One file a Kafka API: codec and authorisation on top of the domain below; the only place that knows error codes.
pub mod handlers;

// -- who owns what --
// Consumer groups and share groups: members, epochs, committed offsets, in the shards of `__consumer_offsets`.
pub mod groups;
// Share groups where their partitions are: what is kept of each, in the shards of `__share_group_state`.
pub mod share;
// Transactions: the coordinator of transactional ids, in the shards of `__transaction_state`.
pub mod transactions;
// The cluster coordinator: a deterministic state machine over [`manifest`], answering only what is durable.
pub mod coordinator;
// Retention and garbage collection: pure policies, and the sweep that deletes what nothing references.
pub mod maintenance;

// -- the log --
// Internal topics as state machines: created on first use, replayed on becoming leader, written by ordinary appends.
pub mod state_topic;
// Partitions as plain state behind a short lock each: offsets, producers, epochs, reads, waiting fetches.
pub mod log;
// The write-ahead chain: open slot, upload window, stability, fences, recovery. Invariant: acks follow slot order.
pub mod wal;
// A broker's view of the cluster: the metadata image as last heard, and the seam to the coordinator.
pub mod cluster;
// Which object holds which offsets: the seam [`manifest::client::ManifestClient`], its edits, state and store.
pub mod manifest;
// The slot's byte layout: header, body, index, footer.
pub mod segment;

// -- bytes and places --
// Kafka v2 record batches as views over shared bytes: validated without decoding records.
pub mod record;
// The wire: frames, headers, version table, bounds; pure bytes to types.
pub mod protocol;
// Caches that save reads of the bucket; never trusted for correctness.
pub mod cache;
// Objects by name: put-if-absent, ranges, retries, and the classification of what a failed put means.
pub mod object;
// Metrics registry and logging set-up.
pub mod telemetry;
// Settings: defaults < file < environment < flags, every fault reported at once.
pub mod config;
// Ids, offsets, units, time, randomness, tasks.
pub mod base;
