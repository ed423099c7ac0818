//! Writes the types of Kafka's messages.

/// Bytes being written.
#[derive(Debug, Default)]
pub(super) struct Out(pub(super) Vec<u8>);

impl Out {
    pub(super) fn i16(mut self, value: i16) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn i32(mut self, value: i32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn i64(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Longer text than its length field can tell is cut at the last whole character: no request can carry it.
    pub(super) fn string(mut self, text: &str) -> Self {
        let mut end = text.len().min(usize::from(i16::MAX.unsigned_abs()));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let length = i16::try_from(end).expect("it was cut to fit");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(&text.as_bytes()[..end]);
        self
    }

    pub(super) fn compact_string(self, text: &str) -> Self {
        let length = u32::try_from(text.len()).expect("a frame is below 2 GiB");
        self.varint(length + 1).raw(text.as_bytes())
    }

    pub(super) fn varint(mut self, mut value: u32) -> Self {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn nullable_string(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.string(text),
            None => self.i16(-1),
        }
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self = self.i32(i32::try_from(bytes.len()).expect("a frame is below 2 GiB"));
        self.0.extend_from_slice(bytes);
        self
    }
}
