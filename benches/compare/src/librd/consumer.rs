//! A consumer of a topic's partitions from given offsets, in batches, without a group.

use std::{ffi::c_int, time::Duration};

use anyhow::bail;
use rdkafka::bindings as rd;

use super::{Configuration, Settings, check, describe, open_topic};

/// A record that has come.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Value; a null one is empty.
    pub value: &'a [u8],
}

/// A consumer of some topics.
pub struct Consumer {
    instance: *mut rd::rd_kafka_t,
    topics: Vec<*mut rd::rd_kafka_topic_t>,
    queue: *mut rd::rd_kafka_queue_t,
    partitions: i32,
    batch: Vec<*mut rd::rd_kafka_message_t>,
}

// SAFETY: librdkafka's handles may be used from any thread; `batch` holds no message between calls.
unsafe impl Send for Consumer {}

impl Consumer {
    /// Reads partitions 0 to `partitions` of each topic from their beginning.
    pub fn new(topics: &[String], partitions: i32, settings: &Settings) -> anyhow::Result<Self> {
        let mut settings = settings.clone();
        settings.push(("log_level".to_owned(), "0".to_owned()));
        let configuration = Configuration::new(&settings)?;
        let instance = configuration.create(rd::rd_kafka_type_t::RD_KAFKA_CONSUMER)?;
        let topics: Vec<_> =
            topics.iter().map(|topic| open_topic(instance, topic)).collect::<Result<_, _>>()?;
        // SAFETY: the instance is valid.
        let queue = unsafe { rd::rd_kafka_queue_new(instance) };
        let start = i64::from(rd::RD_KAFKA_OFFSET_BEGINNING);
        for (topic, partition) in
            topics.iter().flat_map(|topic| (0..partitions).map(move |number| (*topic, number)))
        {
            // SAFETY: topic and queue are valid.
            let outcome =
                unsafe { rd::rd_kafka_consume_start_queue(topic, partition, start, queue) };
            if outcome != 0 {
                bail!("librdkafka did not start partition {partition}");
            }
        }
        Ok(Self { instance, topics, queue, partitions, batch: vec![std::ptr::null_mut(); 10_000] })
    }

    /// Goes back to offset 0 of every partition, once all that was asked for has been polled.
    pub fn rewind(&mut self) -> anyhow::Result<()> {
        const PATIENCE_MS: c_int = 10_000;
        // SAFETY: the list is ours until destroyed; topics are valid, and their names are copied.
        let error = unsafe {
            let list = rd::rd_kafka_topic_partition_list_new(self.partitions);
            for topic in &self.topics {
                for partition in 0..self.partitions {
                    let name = rd::rd_kafka_topic_name(*topic);
                    let entry = rd::rd_kafka_topic_partition_list_add(list, name, partition);
                    (*entry).offset = 0;
                }
            }
            let error = rd::rd_kafka_seek_partitions(self.instance, list, PATIENCE_MS);
            rd::rd_kafka_topic_partition_list_destroy(list);
            error
        };
        check(error)
    }

    /// Waits at most `patience` for a record, then hands it and all that have come with it to `visit`; gives their number.
    pub fn poll(
        &mut self,
        patience: Duration,
        mut visit: impl FnMut(Message<'_>),
    ) -> anyhow::Result<usize> {
        let milliseconds = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue is valid; the message returned is ours until destroyed.
        let first = unsafe { rd::rd_kafka_consume_queue(self.queue, milliseconds) };
        if first.is_null() {
            return Ok(0);
        }
        // A batch call with a timeout would wait until the batch is full, so the rest is what is there now.
        // SAFETY: the array's length is given; each message returned is ours until destroyed.
        let count = unsafe {
            rd::rd_kafka_consume_batch_queue(
                self.queue,
                0,
                self.batch.as_mut_ptr(),
                self.batch.len(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        let mut fault = None;
        let mut records = 0;
        for pointer in std::iter::once(&first).chain(&self.batch[..count]) {
            // SAFETY: valid until destroyed below; a record without an error has `len` bytes of value.
            unsafe {
                let message = &**pointer;
                if message.err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    let value = if message.payload.is_null() {
                        &[][..]
                    } else {
                        std::slice::from_raw_parts(message.payload.cast::<u8>(), message.len)
                    };
                    let (partition, offset) = (message.partition, message.offset);
                    visit(Message { partition, offset, value });
                    records += 1;
                } else if message.err != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF {
                    fault = Some(describe(message.err));
                }
                rd::rd_kafka_message_destroy(*pointer);
            }
        }
        match fault {
            Some(fault) => bail!("librdkafka's consumer failed: {fault}"),
            None => Ok(records),
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // SAFETY: the handles are valid and not used again.
        unsafe {
            for topic in &self.topics {
                for partition in 0..self.partitions {
                    rd::rd_kafka_consume_stop(*topic, partition);
                }
            }
            rd::rd_kafka_queue_destroy(self.queue);
            for topic in &self.topics {
                rd::rd_kafka_topic_destroy(*topic);
            }
            rd::rd_kafka_destroy(self.instance);
        }
    }
}
