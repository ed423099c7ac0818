//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Measures Thalweg and Apache Kafka side by side: in turn, on this machine, with the same client.
#[derive(Parser, Debug)]
pub struct Options {
    /// Measure only rows whose name is this or begins with it; may be given more than once. `--list` names them.
    #[arg(long, value_name = "ROW")]
    pub only: Vec<String>,
    /// Measure only rows of which the project demands something.
    #[arg(long)]
    pub targets: bool,
    /// Rounds of each row: a round is one turn of each system.
    #[arg(long, default_value_t = 5, overrides_with = "rounds")]
    pub rounds: usize,
    /// Factor on every volume and duration; below 1 for a quick look.
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// Show the rows and end.
    #[arg(long)]
    pub list: bool,
    /// Measure one system only.
    #[arg(long, value_enum)]
    pub system: Option<Choice>,
    /// Thalweg's program.
    #[arg(long, env = "THALWEG_BIN")]
    pub thalweg: Option<PathBuf>,
    /// The commit that this program was just built from, as `benches/run` says of its own build.
    #[arg(long, env = "THALWEG_COMMIT", hide = true)]
    pub commit: Option<String>,
    /// The folder with Apache Kafka's jars.
    #[arg(long, env = "KAFKA_JARS")]
    pub kafka: Option<PathBuf>,
    /// The store emulator's program.
    #[arg(long, env = "STORE_EMULATOR_BIN")]
    pub emulator: PathBuf,
    /// MinIO's program.
    #[arg(long, env = "MINIO_BIN")]
    pub minio: Option<PathBuf>,
    /// Where brokers keep their data during the run: on the disk that is to be measured.
    #[arg(long, default_value = "/tmp", value_name = "DIR")]
    pub scratch: PathBuf,
    /// Keep what the run wrote there, logs of the brokers included.
    #[arg(long)]
    pub keep: bool,
    /// Byte cap of Thalweg's memory store.
    #[arg(long, default_value = "4GiB")]
    pub memory_max: String,
    /// First of the ports that brokers take.
    #[arg(long, default_value_t = 19_200)]
    pub first_port: u16,
    /// Sample the stacks of Thalweg's threads with `perf` in the turns that count, into this folder.
    #[arg(long, value_name = "DIR")]
    pub perf: Option<PathBuf>,
    /// How `perf` unwinds: `dwarf,BYTES`, or `fp` for a program with frame pointers.
    #[arg(long, default_value = "dwarf,16384", value_name = "MODE")]
    pub perf_unwind: String,
    /// Write table, JSON and pictures to this folder.
    #[arg(long, value_name = "DIR")]
    pub results: Option<PathBuf>,
}

/// A system by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// This project.
    Thalweg,
    /// Apache Kafka.
    Kafka,
}
