//! Frames: a length, then a request or response.
//!
//! ```text
//!  0        4                                4 + length
//!  +--------+--------------------------------+
//!  | length | header and body                |
//!  +--------+--------------------------------+
//! ```

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;

use super::api::ApiKey;
use super::error::Error;

/// The length prefix.
pub const PREFIX_BYTES: usize = 4;
/// The most that a frame's length can say, less the longest header of a response.
const BODY_BYTES_MAX: usize = (1 << 31) - 1 - 5;

/// The length of the frame that follows, from its prefix.
///
/// # Errors
/// `FrameLength` for a negative one and for one above `limit`: it ends the connection, since where the next frame starts is
/// unknown. A frame too short for a request is one: its header says so.
pub fn length(prefix: [u8; PREFIX_BYTES], limit: usize) -> Result<usize, Error> {
    let length = i32::from_be_bytes(prefix);
    let bytes = usize::try_from(length).ok().filter(|bytes| *bytes <= limit);
    bytes.ok_or(Error::FrameLength { length, limit })
}

/// One whole response frame, prefix and header included, as pieces to be written one after another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseFrame {
    /// Never empty pieces.
    pub pieces: Vec<Bytes>,
}

impl ResponseFrame {
    /// The bytes that go to the socket.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }
}

impl From<Bytes> for ResponseFrame {
    fn from(whole: Bytes) -> Self {
        Self { pieces: vec![whole] }
    }
}

/// What a response needs of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead {
    /// The API that was asked.
    pub key: ApiKey,
    /// The version that was asked.
    pub version: i16,
    /// What the client matches the response by.
    pub correlation_id: i32,
}

impl ResponseHead {
    /// Prefix and header of a response whose body has `body_bytes`.
    pub(super) fn prefix(self, body_bytes: usize) -> Prefix {
        let flexible = self.key.api().response_header_version(self.version) == 1;
        let header_bytes = 4 + usize::from(flexible);
        let length = i32::try_from(header_bytes + body_bytes).expect("a response is below 2 GiB");
        let mut bytes = [0; PREFIX_BYTES + 5];
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.correlation_id.to_be_bytes());
        // The ninth byte counts the header's tagged fields: none.
        Prefix { bytes, used: PREFIX_BYTES + header_bytes }
    }

    /// A whole frame with a typed body.
    ///
    /// # Errors
    /// `Unencodable` when the response sets what its version cannot carry, or is larger than a frame.
    pub fn frame<T: Encodable>(self, body: &T) -> Result<ResponseFrame, Error> {
        let api = self.key.api();
        let defect = Error::Unencodable { api: api.name, version: self.version };
        let body_bytes = body.compute_size(self.version).map_err(|_| defect.clone())?;
        if body_bytes > BODY_BYTES_MAX {
            return Err(defect);
        }
        let prefix = self.prefix(body_bytes);
        let mut frame = BytesMut::with_capacity(prefix.used + body_bytes);
        frame.put_slice(prefix.as_slice());
        body.encode(&mut frame, self.version).map_err(|_| defect.clone())?;
        assert!(frame.len() == prefix.used + body_bytes, "{} counted another size", api.name);
        Ok(frame.freeze().into())
    }
}

/// The first bytes of a response frame.
#[derive(Debug)]
pub(super) struct Prefix {
    bytes: [u8; PREFIX_BYTES + 5],
    used: usize,
}

impl Prefix {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_prefix_is_bounded() {
        for allowed in [0, 9, 10, 1000] {
            let read = length(i32::to_be_bytes(allowed), 1000);
            assert_eq!(read, Ok(usize::try_from(allowed).expect("positive")));
        }
        for refused in [-1, i32::MIN, 1001, i32::MAX] {
            let error = Error::FrameLength { length: refused, limit: 1000 };
            assert_eq!(length(refused.to_be_bytes(), 1000), Err(error));
        }
    }

    #[test]
    fn response_header_has_tags_in_flexible_versions_only() {
        let head = |key, version| ResponseHead { key, version, correlation_id: 7 };
        let long = [0, 0, 0, 15, 0, 0, 0, 7, 0];
        assert_eq!(head(ApiKey::Metadata, 9).prefix(10).as_slice(), long);
        assert_eq!(head(ApiKey::Metadata, 8).prefix(10).as_slice(), [0, 0, 0, 14, 0, 0, 0, 7]);
        assert_eq!(head(ApiKey::ApiVersions, 4).prefix(10).as_slice(), [0, 0, 0, 14, 0, 0, 0, 7]);
    }
}
