//! An idempotent producer that goes on over crashes: five requests in flight, each sent again until it is answered.
//!
//! Written for the tests alone, on a plain socket: it knows nothing of how the broker is made.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, RequestHeader,
    ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use thalweg::base::clock::Timestamp;
use thalweg::base::ids::ProducerId;
use thalweg::base::rng::Rng;
use thalweg::record::Compression;
use thalweg::record::build::{BatchBuilder, NewRecord};

/// The most requests in flight for which Kafka keeps order and drops duplicates.
const IN_FLIGHT: usize = 5;
const PRODUCE_VERSION: i16 = 9;
const INIT_PRODUCER_ID_VERSION: i16 = 4;
const PAUSE: Duration = Duration::from_millis(20);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// So many refusals one after another, on connections that hold, are not a restart any more.
const REFUSALS_MAX: u32 = 200;

/// A record that was acknowledged: its value, and where the broker said that it is.
#[derive(Debug, Clone)]
pub(crate) struct Acked {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) value: String,
}

/// What one writer does.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Names its values; no two writers share it.
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    pub(crate) rng: Rng,
    /// Whether it waits for a broker that is gone, even when it was told to stop, and takes answers of who comes back. Else
    /// the broker is one process, and what refuses once answers nothing further.
    pub(crate) is_patient: bool,
    /// Set, the writer sends nothing new and returns when everything is answered.
    pub(crate) stop: Arc<AtomicBool>,
    /// Everything that was acknowledged, in that order.
    pub(crate) acked: Arc<Mutex<Vec<Acked>>>,
}

/// A batch that is not acknowledged yet.
#[derive(Debug)]
struct Pending {
    partition: i32,
    values: Vec<String>,
    batch: Bytes,
}

/// What a writer has sent, and goes on from.
#[derive(Debug)]
struct State {
    producer: (ProducerId, i16),
    sequences: Vec<i32>,
    written: u64,
    answered: u64,
    pending: VecDeque<Pending>,
}

/// Why a connection is given up.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The broker went away: the answer is unknown.
    Connection,
    /// The broker said no, with this code.
    Refused(i16),
}

impl Writer {
    /// Writes until told to stop, and then until all is acknowledged; gives how many values it wrote.
    pub(crate) fn run(&self) -> anyhow::Result<u64> {
        let partitions = usize::try_from(self.partitions)?;
        let mut state = State {
            producer: self.producer_id()?,
            sequences: vec![0; partitions],
            written: 0,
            answered: 0,
            pending: VecDeque::new(),
        };
        let mut refusals = 0;
        let mut refused_after = None;
        loop {
            let before = state.answered;
            let written = self.write(&mut state);
            let is_final =
                self.is_patient || refused_after.is_none_or(|last| last == state.answered);
            ensure!(is_final, "{}: acknowledged by a process that had refused", self.name);
            match written {
                Ok(()) => return Ok(state.written),
                Err(Broken::Connection) if self.is_patient || !self.is_told_to_stop() => {}
                Err(Broken::Connection) => return Ok(state.written),
                Err(Broken::Refused(code)) => {
                    let error = ResponseError::try_from_code(code);
                    let is_retriable = error.is_some_and(|error| error.is_retriable());
                    ensure!(is_retriable, "{}: {error:?} ({code}) ends a client", self.name);
                    refusals = if state.answered > before { 0 } else { refusals + 1 };
                    ensure!(refusals < REFUSALS_MAX, "{}: refused with code {code}", self.name);
                    refused_after = Some(state.answered);
                }
            }
            thread::sleep(PAUSE);
        }
    }

    fn is_told_to_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sends what is pending again, in order, and goes on.
    fn write(&self, state: &mut State) -> Result<(), Broken> {
        let mut wire = Wire::connect(&self.address).ok_or(Broken::Connection)?;
        for pending in &state.pending {
            wire.send(&self.request(pending), PRODUCE_VERSION)?;
        }
        loop {
            let stop = self.is_told_to_stop();
            if stop && state.pending.is_empty() {
                return Ok(());
            }
            while !stop && state.pending.len() < IN_FLIGHT {
                let pending = self.next(state);
                wire.send(&self.request(&pending), PRODUCE_VERSION)?;
                state.pending.push_back(pending);
            }
            let answer: ProduceResponse = wire.receive::<ProduceRequest>(PRODUCE_VERSION)?;
            let answered =
                answer.responses.first().and_then(|topic| topic.partition_responses.first());
            let answered = answered.ok_or(Broken::Connection)?;
            if answered.error_code != 0 {
                // Those behind it will be out of order: all are sent again.
                return Err(Broken::Refused(answered.error_code));
            }
            let done = state.pending.pop_front().expect("an answer has its request");
            state.answered += 1;
            self.note(&done, answered.base_offset);
        }
    }

