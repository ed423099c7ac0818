//! What the machine itself can do, measured in the same run: the figures beside which a broker's stand.

mod s3;
mod trip;

pub use s3::{make_bucket, stamp};
pub use trip::Trip;

use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    time::Instant,
};

use anyhow::Context;
use crc_fast::{CrcAlgorithm, checksum};
use serde::Serialize;

use crate::{system::Emulator, usage::thread_cpu_seconds};

const GIB: f64 = (1u64 << 30) as f64;

/// Some disks take more from several writers at once.
const DISK_WRITERS: usize = 4;

/// The limits. CPU is in seconds per GiB.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Limits {
    /// One TCP connection over the loopback, MB/s.
    pub loopback_rate: f64,
    /// Its sender's CPU, of one MiB again and again.
    pub loopback_send_cpu: f64,
    /// The sender's CPU of 64 MiB in turn, as a tail is sent: from memory, no longer from the caches.
    pub tail_send_cpu: f64,
    /// Its receiver's CPU.
    pub loopback_receive_cpu: f64,
    /// CRC-32C over 1 MB buffers, MB/s on one core.
    pub crc_rate: f64,
    /// The same as CPU.
    pub crc_cpu: f64,
    /// 8 MiB writes, each to a file of its own and synced, one after the other.
    pub disk: Disk,
    /// The same of four writers at once.
    pub disk_of_four: Disk,
    /// 8 MiB PUTs to the emulator, two connections, MB/s.
    pub put_rate: f64,
    /// 8 MiB GETs from the emulator, two connections, MB/s.
    pub get_rate: f64,
    /// A request and its answer over the loopback.
    pub trip: Trip,
}

/// What a disk takes in 8 MiB writes, each to a file of its own and synced.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Disk {
    /// MB/s.
    pub rate: f64,
    /// The writers' CPU, in seconds per GiB.
    pub cpu: f64,
}

/// Sends 2 GiB over one connection, out of a buffer of `from` bytes: MB/s, and each side's CPU-seconds per GiB.
fn loopback(from: usize) -> anyhow::Result<(f64, f64, f64)> {
    const BYTES: usize = 2 << 30;
    const WRITE: usize = 1 << 20;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let sender = std::thread::spawn(move || -> anyhow::Result<f64> {
        let mut stream = TcpStream::connect(address)?;
        let buffer = vec![7u8; from];
        let before = thread_cpu_seconds();
        for chunk in buffer.chunks(WRITE).cycle().take(BYTES / WRITE) {
            stream.write_all(chunk)?;
        }
        Ok(thread_cpu_seconds() - before)
    });
    let (mut stream, _) = listener.accept()?;
    let mut buffer = vec![0u8; 256 << 10];
    let (began, before) = (Instant::now(), thread_cpu_seconds());
    let mut received = 0;
    while received < BYTES {
        received += stream.read(&mut buffer)?;
    }
    let gibibytes = BYTES as f64 / GIB;
    let rate = BYTES as f64 / 1e6 / began.elapsed().as_secs_f64();
    let receive = (thread_cpu_seconds() - before) / gibibytes;
    let sent = sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    Ok((rate, sent / gibibytes, receive))
}

/// What it costs now to use a GiB of memory for the first time, CPU-seconds: a virtual machine may have to ask its host for
/// each page. Changes from minute to minute, so rows measure it with each turn.
pub fn fresh_memory_cpu() -> f64 {
    const BYTES: usize = 256 << 20;
    const PAGE: usize = 4096;
    let before = thread_cpu_seconds();
    // Zeroed memory of this size is mapped, and not there until it is written.
    let mut fresh = vec![0u8; BYTES];
    fresh.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
    std::hint::black_box(&fresh);
    (thread_cpu_seconds() - before) / (BYTES as f64 / GIB)
}

impl Limits {
    /// Measures all of them; takes some seconds.
    pub fn measure(directory: &Path, emulator: &Path) -> anyhow::Result<Self> {
        let mut limits = Self::default();
        let (rate, send, receive) = loopback(1 << 20)?;
        (limits.loopback_rate, limits.loopback_send_cpu, limits.loopback_receive_cpu) =
            (rate, send, receive);
        (_, limits.tail_send_cpu, _) = loopback(64 << 20)?;
        limits.crc();
        (limits.disk, limits.disk_of_four) = disk(directory)?;
        limits.trip = Trip::measure()?;
        if emulator.exists() {
            let emulator = Emulator::start(emulator, directory, "zero")?;
            (limits.put_rate, limits.get_rate) = s3::rates(emulator.address())?;
        }
        Ok(limits)
    }

    /// What a broker cannot avoid for each GiB produced: to receive it and to check it.
    pub fn produce_cpu(&self) -> f64 {
        self.loopback_receive_cpu + self.crc_cpu
    }

    /// The same for a GiB that each of so many subscriptions then reads from its tail.
    pub fn relay_cpu(&self, subscriptions: usize) -> f64 {
        self.produce_cpu() + subscriptions as f64 * self.tail_send_cpu
    }

    /// MB/s of values that can come in and go out to so many subscriptions over one loopback.
    pub fn relay_rate(&self, subscriptions: usize) -> f64 {
        self.loopback_rate / (1 + subscriptions) as f64
    }

    /// MB/s of synced 8 MiB writes by one writer or by four, whichever is more: what the disk is held to.
    pub fn disk_most(&self) -> f64 {
        self.disk.rate.max(self.disk_of_four.rate)
    }

    fn crc(&mut self) {
        // Larger than the caches, so that it is read from memory as a frame that just arrived partly is.
        let buffer = vec![3u8; 64 << 20];
        let (began, before) = (Instant::now(), thread_cpu_seconds());
        let mut bytes = 0usize;
        while began.elapsed().as_secs_f64() < 0.5 {
            for chunk in buffer.chunks(1_000_000) {
                std::hint::black_box(checksum(CrcAlgorithm::Crc32Iscsi, chunk));
                bytes += chunk.len();
            }
        }
        self.crc_rate = bytes as f64 / 1e6 / began.elapsed().as_secs_f64();
        self.crc_cpu = (thread_cpu_seconds() - before) / (bytes as f64 / GIB);
    }
}

/// What the disk below a directory takes now from one writer and from four at once. Changes from minute to minute, so rows
/// that write to it measure it with each turn.
///
/// # Errors
/// Names the file that could not be written.
pub fn disk(directory: &Path) -> anyhow::Result<(Disk, Disk)> {
    Ok((written(directory, 1)?, written(directory, DISK_WRITERS)?))
}

fn written(directory: &Path, writers: usize) -> anyhow::Result<Disk> {
    const WRITES: usize = 48;
    let chunk = vec![5u8; 8 << 20];
    let directory = directory.join("disk");
    std::fs::create_dir_all(&directory)?;
    let write = |writer: usize| -> anyhow::Result<f64> {
        let before = thread_cpu_seconds();
        for number in (writer..WRITES).step_by(writers) {
            let path = directory.join(number.to_string());
            let mut file = File::create(&path)
                .with_context(|| format!("could not write {}", path.display()))?;
            file.write_all(&chunk)?;
            file.sync_all()?;
        }
        Ok(thread_cpu_seconds() - before)
    };
    let write = &write;
    let began = Instant::now();
    let cpu: f64 = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..writers).map(|writer| scope.spawn(move || write(writer))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("writers do not panic"))
            .sum::<anyhow::Result<f64>>()
    })?;
    let bytes = (WRITES * chunk.len()) as f64;
    let rate = bytes / 1e6 / began.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&directory)?;
    Ok(Disk { rate, cpu: cpu / (bytes / GIB) })
}
