//! The header in front of each request.
//!
//! ```text
//!  api_key i16 | api_version i16 | correlation_id i32 | client_id nullable string | tagged fields (flexible versions)
//! ```

use bytes::{Buf as _, Bytes};
use kafka_protocol::protocol::StrBytes;

use super::api::ApiKey;
use super::error::Error;
use super::frame::ResponseHead;
use super::wire::{Cursor, shared};

/// A request's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which API.
    pub key: ApiKey,
    /// Which version of it: not checked against the served range.
    pub version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// The client's name for itself; empty where it gave none, as in Kafka.
    pub client_id: StrBytes,
}

impl RequestHeader {
    /// Takes the header off `frame` (without its length prefix) and leaves the body.
    ///
    /// # Errors
    /// `UnknownApi`, or what is wrong with the bytes; each closes the connection.
    pub fn take(frame: &mut Bytes) -> Result<Self, Error> {
        // The client id is never compact, in either header version.
        let mut cursor = Cursor::new(frame, false);
        let code = cursor.i16()?;
        let key = ApiKey::from_code(code).ok_or(Error::UnknownApi { key: code })?;
        let version = cursor.i16()?;
        let correlation_id = cursor.i32()?;
        let client_id = cursor.string()?;
        let client_id = client_id.map(|text| shared(frame, text)).unwrap_or_default();
        let mut header_bytes = cursor.at();
        if key.api().request_header_version(version) == 2 {
            let mut tags = Cursor::new(&frame[header_bytes..], true);
            tags.tagged(|_, _| Ok(false))?;
            header_bytes += tags.at();
        }
        frame.advance(header_bytes);
        Ok(Self { key, version, correlation_id, client_id })
    }

    /// What the response will need of it.
    #[must_use]
    pub const fn response(&self) -> ResponseHead {
        ResponseHead { key: self.key, version: self.version, correlation_id: self.correlation_id }
    }

    /// Whether this version is served.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.key.api().serves(self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frame: &[u8], expected: Result<(ApiKey, i16, i32, &str, &[u8]), Error>) {
        let mut bytes = Bytes::copy_from_slice(frame);
        let taken = RequestHeader::take(&mut bytes);
        let taken = taken.as_ref().map(|header| {
            (header.key, header.version, header.correlation_id, &*header.client_id, &bytes[..])
        });
        assert_eq!(taken, expected.as_ref().copied());
    }

    #[test]
    fn both_header_versions_are_read() {
        check(
            &[0, 3, 0, 1, 0, 0, 0, 9, 0, 2, b'm', b'e', 1, 2],
            Ok((ApiKey::Metadata, 1, 9, "me", &[1, 2])),
        );
        check(
            &[0, 3, 0, 9, 0, 0, 0, 9, 0xff, 0xff, 0, 1, 2],
            Ok((ApiKey::Metadata, 9, 9, "", &[1, 2])),
        );
        // One tagged field of three bytes is skipped.
        check(
            &[0, 18, 0, 99, 0, 0, 0, 9, 0, 0, 1, 5, 3, 7, 7, 7, 1],
            Ok((ApiKey::ApiVersions, 99, 9, "", &[1])),
        );
    }

    #[test]
    fn lying_headers_are_refused() {
        check(&[0, 3, 0, 1, 0, 0, 0], Err(Error::Truncated { wanted: 4, left: 3 }));
        check(&[3, 0, 0, 1, 0, 0, 0, 9, 0, 0], Err(Error::UnknownApi { key: 768 }));
        check(&[0, 3, 0, 1, 0, 0, 0, 9, 0, 5, b'm'], Err(Error::Truncated { wanted: 5, left: 1 }));
        check(
            &[0, 3, 0, 1, 0, 0, 0, 9, 0xff, 0xfe],
            Err(Error::Invalid { what: "length", at: 10 }),
        );
        check(
            &[0, 3, 0, 9, 0, 0, 0, 9, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0],
            Err(Error::ImpossibleCount { count: 0xffff_ffff, left: 1 }),
        );
        check(
            &[0, 3, 0, 1, 0, 0, 0, 9, 0, 1, 0xff],
            Err(Error::Invalid { what: "UTF-8 string", at: 11 }),
        );
    }
}
