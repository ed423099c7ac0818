//! A broker's view of the cluster: the metadata image as last heard, and the seam to the coordinator.

pub mod client;
pub mod config;
pub mod error;
pub mod group_config;
pub mod image;
pub mod internal;
pub mod offset_reset;

pub use client::ClusterClient;
pub use error::{Error, Refusal};
pub use group_config::ShareSettings;
pub use image::Image;
