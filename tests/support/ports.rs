//! Ports for programs that are told theirs.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::bail;

/// A port that nothing listens on and that no other caller in this process is given.
///
/// It lies below those that systems give to whoever asks for any, so that nobody comes upon it by chance before it is used,
/// nor while a broker that had it is restarted. Processes that run side by side begin at different ones, as a rule.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    const FIRST: u32 = 20_000;
    const PROCESSES: u32 = 60;
    const OF_EACH: u32 = 200;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..PROCESSES * OF_EACH {
        let place = process::id() % PROCESSES * OF_EACH + GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + place % (PROCESSES * OF_EACH))?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("all ports from {FIRST} on are taken")
}
