//! A member of a consumer group of the newer protocol: ConsumerGroupHeartbeat version 0.
//!
//! Source: KIP-848.

use anyhow::ensure;

use super::{Connection, Reader, Writer};

/// The API's key; a broker that serves it has such groups.
pub const CONSUMER_GROUP_HEARTBEAT: i16 = 68;
const VERSION: i16 = 0;

/// Partitions of one topic, by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicShare {
    topic: [u8; 16],
    partitions: Vec<i32>,
}

/// A member as it knows itself.
#[derive(Debug, Clone, Default)]
pub struct Member {
    id: String,
    /// Its epoch; 0 before it joined.
    pub epoch: i32,
    /// What it owns.
    pub owned: Vec<TopicShare>,
    /// Whether the coordinator has to be told what it owns.
    tell: bool,
}

impl Member {
    /// Partitions that it owns, once the coordinator knows.
    pub fn count(&self) -> usize {
        if self.tell { 0 } else { self.owned.iter().map(|share| share.partitions.len()).sum() }
    }

    /// One heartbeat: joins if it is the first, and takes whatever assignment is answered at once.
    pub fn heartbeat(
        &mut self,
        connection: &mut Connection,
        group: &str,
        topics: &[String],
    ) -> anyhow::Result<()> {
        let joins = self.epoch == 0;
        let mut body = Writer::default();
        body.compact(Some(group)).compact(Some(&self.id)).i32(self.epoch);
        body.compact(None).compact(None).i32(if joins { 60_000 } else { -1 });
        body.compact_length(joins.then_some(topics.len()));
        if joins {
            topics.iter().for_each(|topic| {
                body.compact(Some(topic));
            });
        }
        body.compact(None);
        let told = joins || self.tell;
        body.compact_length(told.then_some(self.owned.len()));
        for share in self.owned.iter().filter(|_| told) {
            body.0.extend(share.topic);
            body.compact_length(Some(share.partitions.len()));
            share.partitions.iter().for_each(|partition| {
                body.i32(*partition);
            });
            body.0.push(0);
        }
        body.0.push(0);
        let answer = connection.ask_flexible(CONSUMER_GROUP_HEARTBEAT, VERSION, &body.0)?;
        self.tell = false;
        self.answered(&mut Reader(&answer))
    }

    fn answered(&mut self, reader: &mut Reader<'_>) -> anyhow::Result<()> {
        reader.i32()?;
        let code = reader.i16()?;
        let message = reader.compact()?;
        ensure!(code == 0, "a heartbeat was refused: code {code}: {message}");
        self.id = reader.compact()?;
        self.epoch = reader.i32()?;
        reader.i32()?;
        if reader.i8()? < 0 {
            return Ok(());
        }
        let mut assigned = Vec::new();
        for _ in 0..reader.compact_count()? {
            let topic = reader.take(16)?.try_into()?;
            let count = reader.compact_count()?;
            let partitions = (0..count).map(|_| reader.i32()).collect::<Result<_, _>>()?;
            reader.skip_tags()?;
            assigned.push(TopicShare { topic, partitions });
        }
        self.owned = assigned;
        self.tell = true;
        Ok(())
    }
}
