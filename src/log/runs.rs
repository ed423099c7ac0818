//! Walks the batches of a run that lies in pieces, and takes the ones that are wanted as shared slices.
//!
//! Pure. Bytes that come back from a store are never trusted: batch headers are walked with every length checked.

use bytes::Bytes;

use super::ReadBounds;
use crate::base::offset::Offset;
use crate::record::{BatchHeader, HEADER_BYTES};

/// Bytes in a row, in several slices.
#[derive(Debug, Clone)]
pub(super) struct Pieces {
    slices: Vec<Bytes>,
    bytes: usize,
}

impl Pieces {
    pub(super) fn new(slices: Vec<Bytes>) -> Self {
        let bytes = slices.iter().map(Bytes::len).sum();
        Self { slices, bytes }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Adds the slices that make up `from..to` to `out`.
    pub(super) fn slices(&self, from: usize, to: usize, out: &mut Vec<Bytes>) {
        let mut start = 0;
        for slice in &self.slices {
            let end = start + slice.len();
            let (first, last) = (from.clamp(start, end), to.clamp(start, end));
            if first < last {
                out.push(slice.slice(first - start..last - start));
            }
            start = end;
        }
    }

    /// All of it in one piece: copied only if it lies in several.
    pub(super) fn whole(mut self) -> Bytes {
        if self.slices.len() == 1 {
            return self.slices.remove(0);
        }
        let mut whole = Vec::with_capacity(self.bytes);
        self.slices.iter().for_each(|slice| whole.extend_from_slice(slice));
        whole.into()
    }
}

/// Reads forward through [`Pieces`] without going over the slices again.
struct Cursor<'a> {
    slices: &'a [Bytes],
    /// Where the first of `slices` begins.
    start: usize,
}

impl Cursor<'_> {
    /// The batch header at `at`, which is never below an earlier one. None: it is not all here.
    fn header(&mut self, at: usize) -> Option<[u8; HEADER_BYTES]> {
        while at - self.start >= self.slices.first()?.len() {
            self.start += self.slices[0].len();
            self.slices = &self.slices[1..];
        }
        let mut head = [0; HEADER_BYTES];
        let (mut filled, mut skip) = (0, at - self.start);
        for slice in self.slices {
            let rest = &slice[skip..];
            let take = rest.len().min(HEADER_BYTES - filled);
            head[filled..filled + take].copy_from_slice(&rest[..take]);
            filled += take;
            skip = 0;
            if filled == HEADER_BYTES {
                return Some(head);
            }
        }
        None
    }
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walked {
    /// At the end of the run.
    Run,
    /// At `at`, before a batch that does not fit or may not be seen.
    Full { at: u64 },
    /// At `at`, before a batch of which `needed` bytes have to be there to go on.
    More { at: u64, needed: u64 },
}

/// The bytes are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

/// Takes the batches from `left.offset` on that fit and end at or below `end`. `pieces` begin with a batch, at position
/// `start` of the object; the run ends at `run_end`. Moves `left` behind what was taken.
pub(super) fn walk(
    pieces: &Pieces,
    (start, run_end): (u64, u64),
    (left, end): (&mut ReadBounds, Offset),
    out: &mut Vec<Bytes>,
) -> Result<Walked, Damaged> {
    let mut cursor = Cursor { slices: &pieces.slices, start: 0 };
    let (mut at, mut from) = (0_usize, None);
    let walked = loop {
        let position = start + at as u64;
        if position == run_end {
            break Walked::Run;
        }
        let rest = run_end.checked_sub(position).ok_or(Damaged)?;
        if rest < HEADER_BYTES as u64 {
            return Err(Damaged);
        }
        let Some(head) = cursor.header(at) else {
            break Walked::More { at: position, needed: HEADER_BYTES as u64 };
        };
        let header = BatchHeader::read(&head).map_err(|_| Damaged)?;
        let total = header.total_bytes();
        if total as u64 > rest {
            return Err(Damaged);
        }
        if header.end_offset() > left.offset {
            let fits = total <= left.bytes_max || left.at_least_one;
            if !fits || header.end_offset() > end {
                break Walked::Full { at: position };
            }
            if at + total > pieces.len() {
                break Walked::More { at: position, needed: total as u64 };
            }
            from.get_or_insert(at);
            left.offset = header.end_offset();
            left.bytes_max = left.bytes_max.saturating_sub(total);
            left.at_least_one = false;
        }
        at += total;
    };
    if let Some(from) = from {
        pieces.slices(from, at, out);
    }
    Ok(walked)
}

#[cfg(test)]
mod tests;
