//! The registry of one node's metrics.
//!
//! Not a global: a test can start many nodes in one process. Asking for a metric again gives the same metric, so a part that
//! starts anew goes on counting where it stopped.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, Opts, TextEncoder};

use super::process;

/// A number that only grows.
pub type Counter = prometheus::IntCounter;
/// Numbers that only grow, by label.
pub type CounterVec = prometheus::IntCounterVec;
/// A number that rises and falls.
pub type Gauge = prometheus::IntGauge;
/// Numbers that rise and fall, by label.
pub type GaugeVec = prometheus::IntGaugeVec;
/// How often a quantity fell between bounds.
pub type Histogram = prometheus::Histogram;
/// Such, by label.
pub type HistogramVec = prometheus::HistogramVec;

/// Bounds for durations in seconds: 100 µs to a minute.
pub const SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

/// Bounds for sizes in bytes: 256 B to 64 MiB.
pub const BYTES: &[f64] = &[
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    8_388_608.0,
    16_777_216.0,
    67_108_864.0,
];

/// The metrics of one node. Clones are the same registry.
#[derive(Clone)]
pub struct Registry {
    prometheus: prometheus::Registry,
    known: Arc<Mutex<BTreeMap<String, Box<dyn Any + Send>>>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// With nothing but the process's own figures.
    #[must_use]
    pub fn new() -> Self {
        let registry = Self {
            prometheus: prometheus::Registry::new(),
            known: Arc::new(Mutex::new(BTreeMap::new())),
        };
        process::register(&registry);
        registry
    }

    /// The counter `name`. A name is `thalweg_`, subsystem, noun, unit; a counter's ends in `_total`.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.declare(name, || Counter::new(name, help))
    }

    /// The counter `name` with labels.
    #[must_use]
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        self.declare(name, || CounterVec::new(Opts::new(name, help), labels))
    }

    /// The gauge `name`.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.declare(name, || Gauge::new(name, help))
    }

    /// The gauge `name` with labels.
    #[must_use]
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.declare(name, || GaugeVec::new(Opts::new(name, help), labels))
    }

    /// The histogram `name`, with upper `bounds` such as [`SECONDS`].
    #[must_use]
    pub fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Histogram {
        let options = || HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.declare(name, || Histogram::with_opts(options()))
    }

    /// The histogram `name` with labels.
    #[must_use]
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        bounds: &[f64],
        labels: &[&str],
    ) -> HistogramVec {
        let options = || HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.declare(name, || HistogramVec::new(options(), labels))
    }

    /// The gauge `name`, computed by `read` whenever somebody looks: for what exists in thousands, such as partitions.
    ///
    /// A later call for the same name takes the earlier one's place.
    pub fn at_scrape(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        read: impl Fn(&Samples) + Send + Sync + 'static,
    ) {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let options = Opts::new(name, help);
        let empty = samples(&options, &labels).0;
        let scraped = Scraped { options, labels, empty, read: Box::new(read) };
        let _ = self.prometheus.unregister(Box::new(scraped.empty.clone()));
        self.prometheus.register(Box::new(scraped)).expect("nothing else has the name");
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let families = self.prometheus.gather();
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }

    /// What is known as `name`, made and registered at the first call.
    fn declare<M>(&self, name: &str, make: impl FnOnce() -> prometheus::Result<M>) -> M
    where
        M: Collector + Clone + Send + 'static,
    {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metric) = known.get(name) {
            let metric = metric.downcast_ref::<M>();
            return metric.unwrap_or_else(|| panic!("{name} is a metric of another kind")).clone();
        }
        let metric = make().expect("a metric's name and labels are literals that fit");
        self.prometheus.register(Box::new(metric.clone())).expect("nothing else has the name");
        known.insert(name.to_owned(), Box::new(metric.clone()));
        metric
    }
}

type FloatGaugeVec = prometheus::GaugeVec;

/// Takes the samples of one scrape.
pub struct Samples(FloatGaugeVec);

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Samples").finish_non_exhaustive()
    }
}

impl Samples {
    /// One value, with a value for each label.
    pub fn push(&self, labels: &[&str], value: f64) {
        self.0.with_label_values(labels).set(value);
    }
}

fn samples(options: &Opts, labels: &[String]) -> Samples {
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let gauges = FloatGaugeVec::new(options.clone(), &labels);
    Samples(gauges.expect("a metric's name and labels are literals that fit"))
}

/// A gauge that holds no value between scrapes.
struct Scraped {
    options: Opts,
    labels: Vec<String>,
    /// Describes it; never holds a sample.
    empty: FloatGaugeVec,
    read: Box<dyn Fn(&Samples) + Send + Sync>,
}

impl Collector for Scraped {
    fn desc(&self) -> Vec<&Desc> {
        self.empty.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let samples = samples(&self.options, &self.labels);
        (self.read)(&samples);
        samples.0.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_is_the_same_metric() {
        let registry = Registry::new();
        registry.counter("thalweg_test_records_total", "Records.").inc_by(2);
        registry.counter("thalweg_test_records_total", "Records.").inc();
        let text = registry.encode();
        assert!(text.contains("# HELP thalweg_test_records_total Records."), "{text}");
        assert!(text.contains("thalweg_test_records_total 3"), "{text}");
    }

    #[test]
    fn scraped_gauges_forget_what_is_gone() {
        let registry = Registry::new();
        let partitions = Arc::new(Mutex::new(vec!["0", "1"]));
        let seen = Arc::clone(&partitions);
        registry.at_scrape("thalweg_test_end", "End.", &["partition"], move |samples| {
            for partition in seen.lock().expect("not poisoned").iter() {
                samples.push(&[partition], 7.0);
            }
        });
        assert!(registry.encode().contains("thalweg_test_end{partition=\"1\"} 7"));
        partitions.lock().expect("not poisoned").pop();
        let text = registry.encode();
        assert!(text.contains("partition=\"0\"") && !text.contains("partition=\"1\""), "{text}");
    }

    #[test]
    fn the_process_shows_its_own_figures() {
        let text = Registry::new().encode();
        for name in
            ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"]
        {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split(' ').next_back()?.parse::<f64>().ok());
            assert!(value.is_some_and(|value| value >= 0.0), "{name}: {text}");
        }
    }
}
