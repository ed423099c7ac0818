//! The command line: one file a subcommand.
//!
//! `serve` and `demo` start a node in this process. `topic`, `produce` and `consume` speak the Kafka protocol and work
//! against any broker; `schema` speaks to any registry of Confluent's interface. Inspectors read the store and never write to it. Output is for people, or for programs with `--json`;
//! it goes to standard output, and everything else to standard error.

mod completions;
mod config;
mod consume;
mod demo;
mod encode;
mod group;
mod manifest;
mod output;
mod place;
mod produce;
mod progress;
mod schema;
mod serve;
mod settings;
mod slot;
mod target;
mod time;
mod topic;
mod transaction;

use std::pin::{Pin, pin};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Kafka-compatible event streaming whose only stateful dependency is an object-storage bucket.
#[derive(Debug, Parser)]
#[command(name = "thalweg", version, max_term_width = 100)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a broker in this process.
    Serve(serve::Args),
    /// Show the story of an online shop, on a directory that is thrown away.
    Demo(demo::Args),
    /// Create, list, describe, change and delete topics.
    #[command(subcommand)]
    Topic(topic::Command),
    /// List, describe and delete consumer groups, and move their offsets.
    #[command(subcommand)]
    Group(group::Command),
    /// Write records to a topic: lines of files or of standard input.
    Produce(produce::Args),
    /// Read records from a topic.
    Consume(consume::Args),
    /// List and describe transactions, find those that hang, and abort them.
    #[command(subcommand)]
    Transaction(transaction::Command),
    /// List, show, register, check and delete schemas, here or in any registry of Confluent's interface.
    #[command(subcommand)]
    Schema(schema::Command),
    /// Look into the objects of the write-ahead chains.
    #[command(subcommand)]
    Slot(slot::Command),
    /// Look into the manifest: which object holds which offsets.
    #[command(subcommand)]
    Manifest(manifest::Command),
    /// Explain the settings.
    #[command(subcommand)]
    Config(config::Command),
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

/// Runs the program; what it returns is the process's exit code.
#[must_use]
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => args.run(),
        Command::Demo(args) => args.run(),
        Command::Topic(command) => command.run(),
        Command::Group(command) => command.run(),
        Command::Produce(args) => args.run(),
        Command::Consume(args) => args.run(),
        Command::Transaction(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Slot(command) => command.run(),
        Command::Manifest(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Completions(args) => args.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<Said>() => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", explain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error that the log already tells of.
#[derive(Debug, thiserror::Error)]
#[error("see the log")]
struct Said;

/// An error and its causes, without causes whose words stand in what was said before.
fn explain(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.contains(&cause) {
            continue;
        }
        let colon = if said.is_empty() { "" } else { ": " };
        said.push_str(colon);
        said.push_str(&cause);
    }
    said
}

/// Whoever read our output has enough, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Runs `future` to its end on this thread.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // Behind a pointer: the runtime's loop would be compiled for each command.
    let future: Pin<&mut dyn Future<Output = _>> = pin!(future);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn an_error_says_each_thing_once() {
        let held = anyhow::anyhow!("LOCK is held");
        let error = held.context("LOCK is held: stop it").context("cannot start");
        assert_eq!(explain(&error), "cannot start: LOCK is held: stop it");
        let error = anyhow::anyhow!("refused").context("cannot reach a broker");
        assert_eq!(explain(&error), "cannot reach a broker: refused");
    }

    #[test]
    fn flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
