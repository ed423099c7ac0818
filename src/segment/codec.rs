//! Taking index content off a slice: every step can fail, no count is believed beyond the bytes left.

use super::error::{Error, Part};
use crate::record::varint;

/// An index that contradicts itself.
pub(super) fn malformed(what: &'static str) -> Error {
    Error::Malformed { part: Part::Index, what }
}

pub(super) fn take_u64(from: &mut &[u8]) -> Result<u64, Error> {
    varint::take_u64(from).map_err(|_| malformed("a number is cut"))
}

pub(super) fn take_i64(from: &mut &[u8]) -> Result<i64, Error> {
    varint::take_i64(from).map_err(|_| malformed("a number is cut"))
}

/// A number of a narrower type, stored unsigned.
pub(super) fn take_narrow<T: TryFrom<u64>>(from: &mut &[u8]) -> Result<T, Error> {
    T::try_from(take_u64(from)?).map_err(|_| malformed("a number is out of range"))
}

/// A number of a narrower type, stored as zigzag.
pub(super) fn take_signed<T: TryFrom<i64>>(from: &mut &[u8]) -> Result<T, Error> {
    T::try_from(take_i64(from)?).map_err(|_| malformed("a number is out of range"))
}

/// A count of elements that take at least `element_bytes` each.
pub(super) fn take_count(from: &mut &[u8], element_bytes: usize) -> Result<usize, Error> {
    let count: usize = take_narrow(from)?;
    if count > from.len() / element_bytes {
        return Err(malformed("a count exceeds what is left"));
    }
    Ok(count)
}

pub(super) fn take_array<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], Error> {
    let (array, rest) = from.split_first_chunk().ok_or_else(|| malformed("cut"))?;
    *from = rest;
    Ok(*array)
}

pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    varint::put_u64(out, count as u64);
}
