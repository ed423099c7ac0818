//! The bytes of one object as the pieces that they were built from: nothing here copies them.

use bytes::Bytes;
use object_store::PutPayload;

/// The content of one object, in pieces that are stored one after another.
#[derive(Debug, Clone, Default)]
pub struct Payload(pub Vec<Bytes>);

impl Payload {
    /// Bytes over all pieces.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shares the pieces with the store client.
    pub(super) fn into_put(self) -> PutPayload {
        self.0.into_iter().filter(|piece| !piece.is_empty()).collect()
    }
}

impl From<Bytes> for Payload {
    fn from(whole: Bytes) -> Self {
        Self(vec![whole])
    }
}

impl From<Vec<Bytes>> for Payload {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self(pieces)
    }
}
