//! Topics, offsets and producer ids.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use super::{Connection, Reader, Writer, batch::Producer};

/// AddPartitionsToTxn: a broker that serves it has transactions.
pub const ADD_PARTITIONS_TO_TXN: i16 = 24;

/// An error that says so if the broker does not serve an API: a row of what is not built yet.
pub fn require(address: &str, system: &str, api: i16) -> anyhow::Result<()> {
    let answer = Connection::open(address)?.ask(18, 0, &[])?;
    let mut reader = Reader(&answer);
    reader.i16()?;
    let mut served = false;
    for _ in 0..reader.count()? {
        served |= reader.i16()? == api;
        reader.take(4)?;
    }
    ensure!(served, "{system} does not serve API {api}");
    Ok(())
}

/// A topic to be made.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Its configuration.
    pub configs: Vec<(String, String)>,
}

impl Topic {
    /// A topic with the broker's defaults.
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self { name: name.into(), partitions, configs: Vec::new() }
    }
}

/// Administrative requests over one connection.
#[derive(Debug)]
pub struct Admin(Connection);

impl Admin {
    /// Connects.
    pub fn open(address: &str) -> anyhow::Result<Self> {
        Ok(Self(Connection::open(address)?))
    }

    /// Makes a topic and waits until every partition has a leader that knows it.
    pub fn create(&mut self, topic: &Topic) -> anyhow::Result<()> {
        let mut body = Writer::default();
        body.length(1).string(Some(&topic.name)).i32(topic.partitions).i16(1).length(0);
        body.length(topic.configs.len());
        for (name, value) in &topic.configs {
            body.string(Some(name)).string(Some(value));
        }
        body.i32(60_000).i8(0);
        let answer = self.0.ask(19, 4, &body.0)?;
        let mut reader = Reader(&answer);
        reader.i32()?;
        for _ in 0..reader.count()? {
            let name = reader.string()?;
            let (code, message) = (reader.i16()?, reader.string()?);
            ensure!(code == 0, "could not create {name}: code {code} {message}");
        }
        self.await_leaders(topic)
    }

    fn await_leaders(&mut self, topic: &Topic) -> anyhow::Result<()> {
        let began = Instant::now();
        // Kafka's metadata names a leader before that leader has heard of it.
        while self.leaders(&topic.name)? < topic.partitions as usize
            || self.end_offsets(&topic.name, topic.partitions).is_err()
        {
            if began.elapsed() > Duration::from_secs(60) {
                bail!("{} has no leaders after 60 s", topic.name);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Number of the topic's partitions that have a leader.
    pub fn leaders(&mut self, topic: &str) -> anyhow::Result<usize> {
        let mut body = Writer::default();
        body.length(1).string(Some(topic)).i8(0);
        let answer = self.0.ask(3, 4, &body.0)?;
        let mut reader = Reader(&answer);
        reader.i32()?;
        for _ in 0..reader.count()? {
            reader.i32()?;
            reader.string()?;
            reader.i32()?;
            reader.string()?;
        }
        reader.string()?;
        reader.i32()?;
        let mut led = 0;
        for _ in 0..reader.count()? {
            reader.i16()?;
            reader.string()?;
            reader.i8()?;
            for _ in 0..reader.count()? {
                let code = reader.i16()?;
                reader.i32()?;
                let leader = reader.i32()?;
                led += usize::from(code == 0 && leader >= 0);
                for _ in 0..2 {
                    let ids = reader.count()?;
                    reader.take(4 * ids)?;
                }
            }
        }
        Ok(led)
    }

    /// Deletes a topic.
    pub fn delete(&mut self, topic: &str) -> anyhow::Result<()> {
        let mut body = Writer::default();
        body.length(1).string(Some(topic)).i32(60_000);
        let answer = self.0.ask(20, 3, &body.0)?;
        let mut reader = Reader(&answer);
        reader.i32()?;
        for _ in 0..reader.count()? {
            let name = reader.string()?;
            let code = reader.i16()?;
            ensure!(code == 0, "could not delete {name}: code {code}");
        }
        Ok(())
    }

    /// The end offset of each of the topic's partitions.
    pub fn end_offsets(&mut self, topic: &str, partitions: i32) -> anyhow::Result<Vec<i64>> {
        let mut body = Writer::default();
        body.i32(-1).i8(0).length(1).string(Some(topic)).i32(partitions);
        for partition in 0..partitions {
            body.i32(partition).i32(-1).i64(-1);
        }
        let answer = self.0.ask(2, 5, &body.0)?;
        let mut reader = Reader(&answer);
        reader.i32()?;
        let mut ends = vec![-1; partitions as usize];
        for _ in 0..reader.count()? {
            reader.string()?;
            for _ in 0..reader.count()? {
                let partition = reader.i32()?;
                let code = reader.i16()?;
                reader.i64()?;
                let offset = reader.i64()?;
                reader.i32()?;
                ensure!(code == 0, "no end offset of {topic}-{partition}: code {code}");
                ends[partition as usize] = offset;
            }
        }
        Ok(ends)
    }

    /// A new producer id.
    pub fn producer_id(&mut self) -> anyhow::Result<Producer> {
        let began = Instant::now();
        loop {
            let mut body = Writer::default();
            body.string(None).i32(60_000);
            let answer = self.0.ask(22, 1, &body.0)?;
            let mut reader = Reader(&answer);
            reader.i32()?;
            let code = reader.i16()?;
            if code == 0 {
                return Ok(Producer { id: reader.i64()?, epoch: reader.i16()? });
            }
            // COORDINATOR_LOAD_IN_PROGRESS while a broker is young.
            ensure!(
                code == 14 && began.elapsed() < Duration::from_secs(30),
                "no producer id: code {code}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
