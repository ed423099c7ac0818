//! What can be wrong with bytes from a socket.

/// A frame or message that is not what its length, count or type says. Every case ends the connection, except where
/// Kafka answers (an ApiVersions request of a version that we do not know).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The frame's length prefix is negative or above the limit.
    #[error("frame of {length} bytes, allowed are 0..={limit}")]
    FrameLength {
        /// As read.
        length: i32,
        /// `socket.request.max.bytes`.
        limit: usize,
    },
    /// The message ends before what it announces.
    #[error("{wanted} bytes announced where {left} are left")]
    Truncated {
        /// Announced.
        wanted: usize,
        /// Left in the frame.
        left: usize,
    },
    /// An array announces more elements than its bytes could hold.
    #[error("array of {count} elements announced where {left} bytes are left")]
    ImpossibleCount {
        /// Announced.
        count: usize,
        /// Left in the frame.
        left: usize,
    },
    /// A length, count, varint, string or marker outside its type's values.
    #[error("invalid {what} at byte {at}")]
    Invalid {
        /// Which kind of value.
        what: &'static str,
        /// Where in the message.
        at: usize,
    },
    /// An API that this broker does not have: Kafka closes the connection.
    #[error("unknown API key {key}")]
    UnknownApi {
        /// As read.
        key: i16,
    },
    /// A version of an API outside what is served.
    #[error("{api} version {version} is not served")]
    UnsupportedVersion {
        /// Kafka's name of the API.
        api: &'static str,
        /// As read.
        version: i16,
    },
    /// A response that does not fit its version's types: a defect of ours.
    #[error("response of {api} version {version} cannot be encoded")]
    Unencodable {
        /// Kafka's name of the API.
        api: &'static str,
        /// Of the request.
        version: i16,
    },
}
