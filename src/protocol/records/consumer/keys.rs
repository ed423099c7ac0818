//! The keys: a type as INT16, then the strings that name the record.

use super::super::super::Error;
use super::super::super::wire::{Cursor, Pieces, Writer};

/// The key of a record of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The group.
    Group(String),
    /// Kafka 4.0's metadata of its topics.
    PartitionMetadata(String),
    /// A member: group, member.
    Member(String, String),
    /// The target assignment of the group.
    Target(String),
    /// The target assignment of a member: group, member.
    TargetMember(String, String),
    /// The current assignment of a member: group, member.
    Current(String, String),
    /// A resolved pattern: group, pattern.
    Regex(String, String),
}

impl Key {
    /// Its type: Kafka's `apiKey` of the record.
    #[must_use]
    pub fn kind(&self) -> i16 {
        match self {
            Self::Group(_) => 3,
            Self::PartitionMetadata(_) => 4,
            Self::Member(..) => 5,
            Self::Target(_) => 6,
            Self::TargetMember(..) => 7,
            Self::Current(..) => 8,
            Self::Regex(..) => 16,
        }
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> &str {
        match self {
            Self::Group(group) | Self::PartitionMetadata(group) | Self::Target(group) => group,
            Self::Member(group, _)
            | Self::TargetMember(group, _)
            | Self::Current(group, _)
            | Self::Regex(group, _) => group,
        }
    }

    fn second(&self) -> Option<&str> {
        match self {
            Self::Group(_) | Self::PartitionMetadata(_) | Self::Target(_) => None,
            Self::Member(_, second)
            | Self::TargetMember(_, second)
            | Self::Current(_, second)
            | Self::Regex(_, second) => Some(second),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut pieces = Pieces::with_capacity(64);
        let mut writer = Writer::new(&mut pieces, false);
        writer.i16(self.kind());
        writer.string(Some(self.group()));
        if let Some(second) = self.second() {
            writer.string(Some(second));
        }
        pieces.finish().concat()
    }

    /// `None`: a key of another kind.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let mut cursor = Cursor::new(bytes, false);
        let kind = cursor.i16()?;
        if !matches!(kind, 3..=8 | 16) {
            return Ok(None);
        }
        let group = text(&mut cursor)?;
        Ok(Some(match kind {
            3 => Self::Group(group),
            4 => Self::PartitionMetadata(group),
            5 => Self::Member(group, text(&mut cursor)?),
            6 => Self::Target(group),
            7 => Self::TargetMember(group, text(&mut cursor)?),
            8 => Self::Current(group, text(&mut cursor)?),
            _ => Self::Regex(group, text(&mut cursor)?),
        }))
    }
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, Error> {
    let text = cursor.string()?.map(str::to_owned);
    text.ok_or_else(|| cursor.invalid("null string"))
}
