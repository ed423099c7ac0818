//! A process that reads and writes the input topic in transactions, many of which it aborts. Two processes share each
//! transactional id: they fence each other, and what the one still sends then is a zombie's.

use std::sync::Arc;
use std::time::Duration;

use thalweg::base::clock::sleep;
use thalweg::base::rng::Rng;

use super::history::{Key, OpId};
use super::link::{Isolation, Link, Protocol};
use super::producer::{Ended, Trouble, TxnProducer};
use super::{INPUT, PARTITIONS, SharedHistory, lock};

/// How one process behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transactor {
    pub(super) id: &'static str,
    pub(super) protocol: Protocol,
}

/// One process in one life.
struct Process {
    number: usize,
    history: SharedHistory,
    rng: Rng,
    producer: TxnProducer,
    positions: Vec<i64>,
}

impl Transactor {
    /// Runs until the broker is gone, always as new processes of the same transactional id.
    pub(super) async fn run(self, link: impl Fn() -> Link, history: SharedHistory, rng: Rng) {
        loop {
            sleep(Duration::from_millis(rng.below(400))).await;
            let timeout_ms = 1_000 + i32::try_from(rng.below(2_000)).expect("small");
            let producer = TxnProducer::take_over(link(), self.id, self.protocol, timeout_ms).await;
            let number = lock(&history).new_process();
            let mut process = Process {
                number,
                history: Arc::clone(&history),
                rng: Rng::from_seed(rng.u64()),
                producer,
                positions: vec![0; PARTITIONS as usize],
            };
            process.work().await;
            // Fenced, or crashed: the other one has its time.
            sleep(Duration::from_millis(200 + rng.below(2_000))).await;
        }
    }
}

impl Process {
    async fn work(&mut self) {
        loop {
            let op = lock(&self.history).begin(self.number);
            let done = self.fill(op).await;
            if self.rng.below(24) == 0 {
                // It crashes, and leaves the transaction to its successor or its timeout.
                return;
            }
            let left = match done {
                Ok(()) if self.rng.below(4) > 0 => self.commit(op).await,
                Ok(()) | Err(Trouble::Abort | Trouble::Evicted) => self.producer.end(false).await.1,
                Err(Trouble::Fenced) => return,
            };
            if left.is_err() {
                return;
            }
            sleep(Duration::from_millis(self.rng.below(80))).await;
        }
    }

    async fn commit(&mut self, op: OpId) -> Result<(), Trouble> {
        lock(&self.history).committing(op);
        let (ended, left) = self.producer.end(true).await;
        match ended {
            Ended::Yes => lock(&self.history).committed(op),
            Ended::No => lock(&self.history).failed(op),
            Ended::Unknown => {}
        }
        left
    }

    /// One to four steps.
    async fn fill(&mut self, op: OpId) -> Result<(), Trouble> {
        for _ in 0..=self.rng.below(4) {
            let key = (INPUT, self.rng.below(PARTITIONS as u64) as i32);
            if self.rng.below(4) == 0 {
                self.poll(op, key).await;
            } else {
                self.send(op, key).await?;
            }
            if self.rng.below(6) == 0 {
                sleep(Duration::from_millis(self.rng.below(300))).await;
            }
        }
        Ok(())
    }

    async fn poll(&mut self, op: OpId, key: Key) {
        let place = key.1 as usize;
        let fetched = self.producer.link.fetch(key, self.positions[place], Isolation::Committed);
        let Some(fetched) = fetched.await else { return };
        self.positions[place] = fetched.next;
        lock(&self.history).polled((self.number, Some(op)), key, false, &fetched.records);
    }

    async fn send(&mut self, op: OpId, key: Key) -> Result<(), Trouble> {
        let amounts = (0..=self.rng.below(2)).map(|_| (1 + self.rng.below(100)).to_string());
        let amounts: Vec<String> = amounts.collect();
        let values: Vec<String> =
            amounts.iter().map(|amount| lock(&self.history).send(op, key, amount)).collect();
        let base = self.producer.send(key, &values).await?;
        for (offset, value) in (base..).zip(&values) {
            lock(&self.history).sent(op, value, offset);
        }
        Ok(())
    }
}
