//! Members of many groups that do nothing but say that they live.
//!
//! Latency counts from the time at which a heartbeat was due.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::stats::Latencies;

/// Heartbeats to send, each once in every interval.
#[derive(Debug)]
pub struct Heartbeats<'a> {
    /// Broker.
    pub address: &'a str,
    /// Whole frames, one of each member.
    pub requests: Vec<Vec<u8>>,
    /// Connections that carry them.
    pub connections: usize,
    /// `heartbeat.interval.ms`.
    pub interval: Duration,
    /// How long.
    pub duration: Duration,
    /// Fails on an answer's body that is no success.
    pub check: fn(&[u8]) -> anyhow::Result<()>,
}

impl Heartbeats<'_> {
    /// Runs them; the latency of each.
    pub fn run(&self) -> anyhow::Result<Latencies> {
        let latencies = Arc::new(Latencies::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            let each = self.requests.len().div_ceil(self.connections);
            let gap = self.interval / u32::try_from(each)?;
            let stagger = gap / u32::try_from(self.connections)?;
            for (number, requests) in (0..).zip(self.requests.chunks(each)) {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                let line = Line {
                    stream,
                    requests: requests.to_vec(),
                    first: Instant::now() + stagger * number,
                    gap,
                    end: Instant::now() + self.duration,
                    check: self.check,
                };
                tasks.spawn(line.run(Arc::clone(&latencies)));
            }
            while let Some(ended) = tasks.join_next().await {
                ended.context("a connection's task panicked")??;
            }
            anyhow::Ok(())
        })?;
        Ok(Arc::into_inner(latencies).expect("every task has ended"))
    }
}

/// One connection's share.
struct Line {
    stream: TcpStream,
    requests: Vec<Vec<u8>>,
    first: Instant,
    gap: Duration,
    end: Instant,
    check: fn(&[u8]) -> anyhow::Result<()>,
}

impl Line {
    async fn run(mut self, latencies: Arc<Latencies>) -> anyhow::Result<()> {
        let mut answer = Vec::new();
        let mut due = self.first;
        for request in self.requests.iter().cycle() {
            if due > self.end {
                break;
            }
            tokio::time::sleep_until(due.into()).await;
            self.stream.write_all(request).await?;
            let length = self.stream.read_i32().await.context("the broker closed")?;
            ensure!((4..1 << 20).contains(&length), "an answer of {length} bytes");
            answer.resize(length as usize, 0);
            self.stream.read_exact(&mut answer).await?;
            (self.check)(&answer[4..])?;
            latencies.record(due.elapsed());
            due += self.gap;
        }
        Ok(())
    }
}
