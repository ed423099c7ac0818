//! Why bytes are no slot.

use std::fmt;

/// What of a slot is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first 64 bytes.
    Header,
    /// The batches.
    Body,
    /// The list of what the body holds.
    Index,
    /// The last 64 bytes.
    Footer,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Body => "body",
            Self::Index => "index",
            Self::Footer => "footer",
        })
    }
}

/// Why bytes are no slot of a format that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Fewer bytes than the part takes.
    #[error("slot {part} is cut: {got} bytes where {needed} are needed")]
    Truncated {
        /// Which part.
        part: Part,
        /// Bytes that would be enough.
        needed: u64,
        /// Bytes there are.
        got: u64,
    },
    /// The part does not start, or end, as ours do.
    #[error("slot {part} has the magic {found:#010x}, not ours")]
    Magic {
        /// Which part.
        part: Part,
        /// What stands there.
        found: u32,
    },
    /// Ours, of a format that this program does not read: a newer one wrote it.
    #[error("slot {part} has format version {found}; this program reads up to {newest}")]
    Version {
        /// Which part.
        part: Part,
        /// What stands there.
        found: u16,
        /// The newest that is read here.
        newest: u16,
    },
    /// The bytes are not those that were written.
    #[error("slot {part} has CRC {computed:#010x} where {stored:#010x} was written")]
    Checksum {
        /// Which part.
        part: Part,
        /// What was written.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// The checksum holds and the content contradicts itself: a fault of the writer.
    #[error("slot {part} contradicts itself: {what}")]
    Malformed {
        /// Which part.
        part: Part,
        /// What does not fit.
        what: &'static str,
    },
}
