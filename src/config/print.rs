//! Settings as text: the file that `--print-config` writes, and the reference page.

use std::fmt::Write as _;

use super::key::{Key, Kind, Section, Value};
use super::load::{Source, env_name};
use super::{Config, Entry, keys};

impl Config {
    /// Every setting with its meaning, default and source, as a TOML file that says the same again.
    #[must_use]
    pub fn print(&self) -> String {
        let mut out = String::new();
        for section in Section::ALL {
            let rule = "-".repeat(100 - section.title().len());
            let _ = writeln!(out, "# {} {rule}\n", section.title());
            for entry in self.entries.iter().filter(|entry| entry.key.section == section) {
                print_entry(entry, &mut out);
            }
        }
        out
    }
}

fn print_entry(entry: &Entry, out: &mut String) {
    let Entry { key, value, source } = entry;
    for line in fold(key.doc, 110) {
        let _ = writeln!(out, "# {line}");
    }
    let mut facts = format!("{}; default {}", key.kind.describe(), default(key));
    let kafka: Vec<&str> = key.kafka_names().collect();
    if !kafka.is_empty() {
        let _ = write!(facts, "; Kafka: {}", kafka.join(", "));
    }
    if let Some(topic) = key.topic {
        let _ = write!(facts, "; a topic can say its own {topic}");
    }
    for line in fold(&facts, 110) {
        let _ = writeln!(out, "# {line}");
    }
    let text = match value {
        Value::Bool(_) | Value::Int(_) => value.to_string(),
        // A TOML float has a point.
        Value::Ratio(ratio) => format!("{ratio:?}"),
        other => toml::Value::String(other.to_string()).to_string(),
    };
    match source {
        Source::Default => writeln!(out, "{} = {text}\n", key.name),
        said => writeln!(out, "{} = {text}  # from {said}\n", key.name),
    }
    .expect("a String takes every write");
}

fn default(key: &Key) -> String {
    match (key.default, key.kind) {
        ("", _) => "nothing".to_owned(),
        (text, Kind::Bytes { .. } | Kind::Millis { .. }) if text == i64::MAX.to_string() => {
            "no limit".to_owned()
        }
        (text, _) => text.to_owned(),
    }
}

/// `text` in lines of at most `width`, broken at spaces.
fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}

/// The page that documents every setting, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(HEAD);
    for section in Section::ALL {
        let _ = write!(out, "\n## {}\n\n", section.title());
        out.push_str("| setting | default | values | meaning |\n|---|---|---|---|\n");
        for key in keys().filter(|key| key.section == section) {
            let mut doc = key.doc.to_owned();
            if !key.also.is_empty() {
                let names: Vec<String> =
                    key.also.iter().map(|(name, _)| format!("`{name}`")).collect();
                let _ = write!(doc, " Also {}.", names.join(", "));
            }
            if let Some(topic) = key.topic {
                let _ = write!(doc, " Topic config: `{topic}`.");
            }
            let origin = if key.in_kafka { "" } else { " ★" };
            let values = key.kind.describe();
            let _ =
                writeln!(out, "| `{}`{origin} | {} | {values} | {doc} |", key.name, default(key));
        }
    }
    out
}

const HEAD: &str = "\
# Settings

<!-- Written by `thalweg config reference`; a test holds it to the program. -->

Each setting can be said in a TOML file (`--config FILE`, or `THALWEG_CONFIG`), in the environment, or by a flag
(`--set NAME=VALUE`). The environment is stronger than the file, and flags are stronger than the environment. In the
environment `num.partitions` is `THALWEG_NUM_PARTITIONS`. In a file it is `num.partitions = 4`, or `partitions = 4`
under `[num]`. Kafka's names work as they are; settings marked ★ are Thalweg's own.

Times take a unit (`250ms`, `90s`, `15m`, `12h`, `7d`), else they are milliseconds. Sizes take a unit (`64KiB`, `8MiB`),
else they are bytes. -1 is no limit where it is allowed. A name that is not here is an error, and all errors are
reported at once; variables that Kubernetes sets for a Service (`THALWEG_SERVICE_HOST` and those beside it) are passed over.
`thalweg serve --print-config` shows every setting as it would be, and where each was said.
";

impl Key {
    /// Its environment variable.
    #[must_use]
    pub fn env(&self) -> String {
        env_name(self.name)
    }
}
