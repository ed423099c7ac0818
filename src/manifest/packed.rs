//! The rows of one write in one piece of memory. Pure.
//!
//! The store keeps rows until its next flush. Thousands of small pieces of that life among what stays for good would
//! leave thousands of holes.

use std::ops::Range;

use bytes::Bytes;

/// Keys with their values, in the order of adding.
#[derive(Debug, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    rows: Vec<(Range<usize>, Option<Range<usize>>)>,
}

impl Packed {
    /// Adds a row; without a value it is to be removed.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let key = self.append(key);
        let value = value.map(|value| self.append(value));
        self.rows.push((key, value));
    }

    fn append(&mut self, part: &[u8]) -> Range<usize> {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(part);
        from..self.bytes.len()
    }

    /// The rows as slices of the one piece.
    pub(super) fn into_rows(self) -> impl Iterator<Item = (Bytes, Option<Bytes>)> {
        let bytes = Bytes::from(self.bytes.into_boxed_slice());
        let slice = move |range: Range<usize>| bytes.slice(range);
        self.rows.into_iter().map(move |(key, value)| (slice(key), value.map(&slice)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_added() {
        let rows: [(&[u8], Option<&[u8]>); 4] =
            [(b"a", Some(b"one")), (b"bc", None), (b"d", Some(b"")), (b"", Some(b"last"))];
        let mut packed = Packed::default();
        rows.iter().for_each(|(key, value)| packed.push(key, *value));
        let out: Vec<_> = packed.into_rows().collect();
        let seen = out.iter().map(|(key, value)| (key.as_ref(), value.as_deref()));
        assert!(seen.eq(rows), "{out:?}");
        assert_eq!(Packed::default().into_rows().count(), 0);
    }
}
