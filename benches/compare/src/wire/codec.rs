//! Kafka's primitive types, big-endian.

use anyhow::{Context, ensure};

/// Builds a request.
#[derive(Debug, Default, Clone)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// A byte.
    pub fn i8(&mut self, value: i8) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Two bytes.
    pub fn i16(&mut self, value: i16) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Four bytes.
    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Eight bytes.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A count or a length.
    pub fn length(&mut self, value: usize) -> &mut Self {
        self.i32(i32::try_from(value).expect("requests of the harness are far below 2 GiB"))
    }

    /// A string, or null.
    pub fn string(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            None => self.i16(-1),
            Some(text) => {
                self.i16(i16::try_from(text.len()).expect("names are short"));
                self.0.extend(text.as_bytes());
                self
            }
        }
    }

    /// A varint with zigzag, as records have them.
    pub fn varint(&mut self, value: i64) -> &mut Self {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            self.0.push((rest as u8) | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
        self
    }
}

/// Reads an answer.
#[derive(Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next bytes.
    pub fn take(&mut self, bytes: usize) -> anyhow::Result<&'a [u8]> {
        ensure!(self.0.len() >= bytes, "answer too short: {} of {bytes} bytes", self.0.len());
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        self.take(N)?.try_into().context("length was checked")
    }

    /// A byte.
    pub fn i8(&mut self) -> anyhow::Result<i8> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    /// Two bytes.
    pub fn i16(&mut self) -> anyhow::Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn i32(&mut self) -> anyhow::Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// Eight bytes.
    pub fn i64(&mut self) -> anyhow::Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A string; null is empty.
    pub fn string(&mut self) -> anyhow::Result<String> {
        let bytes = self.i16()?.max(0);
        Ok(String::from_utf8_lossy(self.take(bytes as usize)?).into_owned())
    }

    /// An array's count; null is 0.
    pub fn count(&mut self) -> anyhow::Result<usize> {
        Ok(self.i32()?.max(0) as usize)
    }
}
