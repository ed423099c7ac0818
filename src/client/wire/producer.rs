//! Many batches to the partitions of one topic: in order, several under way at a time, and each written once.
//!
//! One lane a partition: a task that sends its batches in order and keeps them until they are acknowledged. After a failure
//! it sends everything that is not acknowledged again, from the first on: the broker recognises what it has by producer id
//! and sequence, as long as no more than five batches are under way (KIP-98). Without acks of all replicas there is no
//! producer id, and one batch is under way at a time.
//!
//! A batch has the client's timeout from when it is handed over, as in Kafka's `delivery.timeout.ms`: waiting behind others,
//! every try and every wait between tries count. Past it the lane fails.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use kafka_protocol::messages::InitProducerIdRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::produce::Acks;
use super::{Client, check};
use crate::base::backoff::Backoff;
use crate::base::clock::sleep;
use crate::base::ids::ProducerId;
use crate::base::offset::Offset;
use crate::base::task;
use crate::client::records::{Record, pack};
use crate::client::{Code, Error};
use crate::record::Compression;

/// Batches of one partition that may be under way: what a broker remembers of a producer.
const IN_FLIGHT_MAX: usize = 5;
/// Bytes of all partitions that may be unacknowledged.
const UNACKED_BYTES_MAX: usize = 64 << 20;
const UNIT_BYTES: usize = 1 << 10;
/// The newest version without the fields of two-phase commit.
const INIT_PRODUCER_ID: i16 = 4;

/// Offsets that were written to one partition: the first and the last.
pub type Written = (Offset, Offset);

/// Records that may not have been written.
#[derive(Debug, thiserror::Error)]
#[error("partition {partition} did not acknowledge {records} records")]
pub struct Undelivered {
    /// The partition.
    pub partition: i32,
    /// How many records of it were under way.
    pub records: u64,
    /// Why.
    #[source]
    pub source: Error,
}

/// A producer of one topic.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    topic: Arc<str>,
    codec: Compression,
    acks: Acks,
    /// Producer id and epoch, if it is idempotent.
    id: Option<(ProducerId, i16)>,
    lanes: BTreeMap<i32, Lane>,
    room: Arc<Semaphore>,
}

/// The caller's end of a lane.
#[derive(Debug)]
struct Lane {
    batches: mpsc::Sender<Batch>,
    task: JoinHandle<Option<Result<Option<Written>, Undelivered>>>,
    next_sequence: i32,
}

#[derive(Debug)]
struct Batch {
    bytes: Bytes,
    records: u64,
    /// When its time is over.
    deadline: Instant,
    _room: OwnedSemaphorePermit,
}

