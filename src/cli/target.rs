//! Which cluster a command talks to.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::base::rng::Rng;
use crate::client::wire::{Client, Options};
use crate::config::Address;

/// Flags of every command that speaks to a broker.
#[derive(Debug, Clone, Args)]
pub(super) struct Target {
    /// Brokers to ask first, as host:port with commas between.
    #[arg(
        short,
        long,
        value_name = "ADDR",
        default_value = "localhost:9092",
        value_delimiter = ','
    )]
    broker: Vec<Address>,
    /// The longest that one request, or one record on its way to a broker, may take, tries included, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    /// Print JSON, for programs.
    #[arg(long)]
    pub(super) json: bool,
}

impl Target {
    pub(super) async fn connect(&self) -> anyhow::Result<Client> {
        let options = Options {
            bootstrap: self.broker.clone(),
            client_id: "thalweg-cli".to_owned(),
            timeout: Duration::from_secs(self.timeout.max(1)),
            rng: Rng::from_os(),
        };
        Client::connect(options).await.with_context(|| {
            let brokers: Vec<String> = self.broker.iter().map(ToString::to_string).collect();
            format!("cannot reach a broker (--broker {})", brokers.join(","))
        })
    }
}
