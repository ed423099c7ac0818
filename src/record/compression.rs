//! The codecs of record batches, in the framings that Kafka's clients write, with bounded output.
//!
//! gzip is a gzip stream; snappy is Java's (xerial's) framing, or one raw block as librdkafka writes; lz4 is the frame
//! format; zstd is a zstd frame. Batches pass through compressed: this runs only where records must be looked at, and
//! where a topic's `compression.type` asks for another codec.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression as GzipLevel;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::error::{Error, Flaw};
use super::unpacked::{LARGE_BYTES, Output, Unpacked};

/// A record batch's codec (`compression.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// As they are (`uncompressed`).
    #[default]
    None,
    /// `gzip`.
    Gzip,
    /// `snappy`.
    Snappy,
    /// `lz4`.
    Lz4,
    /// `zstd`.
    Zstd,
}

impl Compression {
    /// Every codec.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of a number in a batch's attributes.
    ///
    /// # Errors
    /// [`Error::UnsupportedCompression`]: Kafka defines no such number.
    pub fn from_id(id: i16) -> Result<Self, Error> {
        match id {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            codec => Err(Error::UnsupportedCompression { codec }),
        }
    }

    /// The number in a batch's attributes.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Kafka's name, `none` as clients say and `uncompressed` as topics say for the absence of one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "none" | "uncompressed" => Some(Self::None),
            "gzip" => Some(Self::Gzip),
            "snappy" => Some(Self::Snappy),
            "lz4" => Some(Self::Lz4),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Kafka's name as clients say it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// A codec and how hard it should try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Target {
    /// The codec.
    pub codec: Compression,
    /// `compression.gzip.level`, `compression.zstd.level`; the codec's own default if absent. lz4 and snappy have none.
    pub level: Option<i32>,
}

const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic, version, least compatible version.
const XERIAL_HEADER_BYTES: usize = 16;
/// What Java's `SnappyOutputStream` puts in a block.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;
/// No snappy block grows by more: three bytes copy at most 64.
const SNAPPY_GROWTH_MAX: usize = 24;

/// Unpacks the records of a batch.
///
/// # Errors
/// [`Error::Invalid`]: not what the codec writes. [`Error::TooLarge`]: more than `bytes_max` come out; no more than
/// these were made.
pub fn decompress(codec: Compression, input: &Bytes, bytes_max: usize) -> Result<Unpacked, Error> {
    let mut output = Output::new(bytes_max);
    match codec {
        Compression::None if input.len() <= bytes_max => return Ok(Unpacked::shared(input)),
        Compression::None => return Err(Error::TooLarge { bytes: input.len(), max: bytes_max }),
        Compression::Gzip => output.read(MultiGzDecoder::new(&input[..]), input.len())?,
        Compression::Snappy => unpack_snappy(input, &mut output)?,
        Compression::Lz4 => output.read(FrameDecoder::new(&input[..]), input.len())?,
        Compression::Zstd => unpack_zstd(input, &mut output)?,
    }
    Ok(output.into())
}

/// Packs the records of a batch.
#[must_use]
pub fn compress(target: Target, input: &[u8]) -> Vec<u8> {
    match target.codec {
        Compression::None => input.to_vec(),
        Compression::Gzip => {
            let level = target.level.and_then(|level| u32::try_from(level).ok());
            let level = level.map_or_else(GzipLevel::default, |level| GzipLevel::new(level.min(9)));
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(input).and_then(|()| encoder.finish()).expect(INTO_MEMORY)
        }
        Compression::Snappy => pack_snappy(input),
        Compression::Lz4 => {
            // What Java's reader takes: independent blocks, no content checksum.
            let mut form = FrameInfo::new();
            form = form.block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
            let mut encoder = FrameEncoder::with_frame_info(form, Vec::new());
            encoder.write_all(input).expect(INTO_MEMORY);
            encoder.finish().expect(INTO_MEMORY)
        }
        Compression::Zstd => {
            let level = target.level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
            zstd::bulk::compress(input, level).expect(INTO_MEMORY)
        }
    }
}

const INTO_MEMORY: &str = "writing into memory does not fail";

fn malformed() -> Error {
    Error::Invalid(Flaw::Compression)
}

/// The decoder keeps as much as a frame says that it looks back, up to 128 MiB: that much takes turns too.
fn unpack_zstd(input: &[u8], output: &mut Output) -> Result<(), Error> {
    let decoder = || zstd::stream::read::Decoder::with_buffer(input).map_err(|_| malformed());
    let mut narrow = decoder()?;
    narrow.window_log_max(LARGE_BYTES.ilog2()).map_err(|_| malformed())?;
    match output.read(narrow, input.len()) {
        // It looks back further, or it is no zstd: the decoder does not say which.
        Err(Error::Invalid(_)) => {
            output.begin_anew();
            output.read(decoder()?, input.len())
        }
        done => done,
    }
}

fn unpack_snappy(input: &[u8], output: &mut Output) -> Result<(), Error> {
    if !input.starts_with(&XERIAL_MAGIC) {
        return unpack_block(input, output);
    }
    let mut rest = input;
    while !rest.is_empty() {
        // Concatenated streams repeat the header.
        if rest.starts_with(&XERIAL_MAGIC) {
            rest = rest.get(XERIAL_HEADER_BYTES..).ok_or_else(malformed)?;
            continue;
        }
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| malformed())?;
        let (block, after) = after.split_at_checked(length).ok_or_else(malformed)?;
        unpack_block(block, output)?;
        rest = after;
    }
    Ok(())
}

/// Appends what one raw snappy block holds.
fn unpack_block(block: &[u8], output: &mut Output) -> Result<(), Error> {
    // The length is the block's own claim: believed only as far as such a block can grow.
    let claimed = snap::raw::decompress_len(block).map_err(|_| malformed())?;
    if claimed > block.len().saturating_mul(SNAPPY_GROWTH_MAX) {
        return Err(malformed());
    }
    let room = output.extend(claimed)?;
    let written = snap::raw::Decoder::new().decompress(block, room);
    if written.map_err(|_| malformed())? == claimed { Ok(()) } else { Err(malformed()) }
}

fn pack_snappy(input: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(XERIAL_HEADER_BYTES + input.len() / 2);
    output.extend_from_slice(&XERIAL_MAGIC);
    output.extend_from_slice(&1_i32.to_be_bytes());
    output.extend_from_slice(&1_i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in input.chunks(XERIAL_BLOCK_BYTES) {
        let packed =
            encoder.compress_vec(block).expect("a block of 32 KiB is within snappy's bounds");
        let length =
            i32::try_from(packed.len()).expect("a packed block of 32 KiB stays near 32 KiB");
        output.extend_from_slice(&length.to_be_bytes());
        output.extend_from_slice(&packed);
    }
    output
}
