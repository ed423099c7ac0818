//! What a run found: figures with their samples, written as a table, as JSON and as pictures.

mod json;
mod machine;
mod svg;
mod table;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{limits::Limits, stats::Samples, system::System};

pub use machine::Machine;

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// Neither: said for its own sake.
    Neither,
}

/// A kind of figure.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Figure {
    /// Its name within a row.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Which way it is better.
    pub better: Better,
    /// Digits after the point in the table.
    pub digits: usize,
}

impl Figure {
    /// A figure.
    pub const fn new(
        name: &'static str,
        unit: &'static str,
        better: Better,
        digits: usize,
    ) -> Self {
        Self { name, unit, better, digits }
    }
}

/// One figure of one row: a line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The row's name.
    pub row: String,
    /// What is measured.
    pub figure: Figure,
    /// The samples of each system.
    pub samples: BTreeMap<System, Samples>,
    /// What the machine allows, with its meaning.
    pub limit: Option<(f64, &'static str)>,
    /// What the project demands.
    pub target: Option<Target>,
}

/// What the project demands of Thalweg's median.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Target {
    /// In the figure's own unit.
    pub absolute: Option<f64>,
    /// Thalweg's median over Kafka's.
    pub of_kafka: Option<f64>,
}

/// A whole run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where and with what.
    pub machine: Machine,
    /// Rounds of rows that have no smaller bound of their own.
    pub rounds: usize,
    /// By which amounts and durations were multiplied, where a row does not say otherwise.
    pub scale: f64,
    /// What the machine can do.
    pub limits: Limits,
    /// What was measured.
    pub lines: Vec<Line>,
    /// Turns that failed or were disturbed.
    pub remarks: Vec<String>,
}

impl Line {
    /// A system's median.
    pub fn median(&self, system: System) -> Option<f64> {
        self.samples.get(&system)?.median()
    }

    /// Thalweg's median over Kafka's.
    pub fn ratio(&self) -> Option<f64> {
        let kafka = self.median(System::Kafka)?;
        (kafka != 0.0).then(|| self.median(System::Thalweg).map(|ours| ours / kafka)).flatten()
    }

    /// Whether Thalweg's median reaches the target; none without a target or a measurement.
    pub fn reached(&self) -> Option<bool> {
        let target = self.target?;
        let meets = |value: f64, bound: f64| match self.figure.better {
            Better::Higher => value >= bound,
            Better::Lower => value <= bound,
            Better::Neither => true,
        };
        let ours = self.median(System::Thalweg)?;
        let absolute = target.absolute.is_none_or(|bound| meets(ours, bound));
        let relative = match (target.of_kafka, self.ratio()) {
            (Some(bound), Some(ratio)) => meets(ratio, bound),
            _ => true,
        };
        Some(absolute && relative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_holds_only_if_both_its_halves_do() {
        let samples = |value: f64| Samples { values: vec![value] };
        let line = Line {
            row: "produce".to_owned(),
            figure: Figure::new("CPU", "s/GiB", Better::Lower, 2),
            samples: BTreeMap::from([
                (System::Thalweg, samples(0.8)),
                (System::Kafka, samples(2.0)),
            ]),
            limit: None,
            target: Some(Target { absolute: Some(0.9), of_kafka: Some(0.35) }),
        };
        assert_eq!(line.ratio(), Some(0.4));
        assert_eq!(line.reached(), Some(false));
    }
}
