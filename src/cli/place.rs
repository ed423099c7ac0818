//! The store that an inspector looks into, and how it prints.

use std::sync::Arc;

use super::settings::Settings;
use crate::base::clock::SystemClock;
use crate::object::Store;
use crate::object::build::{Purpose, open};

/// Where the store is, and how to print.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    #[command(flatten)]
    settings: Settings,
    /// Print JSON, for programs.
    #[arg(long)]
    pub(super) json: bool,
}

impl Place {
    /// The store, to look at, and the cluster's name.
    pub(super) async fn open(&self) -> anyhow::Result<(Store, String)> {
        let config = self.settings.load(&[])?;
        let store = Box::pin(open(&config.store, Purpose::Inspect, Arc::new(SystemClock))).await?;
        Ok((store, config.node.cluster_id))
    }
}
