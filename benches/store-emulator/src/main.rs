//! An in-memory S3 for measurements: real signatures and conditional writes, invented latency and faults.
//!
//! One port serves the S3 protocol and, under `/_emulator/`, the admin pages (see [`admin`]).

mod admin;
mod faults;
mod latency;
mod ledger;
mod listing;
mod objects;
mod s3;
mod server;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Parser;

use crate::{faults::Faults, latency::Profile, ledger::Ledger, objects::Objects};

/// An in-memory S3 with latency profiles, fault injection and a ledger of requests, bytes and prices.
#[derive(Parser, Debug)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A file to write the base URL to once the port is open.
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// Buckets that exist from the start; others are made by CreateBucket.
    #[arg(long, default_value = "bench")]
    bucket: Vec<String>,
    /// The one access key that is let in.
    #[arg(long, default_value = "emulator")]
    access_key: String,
    /// Its secret.
    #[arg(long, default_value = "emulator-secret")]
    secret_key: String,
    /// zero | s3-standard | s3-express | fixed:100ms
    #[arg(long, default_value = "zero")]
    profile: Profile,
    /// Fraction of requests answered 503 SlowDown, nothing applied.
    #[arg(long, default_value_t = 0.0)]
    errors: f64,
    /// Fraction of requests held for `--stall-ms` before they are applied.
    #[arg(long, default_value_t = 0.0)]
    stalls: f64,
    /// How long a stalled request is held, in milliseconds.
    #[arg(long, default_value_t = 2_000)]
    stall_ms: u64,
    /// Fraction of conditional writes answered 409 ConditionalRequestConflict, nothing applied.
    #[arg(long, default_value_t = 0.0)]
    conflicts: f64,
    /// Fraction of writes that are applied and then answered 500.
    #[arg(long, default_value_t = 0.0)]
    lost_replies: f64,
    /// Most bytes held; a write beyond it is answered 503. Accepts KiB, MiB and GiB.
    #[arg(long, default_value = "8GiB", value_parser = parse_bytes)]
    max_bytes: u64,
    /// Seed of latencies and faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Worker threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];
    let (suffix, unit) =
        units.iter().find(|(suffix, _)| text.ends_with(suffix)).unwrap_or(&("", 1));
    let number: u64 = text[..text.len() - suffix.len()]
        .trim()
        .parse()
        .map_err(|_| format!("not a size: {text}"))?;
    number.checked_mul(*unit).ok_or_else(|| format!("too large: {text}"))
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .enable_all()
        .build()
        .context("could not start the runtime")?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> anyhow::Result<()> {
    let faults = Faults::new(
        options.seed,
        faults::Rates {
            errors: options.errors,
            stalls: options.stalls,
            stall: Duration::from_millis(options.stall_ms),
            conflicts: options.conflicts,
            lost_replies: options.lost_replies,
        },
        options.profile,
    );
    let emulator = Arc::new(s3::Emulator {
        objects: Objects::new(options.max_bytes, &options.bucket),
        ledger: Ledger::default(),
        faults,
    });
    let listener = tokio::net::TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("could not listen on {}", options.listen))?;
    let url = format!("http://{}", listener.local_addr()?);
    eprintln!("serving {url}, admin {url}/_emulator/stats");
    if let Some(path) = &options.ready_file {
        std::fs::write(path, format!("{url}\n"))
            .with_context(|| format!("could not write {}", path.display()))?;
    }
    let auth = s3s::auth::SimpleAuth::from_single(options.access_key, options.secret_key);
    tokio::select! {
        biased;
        signal = tokio::signal::ctrl_c() => signal.context("could not wait for a signal"),
        served = server::serve(listener, emulator, auth) => served,
    }
}
