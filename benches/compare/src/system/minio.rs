//! A real MinIO over a directory of the scratch disk, with the emulator's bucket and credentials.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::emulator::{ACCESS_KEY, SECRET_KEY};
use crate::{
    limits::make_bucket,
    process::{Process, Program},
};

/// A running MinIO.
#[derive(Debug)]
pub struct Minio {
    /// Its base URL.
    pub url: String,
    process: Process,
}

impl Minio {
    /// Starts one and makes the bucket. `ports`: S3, console.
    pub(super) fn start(path: &Path, directory: &Path, ports: [u16; 2]) -> anyhow::Result<Self> {
        let [address, console] = ports.map(|port| format!("127.0.0.1:{port}"));
        let mut process = Program::new(path)
            .arguments(["server", "--quiet", "--address", &address, "--console-address", &console])
            .arguments([directory.join("objects").display().to_string()])
            .variable("MINIO_ROOT_USER", ACCESS_KEY)
            .variable("MINIO_ROOT_PASSWORD", SECRET_KEY)
            .start(&directory.join("minio.log"))?;
        let began = Instant::now();
        while let Err(error) = make_bucket(&address) {
            process.check()?;
            ensure!(began.elapsed() < Duration::from_secs(30), "MinIO makes no bucket: {error:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { url: format!("http://{address}"), process })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
