//! Many connections, each with one small request in flight: what a request costs, whatever it carries.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    stats::Latencies,
    wire::{Batch, ProduceRequest, frame},
};

/// One request on each connection, asked again and again.
#[derive(Debug, Clone)]
pub struct Repeated {
    /// Broker.
    pub address: String,
    /// A connection for each: the whole frame.
    pub requests: Vec<Vec<u8>>,
    /// Fails on an answer's body that is no success.
    pub check: fn(&[u8]) -> anyhow::Result<()>,
}

/// Requests under way on a thread of their own, until stopped.
pub struct Running {
    answered: Arc<AtomicU64>,
    latencies: Arc<Latencies>,
    stop: tokio::sync::watch::Sender<bool>,
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
}

/// Produces of one record of so many bytes, on `connections`, which take the topic's partitions in turn.
pub fn one_record(topic: &str, partitions: i32, connections: i32, bytes: usize) -> Vec<Vec<u8>> {
    let batch = Batch::new([&vec![b'x'; bytes][..]]);
    let request = |number: i32| {
        let partition = number % partitions;
        let partitions = partition..partition + 1;
        let body = ProduceRequest { topic, acks: -1, partitions, batch: &batch }.body();
        frame(ProduceRequest::API, ProduceRequest::VERSION, 1, &body)
    };
    (0..connections).map(request).collect()
}

impl Repeated {
    /// Connects and starts to ask.
    pub fn start(self) -> anyhow::Result<Running> {
        let answered = Arc::new(AtomicU64::new(0));
        let latencies = Arc::new(Latencies::default());
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (count, record) = (Arc::clone(&answered), Arc::clone(&latencies));
        let thread = std::thread::Builder::new().name("requests".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(self.ask_all(count, record, stopped))
        })?;
        Ok(Running { answered, latencies, stop, thread })
    }

    async fn ask_all(
        self,
        answered: Arc<AtomicU64>,
        latencies: Arc<Latencies>,
        stopped: tokio::sync::watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..self.requests.len() {
            let (load, count, record, stopped) =
                (self.clone(), Arc::clone(&answered), Arc::clone(&latencies), stopped.clone());
            tasks.spawn(async move { load.ask(number, &count, &record, &stopped).await });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.context("a connection's task panicked")??;
        }
        Ok(())
    }

    async fn ask(
        &self,
        number: usize,
        answered: &AtomicU64,
        latencies: &Latencies,
        stopped: &tokio::sync::watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let mut answer = Vec::new();
        while !*stopped.borrow() {
            let began = Instant::now();
            stream.write_all(&self.requests[number]).await?;
            let length = stream.read_i32().await.context("the broker closed the connection")?;
            ensure!((4..1 << 20).contains(&length), "an answer of {length} bytes");
            answer.resize(length as usize, 0);
            stream.read_exact(&mut answer).await?;
            (self.check)(&answer[4..])?;
            latencies.record(began.elapsed());
            answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Running {
    /// Requests answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// The latency of each, from its first byte sent to its answer's last byte read.
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// Lets the requests in flight end. An error if any failed.
    pub fn stop(self) -> anyhow::Result<()> {
        // A load that failed has dropped its receivers; the error comes from the join.
        let _ = self.stop.send(true);
        let began = Instant::now();
        while !self.thread.is_finished() {
            ensure!(
                began.elapsed() < Duration::from_secs(60),
                "requests in flight were not answered in 60 s"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        self.thread.join().map_err(|_| anyhow::anyhow!("the load panicked"))?
    }
}
