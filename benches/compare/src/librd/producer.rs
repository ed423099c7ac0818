//! A producer that hands librdkafka whole arrays of records.

use std::{
    ffi::{c_int, c_void},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, bail};
use rdkafka::bindings as rd;

use super::{Configuration, Settings, check, describe, open_topic};

/// Hears of each delivery report: `tag` as given with the record, `Err` with librdkafka's words.
pub trait Delivery: Send + Sync {
    /// One record was acknowledged, or failed for good.
    fn delivered(&self, tag: u64, partition: i32, offset: i64, outcome: Result<(), String>);
}

/// `RD_KAFKA_PARTITION_UA`, which the bindings leave out: the records name their partitions.
const UNASSIGNED: i32 = -1;

struct Shared {
    failed: AtomicU64,
    listener: Option<Box<dyn Delivery>>,
}

/// A producer of some topics.
pub struct Producer {
    instance: *mut rd::rd_kafka_t,
    topics: Vec<*mut rd::rd_kafka_topic_t>,
    shared: Box<Shared>,
}

// SAFETY: librdkafka's handles may be used from any thread, and `Shared` is `Sync`.
unsafe impl Send for Producer {}
// SAFETY: as above.
unsafe impl Sync for Producer {}

/// One record on its way into [`Producer::send_batch`].
#[derive(Clone, Copy)]
pub struct Record {
    /// Where to; -1 lets the partitioner choose.
    pub partition: i32,
    /// The value. Without a copy it must stay unchanged until delivered, so it is static.
    pub value: &'static [u8],
}

impl Producer {
    /// A producer of these topics. With a listener every record is reported to it, else only failures are counted.
    pub fn new(
        topics: &[String],
        settings: &Settings,
        listener: Option<Box<dyn Delivery>>,
    ) -> anyhow::Result<Self> {
        let mut settings = settings.clone();
        settings.push(("delivery.report.only.error".to_owned(), listener.is_none().to_string()));
        settings.push(("log_level".to_owned(), "0".to_owned()));
        let configuration = Configuration::new(&settings)?;
        let shared = Box::new(Shared { failed: AtomicU64::new(0), listener });
        configuration.opaque(&*shared);
        // SAFETY: the callback matches the declared type.
        unsafe { rd::rd_kafka_conf_set_dr_msg_cb(configuration.0, Some(on_delivery)) };
        let instance = configuration.create(rd::rd_kafka_type_t::RD_KAFKA_PRODUCER)?;
        let topics =
            topics.iter().map(|topic| open_topic(instance, topic)).collect::<Result<_, _>>()?;
        Ok(Self { instance, topics, shared })
    }

