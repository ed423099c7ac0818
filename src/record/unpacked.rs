//! Where the records of a compressed batch unpack to, and how many may be large at a time.
//!
//! A few kilobytes can ask for all that is allowed, on every thread at once: no bound that a machine's memory could be planned
//! by. Beyond [`LARGE_BYTES`] there is one at a time in a process, and its memory goes from hand to hand while others wait.

use std::io::Read;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::error::{Error, Flaw};

/// What a batch unpacks to beyond this takes turns with all others of the process.
pub(super) const LARGE_BYTES: usize = 8 << 20;

/// The most that is reserved for one before it is known how large it is.
const RESERVED_MAX: usize = 1 << 30;

/// Whoever holds it has its turn. In it is what the last one left for who waited.
static TURN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// How many wait for their turn.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// The unpacked records of a batch.
///
/// Law: of those beyond [`LARGE_BYTES`] there is one in a process, however many threads unpack. Whoever waits for its turn
/// holds its thread, as it would to unpack; so a thread that holds one must not unpack another.
#[derive(Debug)]
pub struct Unpacked(Content);

#[derive(Debug)]
enum Content {
    /// What was not packed, and what is not large.
    Shared(Bytes),
    Large(Room),
}

impl Unpacked {
    /// What needs no unpacking.
    pub(super) fn shared(bytes: &Bytes) -> Self {
        Self(Content::Shared(bytes.clone()))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Content::Shared(bytes) => bytes,
            Content::Large(room) => &room.bytes,
        }
    }

    /// The bytes for whoever keeps them: its turn ends, however large they are.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Content::Shared(bytes) => bytes,
            Content::Large(mut room) => Bytes::from(mem::take(&mut room.bytes)),
        }
    }
}

/// Bytes, and the turn that they were given if they are many.
#[derive(Debug, Default)]
struct Room {
    bytes: Vec<u8>,
    turn: Option<MutexGuard<'static, Vec<u8>>>,
}

impl Room {
    fn take_turn(&mut self, bytes_max: usize) {
        if self.turn.is_some() {
            return;
        }
        WAITING.fetch_add(1, Ordering::Relaxed);
        let mut turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        WAITING.fetch_sub(1, Ordering::Relaxed);
        let mut bytes = mem::take(&mut *turn);
        // All at once: memory that is not written to costs nothing, and growing would copy what is there again and again.
        bytes.reserve_exact(bytes_max.saturating_add(1).min(RESERVED_MAX));
        bytes.extend_from_slice(&self.bytes);
        (self.bytes, self.turn) = (bytes, Some(turn));
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Some(mut turn) = self.turn.take() else { return };
        let mut bytes = mem::take(&mut self.bytes);
        // Given back and taken anew at once, it would be there twice until the allocator lets go of it.
        if WAITING.load(Ordering::Relaxed) > 0 {
            bytes.clear();
            *turn = bytes;
        }
    }
}

/// What is being unpacked.
#[derive(Debug)]
pub(super) struct Output {
    room: Room,
    bytes_max: usize,
}

impl Output {
    /// Room for `bytes_max` at most.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { room: Room::default(), bytes_max }
    }

    /// Takes everything that `reader` gives, of which so many bytes are packed.
    ///
    /// # Errors
    /// What the reader meets is malformed; [`Error::TooLarge`].
    pub(super) fn read(&mut self, mut reader: impl Read, packed: usize) -> Result<(), Error> {
        self.room.bytes.reserve(packed.saturating_mul(2).min(self.bytes_max));
        // One byte more than allowed tells an exact fit from an overflow.
        let ends = [LARGE_BYTES.min(self.bytes_max), self.bytes_max];
        for end in ends.map(|end| end.saturating_add(1)) {
            let bytes = &mut self.room.bytes;
            let room = end - bytes.len();
            let read = reader.by_ref().take(room as u64).read_to_end(bytes);
            if read.map_err(|_| Error::Invalid(Flaw::Compression))? < room {
                return Ok(());
            }
            self.check(end)?;
        }
        Ok(())
    }

    /// The next `more` bytes, zeroed.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub(super) fn extend(&mut self, more: usize) -> Result<&mut [u8], Error> {
        let start = self.room.bytes.len();
        let end = start.saturating_add(more);
        self.check(end)?;
        self.room.bytes.resize(end, 0);
        Ok(&mut self.room.bytes[start..])
    }

    /// Forgets what is there, and takes its turn whatever becomes of it.
    pub(super) fn begin_anew(&mut self) {
        self.room.bytes.clear();
        self.room.take_turn(self.bytes_max);
    }

    /// Whether there may be so many bytes; where that many take turns, it has its turn then.
    fn check(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes > self.bytes_max {
            return Err(Error::TooLarge { bytes, max: self.bytes_max });
        }
        if bytes > LARGE_BYTES {
            self.room.take_turn(self.bytes_max);
        }
        Ok(())
    }
}

impl From<Output> for Unpacked {
    fn from(Output { mut room, .. }: Output) -> Self {
        Self(match room.turn {
            None => Content::Shared(Bytes::from(mem::take(&mut room.bytes))),
            Some(_) => Content::Large(room),
        })
    }
}
