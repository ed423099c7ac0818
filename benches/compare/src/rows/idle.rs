//! What a broker takes when it does nothing: memory, start, partitions, connections.

use std::{net::TcpStream, time::Duration};

use anyhow::{Context, ensure};

use super::{Measured, Row};
use crate::{
    process::raise_file_limit,
    report::{Better, Figure},
    stage::{Place, Stage},
    system::{Setup, System},
    usage::{Meter, resident_bytes},
    wire::{Batch, Connection, ProduceRequest, check_produced},
};

struct Idle;
struct IdlePartitions;
struct Connections;

/// The rows.
pub(super) fn rows() -> Vec<Box<dyn Row>> {
    vec![Box::new(Idle), Box::new(IdlePartitions), Box::new(Connections)]
}

const MIB: f64 = (1u64 << 20) as f64;

impl Row for Idle {
    fn name(&self) -> String {
        "idle".to_owned()
    }

    fn about(&self) -> String {
        "an empty local directory: time from the process's start to its first Metadata answer, memory 2 s later".to_owned()
    }

    fn warm_up_turns(&self) -> usize {
        1
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const START: Figure = Figure::new("start", "ms", Better::Lower, 0);
        const RESIDENT: Figure = Figure::new("resident", "MiB", Better::Lower, 1);
        const BUSY: Figure = Figure::new("idle CPU", "% of a core", Better::Lower, 2);
        let store = stage.store(system, Place::Directory)?;
        let setup = Setup::new(stage.scratch.directory(system.name())?, store);
        let broker = stage.launcher.start(system, &setup)?;
        std::thread::sleep(Duration::from_secs(2));
        let resident = resident_bytes(broker.pid())? as f64 / MIB;
        let duration = stage.seconds(3.0);
        let meter = Meter::start(&[broker.pid()])?;
        std::thread::sleep(duration);
        let busy = meter.read()?.processes[0] / duration.as_secs_f64();
        Ok(vec![
            Measured::new(START, broker.started_in.as_secs_f64() * 1_000.0),
            Measured::new(RESIDENT, resident),
            Measured::new(BUSY, busy * 100.0),
        ])
    }
}

impl Row for IdlePartitions {
    fn name(&self) -> String {
        "idle-partitions".to_owned()
    }

    fn about(&self) -> String {
        "10 more topics of 1,000 partitions on a local directory, one record in each, then nothing: memory for each"
            .to_owned()
    }

    fn warm_up_turns(&self) -> usize {
        0
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const RESIDENT: Figure = Figure::new("resident a partition", "KiB", Better::Lower, 2);
        const BUSY: Figure = Figure::new("idle CPU", "% of a core", Better::Lower, 2);
        const TOPICS: i32 = 10;
        // Never scaled: what ten thousand share is part of what each costs.
        const PARTITIONS: i32 = 1_000;
        stage.close(system);
        // A directory: a store in memory would count the objects themselves.
        stage.open(system, Place::Directory)?;
        let pid = stage.pid(system);
        // One such topic first: buffers, threads and code that the first of their kind bring are not the price of a
        // partition.
        let mut connection = Connection::open(&stage.address(system))?;
        let first = stage.topic(system, PARTITIONS, &[])?;
        write_once(&mut connection, &first, PARTITIONS)?;
        std::thread::sleep(Duration::from_secs(5));
        stage.settle();
        let before = resident_bytes(pid)?;
        for _ in 0..TOPICS {
            let topic = stage.topic(system, PARTITIONS, &[])?;
            write_once(&mut connection, &topic, PARTITIONS)?;
        }
        std::thread::sleep(Duration::from_secs(5));
        stage.settle();
        let after = resident_bytes(pid)?;
        let meter = Meter::start(&[pid])?;
        std::thread::sleep(Duration::from_secs(3));
        let busy = meter.read()?.processes[0] / 3.0;
        stage.close(system);
        let each = (after as f64 - before as f64) / 1_024.0 / f64::from(TOPICS * PARTITIONS);
        Ok(vec![Measured::new(RESIDENT, each), Measured::new(BUSY, busy * 100.0)])
    }
}

fn write_once(connection: &mut Connection, topic: &str, partitions: i32) -> anyhow::Result<()> {
    let batch = Batch::new([&[b'x'; 100][..]]);
    let request = ProduceRequest { topic, acks: -1, partitions: 0..partitions, batch: &batch };
    let answer = connection.ask(ProduceRequest::API, ProduceRequest::VERSION, &request.body())?;
    check_produced(&answer)
}

impl Row for Connections {
    fn name(&self) -> String {
        "connections".to_owned()
    }

    fn about(&self) -> String {
        "connections that have asked once and then stay idle: memory for each, CPU of all, and whether a request still goes through"
            .to_owned()
    }

    fn warm_up_turns(&self) -> usize {
        0
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        const RESIDENT: Figure = Figure::new("resident a connection", "KiB", Better::Lower, 2);
        const OPEN: Figure = Figure::new("open at once", "connections", Better::Neither, 0);
        const BUSY: Figure = Figure::new("idle CPU", "% of a core", Better::Lower, 2);
        const REQUEST: Figure = Figure::new("Metadata meanwhile", "ms", Better::Lower, 2);
        // Never scaled either.
        let wanted = 10_000;
        raise_file_limit()?;
        stage.close(system);
        stage.open(system, Place::Memory)?;
        let (pid, address) = (stage.pid(system), stage.address(system));
        ask_metadata(&address)?;
        stage.settle();
        let before = resident_bytes(pid)?;
        let connections: Vec<TcpStream> = (0..wanted)
            .map(|_| ask_metadata(&address))
            .collect::<Result<_, _>>()
            .context("not all could connect")?;
        std::thread::sleep(Duration::from_secs(2));
        let after = resident_bytes(pid)?;
        let meter = Meter::start(&[pid])?;
        std::thread::sleep(Duration::from_secs(3));
        let busy = meter.read()?.processes[0] / 3.0;
        let began = std::time::Instant::now();
        ask_metadata(&address)?;
        let request = began.elapsed().as_secs_f64() * 1_000.0;
        let open = connections.iter().filter(|stream| still_open(stream)).count();
        ensure!(open > 0, "the broker closed every connection");
        drop(connections);
        stage.close(system);
        Ok(vec![
            Measured::new(RESIDENT, (after as f64 - before as f64) / 1_024.0 / wanted as f64),
            Measured::new(OPEN, open as f64),
            Measured::new(BUSY, busy * 100.0),
            Measured::beside(REQUEST, request, stage.limits.trip.alone_ms[0], "bare trip"),
        ])
    }
}

fn ask_metadata(address: &str) -> anyhow::Result<TcpStream> {
    let mut connection = Connection::open(address)?;
    connection.ask(3, 4, &[0, 0, 0, 0, 0])?;
    Ok(connection.into_stream())
}

/// Whether the other side has not closed: an idle socket has nothing to read.
fn still_open(stream: &TcpStream) -> bool {
    let mut byte = [0];
    stream.set_nonblocking(true).is_ok()
        && stream.peek(&mut byte).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}
