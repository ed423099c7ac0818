//! A Java program for a short run.

use std::process::Command;

/// `java` with the classes of `path`; what the flags leave out pays only in longer runs.
pub(crate) fn java(path: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-cp", path]);
    command
}
