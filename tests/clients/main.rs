//! Real clients against the real program: what every producer writes, every consumer reads back, byte for byte.
//!
//! A trial for each client that writes and for each pair of clients; `cargo test --test clients -- 'kcat ->'` runs
//! some of them. `THALWEG_TEST_BOOTSTRAP=HOST:PORT` names another broker to run against.

// These tests live in real time beside real processes.
#![allow(clippy::disallowed_methods)]

#[path = "../support/broker.rs"]
mod broker;
mod catalog;
mod gate;
#[path = "../support/java.rs"]
mod java;
#[path = "../support/kafka_client.rs"]
mod kafka_client;
mod kcat;
mod members;
#[path = "../support/parts.rs"]
mod parts;
#[path = "../support/ports.rs"]
mod ports;
mod program;
mod stage;
mod workload;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use catalog::{CLIENTS, Client};
use libtest_mimic::{Arguments, Failed, Trial};
use stage::Stage;

/// So many run side by side; those of one client's program wait for each other.
const TRIALS_AT_ONCE: usize = 6;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most of a trial's time is a client's or a group's waiting.
    arguments.test_threads = arguments.test_threads.or(Some(TRIALS_AT_ONCE));
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None, true)).exit_code();
    }
    let set = Stage::set().and_then(|stage| stage.has_groups().map(|groups| (stage, groups)));
    let (stage, has_groups) = match set {
        Ok(set) => set,
        Err(error) => {
            println!(
                "could not set the stage: {error:#}\n\ntest result: FAILED. 0 passed; 1 failed"
            );
            return ExitCode::FAILURE;
        }
    };
    if !has_groups && env::var_os("THALWEG_TEST_BOOTSTRAP").is_none() {
        println!("our broker offers no groups\n\ntest result: FAILED. 0 passed; 1 failed");
        return ExitCode::FAILURE;
    }
    let stage = Arc::new(stage);
    libtest_mimic::run(&arguments, trials(Some(&stage), has_groups)).exit_code()
}

/// All trials; without a stage they can only be listed.
fn trials(stage: Option<&Arc<Stage>>, has_groups: bool) -> Vec<Trial> {
    let absent: Vec<Option<String>> = CLIENTS.iter().map(Client::missing).collect();
    for (client, reason) in CLIENTS.iter().zip(&absent) {
        if let Some(reason) = reason {
            println!("skipped: {}: {reason}", client.name);
        } else if client.reads_by_group && !has_groups {
            println!("skipped: {} as a consumer: this broker has no groups", client.name);
        }
    }
    let mut trials = Vec::new();
    for (producer, writer) in CLIENTS.iter().enumerate() {
        let name = format!("{} writes", writer.name);
        let run = on(stage, absent[producer].clone(), move |stage| stage.write(producer));
        trials.push(Trial::test(name, run).with_ignored_flag(may_skip(&absent[producer])));
        for (consumer, reader) in CLIENTS.iter().enumerate() {
            let missing = absent[producer].clone().or_else(|| absent[consumer].clone());
            let barred = reader.reads_by_group && !has_groups;
            let ignored = barred || may_skip(&missing);
            let name = format!("{} -> {}", writer.name, reader.name);
            let run = on(stage, missing, move |stage| stage.read(producer, consumer));
            trials.push(Trial::test(name, run).with_ignored_flag(ignored));
        }
    }
    for (at, member, assignor, is_static) in groups() {
        let kind = if is_static { "static" } else { "dynamic" };
        let name = format!("{} in a group: {assignor}, {kind}", member.name);
        let run = on(stage, absent[at].clone(), move |stage| {
            stage.read_as_group(at, assignor, is_static)
        });
        let ignored = !has_groups || may_skip(&absent[at]);
        trials.push(Trial::test(name, run).with_ignored_flag(ignored));
    }
    if env::var_os("THALWEG_TEST_BOOTSTRAP").is_some() {
        // A named broker is not ours to kill.
        return trials;
    }
    for way in members::WAYS {
        let missing = way.client().missing();
        let ignored = !has_groups || may_skip(&missing);
        let run = on(stage, missing, |stage| way.run(stage.folder()));
        trials.push(Trial::test(way.name(), run).with_ignored_flag(ignored));
    }
    trials
}

/// Each client with each of its assignors, and whether its members are static ones. One client after the other in turns:
/// those that run side by side are of different ones then, and few programs of each are started.
fn groups() -> Vec<(usize, &'static Client, &'static str, bool)> {
    let turns = CLIENTS.iter().map(|client| client.assignors.len()).max().unwrap_or(0);
    let kinds = (0..turns).flat_map(|turn| [(turn, false), (turn, true)]);
    let of_turn = |(turn, is_static): (usize, bool)| {
        CLIENTS.iter().enumerate().filter_map(move |(at, client)| {
            let assignor = *client.assignors.get(turn)?;
            (client.has_static_members || !is_static).then_some((at, client, assignor, is_static))
        })
    };
    kinds.flat_map(of_turn).collect()
}

/// A missing part fails its trials where parts are demanded.
fn may_skip(missing: &Option<String>) -> bool {
    missing.is_some() && !parts::are_demanded()
}

fn on(
    stage: Option<&Arc<Stage>>,
    missing: Option<String>,
    run: impl FnOnce(&Stage) -> Result<(), String> + Send + 'static,
) -> impl FnOnce() -> Result<(), Failed> + Send + 'static {
    let stage = stage.cloned();
    move || {
        let possible = missing.map_or(Ok(()), Err);
        let ran = possible.and_then(|()| stage.map_or(Ok(()), |stage| run(&stage)));
        ran.map_err(Failed::from)
    }
}
