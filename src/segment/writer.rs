//! From header, body and index to the bytes of a slot. The body's pieces are passed on, never copied or read.

use bytes::Bytes;

use super::entries::SlotIndex;
use super::format::{FOOTER_BYTES, HEADER_BYTES, Kind, SlotFooter, SlotHeader};
use super::index;
use crate::base::ids::SlotId;
use crate::record::crc::{combine, crc32c};

/// The batches of a slot, in the order of its index's runs.
#[derive(Debug, Clone, Default)]
pub struct SlotBody {
    /// The bytes, in pieces: patched headers and shared slices of the frames that brought the records.
    pub pieces: Vec<Bytes>,
    /// Bytes over all pieces.
    pub bytes: u64,
    /// Their checksum, combined from the batches'.
    pub crc: u32,
}

/// What the writer knows of its chain when it closes a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// The last slot that the manifest names.
    pub committed: Option<SlotId>,
    /// The last slot that was trimmed.
    pub trimmed: Option<SlotId>,
    /// [`EncodedSlot::index_crc`] of the slot before; 0 for the first.
    pub previous_index_crc: u32,
}

/// A slot, ready to be put.
#[derive(Debug, Clone)]
pub struct EncodedSlot {
    /// The object's bytes, in pieces.
    pub payload: Vec<Bytes>,
    /// Bytes over all pieces.
    pub bytes: u64,
    /// The checksum of the index, which the next slot's footer repeats.
    pub index_crc: u32,
    /// The footer, as it was written.
    pub footer: SlotFooter,
}

/// Builds the object of a data slot.
///
/// # Panics
/// If `index` does not describe `body`, or `header` is a fence's: what is acknowledged could not be read again.
#[must_use]
pub fn encode_slot(
    header: &SlotHeader,
    body: SlotBody,
    index: &SlotIndex,
    known: &Known,
) -> EncodedSlot {
    assert!(header.kind == Kind::Data, "a fence has no body");
    assert!(
        index.body_bytes() == body.bytes,
        "runs of {} bytes, a body of {}",
        index.body_bytes(),
        body.bytes
    );
    debug_assert!(body.crc == crc_of(&body.pieces), "the body's checksum is not its pieces'");
    let mut end = Vec::new();
    index::encode(&mut end, header, index);
    let footer = SlotFooter {
        index_position: HEADER_BYTES as u64 + body.bytes,
        index_bytes: u32::try_from(end.len()).expect("an index is bounded far below 4 GiB"),
        runs: u32::try_from(index.runs.len()).expect("as many as batches at most"),
        batches: u32::try_from(index.batches.len()).expect("bounded far below 2^32"),
        body_crc: body.crc,
        index_crc: crc32c(&end),
        previous_index_crc: known.previous_index_crc,
        committed: known.committed,
        trimmed: known.trimmed,
    };
    end.extend_from_slice(&footer.to_bytes());
    let mut payload = Vec::with_capacity(body.pieces.len() + 2);
    payload.push(Bytes::copy_from_slice(&header.to_bytes()));
    payload.extend(body.pieces);
    payload.push(Bytes::from(end));
    let bytes = footer.index_position + u64::from(footer.index_bytes) + FOOTER_BYTES as u64;
    EncodedSlot { payload, bytes, index_crc: footer.index_crc, footer }
}

/// Builds the object of a fence: a header, which says who planted it.
///
/// # Panics
/// If `header` is a data slot's.
#[must_use]
pub fn encode_fence(header: &SlotHeader) -> Bytes {
    assert!(header.kind == Kind::Fence, "data is not a fence");
    Bytes::copy_from_slice(&header.to_bytes())
}

fn crc_of(pieces: &[Bytes]) -> u32 {
    pieces.iter().fold(0, |crc, piece| combine(crc, crc32c(piece), piece.len() as u64))
}
