//! How `thalweg serve` is called.

use std::path::Path;

use super::{Setup, Store, emulator};
use crate::process::Program;

/// `ports`: Kafka protocol, HTTP.
pub(super) fn program(path: &Path, setup: &Setup, ports: [u16; 2], memory_max: &str) -> Program {
    let data = setup.directory.join("data");
    let store = match &setup.store {
        Store::Memory => format!("memory://?max_bytes={memory_max}"),
        Store::Directory => format!("file://{}", setup.directory.join("objects").display()),
        Store::Bucket { .. } => format!("s3://{}", emulator::BUCKET),
    };
    let mut program = Program::new(path)
        .arguments(["serve", "--listen"])
        .arguments([format!("127.0.0.1:{}", ports[0])])
        .arguments(["--http".to_owned(), format!("127.0.0.1:{}", ports[1])])
        .arguments(["--registry", "none"])
        .arguments(["--data-dir".to_owned(), data.display().to_string()])
        .arguments(["--store".to_owned(), store])
        .arguments(setup.thalweg_arguments.clone());
    if let Store::Bucket { url } = &setup.store {
        program = program
            .arguments(["--set".to_owned(), format!("store.endpoint={url}")])
            .arguments(["--set", "store.region=us-east-1"])
            .variable("AWS_ACCESS_KEY_ID", emulator::ACCESS_KEY)
            .variable("AWS_SECRET_ACCESS_KEY", emulator::SECRET_KEY);
    }
    program
}
