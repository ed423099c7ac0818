//! Share sessions: what a member reads is remembered, so that its requests and their answers name only what changed. Pure.
//!
//! Owns which partitions a member reads and the epoch of its next request. Does not own what it holds (`partition`).
//!
//! Source: KIP-932; `ShareSessionCache`, `ShareSessionContext`, `SharePartitionManager.newContext` in Apache Kafka 4.3.1.

use std::collections::BTreeMap;

use crate::base::ids::TopicPartition;

/// The epoch that opens a session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch that closes it.
pub const FINAL_EPOCH: i32 = -1;

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberKey {
    /// Its group.
    pub group: String,
    /// Its id.
    pub member: String,
}

/// Why a request does not go with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `SHARE_SESSION_NOT_FOUND`.
    #[error("no such share session")]
    NotFound,
    /// `INVALID_SHARE_SESSION_EPOCH`.
    #[error("another request of the share session was expected")]
    InvalidEpoch,
    /// `SHARE_SESSION_LIMIT_REACHED`.
    #[error("there are too many share sessions")]
    LimitReached,
    /// `INVALID_REQUEST`: what opens a session acknowledges nothing.
    #[error("acknowledgements before anything was fetched")]
    InvalidRequest,
}

/// What a ShareFetch says of its session.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// 0 opens, -1 closes, any other goes on.
    pub epoch: i32,
    /// Partitions to read from now on.
    pub wanted: Vec<TopicPartition>,
    /// Partitions not to read any more.
    pub forgotten: Vec<TopicPartition>,
    /// Whether it acknowledges anything.
    pub acknowledges: bool,
    /// The connection that it came on: a session ends with the one that opened it.
    pub connection: u64,
}

/// What a ShareFetch reads, and how its answer is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context {
    /// The session is new: everything is told.
    Full(Vec<TopicPartition>),
    /// The session goes on: only what changed is told.
    Incremental(Vec<TopicPartition>),
    /// The session ends: nothing is read.
    Final,
}

impl Context {
    /// What to read, in turn.
    #[must_use]
    pub fn partitions(&self) -> &[TopicPartition] {
        match self {
            Self::Full(partitions) | Self::Incremental(partitions) => partitions,
            Self::Final => &[],
        }
    }
}

/// A partition as a session remembers it.
#[derive(Debug, Clone, Copy)]
struct Cached {
    /// What gave records goes to the end, so that none starves.
    turn: u64,
    /// The next answer names it, whatever there is to say: it is new, or failed before.
    owed: bool,
}

#[derive(Debug)]
struct ShareSession {
    /// Of the request that is expected next.
    epoch: i32,
    connection: u64,
    partitions: BTreeMap<TopicPartition, Cached>,
    turns: u64,
}

/// A session that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whose it was.
    pub key: MemberKey,
    /// What it read: what the member holds there is to be released.
    pub partitions: Vec<TopicPartition>,
    /// Nobody of the group has a session any more.
    pub last_of_group: bool,
}

/// All sessions of a broker, up to a number.
#[derive(Debug)]
pub struct ShareSessions {
    sessions_max: usize,
    sessions: BTreeMap<MemberKey, ShareSession>,
}

impl ShareSessions {
    /// Keeps at most `sessions_max` (`group.share.max.share.sessions`).
    #[must_use]
    pub fn new(sessions_max: usize) -> Self {
        Self { sessions_max, sessions: BTreeMap::new() }
    }

    /// Finds what a ShareFetch reads.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed, but a session that was to be opened anew is gone.
    pub fn fetch(&mut self, key: &MemberKey, request: FetchRequest) -> Result<Context, Error> {
        match request.epoch {
            FINAL_EPOCH if self.sessions.contains_key(key) => Ok(Context::Final),
            FINAL_EPOCH => Err(Error::NotFound),
            INITIAL_EPOCH if request.acknowledges => Err(Error::InvalidRequest),
            INITIAL_EPOCH => self.open(key, request),
            epoch => {
                let session = self.expected(key, epoch)?;
                session.epoch = next(epoch);
                session.update(&request.wanted, &request.forgotten);
                Ok(Context::Incremental(session.in_turn()))
            }
        }
    }

