//! Rows in order, each in rounds: A B A B, after turns that do not count.

use std::{collections::BTreeMap, path::Path};

use crate::{
    limits::Limits,
    perf::Perf,
    process::Scratch,
    report::{Better, Figure, Limit, Line, Report},
    rows::{Measured, Row, figures_with_target, target},
    stage::Stage,
    stats::Samples,
    system::{Launcher, System},
};

/// Strangers that use more than this share of a core during a turn are remarked upon.
const DISTURBANCE_MAX: f64 = 0.10;

/// Runs rows and gathers their lines.
pub struct Runner<'a> {
    /// Starts brokers.
    pub launcher: &'a Launcher,
    /// Where everything is written.
    pub scratch: &'a Scratch,
    /// The machine's limits.
    pub limits: &'a Limits,
    /// Samples Thalweg's stacks in turns that count.
    pub perf: Option<&'a Perf>,
    /// Where the report is written after each row: a run of hours that is broken off leaves what it has.
    pub results: Option<&'a Path>,
    /// What was measured so far.
    pub report: Report,
}

impl Runner<'_> {
    /// Runs the rows; a row that fails leaves a remark and the next one begins.
    ///
    /// # Errors
    /// The results could not be written.
    pub fn run(&mut self, rows: &[Box<dyn Row>]) -> anyhow::Result<()> {
        let here = self.launcher.systems();
        for (number, row) in rows.iter().enumerate() {
            if !row.systems().iter().any(|system| here.contains(system)) {
                continue;
            }
            eprintln!("[{}/{}] {}: {}", number + 1, rows.len(), row.name(), row.about());
            self.row(row.as_ref());
            if let Some(directory) = self.results {
                self.report.save(directory)?;
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &dyn Row) {
        let mut stage = Stage::new(self.launcher, self.scratch, self.limits, self.report.scale);
        let here = self.launcher.systems();
        let mut systems: Vec<System> =
            row.systems().into_iter().filter(|system| here.contains(system)).collect();
        let rounds = self.report.rounds;
        let warm_up = row.warm_up_turns();
        let mut failed = Vec::new();
        for round in 0..warm_up + rounds {
            let counts = round >= warm_up;
            stage.perf = self.perf.filter(|_| counts);
            for system in systems.clone() {
                let title = if counts {
                    format!("round {}/{rounds}", round - warm_up + 1)
                } else {
                    "warm-up".to_owned()
                };
                let turn = row.turn(&mut stage, system);
                let measured = self.said(row, system, &title, turn);
                self.disturbed(row, system, &title, stage.take_disturbance());
                let Some(measured) = measured else {
                    // A system that failed once would only fail again; the other one goes on.
                    systems.retain(|other| *other != system);
                    failed.push(system);
                    continue;
                };
                if counts {
                    self.add(row, system, measured);
                }
            }
        }
        self.mark(&row.name(), &failed);
    }

    /// Says on a row's lines who failed. What is demanded of it has a line all the same, and so has a row without any.
    fn mark(&mut self, row: &str, failed: &[System]) {
        if failed.is_empty() {
            return;
        }
        self.report.failed_rows += 1;
        let has = |name: Option<&str>| {
            let mut lines = self.report.lines.iter().filter(|line| line.row == row);
            lines.any(|line| name.is_none_or(|name| line.figure.name == name))
        };
        let mut missing: Vec<&'static str> =
            figures_with_target(row).filter(|name| !has(Some(name))).collect();
        if missing.is_empty() && !has(None) {
            missing.push("no figure");
        }
        self.report.lines.extend(missing.into_iter().map(|name| Line {
            row: row.to_owned(),
            figure: Figure::new(name, "", Better::Neither, 0),
            samples: BTreeMap::new(),
            limits: BTreeMap::new(),
            target: target(row, name),
            failed: Vec::new(),
        }));
        for line in self.report.lines.iter_mut().filter(|line| line.row == row) {
            line.failed = failed.to_vec();
        }
    }

    /// Says how a turn went; none if it failed.
    fn said(
        &mut self,
        row: &dyn Row,
        system: System,
        title: &str,
        turn: anyhow::Result<Vec<Measured>>,
    ) -> Option<Vec<Measured>> {
        match turn {
            Ok(measured) => {
                eprintln!("  {title:<10} {:<8} {}", system.name(), brief(&measured));
                Some(measured)
            }
            Err(error) => {
                let remark =
                    format!("{}: {} failed in {title}: {error:#}", row.name(), system.name());
                eprintln!("  {remark}");
                self.report.remarks.push(remark);
                None
            }
        }
    }

    fn disturbed(&mut self, row: &dyn Row, system: System, title: &str, share: f64) {
        if share > DISTURBANCE_MAX {
            let remark = format!(
                "{}: {} {title}: other processes used {share:.2} cores meanwhile",
                row.name(),
                system.name()
            );
            eprintln!("  {remark}");
            self.report.remarks.push(remark);
        }
    }

    fn add(&mut self, row: &dyn Row, system: System, measured: Vec<Measured>) {
        let name = row.name();
        for one in measured {
            let known = self
                .report
                .lines
                .iter_mut()
                .find(|line| line.row == name && line.figure.name == one.figure.name);
            let line = match known {
                Some(line) => line,
                None => {
                    self.report.lines.push(Line {
                        row: name.clone(),
                        figure: one.figure,
                        samples: BTreeMap::new(),
                        limits: BTreeMap::new(),
                        target: target(&name, one.figure.name),
                        failed: Vec::new(),
                    });
                    self.report.lines.last_mut().expect("just pushed")
                }
            };
            line.samples.entry(system).or_default().values.push(one.value);
            if let Some((limit, what)) = one.limit {
                let limits = line.limits.entry(system);
                let limits = limits.or_insert_with(|| Limit { what, turns: Samples::default() });
                limits.turns.values.push(limit);
            }
        }
    }
}

fn brief(measured: &[Measured]) -> String {
    let parts: Vec<String> = measured
        .iter()
        .map(|one| {
            format!("{} {:.*} {}", one.figure.name, one.figure.digits, one.value, one.figure.unit)
        })
        .collect();
    parts.join("; ")
}
