//! Primitive types of the Kafka protocol: a cursor that trusts no length, and a writer that runs twice, once to count.
//!
//! Source: "Protocol primitive types" in Kafka's protocol guide; KIP-482 for compact types and tagged fields.

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::error::Error;

/// Kafka limits every string to what an INT16 can count, compact ones included.
const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Reads primitives from a message. Nothing is allocated; every length is compared with what is left.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
    compact: bool,
}

impl<'a> Cursor<'a> {
    /// `compact`: whether the message's version is flexible (KIP-482).
    pub(super) fn new(message: &'a [u8], compact: bool) -> Self {
        Self { message, at: 0, compact }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> usize {
        self.message.len() - self.at
    }

    pub(super) fn invalid(&self, what: &'static str) -> Error {
        Error::Invalid { what, at: self.at }
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8], Error> {
        let left = self.left();
        if bytes > left {
            return Err(Error::Truncated { wanted: bytes, left });
        }
        let taken = &self.message[self.at..self.at + bytes];
        self.at += bytes;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        Ok(self.take(N)?.try_into().expect("take gives exactly N bytes"))
    }

    pub(super) fn i8(&mut self) -> Result<i8, Error> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(super) fn i16(&mut self) -> Result<i16, Error> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, Error> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, Error> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, Error> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    /// An unsigned varint of at most 32 bits: a fifth byte may carry four of them and no continuation.
    pub(super) fn varint(&mut self) -> Result<u32, Error> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.array::<1>()?[0];
            if shift == 28 && byte > 0x0f {
                return Err(self.invalid("varint"));
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }

    /// The length of a string, bytes or array; `None` is null.
    fn length(&mut self, bytes: usize) -> Result<Option<usize>, Error> {
        if self.compact {
            let plus_one = self.varint()? as usize;
            return Ok(plus_one.checked_sub(1));
        }
        let length = if bytes == 2 { i32::from(self.i16()?) } else { self.i32()? };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| self.invalid("length")),
        }
    }

    /// A string, checked to be UTF-8.
    pub(super) fn string(&mut self) -> Result<Option<&'a str>, Error> {
        let Some(length) = self.length(2)? else { return Ok(None) };
        if length > STRING_BYTES_MAX {
            return Err(self.invalid("string length"));
        }
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(Some).map_err(|_| self.invalid("UTF-8 string"))
    }

    pub(super) fn bytes(&mut self) -> Result<Option<&'a [u8]>, Error> {
        self.length(4)?.map(|length| self.take(length)).transpose()
    }

    /// An array's count, which `least_bytes` a piece must fit into what is left.
    pub(super) fn count(&mut self, least_bytes: usize) -> Result<Option<usize>, Error> {
        let Some(count) = self.length(4)? else { return Ok(None) };
        let left = self.left();
        if count > left / least_bytes.max(1) {
            return Err(Error::ImpossibleCount { count, left });
        }
        Ok(Some(count))
    }

    /// The tagged fields at the end of a struct: `known` is given each tag and its bytes and says whether it knew it.
    /// Gives the number of fields that it did not know. Nothing is read from a version that has none.
    pub(super) fn tagged(
        &mut self,
        mut known: impl FnMut(u32, &mut Cursor<'a>) -> Result<bool, Error>,
    ) -> Result<usize, Error> {
        if !self.compact {
            return Ok(0);
        }
        let count = self.varint()? as usize;
        // A tag and a size are a byte each at least.
        if count > self.left() / 2 {
            return Err(Error::ImpossibleCount { count, left: self.left() });
        }
        let mut unknown = 0;
        for _ in 0..count {
            let tag = self.varint()?;
            let size = self.varint()? as usize;
            let mut field = Cursor::new(self.take(size)?, true);
            if !known(tag, &mut field)? {
                unknown += 1;
            } else if field.left() > 0 {
                // The crate's decoder reads a known field by its type and ignores the size.
                return Err(self.invalid("size of a tagged field"));
            }
        }
        Ok(unknown)
    }
}

/// Reads a message whose strings and bytes become shared slices of its frame.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    frame: &'a Bytes,
    pub(super) cursor: Cursor<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(frame: &'a Bytes, compact: bool) -> Self {
        Self { frame, cursor: Cursor::new(frame, compact) }
    }

    /// A nullable string.
    pub(super) fn nullable_string(&mut self) -> Result<Option<StrBytes>, Error> {
        Ok(self.cursor.string()?.map(|text| shared(self.frame, text)))
    }

    pub(super) fn string(&mut self) -> Result<StrBytes, Error> {
        self.nullable_string()?.ok_or_else(|| self.cursor.invalid("null string"))
    }

    pub(super) fn nullable_bytes(&mut self) -> Result<Option<Bytes>, Error> {
        Ok(self.cursor.bytes()?.map(|bytes| self.frame.slice_ref(bytes)))
    }

    /// A non-null array; an element is at least `least_bytes` long.
    pub(super) fn array<T>(
        &mut self,
        least_bytes: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let count = self.cursor.count(least_bytes)?;
        let count = count.ok_or_else(|| self.cursor.invalid("null array"))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    pub(super) fn skip_tags(&mut self) -> Result<(), Error> {
        self.cursor.tagged(|_, _| Ok(false)).map(|_| ())
    }
}

