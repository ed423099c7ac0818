//! What a broker says: to people when it is ready, and to programs in its log.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::broker::Settings;
use crate::cli::run;
use crate::parts;
use crate::until::until;

#[test]
fn every_line_of_a_json_log_is_an_object() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = Settings::directory(folder.path())
        .set("log.format", "json")
        .set("log.level", "info,thalweg=debug");
    let broker = settings.start()?;
    run(&["produce", "logged", "--broker", &broker.address], "a record\n")?;
    let status = broker.terminate()?;
    ensure!(status.success(), "{status}");
    let log = fs::read_to_string(settings.log())?;
    let messages = messages(&log)?;
    for message in ["coordinator took office", "stopping; a second signal stops at once", "stopped"]
    {
        ensure!(messages.iter().any(|said| said == message), "no `{message}` in\n{log}");
    }
    Ok(())
}

#[test]
fn a_json_log_ends_with_why_the_start_failed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let mut settings = Settings::directory(folder.path()).set("log.format", "json");
    settings.listen = taken.local_addr()?.to_string();
    ensure!(settings.start().is_err(), "it listens where another does");
    let log = fs::read_to_string(settings.log())?;
    let last = messages(&log)?.pop().context("nothing was said")?;
    ensure!(last.starts_with("cannot start: "), "{log}");
    ensure!(last.contains(&settings.listen), "{log}");
    Ok(())
}

/// What each line of a JSON log says.
fn messages(log: &str) -> anyhow::Result<Vec<String>> {
    let message = |line: &str| {
        let said: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let field = |name: &str| said[name].as_str().with_context(|| format!("{name}: {line}"));
        let level = field("level")?;
        ensure!(["ERROR", "WARN", "INFO", "DEBUG"].contains(&level), "{line}");
        // 2026-01-31T12:00:00.000000Z
        let (date, time) = field("timestamp")?.split_once('T').context("no time")?;
        ensure!(date.len() == 10 && time.ends_with('Z'), "{line}");
        Ok(field("message")?.to_owned())
    };
    log.lines().map(message).collect()
}

/// Runs a line as a person would who pastes it into a shell; gives what it printed.
fn paste(line: &str) -> anyhow::Result<String> {
    let output = Command::new("sh").args(["-c", line]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{line}: {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn has_kcat() -> bool {
    let found = Command::new("kcat").arg("-V").output().is_ok();
    if !found && !parts::are_demanded() {
        println!("skipped: kcat: it is absent; ./test installs it");
    }
    found || parts::are_demanded()
}

#[tokio::test]
async fn lines_that_are_printed_when_ready_show_a_record_going_round() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut settings = Settings::directory(folder.path());
    settings.registry = "127.0.0.1:0".to_owned();
    let broker = settings.start()?;
    let told = || fs::read_to_string(settings.told());
    // It is printed just after the file that says so.
    until("the last line is printed", || Ok(told()?.contains("kcat"))).await?;
    let told = told()?;
    let data = folder.path().join("data");
    for said in [
        format!("Thalweg {} is ready", env!("CARGO_PKG_VERSION")),
        format!("Kafka  {} (PLAINTEXT)", broker.address),
        format!("HTTP   http://{}/metrics", broker.http),
        format!("Schema Registry  http://{}", broker.registry),
        format!("data   {}", data.display()),
    ] {
        ensure!(told.contains(&said), "no `{said}` in\n{told}");
    }
    let (_, lines) = told.split_once("Try it from another terminal:").context("no lines to try")?;
    let lines: Vec<&str> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let [produce, consume, kcat] = lines[..] else { anyhow::bail!("not three lines: {lines:?}") };
    ensure!(paste(consume).is_err(), "there was something to read before it was written");
    paste(produce)?;
    let read = paste(consume)?;
    ensure!(read == "hello, world\n", "{consume} printed {read:?}");
    if has_kcat() {
        let read = paste(kcat)?;
        ensure!(read == "hello, world\n", "{kcat} printed {read:?}");
    }
    Ok(())
}
