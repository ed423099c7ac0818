//! Why a request of a share group is refused. Nothing was changed by it.
//!
//! The messages are Kafka's: clients show them to people.

/// A refusal. What its code is, `handlers` decides.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such group, and a member that has joined asks.
    #[error("Share group {0} not found.")]
    NoShareGroup(String),
    /// No such group.
    #[error("Group {0} not found.")]
    NotFound(String),
    /// There is one of another protocol.
    #[error("Group {0} is not a share group.")]
    OfAnotherKind(String),
    /// No such member.
    #[error("Member {member} is not a member of group {group}.")]
    UnknownMember {
        /// As asked for.
        member: String,
        /// The group.
        group: String,
    },
    /// The member knows an epoch that was never given out here.
    #[error(
        "The share group member has a greater member epoch ({received}) than the one known by the group coordinator ({known}). The member must abandon all its partitions and rejoin."
    )]
    Ahead {
        /// As sent.
        received: i32,
        /// As expected.
        known: i32,
    },
    /// The member's epoch is over.
    #[error(
        "The share group member has a smaller member epoch ({received}) than the one known by the group coordinator ({known}), and it does not match the previous member epoch ({previous}). The member must abandon all its partitions and rejoin."
    )]
    Behind {
        /// As sent.
        received: i32,
        /// As expected.
        known: i32,
        /// As expected of a retry.
        previous: i32,
    },
    /// The group has as many members as it may.
    #[error("The share group has reached its maximum capacity of {0} members.")]
    Full(usize),
    /// What only a group without members allows.
    #[error("The group is not empty.")]
    NotEmpty,
}
