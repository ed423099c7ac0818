//! What a step is given, and what comes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::assignor::Assignor;
use super::migration::ToClassic;
use crate::cluster::image::Image;
use crate::protocol::records::consumer::Record;
pub use crate::state_topic::Now;

/// The settings of one group: the broker's, and the group's own over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a member may be silent.
    pub session_timeout: Duration,
    /// How often it is asked to be heard of.
    pub heartbeat_interval: Duration,
    /// The least time between two computed assignments; zero: none.
    pub assignment_interval: Duration,
    /// Patterns are matched anew so often, even if no topic came.
    pub regex_refresh_interval: Duration,
    /// The most members.
    pub max_size: usize,
    /// Assignors that members may ask for, the default first.
    pub assignors: Vec<Assignor>,
    /// The most members of the classic protocol that may become a classic group when the others are gone; none: they stay.
    pub downgrade_max: Option<usize>,
}

impl Default for Settings {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(5),
            assignment_interval: Duration::from_secs(1),
            regex_refresh_interval: Duration::from_secs(600),
            max_size: i32::MAX as usize,
            assignors: Assignor::ALL.to_vec(),
            downgrade_max: Some(i32::MAX as usize),
        }
    }
}

/// What the group is decided against.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The metadata as last heard.
    pub image: &'a Image,
    /// The version of the last image that brought topics which the one before did not have.
    pub topics_version: i64,
    /// The group's settings.
    pub settings: &'a Settings,
}

/// What comes of a step: the state has changed already, and the records say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<A> {
    /// To be written, in order, as one batch, before the answer is given.
    pub records: Vec<Record>,
    /// The answer.
    pub answer: A,
    /// Patterns to be matched against the topics; the result goes to `ConsumerGroup::regexes_resolved`. It takes long where
    /// topics are many, so it is no part of the step.
    pub resolve: Option<BTreeSet<String>>,
    /// The group is to become a classic one: the caller, who keeps groups of both kinds, sees to it.
    pub to_classic: Option<ToClassic>,
}

impl<A> Outcome<A> {
    /// An answer that changes nothing.
    pub(super) fn answered(answer: A) -> Self {
        Self { records: Vec::new(), answer, resolve: None, to_classic: None }
    }

    /// The same with another answer.
    pub(super) fn map<B>(self, answer: impl FnOnce(A) -> B) -> Outcome<B> {
        let Self { records, answer: before, resolve, to_classic } = self;
        Outcome { records, answer: answer(before), resolve, to_classic }
    }
}
