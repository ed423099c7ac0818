//! What a step is given, and what comes of it.

use std::time::Duration;

use super::topics::Partitions;
use crate::cluster::group_config::ShareSettings;
use crate::cluster::image::Image;
use crate::protocol::records::share::Record;
pub use crate::state_topic::Now;

/// The settings of one group: the broker's, and the group's own over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the group may set for itself.
    pub group: ShareSettings,
    /// The most members.
    pub max_size: usize,
    /// How long the state of a partition may take to be initialised before it is asked for again.
    pub initialize_retry: Duration,
}

/// What the group is decided against.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The metadata as last heard.
    pub image: &'a Image,
    /// The group's settings.
    pub settings: &'a Settings,
}

/// State of partitions that is to be initialised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialize {
    /// The epoch of the state: the group's.
    pub epoch: i32,
    /// Which partitions.
    pub partitions: Partitions,
}

/// What comes of a step: the state has changed already, and the records say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<A> {
    /// To be written, in order, as one batch, before the answer is given.
    pub records: Vec<Record>,
    /// The answer.
    pub answer: A,
    /// State to be initialised once the records are there; what comes of it goes to `ShareGroup::initialized` or
    /// `ShareGroup::not_initialized`.
    pub initialize: Option<Initialize>,
}
