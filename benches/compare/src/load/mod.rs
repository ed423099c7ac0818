//! The loads: what clients do to a broker, without knowing whose broker it is.

pub mod consumer_group;
pub mod group;
pub mod heartbeats;
mod numbers;
pub mod paced;
pub mod payload;
pub mod read_back;
pub mod requests;
pub mod throughput;
pub mod window;
