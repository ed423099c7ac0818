//! `thalweg schema`: list, show, register, check and delete schemas, and the settings of subjects.
//!
//! Speaks Confluent's REST interface, so it works against any registry that does.

mod rest;

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use serde_json::{Map, Value as Json, json};

use super::output::{self, Table, count};
use rest::{Registry, encoded};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List subjects and their versions.
    #[command(visible_alias = "ls")]
    List(List),
    /// Show a schema.
    Get(Get),
    /// Register a schema.
    Register(Register),
    /// Show whether a schema would fit those before it, and what keeps it from that.
    Check(Check),
    /// Delete a version, or a subject; with --permanent so that it cannot come back.
    #[command(visible_alias = "rm")]
    Delete(Delete),
    /// Show or change how a subject's schemas must fit, and what may be done under it.
    Config(Config),
}

/// Flags of every command that speaks to a registry.
#[derive(Debug, Clone, clap::Args)]
struct Target {
    /// The registry. [default: http://127.0.0.1:8081]
    #[arg(
        short,
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8081",
        hide_default_value = true
    )]
    url: String,
    /// Look in this context.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The longest that one request may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// A schema that is not registered yet.
#[derive(Debug, clap::Args)]
struct New {
    /// The subject, such as orders-value.
    subject: String,
    /// The file that holds the schema; - is standard input.
    file: PathBuf,
    /// AVRO, JSON or PROTOBUF. [default: by the file's name, else AVRO]
    #[arg(short = 't', long = "type", value_name = "FORMAT")]
    format: Option<String>,
    /// A schema that this one refers to, as NAME=SUBJECT:VERSION. May be given many times.
    #[arg(short, long = "reference", value_name = "NAME=SUBJECT:VERSION", value_parser = reference)]
    references: Vec<Json>,
    /// Compare and store it in its normal form.
    #[arg(long)]
    normalize: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only subjects whose names begin so.
    prefix: Option<String>,
    /// Show what was deleted and can come back, too.
    #[arg(long)]
    deleted: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct Get {
    /// The subject, or an id.
    schema: String,
    /// The version: a number or latest.
    #[arg(default_value = "latest")]
    version: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct Register {
    #[command(flatten)]
    new: New,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    new: New,
    /// The version that it must fit. [default: all that the subject's level names]
    #[arg(long)]
    version: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// The subject.
    subject: String,
    /// One version alone: a number or latest.
    version: Option<String>,
    /// So that it cannot come back; it must have been deleted before.
    #[arg(long)]
    permanent: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct Config {
    /// The subject. [default: what holds where nothing else is said]
    subject: Option<String>,
    /// NONE, BACKWARD, FORWARD or FULL, also with _TRANSITIVE.
    #[arg(short, long, value_name = "LEVEL")]
    compatibility: Option<String>,
    /// READWRITE, READONLY or IMPORT.
    #[arg(short, long)]
    mode: Option<String>,
    /// Take its own settings away.
    #[arg(long, conflicts_with_all = ["compatibility", "mode"])]
    unset: bool,
    #[command(flatten)]
    target: Target,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::block_on(async {
            match self {
                Self::List(args) => args.run().await,
                Self::Get(args) => args.run().await,
                Self::Register(args) => args.run().await,
                Self::Check(args) => args.run().await,
                Self::Delete(args) => args.run().await,
                Self::Config(args) => args.run().await,
            }
        })
    }
}

impl Target {
    fn registry(&self) -> anyhow::Result<Registry> {
        Registry::new(&self.url, self.context.as_deref(), self.timeout)
    }
}

fn reference(text: &str) -> Result<Json, String> {
    let wrong = || "is not NAME=SUBJECT:VERSION".to_owned();
    let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (subject, version) = rest.rsplit_once(':').ok_or_else(wrong)?;
    let version: i32 = version.parse().map_err(|_| wrong())?;
    Ok(json!({ "name": name, "subject": subject, "version": version }))
}

impl New {
    fn body(&self) -> anyhow::Result<Json> {
        let mut schema = String::new();
        if self.file.as_os_str() == "-" {
            std::io::stdin().read_to_string(&mut schema)?;
        } else {
            schema = std::fs::read_to_string(&self.file)
                .with_context(|| format!("cannot read {}", self.file.display()))?;
        }
        let by_name = match self.file.extension().and_then(|end| end.to_str()) {
            Some("proto") => "PROTOBUF",
            Some("json") => "JSON",
            _ => "AVRO",
        };
        let format = self.format.as_deref().unwrap_or(by_name).to_ascii_uppercase();
        Ok(json!({ "schema": schema, "schemaType": format, "references": self.references }))
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let registry = self.target.registry()?;
        let deleted = if self.deleted { "&deleted=true" } else { "" };
        let prefix = encoded(self.prefix.as_deref().unwrap_or(":*:"));
        let path = format!("/subjects?subjectPrefix={prefix}{deleted}");
        let subjects: Vec<String> = serde_json::from_value(registry.get(&path).await?)?;
        let mut listed = Vec::new();
        for subject in subjects {
            let path = format!("/subjects/{}/versions?{deleted}", encoded(&subject));
            let versions: Vec<i32> = serde_json::from_value(registry.get(&path).await?)?;
            listed.push((subject, versions));
        }
        if self.target.json {
            let all = listed
                .iter()
                .map(|(subject, versions)| json!({ "subject": subject, "versions": versions }));
            return output::json(&all.collect::<Vec<_>>());
        }
        if listed.is_empty() {
            return output::text("no subjects\n");
        }
        let mut table = Table::new(&["subject", "versions", "latest"]);
        for (subject, versions) in listed {
            let latest = versions.last().map_or_else(|| "-".to_owned(), ToString::to_string);
            table.row(vec![subject, versions.len().to_string(), latest]);
        }
        output::text(&table.lines(""))
    }
}

impl Get {
    async fn run(self) -> anyhow::Result<()> {
        let registry = self.target.registry()?;
        let path = match self.schema.parse::<u32>() {
            Ok(id) => format!("/schemas/ids/{id}"),
            Err(_) => {
                let (subject, version) = (encoded(&self.schema), encoded(&self.version));
                format!("/subjects/{subject}/versions/{version}")
            }
        };
        let found = registry.get(&path).await?;
        if self.target.json {
            return output::json(&found);
        }
        let text = found["schema"].as_str().context("the answer holds no schema")?;
        // JSON is easier to read in lines; Protobuf has its own.
        let pretty = serde_json::from_str::<Json>(text).ok();
        let pretty = pretty.and_then(|json| serde_json::to_string_pretty(&json).ok());
        output::text(&format!("{}\n", pretty.as_deref().unwrap_or(text).trim_end()))
    }
}

impl Register {
    async fn run(self) -> anyhow::Result<()> {
        let registry = self.target.registry()?;
        let subject = &self.new.subject;
        let normalize = self.new.normalize;
        let path = format!("/subjects/{}/versions?normalize={normalize}", encoded(subject));
        let done = registry.post(&path, &self.new.body()?).await?;
        if self.target.json {
            return output::json(&done);
        }
        let id = &done["id"];
        match done["version"].as_i64() {
            Some(version) => output::text(&format!("{subject} version {version}, id {id}\n")),
            None => output::text(&format!("{subject}, id {id}\n")),
        }
    }
}

impl Check {
    async fn run(self) -> anyhow::Result<()> {
        let registry = self.target.registry()?;
        let New { subject, normalize, .. } = &self.new;
        let version = self.version.as_deref().map(|text| format!("/{}", encoded(text)));
        let path = format!(
            "/compatibility/subjects/{}/versions{}?verbose=true&normalize={normalize}",
            encoded(subject),
            version.unwrap_or_default()
        );
        let said = registry.post(&path, &self.new.body()?).await?;
        let fits = said["is_compatible"].as_bool().context("the answer says nothing")?;
        if self.target.json {
            output::json(&said)?;
        } else if fits {
            output::text(&format!("fits {subject}\n"))?;
        } else {
            output::text(&differences(subject, &said["messages"]))?;
        }
        ensure!(fits, "the schema does not fit {subject}");
        Ok(())
    }
}

/// What a registry says of differences, line by line: rule, place, and words.
fn differences(subject: &str, messages: &Json) -> String {
    let messages: Vec<&str> =
        messages.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let found: Vec<&&str> = messages.iter().filter(|text| text.contains("errorType")).collect();
    let mut out = format!("does not fit {subject}: {}\n", count(found.len(), "difference"));
    for message in messages {
        let (Some(kind), Some(words)) = (part(message, "errorType"), part(message, "description"))
        else {
            // Which version, and at what level; the old schema itself is long.
            if !message.starts_with("{oldSchema:") {
                out.push_str(&format!("  {}\n", message.trim_matches(['{', '}'])));
            }
            continue;
        };
        out.push_str(&format!("  {kind}\n    {words}\n"));
        if let Some(place) = part(message, "additionalInfo").filter(|place| !words.contains(place))
        {
            out.push_str(&format!("    at {place}\n"));
        }
    }
    out
}

/// What stands in quotes after `name:` up to the next name, or the end.
fn part<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(name)?;
    let rest = rest.trim_start_matches([':', ' ']);
    let quote = rest.chars().next()?;
    let rest = rest.get(1..)?;
    let next = ["description", "additionalInfo"].map(|next| format!("{quote}, {next}"));
    let end = next.iter().filter_map(|next| rest.find(next.as_str())).min();
    let end = end.or_else(|| rest.rfind(quote))?;
    rest.get(..end)
}

impl Delete {
    async fn run(self) -> anyhow::Result<()> {
        let registry = self.target.registry()?;
        let subject = &self.subject;
        let version = self.version.as_deref().map(|text| format!("/versions/{}", encoded(text)));
        let path = format!(
            "/subjects/{}{}?permanent={}",
            encoded(subject),
            version.unwrap_or_default(),
            self.permanent
        );
        let gone = registry.delete(&path).await?;
        if self.target.json {
            return output::json(&gone);
        }
        let number = gone.as_array().map_or(1, Vec::len);
        let how = if self.permanent { " for good" } else { "" };
        output::text(&format!("deleted {} of {subject}{how}\n", count(number, "version")))
    }
}

impl Config {
    async fn run(self) -> anyhow::Result<()> {
        let registry = self.target.registry()?;
        let subject = self.subject.as_deref().map(|name| format!("/{}", encoded(name)));
        let (config, mode) = (
            format!("/config{}", subject.as_deref().unwrap_or_default()),
            format!("/mode{}", subject.as_deref().unwrap_or_default()),
        );
        if self.unset {
            let gone = [registry.delete(&config).await, registry.delete(&mode).await];
            if gone.iter().all(Result::is_err) {
                bail!("there are no settings of its own to take away");
            }
        }
        if let Some(level) = &self.compatibility {
            registry.put(&config, &json!({ "compatibility": level.to_ascii_uppercase() })).await?;
        }
        if let Some(text) = &self.mode {
            registry.put(&mode, &json!({ "mode": text.to_ascii_uppercase() })).await?;
        }
        let mut said: Map<String, Json> =
            serde_json::from_value(registry.get(&format!("{config}?defaultToGlobal=true")).await?)?;
        let shown = registry.get(&format!("{mode}?defaultToGlobal=true")).await?;
        said.insert("mode".to_owned(), shown["mode"].clone());
        if self.target.json {
            return output::json(&said);
        }
        let mut table = Table::new(&["setting", "value"]);
        for (name, value) in said {
            table.row(vec![name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)]);
        }
        output::text(&table.lines(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shown_for_people() {
        let messages = json!([
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'a' has no default', additionalInfo:'/fields/0'}",
            "{oldSchemaVersion: 2}",
            "{oldSchema: 'long'}",
            "{validateFields: 'false', compatibility: 'BACKWARD'}",
        ]);
        let expected = "does not fit orders: 1 difference\n  READER_FIELD_MISSING_DEFAULT_VALUE\n    The field 'a' has no default\n    at /fields/0\n  oldSchemaVersion: 2\n  validateFields: 'false', compatibility: 'BACKWARD'\n";
        assert_eq!(differences("orders", &messages), expected);
    }

    #[test]
    fn references_are_read() {
        let read = reference("common.proto=:.eu:common:3").expect("a reference");
        assert_eq!(read, json!({ "name": "common.proto", "subject": ":.eu:common", "version": 3 }));
        assert!(reference("common.proto").is_err());
    }
}
