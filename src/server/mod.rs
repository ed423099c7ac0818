//! Sockets: listeners, frames in, responses out in request order.
//!
//! Invariants: a connection's responses leave in the order of its requests (law 5); bytes that a client claims cost nothing
//! until they have arrived.

mod allowance;
mod budget;
mod buffers;
mod connection;
mod frames;
mod idle;
mod listener;
mod metrics;
mod voice;

pub use budget::RequestBudget;
pub use buffers::FrameBuffers;
pub use listener::{Bound, Listeners, ServerSettings};
pub use metrics::Metrics;
pub use voice::Voice;
