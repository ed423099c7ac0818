//! The byte layout of a slot, version 1. Little-endian; CRC-32C; offsets absolute.
//!
//! ```text
//! ┌──────────────────┐ 0
//! │ header           │ 64 bytes, with a CRC of its own: says whose slot it is, with one small GET
//! ├──────────────────┤ 64
//! │ body             │ runs back to back: the batches of one partition and leader epoch, in offset order,
//! │                  │ as a fetch sends them
//! ├──────────────────┤ index_position
//! │ index            │ a copy of the header, then topics, runs, batches, releases, checkpoint (`index.rs`)
//! ├──────────────────┤ index_position + index_bytes
//! │ footer           │ 64 bytes; one GET of the end reads footer, index and, in its copy, the header
//! └──────────────────┘
//!
//! header                              footer
//!  0 magic        u32 "TWSL"           0 index_position     u64
//!  4 version      u16 1                8 committed          u64 | as known when the slot was closed;
//!  6 kind         u16 1 data, 2 fence 16 trimmed            u64 | all ones: none
//!  8 chain        u64                 24 index_bytes        u32
//! 16 slot         u64                 28 runs               u32
//! 24 incarnation  UUID, 16 bytes      32 batches            u32
//! 40 created      i64 ms              36 body_crc           u32
//! 48 reserved     12 bytes of 0       40 index_crc          u32
//! 60 crc          u32 of 0..60        44 previous_index_crc u32 of the slot before; 0 for slot 0
//!                                     48 reserved           6 bytes of 0
//!                                     54 version            u16 1
//!                                     56 crc                u32 of 0..56
//!                                     60 magic              u32 "TWSE"
//! ```
//!
//! A fence is a header of kind fence and nothing else; its incarnation is that of the process which planted it.

use uuid::Uuid;

use super::error::{Error, Part};
use crate::base::clock::Timestamp;
use crate::base::ids::{ChainId, Incarnation, SlotId};
use crate::record::crc::crc32c;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of a footer.
pub const FOOTER_BYTES: usize = 64;
/// The format that is written.
pub const VERSION: u16 = 1;
/// Slot n is first sent only when slot n - 64 is stable: a hole that lies deeper is no end of a chain.
pub const WINDOW_SLOTS: u64 = 64;

const HEADER_MAGIC: u32 = u32::from_le_bytes(*b"TWSL");
const FOOTER_MAGIC: u32 = u32::from_le_bytes(*b"TWSE");
const HEADER_CRC: usize = 60;
const FOOTER_CRC: usize = 56;
const FOOTER_MAGIC_AT: usize = 60;
const NO_SLOT: u64 = u64::MAX;

const _: () = assert!(HEADER_CRC + 4 == HEADER_BYTES && HEADER_BYTES.is_multiple_of(8));
const _: () = assert!(FOOTER_CRC + 4 == FOOTER_MAGIC_AT && FOOTER_MAGIC_AT + 4 == FOOTER_BYTES);

/// What an object in a slot's name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Batches and their index.
    Data,
    /// The chain's owner can never write here.
    Fence,
}

/// The first 64 bytes of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotHeader {
    /// Data or fence.
    pub kind: Kind,
    /// The chain.
    pub chain: ChainId,
    /// The position in the chain.
    pub slot: SlotId,
    /// The process that wrote it: with chain and slot, the put's identity.
    pub incarnation: Incarnation,
    /// When it was closed, by the writer's wall clock. Nothing is decided by it.
    pub created: Timestamp,
}

impl SlotHeader {
    /// The header's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let kind: u16 = match self.kind {
            Kind::Data => 1,
            Kind::Fence => 2,
        };
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&HEADER_MAGIC.to_le_bytes());
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6..8].copy_from_slice(&kind.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.chain.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.slot.0.to_le_bytes());
        bytes[24..40].copy_from_slice(self.incarnation.0.as_bytes());
        bytes[40..48].copy_from_slice(&self.created.0.to_le_bytes());
        let crc = crc32c(&bytes[..HEADER_CRC]);
        bytes[HEADER_CRC..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header.
    ///
    /// # Errors
    /// Not ours, of a newer format, or damaged.
    pub fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Error> {
        let part = Part::Header;
        check_magic(part, HEADER_MAGIC, u32::from_le_bytes(field(bytes, 0)))?;
        check_crc(part, &bytes[..HEADER_CRC], u32::from_le_bytes(field(bytes, HEADER_CRC)))?;
        check_version(part, u16::from_le_bytes(field(bytes, 4)))?;
        let kind = match u16::from_le_bytes(field(bytes, 6)) {
            1 => Kind::Data,
            2 => Kind::Fence,
            _ => return Err(Error::Malformed { part, what: "unknown kind" }),
        };
        Ok(Self {
            kind,
            chain: ChainId(u64::from_le_bytes(field(bytes, 8))),
            slot: SlotId(u64::from_le_bytes(field(bytes, 16))),
            incarnation: Incarnation(Uuid::from_bytes(field(bytes, 24))),
            created: Timestamp(i64::from_le_bytes(field(bytes, 40))),
        })
    }
}

