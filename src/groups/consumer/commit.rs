//! Whether a member may commit or fetch offsets: it must be who it was when it received the partition.
//!
//! Source: `ConsumerGroup.validateOffsetCommit`, `validateOffsetFetch` in Apache Kafka 4.3.1; KIP-1251 for commits of an
//! epoch that is over, which are good for partitions that the member has held since before.

use super::error::Error;
use super::group::ConsumerGroup;
use super::member::Member;
use crate::base::ids::TopicId;

/// Who commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committer<'a> {
    /// `member.id`; empty: none.
    pub member_id: &'a str,
    /// `group.instance.id`.
    pub instance_id: Option<&'a str>,
    /// The member epoch, or the generation; negative: none.
    pub epoch: i32,
    /// Whether the commit belongs to a transaction.
    pub transactional: bool,
    /// Whether the request can carry a member epoch: OffsetCommit from version 9 on, TxnOffsetCommit always.
    pub carries_epochs: bool,
}

/// Why offsets are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Not a member.
    #[error(transparent)]
    Member(#[from] Error),
    /// A member of the consumer protocol asks with a version that is too old for it.
    #[error(
        "OffsetCommit version 9 or above must be used by members using the consumer group protocol"
    )]
    Version,
    /// A member of the consumer protocol is of another epoch.
    #[error("received member epoch {received}, the group knows {known}")]
    StaleEpoch {
        /// As sent.
        received: i32,
        /// As expected, of the member or of the partition.
        known: i32,
    },
    /// A member of the classic protocol is of another generation.
    #[error("received generation {received}, the group knows {known}")]
    IllegalGeneration {
        /// As sent.
        received: i32,
        /// As expected, of the member or of the partition.
        known: i32,
    },
}

/// What is good to be committed.
#[derive(Debug, Clone, Copy)]
pub enum Allowed<'a> {
    /// Everything.
    All,
    /// Partitions that the member has held since the epoch that it sent, or before.
    HeldSince(&'a Member, i32),
}

impl ConsumerGroup {
    /// Whether offsets may be committed, and of which partitions.
    ///
    /// # Errors
    /// [`CommitError`]: none at all.
    pub fn check_commit(&self, committer: Committer<'_>) -> Result<Allowed<'_>, CommitError> {
        let Committer { member_id, instance_id, epoch, transactional, carries_epochs } = committer;
        // Whoever manages partitions by itself commits to a group without members.
        if epoch < 0 && self.members.is_empty() {
            return Ok(Allowed::All);
        }
        let names_nobody = epoch == -1 && member_id.is_empty() && instance_id.is_none();
        if transactional && names_nobody {
            return Ok(Allowed::All);
        }
        let member = self.member(member_id)?;
        if !transactional && member.classic.is_none() && !carries_epochs {
            return Err(CommitError::Version);
        }
        match epoch.cmp(&member.epoch) {
            std::cmp::Ordering::Equal => Ok(Allowed::All),
            std::cmp::Ordering::Greater => Err(other_epoch(member, epoch, member.epoch)),
            std::cmp::Ordering::Less => Ok(Allowed::HeldSince(member, epoch)),
        }
    }

    /// Whether offsets may be fetched.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn check_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), CommitError> {
        let Some(id) = member_id else {
            let nobody = || Error::UnknownMember { member: "null".into(), group: self.id.clone() };
            return if epoch < 0 { Ok(()) } else { Err(nobody().into()) };
        };
        let member = self.member(id)?;
        if epoch == member.epoch { Ok(()) } else { Err(other_epoch(member, epoch, member.epoch)) }
    }
}

impl Allowed<'_> {
    /// Whether the offset of that partition may be committed.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn check(self, topic: TopicId, partition: i32) -> Result<(), CommitError> {
        let Self::HeldSince(member, received) = self else { return Ok(()) };
        let held = [&member.assigned, &member.revoking];
        let since = held.into_iter().find_map(|held| held.get(&topic)?.get(&partition));
        match since {
            Some(since) if received >= *since => Ok(()),
            since => Err(other_epoch(member, received, since.copied().unwrap_or(member.epoch))),
        }
    }
}

fn other_epoch(member: &Member, received: i32, known: i32) -> CommitError {
    match &member.classic {
        Some(_) => CommitError::IllegalGeneration { received, known },
        None => CommitError::StaleEpoch { received, known },
    }
}
