//! Claims about stores.
#![allow(clippy::excessive_nesting, reason = "a case a loop, a task a case")]

mod conformance;
mod directory;
mod express;
mod faults;
mod memory;
mod retry;
mod s3;

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::base::clock::{SharedClock, Timestamp, TokioClock};

/// A clock that starts at a round number and follows tokio's.
fn clock() -> SharedClock {
    Arc::new(TokioClock::starting_at(Timestamp(1_000_000)))
}

fn payload(text: &'static str) -> Payload {
    Payload::from(Bytes::from_static(text.as_bytes()))
}