    fn open(&mut self, key: &MemberKey, request: FetchRequest) -> Result<Context, Error> {
        self.sessions.remove(key);
        if self.sessions.len() >= self.sessions_max {
            return Err(Error::LimitReached);
        }
        let mut session = ShareSession {
            epoch: next(INITIAL_EPOCH),
            connection: request.connection,
            partitions: BTreeMap::new(),
            turns: 0,
        };
        session.update(&request.wanted, &[]);
        // The first answer names them all.
        session.partitions.values_mut().for_each(|cached| cached.owed = false);
        let partitions = session.in_turn();
        self.sessions.insert(key.clone(), session);
        Ok(Context::Full(partitions))
    }

    /// Takes a ShareAcknowledge.
    ///
    /// # Errors
    /// [`Error`].
    pub fn acknowledge(&mut self, key: &MemberKey, epoch: i32) -> Result<(), Error> {
        match epoch {
            INITIAL_EPOCH => Err(Error::InvalidEpoch),
            FINAL_EPOCH if self.sessions.contains_key(key) => Ok(()),
            FINAL_EPOCH => Err(Error::NotFound),
            epoch => {
                self.expected(key, epoch)?.epoch = next(epoch);
                Ok(())
            }
        }
    }

    fn expected(&mut self, key: &MemberKey, epoch: i32) -> Result<&mut ShareSession, Error> {
        let session = self.sessions.get_mut(key).ok_or(Error::NotFound)?;
        if session.epoch == epoch { Ok(session) } else { Err(Error::InvalidEpoch) }
    }

    /// Whether the answer to a request of an open session must name a partition; remembers what it says.
    pub fn must_tell(
        &mut self,
        key: &MemberKey,
        tp: TopicPartition,
        (records, failed): (bool, bool),
    ) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return true };
        let Some(cached) = session.partitions.get_mut(&tp) else { return true };
        let owed = std::mem::replace(&mut cached.owed, failed);
        if records {
            session.turns += 1;
            cached.turn = session.turns;
        }
        owed || records || failed
    }

    /// Ends a member's session.
    pub fn close(&mut self, key: &MemberKey) -> Option<Ended> {
        let session = self.sessions.remove(key)?;
        Some(Ended {
            key: key.clone(),
            partitions: session.in_turn(),
            last_of_group: !self.has_group(&key.group),
        })
    }

    /// Ends the sessions that a connection opened.
    pub fn disconnected(&mut self, connection: u64) -> Vec<Ended> {
        let theirs = self.sessions.iter().filter(|(_, session)| session.connection == connection);
        let theirs: Vec<MemberKey> = theirs.map(|(key, _)| key.clone()).collect();
        theirs.iter().filter_map(|key| self.close(key)).collect()
    }

    /// Whether anybody of the group has a session.
    #[must_use]
    pub fn has_group(&self, group: &str) -> bool {
        let first = MemberKey { group: group.to_owned(), member: String::new() };
        self.sessions.range(first..).next().is_some_and(|(key, _)| key.group == group)
    }
}

impl ShareSession {
    fn update(&mut self, wanted: &[TopicPartition], forgotten: &[TopicPartition]) {
        for tp in wanted {
            self.turns += 1;
            let turn = self.turns;
            self.partitions.entry(*tp).or_insert(Cached { turn, owed: true });
        }
        for tp in forgotten {
            self.partitions.remove(tp);
        }
    }

    fn in_turn(&self) -> Vec<TopicPartition> {
        let mut all: Vec<_> = self.partitions.iter().collect();
        all.sort_unstable_by_key(|(_, cached)| cached.turn);
        all.into_iter().map(|(tp, _)| *tp).collect()
    }
}