    /// Hands an array of records to the first topic without copying their values. All must fit in the queue.
    pub fn send_batch(
        &self,
        records: &[Record],
        scratch: &mut Vec<rd::rd_kafka_message_t>,
    ) -> anyhow::Result<()> {
        scratch.clear();
        scratch.extend(records.iter().map(|record| rd::rd_kafka_message_t {
            err: rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
            rkt: std::ptr::null_mut(),
            partition: record.partition,
            payload: record.value.as_ptr().cast_mut().cast::<c_void>(),
            len: record.value.len(),
            key: std::ptr::null_mut(),
            key_len: 0,
            offset: 0,
            _private: std::ptr::null_mut(),
        }));
        let count = c_int::try_from(scratch.len()).context("batch too long")?;
        // SAFETY: the values are static; without F_FREE or F_COPY librdkafka only reads them.
        let taken = unsafe {
            rd::rd_kafka_produce_batch(
                self.topics[0],
                UNASSIGNED,
                rd::RD_KAFKA_MSG_F_PARTITION as c_int,
                scratch.as_mut_ptr(),
                count,
            )
        };
        if taken != count {
            let refused = scratch
                .iter()
                .find(|message| message.err != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
            bail!(
                "librdkafka took {taken} of {count} records: {}",
                refused.map_or_else(String::new, |m| describe(m.err))
            );
        }
        Ok(())
    }

    /// Hands over one record with a copy of its value; false if the queue is full. `topic` counts as in [`Self::new`].
    pub fn send_copy(
        &self,
        (topic, partition): (usize, i32),
        value: &[u8],
        tag: u64,
    ) -> anyhow::Result<bool> {
        // SAFETY: F_COPY copies the value before the call returns; the tag travels as an opaque number.
        let outcome = unsafe {
            rd::rd_kafka_produce(
                self.topics[topic],
                partition,
                rd::RD_KAFKA_MSG_F_COPY as c_int,
                value.as_ptr().cast_mut().cast::<c_void>(),
                value.len(),
                std::ptr::null(),
                0,
                tag as *mut c_void,
            )
        };
        if outcome == 0 {
            return Ok(true);
        }
        // SAFETY: reads a thread-local.
        match unsafe { rd::rd_kafka_last_error() } {
            rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__QUEUE_FULL => Ok(false),
            error => bail!("librdkafka refused a record: {}", describe(error)),
        }
    }

    /// Serves delivery reports for at most this long.
    pub fn poll(&self, patience: Duration) {
        let milliseconds = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the handle is valid until drop.
        unsafe { rd::rd_kafka_poll(self.instance, milliseconds) };
    }

    /// Records handed over and not yet delivered.
    pub fn outstanding(&self) -> usize {
        // SAFETY: the handle is valid until drop.
        usize::try_from(unsafe { rd::rd_kafka_outq_len(self.instance) }).unwrap_or(0)
    }

    /// Waits until every record is delivered.
    ///
    /// # Errors
    /// Some records failed, or were not delivered in time.
    pub fn flush(&self, patience: Duration) -> anyhow::Result<()> {
        let milliseconds = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the handle is valid until drop.
        let outcome = unsafe { rd::rd_kafka_flush(self.instance, milliseconds) };
        if outcome != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            bail!("{} records not delivered: {}", self.outstanding(), describe(outcome));
        }
        match self.failed() {
            0 => Ok(()),
            failed => bail!("{failed} records failed"),
        }
    }

    /// Takes up the transactional id; once, before the first transaction.
    pub fn init_transactions(&self, patience: Duration) -> anyhow::Result<()> {
        // SAFETY: the handle is valid until drop.
        check(unsafe { rd::rd_kafka_init_transactions(self.instance, milliseconds(patience)) })
    }

    /// Begins a transaction.
    pub fn begin(&self) -> anyhow::Result<()> {
        // SAFETY: the handle is valid until drop.
        check(unsafe { rd::rd_kafka_begin_transaction(self.instance) })
    }

    /// Waits until every record of the transaction is delivered, and commits it.
    pub fn commit(&self, patience: Duration) -> anyhow::Result<()> {
        // SAFETY: the handle is valid until drop.
        check(unsafe { rd::rd_kafka_commit_transaction(self.instance, milliseconds(patience)) })
    }

    /// Records that failed for good.
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }
}

fn milliseconds(patience: Duration) -> c_int {
    c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX)
}

impl Drop for Producer {
    fn drop(&mut self) {
        // SAFETY: what is still queued is given up first, so that nothing refers to values or listener afterwards.
        unsafe {
            rd::rd_kafka_purge(
                self.instance,
                rd::RD_KAFKA_PURGE_F_QUEUE as c_int | rd::RD_KAFKA_PURGE_F_INFLIGHT as c_int,
            );
            rd::rd_kafka_flush(self.instance, 1_000);
            for topic in &self.topics {
                rd::rd_kafka_topic_destroy(*topic);
            }
            rd::rd_kafka_destroy(self.instance);
        }
    }
}

unsafe extern "C" fn on_delivery(
    _: *mut rd::rd_kafka_t,
    message: *const rd::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: the opaque is the `Shared` of a producer that outlives its instance; the message lives through the call.
    let (shared, message) = unsafe { (&*opaque.cast::<Shared>(), &*message) };
    let failed = message.err != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
    if failed {
        shared.failed.fetch_add(1, Ordering::Relaxed);
    }
    if let Some(listener) = &shared.listener {
        let outcome = if failed { Err(describe(message.err)) } else { Ok(()) };
        listener.delivered(message._private as u64, message.partition, message.offset, outcome);
    }
}
