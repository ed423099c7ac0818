//! A broker's view of the cluster: the metadata image as last heard, and the seam to the coordinator.

pub mod client;
pub mod config;
pub mod error;
pub mod image;

pub use client::ClusterClient;
pub use error::{Error, Refusal};
pub use image::Image;
