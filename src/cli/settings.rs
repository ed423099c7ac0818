//! Settings of a node, from the flags of a command.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, Inputs, Setting, Source};

/// Flags of every command that needs a node's settings. Each also has its `--set`, file and environment form.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Settings {
    /// A TOML file of settings; `thalweg config reference` explains them all.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting by our name or Kafka's, such as num.partitions=4. May be given many times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// The directory that holds everything when there is no --store [default: ./thalweg-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Where objects lie: s3://bucket/prefix, gs://…, az://…, file:///path, or memory://
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

/// `KEY=VALUE` in two.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("say KEY=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

impl Settings {
    /// The settings with `more` flags over them: each its flag, its key, and its value if it was given.
    pub(super) fn load(&self, more: &[(&str, &str, Option<String>)]) -> anyhow::Result<Config> {
        let set = self.set.iter().map(|(name, text)| Setting {
            name: name.clone(),
            text: text.clone(),
            source: Source::Flag(format!("--set {name}")),
        });
        let own = [
            ("--data-dir", "data.dir", self.data_dir.clone()),
            ("--store", "store.url", self.store.clone()),
        ];
        // A flag with a name of its own is more deliberate than --set.
        let named = own.iter().chain(more).filter_map(|(flag, name, value)| {
            let source = Source::Flag((*flag).to_owned());
            Some(Setting { name: (*name).to_owned(), text: value.clone()?, source })
        });
        let flags = set.chain(named).collect();
        let inputs = Inputs::of_process(self.config.as_deref(), flags)?;
        Ok(Config::load(&inputs)?)
    }
}
