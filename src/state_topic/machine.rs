//! What a user of a state topic supplies: a pure state that its records rebuild.

use std::time::Duration;

use super::Turn;
use crate::base::clock::Timestamp;
use crate::base::ids::{ProducerId, SlotId};
use crate::base::offset::Offset;

/// Time as one step sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The wall clock: for what is written. It may jump.
    pub wall: Timestamp,
    /// Time since the process began to serve the topic: for deadlines. It never jumps.
    pub elapsed: Duration,
}

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRecord {
    /// Its key.
    pub key: Vec<u8>,
    /// Its value; none is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// A record that is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed<'a> {
    /// Where.
    pub offset: Offset,
    /// When it was written.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: &'a [u8],
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The producer and its epoch, if the record belongs to a transaction: it counts when the marker says so.
    pub transaction: Option<(ProducerId, i16)>,
}

/// The end of a transaction, in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayedMarker {
    /// Where.
    pub offset: Offset,
    /// Whose transaction.
    pub producer: (ProducerId, i16),
    /// Whether its records count.
    pub commit: bool,
    /// The slot that must be stable before anybody is told; none when it is replayed.
    pub slot: Option<SlotId>,
}

/// A piece of the live state, as records that would rebuild it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Live {
    /// The records. What belongs to an open transaction, or is superseded by one when it commits, is left out.
    pub records: Vec<StateRecord>,
    /// Where the next piece begins; none: this is the last.
    pub next: Option<Vec<u8>>,
}

/// The state of one partition. Pure: it decides, and appends through the [`Turn`] that it is given.
///
/// Law: replaying the log gives the state that the live machine had when the last of those records was appended, but for
/// what is not written (sessions, waiting requests). So a machine changes its written state only by what it appends in the
/// same turn, and a turn whose append failed leaves a machine that is never asked again.
pub trait Machine: Send + 'static {
    /// Takes up a record that is in the log. One that cannot be read is skipped, as Kafka does.
    fn replay(&mut self, record: &Replayed<'_>);

    /// Takes up the end of a transaction.
    fn replay_marker(&mut self, marker: &ReplayedMarker);

    /// The log is replayed: timers start. Called once, before the first turn.
    fn loaded(&mut self, turn: &mut Turn<'_>);

    /// When [`Machine::on_time`] wants to be called, in [`Now::elapsed`].
    fn deadline(&self) -> Option<Duration>;

    /// A deadline has passed. It must move [`Machine::deadline`] into the future.
    fn on_time(&mut self, turn: &mut Turn<'_>);

    /// About how many bytes of batches the live state would take.
    fn live_bytes(&self) -> u64;

    /// The piece of the live state that begins at `from` (none: the first), of about `bytes_max`.
    fn live(&self, from: Option<&[u8]>, bytes_max: usize) -> Live;

    /// The oldest record that the log must keep although [`Machine::live`] leaves it out.
    fn oldest_needed(&self) -> Option<Offset>;
}
