//! Little-endian primitives of the manifest's rows: a writer over bytes, and a reader that trusts none.

use crate::base::clock::Timestamp;
use crate::base::ids::{
    BrokerId, ChainId, Incarnation, LeaderEpoch, SlotId, TopicId, TopicPartition,
};
use crate::base::offset::Offset;

/// Bytes that are no row, or one of a version that this build does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end too soon, or a count asks for more than there are.
    #[error("the row is cut short")]
    Truncated,
    /// Bytes are left over.
    #[error("{0} bytes follow the row")]
    Trailing(usize),
    /// Written by a later version.
    #[error("row version {0} is not known")]
    Version(u8),
    /// A value that its type does not have.
    #[error("a value of {0} that does not exist")]
    Value(&'static str),
}

/// Writes one row.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

macro_rules! integers {
    ($($name:ident: $t:ty),*) => {
        impl Writer { $(pub(crate) fn $name(&mut self, value: $t) -> &mut Self {
            self.0.extend_from_slice(&value.to_le_bytes());
            self
        })* }
        impl Reader<'_> { $(pub(crate) fn $name(&mut self) -> Result<$t, Malformed> {
            let (head, rest) = self.0.split_first_chunk().ok_or(Malformed::Truncated)?;
            self.0 = rest;
            Ok(<$t>::from_le_bytes(*head))
        })* }
    };
}
integers!(u8: u8, u16: u16, i16: i16, u32: u32, i32: i32, u64: u64, i64: i64, u128: u128);

impl Writer {
    pub(crate) fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    pub(crate) fn count(&mut self, count: usize) -> &mut Self {
        self.u32(u32::try_from(count).expect("a row lists what memory holds"))
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub(crate) fn option<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Self, T),
    ) -> &mut Self {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
        self
    }

    pub(crate) fn list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.count(items.len());
        for item in items {
            write(self, item);
        }
        self
    }

    pub(crate) fn chain(&mut self, chain: ChainId) -> &mut Self {
        self.u64(chain.0)
    }

    pub(crate) fn slot(&mut self, slot: SlotId) -> &mut Self {
        self.u64(slot.0)
    }

    pub(crate) fn topic(&mut self, topic: TopicId) -> &mut Self {
        self.u128(topic.0.as_u128())
    }

    pub(crate) fn incarnation(&mut self, incarnation: Incarnation) -> &mut Self {
        self.u128(incarnation.0.as_u128())
    }

    pub(crate) fn partition(&mut self, tp: TopicPartition) -> &mut Self {
        self.topic(tp.topic).i32(tp.partition)
    }
}

/// Reads one row.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    /// Succeeds when nothing is left.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Trailing(self.0.len())) }
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Value("a flag")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String, Malformed> {
        let length = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.0 = rest;
        String::from_utf8(head.to_vec()).map_err(|_| Malformed::Value("text"))
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    /// A list of items of at least `least_bytes` each: the count is held against what is left before anything is allocated.
    pub(crate) fn list<T>(
        &mut self,
        least_bytes: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.u32()? as usize;
        if count > self.0.len() / least_bytes {
            return Err(Malformed::Truncated);
        }
        (0..count).map(|_| read(self)).collect()
    }

    pub(crate) fn chain(&mut self) -> Result<ChainId, Malformed> {
        self.u64().map(ChainId)
    }

    pub(crate) fn slot(&mut self) -> Result<SlotId, Malformed> {
        self.u64().map(SlotId)
    }

    pub(crate) fn offset(&mut self) -> Result<Offset, Malformed> {
        self.i64().map(Offset)
    }

    pub(crate) fn timestamp(&mut self) -> Result<Timestamp, Malformed> {
        self.i64().map(Timestamp)
    }

    pub(crate) fn epoch(&mut self) -> Result<LeaderEpoch, Malformed> {
        self.i32().map(LeaderEpoch)
    }

    pub(crate) fn broker(&mut self) -> Result<BrokerId, Malformed> {
        self.i32().map(BrokerId)
    }

    pub(crate) fn topic(&mut self) -> Result<TopicId, Malformed> {
        self.u128().map(|bits| TopicId(uuid::Uuid::from_u128(bits)))
    }

    pub(crate) fn incarnation(&mut self) -> Result<Incarnation, Malformed> {
        self.u128().map(|bits| Incarnation(uuid::Uuid::from_u128(bits)))
    }

    pub(crate) fn partition(&mut self) -> Result<TopicPartition, Malformed> {
        Ok(TopicPartition { topic: self.topic()?, partition: self.i32()? })
    }
}
