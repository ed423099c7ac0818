//! What consumers put into the opaque bytes of the classic protocol: a subscription when they join, an assignment when they sync.
//!
//! A coordinator reads and writes them only where it moves a group of consumers between the protocols. Read by the lowest
//! fields that every version has; what a later version adds behind them is skipped.
//!
//! Source: `ConsumerProtocolSubscription.json`, `ConsumerProtocolAssignment.json`, `ConsumerProtocol` in Apache Kafka 4.3.1.

use super::Error;
use super::wire::{Cursor, Pieces, Writer};

/// The newest version whose fields are known here.
const NEWEST: i16 = 3;

/// Partitions of one topic, by the topic's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPartitions {
    /// The topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

/// What a member subscribes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscription {
    /// Its version, which is also that of the assignment that the member understands.
    pub version: i16,
    /// Topics by name.
    pub topics: Vec<String>,
    /// What the member owns; nothing below version 1.
    pub owned: Vec<NamedPartitions>,
    /// `client.rack`, from version 3 on.
    pub rack_id: Option<String>,
}

impl Subscription {
    /// Reads one.
    ///
    /// # Errors
    /// [`Error`]: these are no bytes of Kafka's consumers.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes, false);
        let version = version(&mut cursor)?;
        let topics = cursor.count(2)?.unwrap_or_default();
        let topics = (0..topics).map(|_| text(&mut cursor)).collect::<Result<_, _>>()?;
        cursor.bytes()?;
        let owned = if version >= 1 { read_partitions(&mut cursor)? } else { Vec::new() };
        if version >= 2 {
            cursor.i32()?;
        }
        let rack_id = if version >= 3 { cursor.string()?.map(str::to_owned) } else { None };
        Ok(Self { version, topics, owned, rack_id })
    }
}

/// Reads a subscription's topics by the fields of its first version, whatever version it says it has.
///
/// # Errors
/// [`Error`]: these are no bytes of Kafka's consumers.
///
/// Source: `ClassicGroup.computeSubscribedTopics` in Apache Kafka 4.3.1.
pub fn read_topics(bytes: &[u8]) -> Result<Vec<String>, Error> {
    let mut cursor = Cursor::new(bytes, false);
    cursor.i16()?;
    let topics = match cursor.count(2)? {
        Some(topics) => (0..topics).map(|_| text(&mut cursor)).collect::<Result<_, _>>()?,
        None => return Err(cursor.invalid("null topics of a consumer")),
    };
    cursor.bytes()?;
    Ok(topics)
}

/// Reads what an assignment gives; nothing from no bytes, which is what a member has before its leader assigned.
///
/// # Errors
/// [`Error`]: these are no bytes of Kafka's consumers.
pub fn read_assignment(bytes: &[u8]) -> Result<Vec<NamedPartitions>, Error> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut cursor = Cursor::new(bytes, false);
    version(&mut cursor)?;
    read_partitions(&mut cursor)
}

/// An assignment as a member of that version reads it.
#[must_use]
pub fn write_assignment(version: i16, assigned: &[NamedPartitions]) -> Vec<u8> {
    let mut pieces = Pieces::with_capacity(64);
    let mut writer = Writer::new(&mut pieces, false);
    writer.i16(version.min(NEWEST));
    writer.count(Some(assigned.len()));
    for one in assigned {
        writer.string(Some(&one.topic));
        writer.count(Some(one.partitions.len()));
        for partition in &one.partitions {
            writer.i32(*partition);
        }
    }
    // No data of the user's own.
    writer.count(None);
    pieces.finish().concat()
}

fn version(cursor: &mut Cursor<'_>) -> Result<i16, Error> {
    match cursor.i16()? {
        ..0 => Err(cursor.invalid("version of the consumers' protocol")),
        version => Ok(version.min(NEWEST)),
    }
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, Error> {
    match cursor.string()? {
        Some(text) => Ok(text.to_owned()),
        None => Err(cursor.invalid("null topic of a consumer")),
    }
}

fn read_partitions(cursor: &mut Cursor<'_>) -> Result<Vec<NamedPartitions>, Error> {
    let topics = cursor.count(6)?.unwrap_or_default();
    let one = |cursor: &mut Cursor<'_>| {
        let topic = text(cursor)?;
        let partitions = cursor.count(4)?.unwrap_or_default();
        let partitions = (0..partitions).map(|_| cursor.i32()).collect::<Result<_, _>>()?;
        Ok(NamedPartitions { topic, partitions })
    };
    (0..topics).map(|_| one(cursor)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(topic: &str, partitions: &[i32]) -> NamedPartitions {
        NamedPartitions { topic: topic.to_owned(), partitions: partitions.to_vec() }
    }

    #[test]
    fn subscriptions_of_every_version_are_read() {
        let first = b"\x00\x00\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff";
        let read = Subscription::read(first).expect("version 0");
        assert_eq!(read, Subscription { topics: vec!["t".to_owned()], ..Subscription::default() });
        let mut newest = first.to_vec();
        newest[1] = 3;
        newest.extend(b"\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x05\0\0\0\x06");
        newest.extend(b"\0\0\0\x09\0\x01r");
        let read = Subscription::read(&newest).expect("version 3");
        assert_eq!(read.owned, [named("t", &[5, 6])]);
        assert_eq!((read.version, read.rack_id.as_deref()), (3, Some("r")));
        newest[1] = 9;
        newest.extend(b"more");
        assert_eq!(Subscription::read(&newest).expect("a later version"), read);
        for cut in 0..newest.len() - 4 {
            assert!(Subscription::read(&newest[..cut]).is_err(), "{cut} bytes");
        }
        assert!(Subscription::read(b"\xff\xff\0\0\0\0\xff\xff\xff\xff").is_err());
        assert!(Subscription::read(b"\0\0\x7f\xff\xff\xff").is_err(), "a count is not believed");
    }

    #[test]
    fn topics_are_read_by_the_fields_of_the_first_version() {
        let first = b"\x00\x00\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff";
        for version in [0, 3, 9, -1] {
            let bytes = [&i16::to_be_bytes(version)[..], &first[2..], b"more"].concat();
            assert_eq!(read_topics(&bytes).expect("readable"), ["t"], "{version}");
        }
        for cut in 0..first.len() {
            assert!(read_topics(&first[..cut]).is_err(), "{cut} bytes");
        }
        assert!(read_topics(b"\0\0\xff\xff\xff\xff\xff\xff\xff\xff").is_err(), "null");
    }

    #[test]
    fn assignments_come_back_as_they_were_written() {
        let assigned = [named("a", &[0, 7]), named("b", &[])];
        // `ConsumerProtocol.serializeAssignment` of Apache Kafka 4.3.1.
        let bytes = write_assignment(1, &assigned);
        let expected =
            b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x07\0\x01b\0\0\0\0\xff\xff\xff\xff";
        assert_eq!(bytes, expected);
        assert_eq!(read_assignment(&bytes).expect("readable"), assigned);
        assert_eq!(read_assignment(b"").expect("nothing is assigned"), []);
        assert!(read_assignment(&bytes[..12]).is_err());
    }
}
