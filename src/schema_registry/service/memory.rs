//! A topic in memory that loses answers, for tests.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::base::offset::Offset;
use crate::client::local::{Extent, LogError, TopicLog};
use crate::client::{Received, Record};

/// What becomes of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is refused.
    Refused,
    /// It is written, and nobody knows.
    WrittenUnknown,
    /// It is lost, and nobody knows.
    LostUnknown,
}

#[derive(Debug, Default)]
struct Inner {
    topic: Option<Uuid>,
    records: Vec<Received>,
    fates: VecDeque<Fate>,
    /// So many looks at the log find it gone.
    away: usize,
    /// Another process leads it, which is not known before it is asked for a proof.
    replaced: bool,
}

/// The topic.
#[derive(Debug, Default)]
pub(crate) struct MemoryLog {
    inner: Mutex<Inner>,
    news: Notify,
}

impl MemoryLog {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of the next appends.
    pub(crate) fn fates(&self, fates: impl IntoIterator<Item = Fate>) {
        self.lock().fates.extend(fates);
    }

    /// Everything that is in the topic.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.lock().records.iter().map(|received| received.record.clone()).collect()
    }

    /// Somebody else writes.
    pub(crate) fn put(&self, records: impl IntoIterator<Item = Record>) -> Offset {
        let first = {
            let mut inner = self.lock();
            inner.topic.get_or_insert(Uuid::from_u128(1));
            let first = inner.records.len();
            for (at, record) in records.into_iter().enumerate() {
                let offset = Offset(i64::try_from(first + at).expect("few records"));
                inner.records.push(Received { partition: 0, offset, record });
            }
            Offset(i64::try_from(first).expect("few records"))
        };
        self.news.notify_waiters();
        first
    }

    /// Another process takes the topic, and this one is not told.
    pub(crate) fn replace_leader(&self) {
        self.lock().replaced = true;
    }

    /// The topic is deleted, and another comes with its next record.
    pub(crate) fn replace(&self) {
        *self.lock() = Inner { topic: Some(Uuid::from_u128(2)), ..Inner::default() };
        self.news.notify_waiters();
    }
}

#[async_trait]
impl TopicLog for MemoryLog {
    fn extent(&self) -> Result<Option<Extent>, LogError> {
        let mut inner = self.lock();
        if inner.away > 0 {
            inner.away -= 1;
            return Err(LogError::NotAvailable);
        }
        let end = Offset(i64::try_from(inner.records.len()).expect("few records"));
        Ok(inner.topic.map(|topic| Extent { topic, start: Offset::ZERO, end }))
    }

    async fn read(&self, from: Offset) -> Result<(Vec<Received>, Offset), LogError> {
        let inner = self.lock();
        let from = usize::try_from(from.0).expect("an offset");
        // Few at a time, so that reading takes several steps.
        let records: Vec<Received> = inner.records.iter().skip(from).take(3).cloned().collect();
        let next = Offset(i64::try_from(from + records.len()).expect("few records"));
        Ok((records, next))
    }

    async fn append(&self, records: &[Record]) -> Result<Offset, LogError> {
        tokio::task::yield_now().await;
        let fate = self.lock().fates.pop_front();
        let end = || Offset(i64::try_from(self.lock().records.len()).expect("few records"));
        match fate {
            None => Ok(self.put(records.iter().cloned())),
            Some(Fate::Refused) => Err(LogError::NotAvailable),
            Some(Fate::WrittenUnknown) => {
                let offset = self.put(records.iter().cloned());
                self.lock().away = 3;
                Err(LogError::Unknown { offset })
            }
            Some(Fate::LostUnknown) => {
                self.lock().topic.get_or_insert(Uuid::from_u128(1));
                let offset = end();
                self.lock().away = 3;
                Err(LogError::Unknown { offset })
            }
        }
    }

    async fn prove(&self) -> Result<(), LogError> {
        if self.lock().replaced { Err(LogError::NotAvailable) } else { Ok(()) }
    }

    async fn changed(&self, end: Option<Offset>) {
        let news = self.news.notified();
        let now = self.extent().ok().flatten().map(|extent| extent.end);
        if now == end {
            news.await;
        }
    }

    fn record_bytes_max(&self) -> usize {
        1 << 20
    }
}
