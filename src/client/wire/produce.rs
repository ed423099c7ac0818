//! Batches to the leaders of their partitions.

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};

use super::cluster::topic_name;
use super::connection::Connection;
use super::{Client, check};
use crate::base::offset::Offset;
use crate::client::records::{Record, pack};
use crate::client::{Code, Error};
use crate::record::Compression;

/// When a broker answers a produce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Never.
    None,
    /// When the leader has the records.
    Leader,
    /// When they are durable.
    All,
}

/// The newest version that names topics by name.
const NEWEST: i16 = 9;

/// The partition that Kafka's own clients put `key` in.
///
/// # Panics
/// Without partitions.
#[must_use]
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    assert!(partitions > 0, "a topic has partitions");
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// Source: `Utils.murmur2` in Apache Kafka.
fn murmur2(data: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let mix = |k: u32| {
        let k = k.wrapping_mul(M);
        (k ^ (k >> 24)).wrapping_mul(M)
    };
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c ^ length;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        hash = hash.wrapping_mul(M) ^ mix(word);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let shifted = |(at, byte): (usize, &u8)| u32::from(*byte) << (8 * at);
        hash ^= rest.iter().enumerate().map(shifted).sum::<u32>();
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    (hash ^ (hash >> 15)).cast_signed()
}

impl Client {
    /// Writes `records` to one partition as one batch; gives the first one's offset, which is -1 without acks.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason. After a retriable one the records may have been written.
    pub async fn produce(
        &self,
        topic: &str,
        partition: i32,
        records: &[Record],
        (codec, acks): (Compression, Acks),
    ) -> Result<Offset, Error> {
        let batch = pack(records, codec, None).bytes;
        self.retrying(|| {
            async { self.begin_produce((topic, partition), batch.clone(), acks).await?.await }
                .boxed()
        })
        .await
    }

    /// Sends one batch to its leader. It is on its way, behind those that were sent before, when this returns; what that
    /// resolves to is its offset, -1 without acks.
    pub(super) async fn begin_produce(
        &self,
        (topic, partition): (&str, i32),
        batch: Bytes,
        acks: Acks,
    ) -> Result<BoxFuture<'static, Result<Offset, Error>>, Error> {
        let known = self.topic(topic, true).await?;
        let leaders = self.leaders(&known, vec![(partition, ())]).await?;
        let (leader, _) = leaders.into_iter().next().expect("one partition has one leader");
        let version = leader.version::<ProduceRequest>(NEWEST)?;
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
        let data = TopicProduceData::default()
            .with_name(topic_name(topic))
            .with_partition_data(vec![data]);
        let timeout = i32::try_from(self.options.timeout.as_millis()).unwrap_or(i32::MAX);
        let request = ProduceRequest::default()
            .with_acks(match acks {
                Acks::None => 0,
                Acks::Leader => 1,
                Acks::All => -1,
            })
            .with_timeout_ms(timeout)
            .with_topic_data(vec![data]);
        if acks == Acks::None {
            leader.tell(&request, version).await?;
            return Ok(std::future::ready(Ok(Offset(-1))).boxed());
        }
        let answer = Connection::begin(&leader, &request, version).await?;
        Ok(async move { offset_in(&answer.await?) }.boxed())
    }
}

/// The offset that an answer to one batch tells.
fn offset_in(answer: &ProduceResponse) -> Result<Offset, Error> {
    let mut offset = Offset(-1);
    for one in answer.responses.iter().flat_map(|topic| &topic.partition_responses) {
        let first = one.record_errors.first();
        let record = first.and_then(|error| error.batch_index_error_message.as_deref());
        match check(one.error_code, record.or(one.error_message.as_deref())) {
            Ok(()) => offset = Offset(one.base_offset),
            // It is in the log, so long since that the broker does not know where.
            Err(error) if error.code() == Some(Code::DUPLICATE_SEQUENCE_NUMBER) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_where_kafkas_clients_put_them() {
        // From UtilsTest.testMurmur2 in Apache Kafka.
        let known: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key), hash, "{}", String::from_utf8_lossy(key));
        }
        assert_eq!(partition_of(b"21", 7), (-973_932_308 & 0x7fff_ffff) % 7);
    }
}