    fn note(&self, done: &Pending, base_offset: i64) {
        let mut acked = self.acked.lock().unwrap_or_else(PoisonError::into_inner);
        acked.extend(done.values.iter().zip(base_offset..).map(|(value, offset)| Acked {
            partition: done.partition,
            offset,
            value: value.clone(),
        }));
    }

    fn next(&self, state: &mut State) -> Pending {
        let partition = usize::try_from(self.rng.below(state.sequences.len() as u64));
        let partition = partition.expect("few partitions");
        let count = 1 + self.rng.below(20);
        let mut batch = BatchBuilder::new(Compression::None);
        let (id, epoch) = state.producer;
        batch.producer(id, epoch, state.sequences[partition]);
        let mut values = Vec::new();
        for _ in 0..count {
            // Lengths that differ move the bounds of slots about.
            let filling = "x".repeat(usize::try_from(self.rng.below(2000)).expect("small"));
            let value = format!("{}-{}-{filling}", self.name, state.written);
            batch.push(&NewRecord {
                timestamp: Timestamp(1_700_000_000_000),
                key: None,
                value: Some(value.as_bytes()),
                headers: &[],
            });
            state.written += 1;
            values.push(value);
        }
        state.sequences[partition] += i32::try_from(count).expect("small");
        let partition = i32::try_from(partition).expect("few partitions");
        Pending { partition, values, batch: batch.build().bytes }
    }

    fn request(&self, pending: &Pending) -> ProduceRequest {
        let data = PartitionProduceData::default()
            .with_index(pending.partition)
            .with_records(Some(pending.batch.clone()));
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(self.topic.clone())))
            .with_partition_data(vec![data]);
        ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![topic])
    }

    fn producer_id(&self) -> anyhow::Result<(ProducerId, i16)> {
        for _ in 0..REFUSALS_MAX {
            let asked = Wire::connect(&self.address).and_then(|mut wire| {
                let request = InitProducerIdRequest::default()
                    .with_transactional_id(None)
                    .with_transaction_timeout_ms(60_000)
                    .with_producer_id((-1).into())
                    .with_producer_epoch(-1);
                wire.send(&request, INIT_PRODUCER_ID_VERSION).ok()?;
                let answer: InitProducerIdResponse =
                    wire.receive::<InitProducerIdRequest>(INIT_PRODUCER_ID_VERSION).ok()?;
                (answer.error_code == 0).then_some(answer)
            });
            if let Some(answer) = asked {
                return Ok((ProducerId(answer.producer_id.0), answer.producer_epoch));
            }
            thread::sleep(PAUSE);
        }
        bail!("{}: no producer id was given", self.name)
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: TcpStream,
    correlation: i32,
}

impl Wire {
    pub(crate) fn connect(address: &str) -> Option<Self> {
        let socket = TcpStream::connect(address).ok()?;
        socket.set_nodelay(true).ok()?;
        socket.set_read_timeout(Some(ANSWER_TIMEOUT)).ok()?;
        Some(Self { socket, correlation: 0 })
    }

    pub(crate) fn send<R: Request>(&mut self, request: &R, version: i16) -> Result<(), Broken> {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str("load")));
        let mut frame = BytesMut::from(&[0; 4][..]);
        header.encode(&mut frame, R::header_version(version)).expect("a header fits its version");
        request.encode(&mut frame, version).expect("a request fits its version");
        let length = u32::try_from(frame.len() - 4).expect("a small request");
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.socket.write_all(&frame).map_err(|_| Broken::Connection)
    }

    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> Result<R::Response, Broken> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length).map_err(|_| Broken::Connection)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| Broken::Connection)?;
        let mut frame = vec![0; length];
        self.socket.read_exact(&mut frame).map_err(|_| Broken::Connection)?;
        let mut frame = Bytes::from(frame);
        let header = R::Response::header_version(version);
        let read = ResponseHeader::decode(&mut frame, header)
            .and_then(|_| R::Response::decode(&mut frame, version));
        Ok(read
            .context("an answer that cannot be read")
            .expect("the broker answers in Kafka's form"))
    }
}