/// The epoch after the largest is 1: 0 and -1 have meanings of their own.
fn next(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::base::ids::TopicId;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition { topic: TopicId(Uuid::from_u128(1)), partition }
    }

    fn key(group: &str, member: &str) -> MemberKey {
        MemberKey { group: group.to_owned(), member: member.to_owned() }
    }

    fn request(epoch: i32, wanted: &[i32], forgotten: &[i32]) -> FetchRequest {
        let tps = |numbers: &[i32]| numbers.iter().map(|number| tp(*number)).collect();
        FetchRequest {
            epoch,
            wanted: tps(wanted),
            forgotten: tps(forgotten),
            acknowledges: false,
            connection: 7,
        }
    }

    #[test]
    fn session_opens_goes_on_and_closes() {
        let mut sessions = ShareSessions::new(2);
        let member = key("g", "m");
        let opened = sessions.fetch(&member, request(0, &[0, 1], &[]));
        assert_eq!(opened, Ok(Context::Full(vec![tp(0), tp(1)])));
        let changed = sessions.fetch(&member, request(1, &[2, 1], &[0]));
        assert_eq!(changed, Ok(Context::Incremental(vec![tp(1), tp(2)])));
        assert_eq!(sessions.acknowledge(&member, 2), Ok(()));
        assert_eq!(sessions.fetch(&member, request(-1, &[], &[])), Ok(Context::Final));
        assert_eq!(sessions.acknowledge(&member, -1), Ok(()));
        let ended = sessions.close(&member).expect("open");
        assert_eq!((ended.partitions, ended.last_of_group), (vec![tp(1), tp(2)], true));
        assert_eq!(sessions.acknowledge(&member, 3), Err(Error::NotFound));
    }

    #[test]
    fn requests_out_of_order_are_refused() {
        let mut sessions = ShareSessions::new(1);
        let member = key("g", "m");
        assert_eq!(sessions.fetch(&member, request(1, &[0], &[])), Err(Error::NotFound));
        assert_eq!(sessions.fetch(&member, request(-1, &[], &[])), Err(Error::NotFound));
        let early = FetchRequest { acknowledges: true, ..request(0, &[0], &[]) };
        assert_eq!(sessions.fetch(&member, early), Err(Error::InvalidRequest));
        assert!(sessions.fetch(&member, request(0, &[0], &[])).is_ok());
        assert_eq!(sessions.fetch(&member, request(2, &[0], &[])), Err(Error::InvalidEpoch));
        assert_eq!(sessions.acknowledge(&member, 0), Err(Error::InvalidEpoch));
        assert_eq!(sessions.acknowledge(&member, 2), Err(Error::InvalidEpoch));
        assert_eq!(sessions.fetch(&key("g", "n"), request(0, &[], &[])), Err(Error::LimitReached));
        // The member itself may begin anew.
        assert!(sessions.fetch(&member, request(0, &[0], &[])).is_ok());
        assert_eq!(next(i32::MAX), 1);
    }

    #[test]
    fn only_what_changed_is_told() {
        let mut sessions = ShareSessions::new(1);
        let member = key("g", "m");
        let nothing = (false, false);
        let _ = sessions.fetch(&member, request(0, &[0, 1], &[]));
        assert!(!sessions.must_tell(&member, tp(0), nothing));
        let _ = sessions.fetch(&member, request(1, &[2], &[]));
        assert!(sessions.must_tell(&member, tp(2), nothing), "new");
        assert!(!sessions.must_tell(&member, tp(2), nothing));
        assert!(sessions.must_tell(&member, tp(1), (false, true)), "failed");
        assert!(sessions.must_tell(&member, tp(1), nothing), "well again");
        assert!(!sessions.must_tell(&member, tp(1), nothing));
        assert!(sessions.must_tell(&member, tp(0), (true, false)), "records");
        let in_turn = sessions.fetch(&member, request(2, &[], &[]));
        assert_eq!(in_turn, Ok(Context::Incremental(vec![tp(1), tp(2), tp(0)])));
        assert!(sessions.must_tell(&member, tp(9), nothing), "not of the session");
    }

    #[test]
    fn session_ends_with_the_connection_that_opened_it() {
        let mut sessions = ShareSessions::new(9);
        let _ = sessions.fetch(&key("g", "a"), request(0, &[0], &[]));
        let other = FetchRequest { connection: 8, ..request(0, &[0], &[]) };
        let _ = sessions.fetch(&key("g", "b"), other);
        let _ = sessions.fetch(&key("h", "c"), request(0, &[1], &[]));
        let ended = sessions.disconnected(7);
        let ended: Vec<_> =
            ended.iter().map(|ended| (ended.key.member.as_str(), ended.last_of_group)).collect();
        assert_eq!(ended, [("a", false), ("c", true)]);
        assert!(sessions.has_group("g") && !sessions.has_group("h"));
    }
}
