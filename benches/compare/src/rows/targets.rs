//! What the project demands: one table.

use crate::report::Target;

const fn absolute(bound: f64) -> Target {
    Target { absolute: Some(bound), of_kafka: None }
}

const fn both(bound: f64, of_kafka: f64) -> Target {
    Target { absolute: Some(bound), of_kafka: Some(of_kafka) }
}

const TARGETS: [(&str, &str, Target); 39] = [
    ("produce-1k-1p-none", "broker CPU", both(0.9, 0.35)),
    ("produce-1k-1p-none", "rate", both(600.0, 1.0)),
    ("produce-100b-1p-none", "records", both(1_800.0, 1.0)),
    ("consume-1k-1p-none", "broker CPU", both(0.4, 1.0)),
    ("requests", "broker CPU", absolute(25.0)),
    ("window", "efficiency", absolute(0.95)),
    ("group-heartbeats", "p99", absolute(10.0)),
    ("group-rebalance-1000", "rebalance", absolute(3_000.0)),
    ("group-converge", "moved for it", absolute(10.0)),
    ("group-replay", "every group back", absolute(2_000.0)),
    ("group-replay", "committed offsets lost", absolute(0.0)),
    ("group-failover", "committed offsets lost", absolute(0.0)),
    ("latency-s3-standard", "produce p50 over floor", absolute(10.0)),
    ("latency-s3-standard", "produce p50 over this turn's floor", absolute(10.0)),
    ("latency-s3-standard", "produce p99 over floor", absolute(10.0)),
    ("latency-s3-standard", "produce p99 over this turn's floor", absolute(10.0)),
    ("latency-s3-standard", "end-to-end p99 over produce p99", absolute(10.0)),
    ("latency-s3-express", "produce p50", absolute(15.0)),
    ("latency-s3-express", "produce p99", absolute(30.0)),
    ("latency-s3-express", "produce p50 over floor", absolute(10.0)),
    ("latency-s3-express", "produce p99 over floor", absolute(10.0)),
    ("latency-s3-express", "end-to-end p99 over produce p99", absolute(10.0)),
    ("latency-10k", "end-to-end p99 over produce p99", absolute(10.0)),
    ("idle", "resident", absolute(30.0)),
    ("idle", "start", absolute(100.0)),
    ("idle-partitions", "resident a partition", absolute(1.5)),
    ("local-fsync", "share of the disk's rate", absolute(0.8)),
    ("puts-default", "PUTs of slots, hedges included", absolute(170.0)),
    ("puts-250ms", "PUTs of slots, hedges included", absolute(140.0)),
    ("faults", "p99 with faults over p99 without", absolute(2.0)),
    ("faults", "acknowledged records lost", absolute(0.0)),
    ("faults", "peak resident", absolute(1_024.0)),
    ("outage", "recovery", absolute(5.0)),
    ("outage", "acknowledged records lost", absolute(0.0)),
    ("outage", "peak resident", absolute(1_024.0)),
    ("outage-hang", "recovery", absolute(5.0)),
    ("outage-hang", "acknowledged records lost", absolute(0.0)),
    ("outage-hang", "peak resident", absolute(1_024.0)),
    ("recovery", "acknowledged records lost", absolute(0.0)),
];

/// The target of a row's figure.
pub fn target(row: &str, figure: &str) -> Option<Target> {
    TARGETS.iter().find(|(name, of, _)| *name == row && *of == figure).map(|(_, _, target)| *target)
}

/// Whether the project demands anything of a row.
pub fn has_target(row: &str) -> bool {
    TARGETS.iter().any(|(name, _, _)| *name == row)
}

/// The figures of a row of which it does.
pub fn figures_with_target(row: &str) -> impl Iterator<Item = &'static str> {
    TARGETS.iter().filter(move |(name, ..)| *name == row).map(|(_, figure, _)| *figure)
}
