//! Log lines: where they go, how they look, and which of them there are, which may change while the process runs.

use std::io::IsTerminal as _;
use std::sync::{Mutex, OnceLock, PoisonError};

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
    /// Nothing in the process was told to take them.
    #[error("this process writes no log lines")]
    Nowhere,
}

/// A process has one place where its lines go, wherever they come from: so there is one of this too.
static LINES: OnceLock<Lines> = OnceLock::new();

struct Lines {
    level: Mutex<String>,
    change: Box<dyn Fn(EnvFilter) -> bool + Send + Sync>,
}

/// Sends log lines to standard error, from now to the end of the process.
///
/// # Errors
/// A bad level; or a second call.
pub fn init(format: LogFormat, level: &str) -> Result<(), Error> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(level)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let change: Box<dyn Fn(EnvFilter) -> bool + Send + Sync> = match format {
        LogFormat::Text => {
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            lines.try_init().map_err(|_| Error::Twice)?;
            Box::new(move |filter| handle.reload(filter).is_ok())
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.try_init().map_err(|_| Error::Twice)?;
            Box::new(move |filter| handle.reload(filter).is_ok())
        }
    };
    let lines = Lines { level: Mutex::new(level.to_owned()), change };
    LINES.set(lines).map_err(|_| Error::Twice)
}

/// The level that was said last; none before [`init`].
#[must_use]
pub fn level() -> Option<String> {
    let level = LINES.get()?.level.lock().unwrap_or_else(PoisonError::into_inner);
    Some(level.clone())
}

/// Another level, from the next line on.
///
/// # Errors
/// A bad level; or [`init`] was not called.
pub fn set_level(level: &str) -> Result<(), Error> {
    let filter = filter(level)?;
    let lines = LINES.get().ok_or(Error::Nowhere)?;
    let mut said = lines.level.lock().unwrap_or_else(PoisonError::into_inner);
    if !(lines.change)(filter) {
        return Err(Error::Nowhere);
    }
    level.clone_into(&mut said);
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, Error> {
    let parsed = EnvFilter::builder().parse(directives(level));
    parsed.map_err(|source| Error::Level { level: level.to_owned(), source })
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
