//! What a run found: figures with their samples, written as a table, as JSON and as pictures.

mod json;
mod machine;
mod svg;
mod table;

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
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
    /// What the machine allowed each of them.
    pub limits: BTreeMap<System, Limit>,
    /// What the project demands.
    pub target: Option<Target>,
    /// Systems of which a turn of the row failed.
    pub failed: Vec<System>,
}

/// What the machine allows: of each turn, for some limits hang on what happened in it.
#[derive(Debug, Clone, Serialize)]
pub struct Limit {
    /// Its meaning.
    pub what: &'static str,
    /// In the figure's own unit.
    pub turns: Samples,
}

/// How a line stands to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is reached.
    Reached,
    /// It is not.
    Missed,
    /// A turn of Thalweg's failed.
    Failed,
    /// The half against Kafka is not known, the other one holds.
    NotBesideKafka,
    /// Thalweg was not measured.
    NotMeasured,
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
    /// Rounds of each row.
    pub rounds: usize,
    /// By which amounts and durations were multiplied, where a row does not say otherwise.
    pub scale: f64,
    /// What the machine can do.
    pub limits: Limits,
    /// What was measured.
    pub lines: Vec<Line>,
    /// Turns that failed or were disturbed.
    pub remarks: Vec<String>,
    /// How many rows failed.
    pub failed_rows: usize,
}

impl Report {
    /// Writes table, JSON and pictures into a directory, over those that are there.
    ///
    /// # Errors
    /// Names the path that could not be made or written.
    pub fn save(&self, directory: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("could not make {}", directory.display()))?;
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text)
                .with_context(|| format!("could not write {}", path.display()))
        };
        write("table.md", &self.table())?;
        write("report.json", &self.json()?)?;
        for (figure, unit) in self.pictures() {
            if let Some(picture) = self.picture(figure, unit) {
                let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
                let name: String = format!("{figure}-{unit}").chars().map(plain).collect();
                write(&format!("{name}.svg"), &picture)?;
            }
        }
        Ok(())
    }
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

    /// The median of what the machine allowed a system in its turns, with its meaning.
    pub fn limit(&self, system: System) -> Option<(f64, &'static str)> {
        let limit = self.limits.get(&system)?;
        Some((limit.turns.median()?, limit.what))
    }

    /// How Thalweg's median stands to the target; none without a target.
    pub fn verdict(&self) -> Option<Verdict> {
        let target = self.target?;
        if self.failed.contains(&System::Thalweg) {
            return Some(Verdict::Failed);
        }
        let meets = |value: f64, bound: f64| match self.figure.better {
            Better::Higher => value >= bound,
            Better::Lower => value <= bound,
            Better::Neither => true,
        };
        let Some(ours) = self.median(System::Thalweg) else { return Some(Verdict::NotMeasured) };
        if target.absolute.is_some_and(|bound| !meets(ours, bound)) {
            return Some(Verdict::Missed);
        }
        Some(match (target.of_kafka, self.ratio()) {
            (None, _) => Verdict::Reached,
            (Some(_), None) => Verdict::NotBesideKafka,
            (Some(bound), Some(ratio)) if meets(ratio, bound) => Verdict::Reached,
            _ => Verdict::Missed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CPU that is to be at most 0.9, and at most 0.35 of Kafka's.
    fn line(ours: f64, kafka: Option<f64>) -> Line {
        let samples = |value: f64| Samples { values: vec![value] };
        let mut line = Line {
            row: "produce".to_owned(),
            figure: Figure::new("CPU", "s/GiB", Better::Lower, 2),
            samples: BTreeMap::from([(System::Thalweg, samples(ours))]),
            limits: BTreeMap::new(),
            target: Some(Target { absolute: Some(0.9), of_kafka: Some(0.35) }),
            failed: Vec::new(),
        };
        line.samples.extend(kafka.map(|value| (System::Kafka, samples(value))));
        line
    }

    #[test]
    fn a_target_holds_only_if_both_its_halves_do() {
        assert_eq!(line(0.8, Some(2.0)).ratio(), Some(0.4));
        assert_eq!(line(0.8, Some(2.0)).verdict(), Some(Verdict::Missed));
        assert_eq!(line(0.6, Some(2.0)).verdict(), Some(Verdict::Reached));
        assert_eq!(line(1.0, Some(9.0)).verdict(), Some(Verdict::Missed));
    }

    #[test]
    fn what_was_not_measured_reaches_no_target() {
        assert_eq!(line(0.6, None).verdict(), Some(Verdict::NotBesideKafka));
        assert_eq!(line(1.0, None).verdict(), Some(Verdict::Missed));
        let failed = Line { failed: vec![System::Thalweg], ..line(0.6, Some(2.0)) };
        assert_eq!(failed.verdict(), Some(Verdict::Failed));
        let kafka_alone = Line { samples: BTreeMap::new(), ..line(0.6, None) };
        assert_eq!(kafka_alone.verdict(), Some(Verdict::NotMeasured));
    }

    #[test]
    fn a_limit_is_the_median_of_a_system_s_own_turns() {
        let mut line = line(0.6, None);
        let turns = Samples { values: vec![0.3, 0.1, 0.2] };
        line.limits.insert(System::Thalweg, Limit { what: "CRC", turns });
        assert_eq!(line.limit(System::Thalweg), Some((0.2, "CRC")));
        assert_eq!(line.limit(System::Kafka), None);
    }
}
