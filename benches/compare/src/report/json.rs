//! The report as JSON: everything, samples included.

use super::Report;

impl Report {
    /// The whole report.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
