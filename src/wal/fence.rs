//! Names and fences: what stands in a slot's name, and planting a fence there.
//!
//! A fence is permanent: it is never deleted, and whoever put it, the chain's owner can never write in its name.

use crate::base::clock::Timestamp;
use crate::base::ids::{ChainId, Incarnation, SlotId};
use crate::object::{self, Key, Payload, Store};
use crate::segment::encode_fence;
use crate::segment::format::HEADER_BYTES;
use crate::segment::{Kind, SlotHeader, read_header};

/// What stands in a slot's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// Nothing yet.
    Free,
    /// A data slot of this chain, written by this process.
    Data {
        /// Its writer: also its put id.
        incarnation: Incarnation,
    },
    /// A fence.
    Fence,
    /// Bytes that are no slot of this chain at this place.
    Foreign,
}

/// Reads the header that stands in a name.
pub(super) fn classify(header: &[u8], chain: ChainId, slot: SlotId) -> Name {
    match read_header(header) {
        Ok(found) if found.chain == chain && found.slot == slot => match found.kind {
            Kind::Data => Name::Data { incarnation: found.incarnation },
            Kind::Fence => Name::Fence,
        },
        Ok(_) | Err(_) => Name::Foreign,
    }
}

/// Looks at a name with one GET.
pub(super) async fn look(
    store: &Store,
    key: &Key,
    chain: ChainId,
    slot: SlotId,
) -> Result<Name, object::Error> {
    match store.get_range(key, 0..HEADER_BYTES as u64).await {
        Ok(header) => Ok(classify(&header, chain, slot)),
        Err(object::Error::NotFound { .. }) => Ok(Name::Free),
        Err(error) => Err(error),
    }
}

/// The bytes of a fence planted by `planter`.
pub(super) fn payload(
    chain: ChainId,
    slot: SlotId,
    planter: Incarnation,
    now: Timestamp,
) -> Payload {
    let header = SlotHeader { kind: Kind::Fence, chain, slot, incarnation: planter, created: now };
    Payload::from(encode_fence(&header))
}
