//! `thalweg config`: explains settings.

use clap::Subcommand;

use super::output;
use super::settings::Settings;
use crate::config::reference;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the page that documents every setting, in Markdown.
    Reference,
    /// Check settings, and print every one with its value, meaning, default, and where it was said.
    Show {
        #[command(flatten)]
        settings: Settings,
        /// Print JSON, for programs.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Reference => output::text(&reference()),
            Self::Show { settings, json: false } => output::text(&settings.load(&[])?.print()),
            Self::Show { settings, json: true } => {
                let config = settings.load(&[])?;
                let all = config.entries().iter().map(|entry| {
                    serde_json::json!({
                        "name": entry.key.name,
                        "value": entry.value.to_string(),
                        "default": entry.key.default,
                        "source": entry.source.to_string(),
                        "values": entry.key.kind.describe(),
                        "doc": entry.key.doc,
                        "kafka": entry.key.kafka_names().collect::<Vec<_>>(),
                        "topic_config": entry.key.topic,
                    })
                });
                output::json(&all.collect::<Vec<_>>())
            }
        }
    }
}
