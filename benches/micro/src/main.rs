//! Single steps of Thalweg's data path: their time, by divan, and their instructions, under callgrind.
//!
//! The cases are one table for both. See `benches/README.md`.

mod case;
mod cases;
mod fixture;

use std::process::ExitCode;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

use crate::case::{Case, Work};

/// As in the shipped program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match arguments[..] {
        ["--list-cases"] => {
            for case in cases::all() {
                println!("{} {}", case.name, case.runs);
            }
        }
        ["--count", name, runs] => {
            let Some(case) = cases::all().into_iter().find(|case| case.name == name) else {
                eprintln!("no case {name}");
                return ExitCode::FAILURE;
            };
            let Ok(runs) = runs.parse() else {
                eprintln!("{runs} is no number");
                return ExitCode::FAILURE;
            };
            count(&case, runs);
        }
        _ => divan::main(),
    }
    ExitCode::SUCCESS
}

/// Callgrind counts what happens in here, by its name.
#[inline(never)]
fn measured(run: &mut dyn FnMut()) {
    run();
}

/// Runs a case for callgrind, once beforehand to have caches and lazy statics settled.
fn count(case: &Case, runs: u32) {
    let mut bench = (case.prepare)();
    (bench.between)();
    (bench.run)();
    for _ in 0..runs {
        (bench.between)();
        measured(&mut *bench.run);
    }
}

fn names() -> Vec<&'static str> {
    cases::all().into_iter().map(|case| case.name).collect()
}

#[divan::bench(args = names())]
fn step(bencher: Bencher<'_, '_>, name: &str) {
    let case = cases::all().into_iter().find(|case| case.name == name);
    let case = case.expect("the names are the cases'");
    let bench = (case.prepare)();
    let (mut between, mut run) = (bench.between, bench.run);
    let bencher = bencher.with_inputs(move || between());
    match case.work {
        Work::Bytes(bytes) => {
            bencher.counter(BytesCount::new(bytes)).bench_local_values(move |()| run());
        }
        Work::Items(items) => {
            bencher.counter(ItemsCount::new(items)).bench_local_values(move |()| run());
        }
    }
}
