//! Why a request of a consumer group is refused. Nothing was changed by it.
//!
//! The messages are Kafka's: clients show them to people.

use crate::base::re2::Invalid;

/// A refusal. What its code is, `handlers` decides.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such group of the consumer protocol.
    #[error("{}", why.told(group))]
    GroupNotFound {
        /// As asked for.
        group: String,
        /// What there is instead.
        why: Missing,
    },
    /// No such member.
    #[error("Member {member} is not a member of group {group}.")]
    UnknownMember {
        /// As asked for.
        member: String,
        /// The group.
        group: String,
    },
    /// No member has that instance id.
    #[error("Instance id {0} is unknown.")]
    UnknownInstance(String),
    /// The member must give up all it has and join anew.
    #[error("{0}")]
    Fenced(Fenced),
    /// The instance id is another member's, which has not left.
    #[error(
        "Static member {member} with instance id {instance} cannot join the group because the instance id is owned by {owner} member."
    )]
    Unreleased {
        /// Who asked.
        member: String,
        /// For what.
        instance: String,
        /// Whose it is.
        owner: String,
    },
    /// The instance id was taken over by another member.
    #[error("Static member {member} with instance id {instance} was fenced by member {owner}.")]
    FencedInstance {
        /// Who asked.
        member: String,
        /// For what.
        instance: String,
        /// Whose it is.
        owner: String,
    },
    /// The group has as many members as it may.
    #[error("The consumer group has reached its maximum capacity of {0} members.")]
    Full(usize),
    /// The pattern cannot be used.
    #[error("SubscribedTopicRegex `{regex}` is not a valid regular expression: {reason}.")]
    InvalidRegex {
        /// As given.
        regex: String,
        /// In RE2's words.
        reason: Invalid,
    },
}

/// Why there is no group of the consumer protocol. Kafka's words differ by who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// A member that has joined asks.
    NoConsumerGroup,
    /// Anybody else does.
    NotThere,
    /// There is one of another protocol.
    IsOther,
    /// There is one of the classic protocol that has members, and a member of this one wants to join.
    NoUpgrade,
    /// The same, and it would be larger than a group of this protocol may be.
    TooLarge,
    /// The same, and what its members say is not in the words of Kafka's consumers.
    Malformed,
    /// The same, and that group's members do not speak the consumers' embedded protocol: it never can become another.
    NotConsumers,
}

impl Missing {
    fn told(self, group: &str) -> String {
        match self {
            Self::NoConsumerGroup => format!("Consumer group {group} not found."),
            Self::NotThere => format!("Group {group} not found."),
            Self::IsOther => format!("Group {group} is not a consumer group."),
            Self::NotConsumers => format!(
                "Cannot upgrade classic group {group} to consumer group because the group does not use the consumer embedded protocol."
            ),
            Self::TooLarge => format!(
                "Cannot upgrade classic group {group} to consumer group because the group size exceeds the consumer group maximum size."
            ),
            Self::Malformed => format!(
                "Cannot upgrade classic group {group} to consumer group because the embedded consumer protocol is malformed."
            ),
            Self::NoUpgrade => format!(
                "Cannot upgrade classic group {group} to consumer group because online upgrade is disabled."
            ),
        }
    }
}

/// Why a member is fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fenced {
    /// It knows an epoch that was never given out here.
    #[error(
        "The consumer group member has a greater member epoch ({received}) than the one known by the group coordinator ({known}). The member must abandon all its partitions and rejoin."
    )]
    Ahead {
        /// As sent.
        received: i32,
        /// As expected.
        known: i32,
    },
    /// Its epoch is over.
    #[error(
        "The consumer group member has a smaller member epoch ({received}) than the one known by the group coordinator ({known}). The member must abandon all its partitions and rejoin."
    )]
    Behind {
        /// As sent.
        received: i32,
        /// As expected.
        known: i32,
    },
    /// Its state was written by a newer Kafka.
    #[error(
        "The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin."
    )]
    UnknownState,
}
