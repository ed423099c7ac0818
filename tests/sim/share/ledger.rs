//! Who was given which record, what they said of it, and whether that can be.
//!
//! Times are simulated. What the broker did for a request, it did between when that was sent and when its answer was heard;
//! a claim is broken only if it is wherever in between that was.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{LIMIT, LOCK};

/// A partition and an offset.
pub(super) type Place = (i32, i64);

/// A request: when it was sent and when its answer was heard, in order of all requests of the run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    sent: Moment,
    heard: Moment,
}

/// Simulated time within a life, and a count that goes on over all: what happens in one millisecond has an order too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    count: u64,
    at: Instant,
}

/// Who asked: a member, and the broker that it asked, by number.
pub(super) type Who = (&'static str, u64);

/// What may be said of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    Accept,
    Release,
    Reject,
}

impl Say {
    /// Kafka's number.
    pub(super) fn number(self) -> i8 {
        match self {
            Self::Accept => 1,
            Self::Release => 2,
            Self::Reject => 3,
        }
    }
}

/// A record as it was given.
#[derive(Debug, Clone)]
struct Given {
    who: Who,
    count: i16,
    span: Span,
    /// From when on its member may not have it any more, by its own doing.
    until: Option<Moment>,
}

/// All that is known of a record.
#[derive(Debug, Default)]
struct Record {
    given: Vec<Given>,
    /// Accepted or rejected: answered.
    done: Option<Moment>,
    /// Who has accepted or rejected it, whether that is known to be done or not.
    ended_by: Vec<Who>,
    /// Given back: answered, at the latest count.
    released: Option<(Moment, i16)>,
}

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    records: BTreeMap<Place, Record>,
    count: u64,
    brokers: u64,
    settled: u64,
    /// Fetches whose answers nobody heard: each may have been given anything.
    unheard: i16,
    /// Fetches on their way.
    open: i16,
}

impl Ledger {
    pub(super) fn another_broker(&mut self) -> u64 {
        self.brokers += 1;
        self.brokers
    }

    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    /// What was on its way is not heard of any more.
    pub(super) fn end_of_life(&mut self) {
        self.unheard += std::mem::take(&mut self.open);
    }

    pub(super) fn now(&mut self) -> Moment {
        self.count += 1;
        Moment { count: self.count, at: Instant::now() }
    }

    pub(super) fn fetch_sent(&mut self) -> Moment {
        self.open += 1;
        self.now()
    }

    /// The answer to a fetch was heard; or none came.
    pub(super) fn fetch_heard(&mut self, sent: Moment, answered: bool) -> Span {
        // Of a life that is over: counted there.
        self.open = (self.open - 1).max(0);
        self.unheard += i16::from(!answered);
        Span { sent, heard: self.now() }
    }

    /// A record was given to somebody.
    pub(super) fn given(&mut self, place: Place, who: Who, span: Span, count: i16) {
        let record = self.records.entry(place).or_default();
        let told = || format!("{place:?} to {who:?}, delivery {count}");
        assert!((1..=LIMIT).contains(&count), "TooManyDeliveries: {}", told());
        if let Some(done) = record.done {
            assert!(span.sent.count < done.count, "AcceptedAgain: {}", told());
        }
        if let Some((released, at)) = record.released {
            let later = span.sent.count > released.count;
            assert!(!later || count > at, "CountForgotten: {} after {at}", told());
        }
        for other in &record.given {
            assert!(!other.overlaps(who, span), "TwoHolders: {}, while {other:?}", told());
        }
        record.given.push(Given { who, count, span, until: None });
    }

    /// Somebody was given a record that another let the time run out for, unless that was the last time.
    pub(super) fn came_back(&self, place: Place, from: Who, held: &[Place]) {
        let given = self.records.get(&place).map_or(&[][..], |record| &record.given);
        let count = given.iter().rfind(|given| given.who == from).map_or(0, |given| given.count);
        let is_there = held.contains(&place) || count == LIMIT;
        assert!(
            is_there,
            "LostRecord: {place:?} was {from:?}'s, and does not come back: {given:?}"
        );
    }

    /// A member is about to give up what it has: of one record, or all.
    pub(super) fn lets_go(&mut self, who: Who, of: Option<Place>) {
        let now = self.now();
        let records = self.records.iter_mut();
        for (_, record) in records.filter(|(place, _)| of.is_none_or(|of| of == **place)) {
            let theirs = record.given.iter_mut().filter(|given| given.who == who);
            theirs.for_each(|given| given.until = given.until.or(Some(now)));
        }
    }

    /// Something is about to be said of a record. Until it is heard of, it may have been done.
    pub(super) fn says(&mut self, place: Place, who: Who, say: Say) -> Moment {
        self.lets_go(who, Some(place));
        let now = self.now();
        if let Some(record) = self.records.get_mut(&place)
            && say != Say::Release
        {
            record.ended_by.push(who);
        }
        now
    }

    /// It was refused for certain.
    pub(super) fn refused(&mut self, place: Place, (who, say): (Who, Say)) {
        let Some(record) = self.records.get_mut(&place).filter(|_| say != Say::Release) else {
            return;
        };
        if let Some(at) = record.ended_by.iter().rposition(|by| *by == who) {
            record.ended_by.remove(at);
        }
    }

    /// It was taken.
    pub(super) fn taken(&mut self, place: Place, (who, say): (Who, Say), sent: Moment) {
        let now = self.now();
        let Some(record) = self.records.get_mut(&place) else { return };
        let mine = record.given.iter().rfind(|given| given.who == who);
        let mine = mine.expect("a member speaks of what it was given").clone();
        // Of the same broker, who counts on, and heard before this was said.
        let others =
            record.given.iter().filter(|other| other.who.0 != who.0 && other.who.1 == who.1);
        let mut later = others.filter(|other| {
            other.span.sent.count > mine.span.heard.count && other.span.heard.count < sent.count
        });
        if let Some(other) = later.next() {
            // Unless it is done by now: of what is done anything may be said.
            let has_it = other.until.is_none() && now.at < other.span.sent.at + LOCK;
            assert!(!has_it, "StolenAck: {place:?} by {who:?}, though {other:?}");
            return;
        }
        self.settled += 1;
        match say {
            Say::Release => record.released = Some((now, mine.count)),
            Say::Accept | Say::Reject => {
                record.done = record.done.or(Some(now));
            }
        }
    }

    /// Whether every record of the log came to its end.
    pub(super) fn check(&self, log: &BTreeMap<Place, String>) {
        for (place, value) in log {
            let record = self.records.get(place);
            let done = record.is_some_and(|record| !record.ended_by.is_empty());
            let given =
                record.and_then(|record| record.given.iter().map(|given| given.count).max());
            let given = given.unwrap_or(0);
            assert!(
                done || given + self.unheard >= LIMIT,
                "LostRecord: {place:?} ({value}), given {given} times, {} answers unheard: {record:?}",
                self.unheard
            );
        }
        let strange = self.records.keys().find(|place| !log.contains_key(*place));
        assert!(strange.is_none(), "PhantomRecord: {strange:?}");
    }
}

impl Given {
    /// Whether somebody else was given the record for certain while this member had it.
    fn overlaps(&self, who: Who, span: Span) -> bool {
        let ended = |until: Moment| until.count < span.heard.count;
        self.who.0 != who.0
            && self.who.1 == who.1
            && span.sent.count > self.span.heard.count
            && !self.until.is_some_and(ended)
            && span.heard.at < self.span.sent.at + LOCK
    }
}

/// Far less than a lock: what a member is late by, if it is not late.
pub(super) const IN_TIME: Duration = Duration::from_millis(200);
