//! Incremental fetch sessions: what a client fetches is remembered, and answers name only what changed.
//!
//! Source: KIP-227; `FetchSession`, `FetchSessionCache` in Apache Kafka.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::offset::Offset;
use crate::base::rng::Rng;
use crate::protocol::ErrorCode;
use crate::protocol::fetch::{FetchPartition, FetchPartitionResponse, FetchRequest};
use crate::protocol::hot::TopicRef;

/// A session used within this time is not evicted for a new one (`min.incremental.fetch.session.eviction.ms`).
const KEPT_AT_LEAST: Duration = Duration::from_secs(120);
/// As many partitions as all sessions may remember, for each session that there may be. Clients may name any, and as many as
/// they like.
const PARTITIONS_PER_SLOT: usize = 1000;
/// The epoch that ends a session, or names none.
const FINAL_EPOCH: i32 = -1;
/// The epoch that opens a session.
const INITIAL_EPOCH: i32 = 0;

/// One partition as a session remembers it.
#[derive(Debug, Clone)]
struct Cached {
    request: FetchPartition,
    /// Partitions that gave records go to the end, so that none starves.
    turn: u64,
    high_watermark: Offset,
    log_start: Offset,
}

/// One client's session.
#[derive(Debug)]
pub(super) struct FetchSession {
    id: i32,
    epoch: i32,
    by_id: bool,
    /// Their names are copies: those of a request are slices of its frame.
    partitions: BTreeMap<(TopicRef, i32), Cached>,
    turns: u64,
    counted: Counted,
}

/// A session's part of what all remember.
#[derive(Debug)]
struct Counted {
    own: usize,
    all: Arc<AtomicUsize>,
}

/// What a fetch reads, and how its answer is told.
#[derive(Debug)]
pub(super) enum FetchContext {
    /// Everything is told; no session.
    Full {
        /// In the client's order.
        partitions: Vec<(TopicRef, FetchPartition)>,
        /// The session that begins with this fetch.
        opened: Option<Arc<Mutex<FetchSession>>>,
    },
    /// Only what changed is told.
    Incremental {
        /// In turn.
        partitions: Vec<(TopicRef, FetchPartition)>,
        /// The session.
        session: Arc<Mutex<FetchSession>>,
    },
}

#[derive(Debug)]
struct Slot {
    session: Arc<Mutex<FetchSession>>,
    used: Instant,
}

/// All sessions of a broker, up to a number.
#[derive(Debug)]
pub struct FetchSessions {
    slots_max: usize,
    rng: Rng,
    slots: Mutex<BTreeMap<i32, Slot>>,
    /// How many partitions they remember.
    partitions: Arc<AtomicUsize>,
}

impl FetchSessions {
    /// Keeps at most `slots_max` sessions (`max.incremental.fetch.session.cache.slots`), with a thousand partitions each on
    /// average. Who asks for more is answered without a session.
    #[must_use]
    pub fn new(slots_max: usize, rng: Rng) -> Self {
        Self { slots_max, rng, slots: Mutex::default(), partitions: Arc::default() }
    }

    /// Whether so many partitions more are too many to remember.
    fn is_full(&self, more: usize) -> bool {
        let all = self.partitions.load(Ordering::Relaxed).saturating_add(more);
        all > self.slots_max.saturating_mul(PARTITIONS_PER_SLOT)
    }