/// `text`, which lies in `frame`, as a slice that shares it.
pub(super) fn shared(frame: &Bytes, text: &str) -> StrBytes {
    let bytes = frame.slice_ref(text.as_bytes());
    StrBytes::from_utf8(bytes).expect("the cursor checked that it is UTF-8")
}

/// Where a message is written: a [`Count`] first, then a [`Pieces`] of exactly that size.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);
    /// Record data, shared where that is cheaper than copied.
    fn share(&mut self, bytes: &Bytes);
}

/// Counts the bytes that must be allocated.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Every byte of the message.
    pub(super) total: usize,
    shared: usize,
}

/// Below this a slice of records is copied: an iovec and its reference count cost more.
const SHARED_BYTES_MIN: usize = 512;

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.total += bytes.len();
    }

    fn share(&mut self, bytes: &Bytes) {
        self.total += bytes.len();
        if bytes.len() >= SHARED_BYTES_MIN {
            self.shared += bytes.len();
        }
    }
}

impl Count {
    pub(super) fn allocated(&self) -> usize {
        self.total - self.shared
    }
}

/// Writes into one buffer that is cut where shared slices come between.
#[derive(Debug)]
pub(super) struct Pieces {
    done: Vec<Bytes>,
    open: BytesMut,
}

impl Pieces {
    pub(super) fn with_capacity(allocated: usize) -> Self {
        Self { done: Vec::new(), open: BytesMut::with_capacity(allocated) }
    }

    pub(super) fn finish(mut self) -> Vec<Bytes> {
        if !self.open.is_empty() {
            self.done.push(self.open.freeze());
        }
        self.done
    }
}

impl Sink for Pieces {
    fn put(&mut self, bytes: &[u8]) {
        self.open.put_slice(bytes);
    }

    fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            return self.put(bytes);
        }
        if !self.open.is_empty() {
            self.done.push(self.open.split().freeze());
        }
        self.done.push(bytes.clone());
    }
}

/// Writes primitives of one version into a sink.
#[derive(Debug)]
pub(super) struct Writer<'a, S: Sink> {
    pub(super) sink: &'a mut S,
    compact: bool,
}

impl<'a, S: Sink> Writer<'a, S> {
    pub(super) fn new(sink: &'a mut S, compact: bool) -> Self {
        Self { sink, compact }
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.sink.put(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.sink.put(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.sink.put(&value.to_be_bytes());
    }

    pub(super) fn uuid(&mut self, value: Uuid) {
        self.sink.put(value.as_bytes());
    }

    pub(super) fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.sink.put(&[value.to_le_bytes()[0] | 0x80]);
            value >>= 7;
        }
        self.sink.put(&[value.to_le_bytes()[0]]);
    }

    /// The count of an array or the length of bytes; `None` is null.
    pub(super) fn count(&mut self, count: Option<usize>) {
        let count = count.map(|count| i32::try_from(count).expect("a response is below 2 GiB"));
        if self.compact {
            self.varint(count.map_or(0, |count| count.unsigned_abs() + 1));
        } else {
            self.i32(count.unwrap_or(-1));
        }
    }

    /// A string; `None` is null. One that is too long for its type is cut at a character.
    pub(super) fn string(&mut self, text: Option<&str>) {
        let text = text.map(|text| &text[..text.floor_char_boundary(STRING_BYTES_MAX)]);
        if self.compact {
            self.count(text.map(str::len));
        } else {
            self.i16(text.map_or(-1, |text| i16::try_from(text.len()).expect("cut above")));
        }
        self.sink.put(text.unwrap_or_default().as_bytes());
    }

    /// The tagged fields that end a struct, where the version has them.
    pub(super) fn tagged(&mut self, fields: &[(u32, Bytes)]) {
        if !self.compact {
            return;
        }
        self.varint(u32::try_from(fields.len()).expect("a handful of fields"));
        for (tag, field) in fields {
            self.varint(*tag);
            self.varint(u32::try_from(field.len()).expect("a tagged field is small"));
            self.sink.put(field);
        }
    }
}

/// The value of a tagged field. They are rare, so each has a small buffer of its own.
pub(super) fn tagged_value(write: impl Fn(&mut Writer<'_, Pieces>)) -> Bytes {
    let mut pieces = Pieces::with_capacity(64);
    write(&mut Writer::new(&mut pieces, true));
    pieces.open.freeze()
}
