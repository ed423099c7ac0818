//! Kafka's primitive types, big-endian.

use anyhow::{Context, bail, ensure};

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
        self.unsigned(((value << 1) ^ (value >> 63)) as u64)
    }

    /// A count of a flexible version: null is 0.
    pub fn compact_length(&mut self, value: Option<usize>) -> &mut Self {
        self.unsigned(value.map_or(0, |value| value as u64 + 1))
    }

    /// A string of a flexible version, or null.
    pub fn compact(&mut self, value: Option<&str>) -> &mut Self {
        self.compact_length(value.map(str::len));
        self.0.extend(value.unwrap_or_default().as_bytes());
        self
    }

    fn unsigned(&mut self, mut rest: u64) -> &mut Self {
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

    /// A count or length of a flexible version; null is 0.
    pub fn compact_count(&mut self) -> anyhow::Result<usize> {
        Ok(self.unsigned()?.saturating_sub(1) as usize)
    }

    /// A string of a flexible version; null is empty.
    pub fn compact(&mut self) -> anyhow::Result<String> {
        let bytes = self.compact_count()?;
        Ok(String::from_utf8_lossy(self.take(bytes)?).into_owned())
    }

    /// Passes over tagged fields.
    pub fn skip_tags(&mut self) -> anyhow::Result<()> {
        for _ in 0..self.unsigned()? {
            self.unsigned()?;
            let bytes = self.unsigned()?;
            self.take(usize::try_from(bytes)?)?;
        }
        Ok(())
    }

    fn unsigned(&mut self) -> anyhow::Result<u32> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        bail!("a varint without an end")
    }

    /// An array's count; null is 0.
    pub fn count(&mut self) -> anyhow::Result<usize> {
        Ok(self.i32()?.max(0) as usize)
    }
}