impl Producer {
    /// A producer that has written nothing; idempotent with acks of all replicas, where the brokers can do that.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn new(
        client: &Client,
        topic: &str,
        (codec, acks): (Compression, Acks),
    ) -> Result<Self, Error> {
        let id = match acks {
            Acks::All => client.producer_id().await?,
            Acks::None | Acks::Leader => None,
        };
        let room = Arc::new(Semaphore::new(UNACKED_BYTES_MAX / UNIT_BYTES));
        let (client, topic) = (client.clone(), Arc::from(topic));
        Ok(Self { client, topic, codec, acks, id, lanes: BTreeMap::new(), room })
    }

    /// Hands over one batch, whose time begins once there is room. Waits while too much is unacknowledged, not for this
    /// batch.
    ///
    /// # Errors
    /// An earlier batch of the partition failed for good.
    pub async fn send(&mut self, partition: i32, records: &[Record]) -> Result<(), Undelivered> {
        let lane = self.lanes.entry(partition).or_insert_with(|| {
            let (batches, queue) = mpsc::channel(1);
            let window = if self.id.is_some() { IN_FLIGHT_MAX } else { 1 };
            let lane = Sending {
                client: self.client.clone(),
                place: (Arc::clone(&self.topic), partition),
                acks: self.acks,
                window,
                unacked: VecDeque::new(),
                sent: 0,
                answers: FuturesOrdered::new(),
                written: None,
                failed: None,
            };
            let task = task::spawn("client-lane", lane.run(queue));
            Lane { batches, task, next_sequence: 0 }
        });
        let producer = self.id.map(|(id, epoch)| (id, epoch, lane.next_sequence));
        let bytes = pack(records, self.codec, producer).bytes;
        let count = i32::try_from(records.len()).unwrap_or(i32::MAX);
        lane.next_sequence = after(lane.next_sequence, count);
        let units = bytes.len().div_ceil(UNIT_BYTES).min(UNACKED_BYTES_MAX / UNIT_BYTES);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(units);
        let room = room.await.expect("the semaphore is never closed");
        let deadline = Instant::now() + self.client.options.timeout;
        let batch = Batch { bytes, records: records.len() as u64, deadline, _room: room };
        if lane.batches.send(batch).await.is_ok() {
            return Ok(());
        }
        let lane = self.lanes.remove(&partition).expect("it was there");
        lane.end().await.map(drop)
    }

    /// Waits until everything is acknowledged, and gives the offsets of each partition, where they are known.
    ///
    /// # Errors
    /// The first partition that failed for good. The others are written all the same.
    pub async fn finish(self) -> Result<BTreeMap<i32, Written>, Undelivered> {
        let mut written = BTreeMap::new();
        let mut failed = None;
        for (partition, lane) in self.lanes {
            match lane.end().await {
                Ok(range) => written.extend(range.map(|range| (partition, range))),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(written), Err)
    }
}

impl Lane {
    async fn end(self) -> Result<Option<Written>, Undelivered> {
        drop(self.batches);
        self.task.await.ok().flatten().expect("a lane ends by itself")
    }
}

/// The sequence after a batch of `count` records.
///
/// Source: `DefaultRecordBatch.incrementSequence` in Apache Kafka.
fn after(sequence: i32, count: i32) -> i32 {
    let next = i64::from(sequence) + i64::from(count);
    i32::try_from(next % (i64::from(i32::MAX) + 1)).expect("it is below the modulus")
}

/// The lane's own end.
struct Sending {
    client: Client,
    place: (Arc<str>, i32),
    acks: Acks,
    window: usize,
    /// In order; the first `sent` of them are under way.
    unacked: VecDeque<Batch>,
    sent: usize,
    answers: FuturesOrdered<BoxFuture<'static, Result<Offset, Error>>>,
    written: Option<Written>,
    /// The last failure since a batch was acknowledged.
    failed: Option<Error>,
}

/// What happened next.
enum Event {
    Acknowledged(Offset),
    /// None: the caller is done.
    Batch(Option<Batch>),
}

impl Sending {
    /// Ends when the caller is done and everything is acknowledged, or a batch failed for good.
    async fn run(
        mut self,
        mut queue: mpsc::Receiver<Batch>,
    ) -> Result<Option<Written>, Undelivered> {
        let rng = self.client.options.rng.clone();
        let backoff =
            || Backoff::new(Duration::from_millis(50), Duration::from_secs(1), rng.clone());
        let (mut waits, mut open) = (backoff(), true);
        while open || !self.unacked.is_empty() {
            let deadline = self.unacked.front().map(|batch| batch.deadline);
            let next = self.next(&mut queue, open);
            let event = match deadline {
                Some(deadline) => timeout_at(deadline, next).await.ok(),
                None => Some(next.await),
            };
            match event {
                Some(Ok(Event::Batch(batch))) => {
                    open = batch.is_some();
                    self.unacked.extend(batch);
                }
                Some(Ok(Event::Acknowledged(base))) => {
                    self.acknowledged(base);
                    waits = backoff();
                }
                Some(Err(error)) => {
                    let wait = waits.next_delay();
                    self.give_up_or_start_over(error, wait)?;
                    sleep(wait).await;
                }
                None => return Err(self.overdue()),
            }
        }
        if self.acks == Acks::None {
            // Nothing tells when the last batch has left. An answer to a question behind it does.
            let partition = self.place.1;
            let told = self.client.metadata().await;
            told.map_err(|source| Undelivered { partition, records: 0, source })?;
        }
        Ok(self.written)
    }

