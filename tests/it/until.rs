//! Waiting for what a process does in its own time.

use std::time::Duration;

use anyhow::bail;
use thalweg::base::clock;
use tokio::time::Instant;

/// How long is waited before it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until `holds` says yes.
pub(crate) async fn until(
    what: &str,
    mut holds: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if holds()? {
            return Ok(());
        }
        clock::sleep(Duration::from_millis(10)).await;
    }
    bail!("in {PATIENCE:?} it did not come about that {what}")
}
