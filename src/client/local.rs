//! A topic of this very cluster, for parts of a broker that keep their state in one: no socket, no protocol.
//!
//! Only the seam is here, and `node` puts the log behind it: a surface that uses it knows neither log nor handlers, and a
//! test can put a topic in memory in its place.

use std::fmt;

use async_trait::async_trait;
use uuid::Uuid;

pub use super::records::{Aborted, unpack};
use super::{Received, Record};
use crate::base::offset::Offset;

/// Where the topic's log begins and ends. A topic that was deleted and made anew is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The topic's id.
    pub topic: Uuid,
    /// The first offset that is kept.
    pub start: Offset,
    /// One past the last record that is there for good.
    pub end: Offset,
}

/// Why the topic does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It is not led here, or not yet, or could not be created: nothing was written.
    #[error("the topic is not available here")]
    NotAvailable,
    /// The records may have been written: only reading the topic shows. They would stand at this offset.
    #[error("it is not known whether the records were written")]
    Unknown {
        /// Where the first would stand.
        offset: Offset,
    },
    /// What is stored cannot be read now.
    #[error("the topic cannot be read")]
    Unreadable,
    /// Whether it is still led here could not be learnt in time.
    #[error("no proof of leadership came in time")]
    Unproven,
}

/// One topic of one partition, followed and written by one part of this process.
///
/// Laws: what [`TopicLog::read`] returns was there for good and stays, in the order of its offsets. After
/// [`TopicLog::append`] has answered, the records are there, and [`TopicLog::extent`] shows it.
#[async_trait]
pub trait TopicLog: fmt::Debug + Send + Sync {
    /// Where the log begins and ends now; none if there is no such topic.
    ///
    /// # Errors
    /// [`LogError::NotAvailable`].
    fn extent(&self) -> Result<Option<Extent>, LogError>;

    /// Committed records from `from` on, as many as are worth one read, and the offset to go on with: past `from` unless the log
    /// ends there.
    ///
    /// # Errors
    /// [`LogError::NotAvailable`], [`LogError::Unreadable`].
    async fn read(&self, from: Offset) -> Result<(Vec<Received>, Offset), LogError>;

    /// Appends all of `records` or none, and answers with the offset of the first when they are there for good. Creates
    /// the topic if it does not exist. Dropping the future undoes nothing.
    ///
    /// # Errors
    /// [`LogError::NotAvailable`]: nothing was written. [`LogError::Unknown`].
    async fn append(&self, records: &[Record]) -> Result<Offset, LogError>;

    /// Proves that this process led the topic at a time after the call, if there is such a topic: what it had read to the
    /// end before was all there was. Wanted before a refusal is said that only rests on what was read.
    ///
    /// # Errors
    /// [`LogError::NotAvailable`]: another leads it. [`LogError::Unproven`].
    async fn prove(&self) -> Result<(), LogError>;

    /// Waits until the log may be longer than `end`, or anything else about the topic may have changed. Cancel-safe.
    async fn changed(&self, end: Option<Offset>);

    /// The largest record that the topic takes, in bytes.
    fn record_bytes_max(&self) -> usize;
}
