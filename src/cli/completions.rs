//! `thalweg completions`: scripts for shells.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "thalweg", &mut script);
        output::bytes(&script)
    }
}