    /// Sends what there is and waits for the first answer, or for the next batch if there may be one.
    async fn next(
        &mut self,
        queue: &mut mpsc::Receiver<Batch>,
        open: bool,
    ) -> Result<Event, Error> {
        self.send_unsent().await?;
        tokio::select! {
            biased;
            Some(answer) = self.answers.next(), if self.sent > 0 => answer.map(Event::Acknowledged),
            batch = queue.recv(), if open && self.unacked.len() < self.window => {
                Ok(Event::Batch(batch))
            }
        }
    }

    /// Puts the batches on the wire that are not, in order.
    async fn send_unsent(&mut self) -> Result<(), Error> {
        let (topic, partition) = (&*self.place.0, self.place.1);
        while let Some(batch) = self.unacked.get(self.sent) {
            let bytes = batch.bytes.clone();
            let sent = self.client.begin_produce((topic, partition), bytes, self.acks).await?;
            self.answers.push_back(sent);
            self.sent += 1;
        }
        Ok(())
    }

    fn acknowledged(&mut self, base: Offset) {
        self.failed = None;
        self.sent -= 1;
        let batch = self.unacked.pop_front().expect("only what is under way is acknowledged");
        // -1: without acks, or of a duplicate whose offset the broker has forgotten.
        if base >= Offset::ZERO {
            let last = Offset(base.0 + i64::try_from(batch.records).unwrap_or(i64::MAX) - 1);
            self.written.get_or_insert((base, last)).1 = last;
        }
    }

    /// Everything unacknowledged is sent again after `wait`, unless that is useless or comes too late.
    fn give_up_or_start_over(&mut self, error: Error, wait: Duration) -> Result<(), Undelivered> {
        self.client.forget_topic(&self.place.0);
        self.answers = FuturesOrdered::new();
        self.sent = 0;
        // A batch before it failed on the way: it is sent first now.
        let out_of_order = error.code() == Some(Code::OUT_OF_ORDER_SEQUENCE_NUMBER);
        let may_pass = error.is_retriable() || out_of_order;
        let again = Instant::now() + wait;
        let in_time = self.unacked.front().is_none_or(|batch| again < batch.deadline);
        if may_pass && in_time {
            self.failed = Some(error);
            return Ok(());
        }
        Err(self.undelivered(error))
    }

    /// The oldest batch's time is over: what failed last is why, if something did.
    fn overdue(&mut self) -> Undelivered {
        let after = self.client.options.timeout;
        let error = self.failed.take().unwrap_or(Error::Overdue { after });
        self.undelivered(error)
    }

    fn undelivered(&self, source: Error) -> Undelivered {
        let records = self.unacked.iter().map(|batch| batch.records).sum();
        Undelivered { partition: self.place.1, records, source }
    }
}

impl Client {
    /// A producer id of our own and its epoch; none where the brokers give none.
    async fn producer_id(&self) -> Result<Option<(ProducerId, i16)>, Error> {
        let ask = || {
            async {
                let connection = self.any().await?;
                let version = match connection.version::<InitProducerIdRequest>(INIT_PRODUCER_ID) {
                    Err(Error::Unsupported { .. }) => return Ok(None),
                    version => version?,
                };
                let request = InitProducerIdRequest::default()
                    .with_transactional_id(None)
                    .with_producer_id((-1).into())
                    .with_producer_epoch(-1);
                let answer = connection.ask(&request, version).await?;
                check(answer.error_code, None)?;
                Ok(Some((ProducerId(answer.producer_id.0), answer.producer_epoch)))
            }
            .boxed()
        };
        self.retrying(ask).await
    }
}

#[cfg(test)]
mod tests;
