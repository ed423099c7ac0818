//! What a client's call can end with.

use std::fmt;
use std::time::Duration;

use crate::config::Address;
use crate::record;

/// One of Kafka's error codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The number on the wire.
    pub number: i16,
    /// Kafka's name for it, in capitals.
    pub name: String,
    /// Whether Kafka calls it retriable.
    pub is_retriable: bool,
}

impl Code {
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub const UNKNOWN_TOPIC: i16 = 3;
    /// OFFSET_OUT_OF_RANGE.
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    pub const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    /// DUPLICATE_SEQUENCE_NUMBER.
    pub const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
    /// GROUP_ID_NOT_FOUND.
    pub const GROUP_ID_NOT_FOUND: i16 = 69;
    /// TOPIC_ALREADY_EXISTS.
    pub const TOPIC_ALREADY_EXISTS: i16 = 36;
    /// TRANSACTIONAL_ID_NOT_FOUND.
    pub const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// What a call ended with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No broker could be reached.
    #[error("no broker answers at {address}")]
    Connect {
        /// The last that was tried.
        address: Address,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke with a request under way: the broker may have acted on it.
    #[error("{address} closed the connection")]
    Closed {
        /// The broker.
        address: Address,
    },
    /// No answer in time: the broker may have acted on the request.
    #[error("{address} did not answer within {after:?}")]
    Timeout {
        /// The broker.
        address: Address,
        /// How long it had.
        after: Duration,
    },
    /// What was to be written was not acknowledged in time: it may have been written.
    #[error("not acknowledged within {after:?}")]
    Overdue {
        /// How long it had.
        after: Duration,
    },
    /// The broker refused.
    #[error("{code}{}{}", if .message.is_empty() { "" } else { ": " }, .message)]
    Refused {
        /// Kafka's code.
        code: Code,
        /// What the broker said with it; often nothing.
        message: String,
    },
    /// The broker and we have no version of a request in common.
    #[error("{address} speaks no version of API {api} that this client speaks")]
    Unsupported {
        /// The broker.
        address: Address,
        /// Kafka's API key.
        api: i16,
    },
    /// The broker's answer is not what Kafka's protocol says.
    #[error("{address} sent an answer to API {api} that cannot be read")]
    Malformed {
        /// The broker.
        address: Address,
        /// Kafka's API key.
        api: i16,
    },
    /// A partition that the topic does not have.
    #[error("topic {topic} has no partition {partition}")]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// Records that cannot be read.
    #[error("partition {partition} of {topic} holds records that cannot be read")]
    Records {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Why.
        #[source]
        source: record::Error,
    },
}

impl Error {
    /// Kafka's code, if a broker gave one.
    #[must_use]
    pub fn code(&self) -> Option<i16> {
        match self {
            Self::Refused { code, .. } => Some(code.number),
            _ => None,
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Closed { .. }
            | Self::Timeout { .. }
            | Self::Overdue { .. } => true,
            Self::Refused { code, .. } => code.is_retriable,
            Self::Unsupported { .. }
            | Self::Malformed { .. }
            | Self::NoPartition { .. }
            | Self::Records { .. } => false,
        }
    }
}
