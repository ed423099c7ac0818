//! Offsets and records from the leaders of partitions.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::try_join_all;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, ListOffsetsRequest};

use super::cluster::topic_name;
use super::connection::Connection;
use super::{Client, Topic, check};
use crate::base::clock::Timestamp;
use crate::base::ids::ProducerId;
use crate::base::offset::Offset;
use crate::client::Error;
use crate::client::records::{Received, unpack};

/// The newest Fetch that names topics by name.
const NEWEST_FETCH: i16 = 12;

/// The newest ListOffsets whose answers are all understood here.
const NEWEST_LIST: i16 = 8;

/// A place in a partition that a broker is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The first offset that is there.
    Start,
    /// The offset after the last.
    End,
    /// The first record at or after this time.
    Time(Timestamp),
}

/// How a fetch is bounded.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest that a broker may wait for records.
    pub wait: Duration,
    /// The most bytes of one partition, if its first batch is no larger.
    pub partition_bytes: i32,
    /// Leave out what transactions have not committed.
    pub read_committed: bool,
}

/// What one partition gave.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The partition.
    pub partition: i32,
    /// Its records, in order.
    pub records: Vec<Received>,
    /// The offset to go on with.
    pub next: Offset,
    /// The offset up to which it can be read now.
    pub end: Offset,
}

impl Client {
    /// The offset of `at` in each of `partitions`; where no record is so late, the end.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn offsets(
        &self,
        topic: &str,
        partitions: &[i32],
        at: At,
    ) -> Result<BTreeMap<i32, Offset>, Error> {
        let found = self.retrying(|| self.try_offsets(topic, partitions, at).boxed()).await?;
        let late: Vec<i32> =
            found.iter().filter(|(_, offset)| offset.0 < 0).map(|(index, _)| *index).collect();
        if late.is_empty() {
            return Ok(found);
        }
        let ends = self.retrying(|| self.try_offsets(topic, &late, At::End).boxed()).await?;
        Ok(found.into_iter().chain(ends).collect())
    }

    async fn try_offsets(
        &self,
        name: &str,
        partitions: &[i32],
        at: At,
    ) -> Result<BTreeMap<i32, Offset>, Error> {
        let timestamp = match at {
            At::Start => -2,
            At::End => -1,
            At::Time(time) => time.0,
        };
        let topic = self.topic(name, false).await?;
        let wanted = partitions.iter().map(|index| (*index, ())).collect();
        let mut found = BTreeMap::new();
        for (leader, partitions) in self.leaders(&topic, wanted).await? {
            let version = leader.version::<ListOffsetsRequest>(NEWEST_LIST)?;
            let one = |(index, ()): (i32, ())| {
                ListOffsetsPartition::default()
                    .with_partition_index(index)
                    .with_timestamp(timestamp)
            };
            let asked = ListOffsetsTopic::default()
                .with_name(topic_name(name))
                .with_partitions(partitions.into_iter().map(one).collect());
            let request = ListOffsetsRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_topics(vec![asked]);
            let answer = leader.ask(&request, version).await?;
            for one in answer.topics.iter().flat_map(|topic| &topic.partitions) {
                check(one.error_code, None)?;
                found.insert(one.partition_index, Offset(one.offset));
            }
        }
        Ok(found)
    }

    /// Reads on from `positions`, the next offset of each partition. Waits as `limits` say when there is nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason; OFFSET_OUT_OF_RANGE when a position is before the start or past the end.
    pub async fn fetch(
        &self,
        topic: &str,
        positions: &BTreeMap<i32, Offset>,
        limits: Limits,
    ) -> Result<Vec<Fetched>, Error> {
        self.retrying(|| {
            async {
                let known = self.topic(topic, false).await?;
                let wanted = positions.iter().map(|(index, from)| (*index, *from)).collect();
                let leaders = self.leaders(&known, wanted).await?;
                let asked =
                    leaders.iter().map(|(leader, from)| fetch(leader, &known, from, limits));
                Ok(try_join_all(asked).await?.into_iter().flatten().collect())
            }
            .boxed()
        })
        .await
    }
}

async fn fetch(
    leader: &Connection,
    topic: &Topic,
    positions: &[(i32, Offset)],
    limits: Limits,
) -> Result<Vec<Fetched>, Error> {
    let version = leader.version::<FetchRequest>(NEWEST_FETCH)?;
    let one = |(index, from): &(i32, Offset)| {
        FetchPartition::default()
            .with_partition(*index)
            .with_fetch_offset(from.0)
            .with_partition_max_bytes(limits.partition_bytes)
    };
    let asked = FetchTopic::default()
        .with_topic(topic_name(&topic.name))
        .with_partitions(positions.iter().map(one).collect());
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(i32::try_from(limits.wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(1)
        .with_max_bytes(limits.partition_bytes.saturating_mul(8))
        .with_isolation_level(i8::from(limits.read_committed))
        // No session: each answer stands for itself.
        .with_session_epoch(-1)
        .with_topics(vec![asked]);
    let answer = leader.ask(&request, version).await?;
    check(answer.error_code, None)?;
    let mut all = Vec::new();
    for one in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
        let from = positions.iter().find(|(index, _)| *index == one.partition_index);
        if let Some((_, from)) = from {
            all.push(fetched(one, *from, topic, limits.read_committed)?);
        }
    }
    Ok(all)
}

fn fetched(
    one: PartitionData,
    from: Offset,
    topic: &Topic,
    read_committed: bool,
) -> Result<Fetched, Error> {
    check(one.error_code, None)?;
    let partition = one.partition_index;
    let aborted = one.aborted_transactions.unwrap_or_default();
    let aborted =
        aborted.iter().map(|one| (ProducerId(one.producer_id.0), Offset(one.first_offset)));
    let bytes = one.records.unwrap_or_default();
    let (records, next) = unpack(bytes, partition, from, aborted.collect())
        .map_err(|source| Error::Records { topic: topic.name.clone(), partition, source })?;
    let end = if read_committed { one.last_stable_offset } else { one.high_watermark };
    Ok(Fetched { partition, records, next, end: Offset(end) })
}
