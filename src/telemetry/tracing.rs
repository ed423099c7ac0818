//! Log lines: where they go and how they look.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The level is none, nor a list of directives.
    #[error(
        "`log.level = {level}` is neither a level nor a list such as `info,thalweg::wal=debug`"
    )]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else in the process took the lines already.
    #[error("logging was set up before")]
    Twice,
}

/// Sends log lines to standard error, from now to the end of the process.
///
/// # Errors
/// A bad level; or a second call.
pub fn init(format: LogFormat, level: &str) -> Result<(), Error> {
    let filter = EnvFilter::builder()
        .parse(directives(level))
        .map_err(|source| Error::Level { level: level.to_owned(), source })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|_| Error::Twice)
}

/// A plain level is ours. Libraries that report each step of a search for credentials, or each of a database's own
/// housekeeping, are asked for by name.
fn directives(level: &str) -> String {
    match level {
        "info" | "warn" => {
            format!("{level},aws_config=error,aws_smithy_runtime=error,slatedb=warn")
        }
        said => said.to_owned(),
    }
}
