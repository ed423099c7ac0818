//! Thalweg and Apache Kafka side by side: see `benches/README.md`.

mod cli;
mod floor;
mod librd;
mod limits;
mod load;
mod perf;
mod process;
mod report;
mod rows;
mod runner;
mod stage;
mod stats;
mod system;
mod usage;
mod wire;

use std::process::ExitCode;

use anyhow::ensure;
use clap::Parser;

use crate::{
    cli::{Choice, Options},
    limits::Limits,
    perf::Perf,
    process::Scratch,
    report::{Machine, Report},
    rows::Row,
    runner::Runner,
    system::{KafkaInstall, Launcher},
};

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let rows = chosen(&options.only, options.targets)?;
    if options.list {
        for row in &rows {
            println!("{:<40} {}", row.name(), row.about());
        }
        return Ok(ExitCode::SUCCESS);
    }
    process::watch_signals()?;
    let launcher = launcher(&options)?;
    ensure!(!launcher.systems().is_empty(), "nothing to measure: give --thalweg, --kafka or both");
    let scratch = Scratch::new(&options.scratch, options.keep)?;
    eprintln!("measuring the machine");
    let limits = Limits::measure(scratch.path(), &launcher.emulator)?;
    let machine = Machine::read(&launcher, options.commit.as_deref())?;
    let perf = options.perf.clone().map(|into| Perf::new(into, options.perf_unwind.clone()));
    let report = Report {
        machine,
        rounds: options.rounds,
        scale: options.scale,
        limits: limits.clone(),
        lines: Vec::new(),
        remarks: Vec::new(),
        failed_rows: 0,
    };
    let (results, perf) = (options.results.as_deref(), perf.as_ref());
    let mut runner =
        Runner { launcher: &launcher, scratch: &scratch, limits: &limits, perf, results, report };
    runner.run(&rows)?;
    let Runner { report, .. } = runner;
    println!("{}", report.table());
    if let Some(directory) = results {
        eprintln!("written to {}", directory.display());
    }
    // Only now: the table says which, and the others stand.
    Ok(if report.failed_rows == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen(only: &[String], targets: bool) -> anyhow::Result<Vec<Box<dyn Row>>> {
    let all = rows::catalogue();
    for wanted in only {
        ensure!(
            all.iter().any(|row| row.name().starts_with(wanted)),
            "no row begins with {wanted}: see --list"
        );
    }
    // A full name chooses that row alone, though others may begin with it.
    let exact = |wanted: &String| all.iter().any(|row| row.name() == *wanted);
    let exact: Vec<bool> = only.iter().map(exact).collect();
    let takes = |name: &str| {
        if targets && !rows::has_target(name) {
            return false;
        }
        let mut pairs = only.iter().zip(&exact);
        only.is_empty()
            || pairs.any(
                |(wanted, exact)| if *exact { name == wanted } else { name.starts_with(wanted) },
            )
    };
    Ok(all.into_iter().filter(|row| takes(&row.name())).collect())
}

fn launcher(options: &Options) -> anyhow::Result<Launcher> {
    let wanted = |choice| options.system.is_none_or(|only| only == choice);
    let kafka = options.kafka.as_deref().filter(|_| wanted(Choice::Kafka));
    Ok(Launcher {
        thalweg: options.thalweg.clone().filter(|_| wanted(Choice::Thalweg)),
        kafka: kafka.map(KafkaInstall::find).transpose()?,
        emulator: options.emulator.clone(),
        minio: options.minio.clone(),
        memory_max: options.memory_max.clone(),
        first_port: options.first_port,
    })
}
