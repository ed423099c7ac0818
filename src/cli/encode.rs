//! Records as JSON, and bytes that are no text as base64: what `consume --json` prints and `produce --format json` reads.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::client::{Received, Record};

/// A record in JSON. A key or value that is not UTF-8 stands in its `_base64` field; null is none.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(default)]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<JsonHeader>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonHeader {
    name: String,
    #[serde(default)]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl JsonRecord {
    pub(super) fn of(topic: &str, received: &Received) -> Self {
        let record = &received.record;
        let (key, key_base64) = show(record.key.as_ref());
        let (value, value_base64) = show(record.value.as_ref());
        let header = |(name, value): &(Bytes, Option<Bytes>)| {
            let (value, value_base64) = show(value.as_ref());
            JsonHeader { name: String::from_utf8_lossy(name).into_owned(), value, value_base64 }
        };
        Self {
            topic: Some(topic.to_owned()),
            partition: Some(received.partition),
            offset: Some(received.offset.0),
            timestamp: Some(record.timestamp.0),
            key,
            key_base64,
            value,
            value_base64,
            headers: record.headers.iter().map(header).collect(),
        }
    }

    /// The record; `now` where it says no time.
    pub(super) fn into_record(self, now: Timestamp) -> anyhow::Result<Record> {
        let mut headers = Vec::new();
        for one in self.headers {
            headers.push((Bytes::from(one.name), hide(one.value, one.value_base64)?));
        }
        Ok(Record {
            timestamp: self.timestamp.map_or(now, Timestamp),
            key: hide(self.key, self.key_base64)?,
            value: hide(self.value, self.value_base64)?,
            headers,
        })
    }
}

/// Text, or base64 of what is no text.
fn show(bytes: Option<&Bytes>) -> (Option<String>, Option<String>) {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => (None, None),
        Some((Ok(text), _)) => (Some(text.to_owned()), None),
        Some((Err(_), bytes)) => (None, Some(to_base64(bytes))),
    }
}

fn hide(text: Option<String>, base64: Option<String>) -> anyhow::Result<Option<Bytes>> {
    match (text, base64) {
        (_, Some(base64)) => Ok(Some(Bytes::from(from_base64(&base64)?))),
        (text, None) => Ok(text.map(Bytes::from)),
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

fn from_base64(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let digit = ALPHABET.iter().position(|known| *known == letter);
        let Some(digit) = digit.and_then(|digit| u32::try_from(digit).ok()) else {
            anyhow::bail!("`{}` is not in base64", char::from(letter));
        };
        bits = bits << 6 | digit;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).expect("eight bits"));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::offset::Offset;

    #[test]
    fn base64_is_the_usual_one() {
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foobar", "Zm9vYmFy")]
        {
            assert_eq!(to_base64(bytes), text);
            assert_eq!(from_base64(text).expect("base64"), bytes);
        }
        assert!(from_base64("a b").is_err());
    }

    proptest! {
        #[test]
        fn a_record_survives_json(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)),
            value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..99)),
            header in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)),
        ) {
            let record = Record {
                timestamp: Timestamp(7),
                key: key.map(Bytes::from),
                value: value.map(Bytes::from),
                headers: vec![(Bytes::from("h"), header.map(Bytes::from))],
            };
            let received = Received { partition: 1, offset: Offset(2), record: record.clone() };
            let text = serde_json::to_string(&JsonRecord::of("t", &received)).expect("JSON");
            let read: JsonRecord = serde_json::from_str(&text).expect("its own JSON");
            prop_assert_eq!(read.into_record(Timestamp(0)).expect("a record"), record);
        }
    }
}
