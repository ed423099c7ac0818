//! The loads: what clients do to a broker, without knowing whose broker it is.

pub mod consumer_group;
pub mod group;
pub mod heartbeats;
pub mod paced;
pub mod payload;
pub mod requests;
pub mod throughput;
pub mod window;
