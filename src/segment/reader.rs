//! From bytes of the bucket to a slot, or to the reason why they are none.
//!
//! Three ways in, by what was fetched: [`read_header`] for telling whose object it is, [`decode_tail`] for one GET of
//! the object's end, [`decode_slot`] for all of it.

use bytes::Bytes;

use super::entries::SlotIndex;
use super::error::{Error, Part};
use super::format::{FOOTER_BYTES, HEADER_BYTES, Kind, SlotFooter, SlotHeader, check_crc};
use super::index;

/// What the end of an object holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// A data slot's index.
    Decoded {
        /// The slot's header, from the index's copy.
        header: SlotHeader,
        /// Its footer.
        footer: SlotFooter,
        /// Its index.
        index: SlotIndex,
    },
    /// The object is a fence.
    Fence(SlotHeader),
    /// So many bytes of the object's end are needed.
    NeedMore(u64),
}

/// A whole data slot, every checksum verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its header.
    pub header: SlotHeader,
    /// Its footer.
    pub footer: SlotFooter,
    /// Its index.
    pub index: SlotIndex,
    /// The object: positions in the index are positions in it.
    pub object: Bytes,
}

impl Slot {
    /// The batches' bytes, without header, index and footer; shares the object's memory.
    #[must_use]
    pub fn body(&self) -> Bytes {
        let end =
            HEADER_BYTES + usize::try_from(self.footer.body_bytes()).expect("it is in memory");
        self.object.slice(HEADER_BYTES..end)
    }
}

/// Reads the header that an object starts with.
///
/// # Errors
/// Fewer than 64 bytes, not ours, of a newer format, or damaged.
pub fn read_header(bytes: &[u8]) -> Result<SlotHeader, Error> {
    SlotHeader::from_bytes(
        bytes.first_chunk().ok_or_else(|| cut(Part::Header, HEADER_BYTES, bytes.len()))?,
    )
}

/// Reads index and footer from `suffix`, the last bytes of an object of `object_bytes`.
///
/// # Errors
/// Not ours, of a newer format, damaged, or contradicting itself.
pub fn decode_tail(suffix: &[u8], object_bytes: u64) -> Result<Tail, Error> {
    if object_bytes <= HEADER_BYTES as u64 && suffix.len() as u64 == object_bytes {
        return match read_header(suffix)? {
            header @ SlotHeader { kind: Kind::Fence, .. } => Ok(Tail::Fence(header)),
            _ => Err(cut(Part::Footer, HEADER_BYTES + FOOTER_BYTES, HEADER_BYTES)),
        };
    }
    let Some((rest, footer)) = suffix.split_last_chunk::<FOOTER_BYTES>() else {
        return Ok(Tail::NeedMore(object_bytes.min(FOOTER_BYTES as u64)));
    };
    let footer = SlotFooter::from_bytes(footer, object_bytes)?;
    let start = rest.len().checked_sub(footer.index_bytes as usize);
    let Some(bytes) = start.and_then(|start| rest.get(start..)) else {
        return Ok(Tail::NeedMore(footer.tail_bytes()));
    };
    let (header, index) = decode_index(bytes, &footer)?;
    Ok(Tail::Decoded { header, footer, index })
}

/// Reads a whole data slot and verifies every checksum, the body's included.
///
/// # Errors
/// Not ours, of a newer format, damaged, contradicting itself, or a fence.
pub fn decode_slot(object: &Bytes) -> Result<Slot, Error> {
    let header = read_header(object)?;
    let footer = object
        .get(HEADER_BYTES..)
        .and_then(<[u8]>::last_chunk)
        .ok_or_else(|| cut(Part::Footer, HEADER_BYTES + FOOTER_BYTES, object.len()))?;
    let footer = SlotFooter::from_bytes(footer, object.len() as u64)?;
    // The footer's numbers add up to the object's size, so these positions are within it.
    let index_position = object.len() - FOOTER_BYTES - footer.index_bytes as usize;
    let index_bytes = &object[index_position..object.len() - FOOTER_BYTES];
    let (copied, index) = decode_index(index_bytes, &footer)?;
    if copied != header {
        return Err(Error::Malformed { part: Part::Index, what: "it is of another slot" });
    }
    check_crc(Part::Body, &object[HEADER_BYTES..index_position], footer.body_crc)?;
    Ok(Slot { header, footer, index, object: object.clone() })
}

fn decode_index(bytes: &[u8], footer: &SlotFooter) -> Result<(SlotHeader, SlotIndex), Error> {
    check_crc(Part::Index, bytes, footer.index_crc)?;
    let (header, index) = index::decode(bytes)?;
    let malformed = |what| Err(Error::Malformed { part: Part::Index, what });
    if header.kind != Kind::Data {
        return malformed("a fence with an index");
    }
    if index.runs.len() != footer.runs as usize || index.batches.len() != footer.batches as usize {
        return malformed("it counts otherwise than the footer");
    }
    if index.body_bytes() != footer.body_bytes() {
        return malformed("its runs are not the body");
    }
    Ok((header, index))
}

fn cut(part: Part, needed: usize, got: usize) -> Error {
    Error::Truncated { part, needed: needed as u64, got: got as u64 }
}
