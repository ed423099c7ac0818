//! Our Java programs with Apache Kafka's own client, which `tests/parts` lays by.

use std::path::PathBuf;
use std::process::Command;

use crate::java::java;
use crate::parts;

/// The newest version that is laid by.
pub(crate) const NEWEST: &str = "4.3.1";

/// The jars of one version; what of it must be there.
pub(crate) fn jars(version: &str) -> PathBuf {
    parts::folder().join("java").join(version)
}

/// `java` with the programs and a version's jars; a program's name is to follow.
pub(crate) fn program(version: &str) -> Command {
    let place = parts::folder().join("java");
    let path = format!("{}:{}/*", place.join("programs.jar").display(), jars(version).display());
    let mut command = java(&path);
    // Without a word: what a JVM thinks of an archive goes where the program writes.
    command.arg(format!("-XX:SharedArchiveFile={}.jsa", jars(version).display()));
    command.args(["-Xlog:disable", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
    command
}
