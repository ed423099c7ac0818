//! The rows of the table: each a load, the figures that it gives, and what the project demands of them.

mod backlog;
mod failover;
mod groups;
mod idle;
mod latency;
mod max_rate;
mod omb;
mod recovery;
mod requests;
mod store;
mod targets;
mod throughput;
mod transactions;

use crate::{
    report::{Better, Figure},
    stage::Stage,
    system::System,
};

pub use targets::{figures_with_target, has_target, target};

/// Megabytes of values a second.
pub const RATE: Figure = Figure::new("rate", "MB/s", Better::Higher, 0);
/// Records a second.
pub const RECORDS: Figure = Figure::new("records", "k/s", Better::Higher, 0);
/// Broker CPU for each GiB of values.
pub const CPU: Figure = Figure::new("broker CPU", "s/GiB", Better::Lower, 2);
/// Client CPU for each GiB of values.
pub const CLIENT_CPU: Figure = Figure::new("client CPU", "s/GiB", Better::Neither, 2);
/// The store emulator's CPU for each GiB of values.
pub const STORE_CPU: Figure = Figure::new("store CPU", "s/GiB", Better::Neither, 2);

/// Acknowledged records that are gone.
pub const LOST: Figure = Figure::new("acknowledged records lost", "records", Better::Lower, 0);
/// Records of which a consumer read two.
pub const TWICE: Figure = Figure::new("records consumed twice", "records", Better::Lower, 0);

/// One figure of one turn.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Which.
    pub figure: Figure,
    /// How much.
    pub value: f64,
    /// What the machine allows.
    pub limit: Option<(f64, &'static str)>,
}

impl Measured {
    /// A figure without a limit.
    pub fn new(figure: Figure, value: f64) -> Self {
        Self { figure, value, limit: None }
    }

    /// With the machine's limit beside it.
    pub fn beside(figure: Figure, value: f64, limit: f64, what: &'static str) -> Self {
        Self { figure, value, limit: (limit > 0.0).then_some((limit, what)) }
    }
}

/// A row: every turn of it measures one system once.
pub trait Row {
    /// Its name, as `--only` takes it.
    fn name(&self) -> String;

    /// What it does, for `--list`.
    fn about(&self) -> String;

    /// Whom it measures.
    fn systems(&self) -> Vec<System> {
        vec![System::Thalweg, System::Kafka]
    }

    /// Turns that do not count, to let a just-in-time compiler and caches do their work.
    fn warm_up_turns(&self) -> usize {
        2
    }

    /// One turn.
    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>>;
}

/// All rows, in the order of the table.
pub fn catalogue() -> Vec<Box<dyn Row>> {
    let mut rows: Vec<Box<dyn Row>> = Vec::new();
    rows.extend(throughput::produce_rows());
    rows.extend(throughput::consume_rows());
    rows.extend(requests::rows());
    rows.extend(groups::rows());
    rows.extend(failover::rows());
    rows.extend(transactions::rows());
    rows.extend(latency::rows());
    rows.extend(omb::rows());
    rows.extend(max_rate::rows());
    rows.extend(backlog::rows());
    rows.extend(idle::rows());
    rows.extend(recovery::rows());
    rows.extend(store::rows());
    rows
}