/// The last 64 bytes of a data slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotFooter {
    /// Where the index starts in the object; the body lies between the header and it.
    pub index_position: u64,
    /// Bytes of the index.
    pub index_bytes: u32,
    /// Runs in the index.
    pub runs: u32,
    /// Batches in the index.
    pub batches: u32,
    /// Checksum of the body.
    pub body_crc: u32,
    /// Checksum of the index.
    pub index_crc: u32,
    /// `index_crc` of the slot before, 0 for the first: ties the chain together.
    pub previous_index_crc: u32,
    /// The chain's last committed slot as known when this one was closed.
    pub committed: Option<SlotId>,
    /// The chain's last trimmed slot as known when this one was closed.
    pub trimmed: Option<SlotId>,
}

impl SlotFooter {
    /// Bytes of the body.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.index_position - HEADER_BYTES as u64
    }

    /// Bytes of the index and the footer: what a GET of the object's end must bring.
    #[must_use]
    pub fn tail_bytes(&self) -> u64 {
        u64::from(self.index_bytes) + FOOTER_BYTES as u64
    }

    /// The footer's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; FOOTER_BYTES] {
        let slot = |known: Option<SlotId>| known.map_or(NO_SLOT, |slot| slot.0).to_le_bytes();
        let mut bytes = [0; FOOTER_BYTES];
        bytes[0..8].copy_from_slice(&self.index_position.to_le_bytes());
        bytes[8..16].copy_from_slice(&slot(self.committed));
        bytes[16..24].copy_from_slice(&slot(self.trimmed));
        bytes[24..28].copy_from_slice(&self.index_bytes.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.runs.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.batches.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.body_crc.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.index_crc.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.previous_index_crc.to_le_bytes());
        bytes[54..56].copy_from_slice(&VERSION.to_le_bytes());
        let crc = crc32c(&bytes[..FOOTER_CRC]);
        bytes[FOOTER_CRC..FOOTER_MAGIC_AT].copy_from_slice(&crc.to_le_bytes());
        bytes[FOOTER_MAGIC_AT..].copy_from_slice(&FOOTER_MAGIC.to_le_bytes());
        bytes
    }

    /// Reads the footer of an object of `object_bytes`.
    ///
    /// # Errors
    /// Not ours, of a newer format, damaged, or of an object of another size.
    pub fn from_bytes(bytes: &[u8; FOOTER_BYTES], object_bytes: u64) -> Result<Self, Error> {
        let part = Part::Footer;
        check_magic(part, FOOTER_MAGIC, u32::from_le_bytes(field(bytes, FOOTER_MAGIC_AT)))?;
        check_crc(part, &bytes[..FOOTER_CRC], u32::from_le_bytes(field(bytes, FOOTER_CRC)))?;
        check_version(part, u16::from_le_bytes(field(bytes, 54)))?;
        let slot = |at| {
            Some(u64::from_le_bytes(field(bytes, at))).filter(|slot| *slot != NO_SLOT).map(SlotId)
        };
        let footer = Self {
            index_position: u64::from_le_bytes(field(bytes, 0)),
            index_bytes: u32::from_le_bytes(field(bytes, 24)),
            runs: u32::from_le_bytes(field(bytes, 28)),
            batches: u32::from_le_bytes(field(bytes, 32)),
            body_crc: u32::from_le_bytes(field(bytes, 36)),
            index_crc: u32::from_le_bytes(field(bytes, 40)),
            previous_index_crc: u32::from_le_bytes(field(bytes, 44)),
            committed: slot(8),
            trimmed: slot(16),
        };
        let end = footer.index_position.checked_add(footer.tail_bytes());
        if footer.index_position < HEADER_BYTES as u64 || end != Some(object_bytes) {
            return Err(Error::Malformed { part, what: "the object has another size" });
        }
        Ok(footer)
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut taken = [0; N];
    taken.copy_from_slice(&bytes[at..at + N]);
    taken
}

fn check_magic(part: Part, ours: u32, found: u32) -> Result<(), Error> {
    if found == ours { Ok(()) } else { Err(Error::Magic { part, found }) }
}

/// After the checksum: a damaged version is damage, not a format from the future.
fn check_version(part: Part, found: u16) -> Result<(), Error> {
    if found == VERSION { Ok(()) } else { Err(Error::Version { part, found, newest: VERSION }) }
}

/// Whether `bytes` are those that were written.
pub(super) fn check_crc(part: Part, bytes: &[u8], stored: u32) -> Result<(), Error> {
    let computed = crc32c(bytes);
    if computed == stored { Ok(()) } else { Err(Error::Checksum { part, stored, computed }) }
}