    /// Finds what a request reads.
    ///
    /// # Errors
    /// `FETCH_SESSION_ID_NOT_FOUND`, `INVALID_FETCH_SESSION_EPOCH`, `FETCH_SESSION_TOPIC_ID_ERROR`.
    pub(super) fn context(&self, request: FetchRequest) -> Result<FetchContext, ErrorCode> {
        if matches!(request.session_epoch, FINAL_EPOCH | INITIAL_EPOCH) {
            if request.session_id != 0 {
                self.slots().remove(&request.session_id);
            }
            let opens = request.session_epoch == INITIAL_EPOCH;
            let partitions = flat(request);
            let opened = if opens { self.open(&partitions) } else { None };
            return Ok(FetchContext::Full { partitions, opened });
        }
        let session = {
            let mut slots = self.slots();
            let slot =
                slots.get_mut(&request.session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
            slot.used = Instant::now();
            Arc::clone(&slot.session)
        };
        let id = request.session_id;
        if self.is_full(request.topics.iter().map(|topic| topic.partitions.len()).sum()) {
            // The client begins anew, without a session.
            self.slots().remove(&id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        let partitions = lock(&session).update(request)?;
        if partitions.is_empty() {
            // Everything is forgotten: there is nothing to go on with.
            self.slots().remove(&id);
            return Ok(FetchContext::Full { partitions, opened: None });
        }
        Ok(FetchContext::Incremental { partitions, session })
    }

    fn open(&self, partitions: &[(TopicRef, FetchPartition)]) -> Option<Arc<Mutex<FetchSession>>> {
        let mut slots = self.slots();
        if self.slots_max == 0 || self.is_full(partitions.len()) {
            return None;
        }
        if slots.len() >= self.slots_max {
            let (&oldest, slot) = slots.iter().min_by_key(|(_, slot)| slot.used)?;
            if slot.used.elapsed() < KEPT_AT_LEAST {
                return None;
            }
            slots.remove(&oldest);
        }
        let id = loop {
            let id = i32::try_from(self.rng.below(i32::MAX as u64 - 1) + 1).expect("below 2^31");
            if !slots.contains_key(&id) {
                break id;
            }
        };
        let session = Arc::new(Mutex::new(FetchSession::new(id, partitions, &self.partitions)));
        slots.insert(id, Slot { session: Arc::clone(&session), used: Instant::now() });
        Some(session)
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(session: &Mutex<FetchSession>) -> std::sync::MutexGuard<'_, FetchSession> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

fn flat(request: FetchRequest) -> Vec<(TopicRef, FetchPartition)> {
    let topics = request.topics.into_iter();
    topics
        .flat_map(|topic| {
            let name = topic.topic;
            topic.partitions.into_iter().map(move |partition| (name.clone(), partition))
        })
        .collect()
}

impl FetchSession {
    fn new(id: i32, partitions: &[(TopicRef, FetchPartition)], all: &Arc<AtomicUsize>) -> Self {
        let by_id = matches!(partitions.first(), Some((TopicRef::Id(_), _)));
        let counted = Counted { own: 0, all: Arc::clone(all) };
        let partitions_of = BTreeMap::new();
        let mut session =
            Self { id, epoch: 1, by_id, partitions: partitions_of, turns: 0, counted };
        for (topic, partition) in partitions {
            session.put(topic, *partition);
        }
        session.counted.set(session.partitions.len());
        session
    }

    fn put(&mut self, topic: &TopicRef, request: FetchPartition) {
        self.turns += 1;
        let turn = self.turns;
        let cached = Cached { request, turn, high_watermark: Offset(-1), log_start: Offset(-1) };
        self.partitions
            .entry((self.own_name(topic), request.index))
            .and_modify(|cached| cached.request = request)
            .or_insert(cached);
    }

    /// The topic by a name that no frame is kept for: one for all of its partitions.
    fn own_name(&self, topic: &TopicRef) -> TopicRef {
        let known = self.partitions.range((topic.clone(), i32::MIN)..).next();
        match known {
            Some(((known, _), _)) if known == topic => known.clone(),
            _ => topic.detached(),
        }
    }

    fn update(
        &mut self,
        request: FetchRequest,
    ) -> Result<Vec<(TopicRef, FetchPartition)>, ErrorCode> {
        if request.session_epoch != self.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        let named = request.topics.iter().map(|topic| &topic.topic);
        let forgotten = request.forgotten_topics.iter().map(|topic| &topic.topic);
        if named.chain(forgotten).any(|topic| matches!(topic, TopicRef::Id(_)) != self.by_id) {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        // The epoch after the largest is 1: 0 and -1 have meanings of their own.
        self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
        let forgotten = request.forgotten_topics.clone();
        for (topic, partition) in flat(request) {
            self.put(&topic, partition);
        }
        for topic in forgotten {
            for partition in topic.partitions {
                self.partitions.remove(&(topic.topic.clone(), partition));
            }
        }
        self.counted.set(self.partitions.len());
        let mut all: Vec<_> = self.partitions.iter().collect();
        all.sort_unstable_by_key(|(_, cached)| cached.turn);
        Ok(all.into_iter().map(|((topic, _), cached)| (topic.clone(), cached.request)).collect())
    }

    /// Whether an answer must name this partition; remembers what it says.
    fn must_tell(
        &mut self,
        topic: &TopicRef,
        response: &FetchPartitionResponse,
        only_changes: bool,
    ) -> bool {
        let Some(cached) = self.partitions.get_mut(&(topic.clone(), response.index)) else {
            return true;
        };
        let failed = response.error != ErrorCode::None;
        let changed = !response.records.is_empty()
            || cached.high_watermark != response.high_watermark
            || cached.log_start != response.log_start_offset
            || response.diverging_epoch.is_some()
            || failed;
        // After an error the next answer tells again, whatever it is.
        cached.high_watermark = if failed { Offset(-1) } else { response.high_watermark };
        cached.log_start = response.log_start_offset;
        if !response.records.is_empty() {
            self.turns += 1;
            cached.turn = self.turns;
        }
        changed || !only_changes
    }
}

impl Counted {
    fn set(&mut self, own: usize) {
        self.all.fetch_add(own, Ordering::Relaxed);
        self.all.fetch_sub(std::mem::replace(&mut self.own, own), Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl FetchContext {
    /// What to read, in this order.
    pub(super) fn partitions(&self) -> &[(TopicRef, FetchPartition)] {
        match self {
            Self::Full { partitions, .. } | Self::Incremental { partitions, .. } => partitions,
        }
    }

    /// The session's id; 0 without one.
    pub(super) fn session_id(&self) -> i32 {
        match self {
            Self::Full { opened, .. } => opened.as_ref().map_or(0, |session| lock(session).id),
            Self::Incremental { session, .. } => lock(session).id,
        }
    }

    /// Leaves only the responses that must be told.
    pub(super) fn tell(&self, responses: &mut Vec<(TopicRef, FetchPartitionResponse)>) {
        let (session, only_changes) = match self {
            Self::Full { opened: None, .. } => return,
            Self::Full { opened: Some(session), .. } => (session, false),
            Self::Incremental { session, .. } => (session, true),
        };
        let mut session = lock(session);
        responses.retain(|(topic, response)| session.must_tell(topic, response, only_changes));
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::messages::fetch_request as encoded;
    use kafka_protocol::messages::{FetchRequest as Encoded, TopicName};
    use kafka_protocol::protocol::{Encodable as _, StrBytes};

    use super::*;

    const VERSION: i16 = 12;

    /// The frame of a fetch of so many partitions of `orders`.
    fn frame((id, epoch): (i32, i32), partitions: std::ops::Range<i32>) -> Bytes {
        let each = partitions.map(|index| encoded::FetchPartition::default().with_partition(index));
        let topic = encoded::FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_static_str("orders")))
            .with_partitions(each.collect());
        let request = Encoded::default()
            .with_session_id(id)
            .with_session_epoch(epoch)
            .with_topics(vec![topic]);
        let mut frame = BytesMut::new();
        request.encode(&mut frame, VERSION).expect("it has what its version carries");
        frame.freeze()
    }

    fn ask(sessions: &FetchSessions, frame: &Bytes) -> Result<FetchContext, ErrorCode> {
        sessions.context(FetchRequest::read(frame, VERSION).expect("a request"))
    }

    fn opened(context: FetchContext) -> Option<Arc<Mutex<FetchSession>>> {
        match context {
            FetchContext::Full { opened, .. } => opened,
            FetchContext::Incremental { .. } => panic!("it was to begin"),
        }
    }

    #[test]
    fn a_session_keeps_no_frame() {
        let sessions = FetchSessions::new(10, Rng::from_seed(1));
        let frame = frame((0, INITIAL_EPOCH), 0..3);
        let session = opened(ask(&sessions, &frame).expect("a fetch")).expect("a session");
        let names = lock(&session).partitions.keys().map(|(topic, _)| topic.clone()).collect();
        let names: Vec<TopicRef> = names;
        for name in &names {
            let TopicRef::Name(name) = name else { panic!("by name") };
            assert!(!frame.as_ptr_range().contains(&name.as_str().as_ptr()));
        }
        drop((session, sessions, names));
        assert!(frame.is_unique(), "nobody else has it");
    }

    #[test]
    fn what_all_sessions_remember_is_bounded() {
        let sessions = FetchSessions::new(2, Rng::from_seed(1));
        let open = |partitions| {
            opened(ask(&sessions, &frame((0, INITIAL_EPOCH), partitions)).expect("it is answered"))
        };
        assert!(open(0..2001).is_none(), "without a session");
        let session = open(0..1500).expect("there is room");
        let id = lock(&session).id;
        assert!(open(0..600).is_none(), "not for as many again");
        let more = |epoch, partitions| ask(&sessions, &frame((id, epoch), partitions));
        assert!(more(1, 1500..1900).is_ok());
        let refused = more(2, 1900..2100).map(drop);
        assert_eq!(refused, Err(ErrorCode::FetchSessionIdNotFound), "the client begins anew");
        drop(session);
        assert_eq!(sessions.partitions.load(Ordering::Relaxed), 0);
        assert!(open(0..2000).is_some(), "what it had is there for others");
    }
}
