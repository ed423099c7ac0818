//! Gives a member records of share partitions, waiting for enough of them or time.
//!
//! Source: KIP-932; `DelayedShareFetch`, `ShareFetchUtils.processFetchResponse` in Apache Kafka 4.3.1.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::batches::{self, Batches};
use super::led::{Led, Reading};
use super::partition::{Acquired, Fetched as Read};
use super::sessions::MemberKey;
use super::{Error, SharePartitions};
use crate::base::ids::TopicPartition;
use crate::base::offset::Offset;
use crate::log::{self, Isolation, ReadBounds, Waiter};

/// Read of one partition for one answer. A member takes some hundred records each time, and what is read beyond them is
/// copied in vain: clients allow 50 MiB.
const READ_BYTES_MAX: usize = 1 << 20;

/// What all partitions of a fetch share.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How far the group sees.
    pub isolation: Isolation,
    /// With fewer bytes than this it waits.
    pub bytes_min: u64,
    /// The most of all partitions together.
    pub bytes_max: usize,
    /// The batch that reaches it is the last.
    pub records_max: usize,
    /// After how many records another range begins.
    pub batch_size: usize,
    /// Until when it waits.
    pub deadline: Instant,
}

/// What a member is given of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Whole batches that hold what was acquired, and may hold more.
    pub records: Bytes,
    /// What the member has now.
    pub acquired: Vec<Acquired>,
}

/// What became of each partition. One that another member reads, that has all that it may in flight, or that cannot be read
/// for a moment, is not there.
pub type Answer = Vec<(TopicPartition, Result<Fetched, Error>)>;

/// What came of one look.
enum Look {
    Enough(Answer),
    /// Nothing to give, but there was something to read: looking again is worth while.
    Moved,
    Wait,
}

impl SharePartitions {
    /// Gives a member records of the partitions that it `wants`, in that order.
    ///
    /// `room` is asked each time before records are read: how many bytes there is memory for, of so many at most. What it
    /// said last is what the answer may hold, but for one batch.
    pub async fn fetch(
        &self,
        key: &MemberKey,
        wants: &[TopicPartition],
        terms: Terms,
        mut room: impl FnMut(usize) -> usize,
    ) -> Answer {
        if wants.is_empty() {
            return Vec::new();
        }
        let mut waiting = None;
        loop {
            let over = Instant::now() >= terms.deadline;
            let (led, failed) = self.load_all(&key.group, wants, terms.deadline).await;
            // What fails is told when the others are: at once if there are none.
            let force = over || led.is_empty() && failed.len() == wants.len();
            match self.look(key, &led, terms, (force, &mut room)).await {
                Look::Enough(mut answer) => {
                    answer.extend(failed.into_iter().map(|(tp, error)| (tp, Err(error))));
                    answer.retain(|(_, given)| !given.as_ref().is_err_and(Error::is_passing));
                    return answer;
                }
                Look::Moved => {}
                Look::Wait => match &waiting {
                    // Looked at again after registering: what happened in between woke nobody.
                    None => waiting = Some(Waiting::register(&led)),
                    Some(waiter) if waiter.is_for(&led) => waiter.woken(terms.deadline).await,
                    Some(_) => waiting = Some(Waiting::register(&led)),
                },
            }
        }
    }

    /// Loads what a fetch wants, as far as there is time.
    async fn load_all(
        &self,
        group: &str,
        wants: &[TopicPartition],
        deadline: Instant,
    ) -> (Vec<Arc<Led>>, BTreeMap<TopicPartition, Error>) {
        let mut led = Vec::with_capacity(wants.len());
        let mut failed = BTreeMap::new();
        // All begin to load before the first is waited for.
        let loading: Vec<_> = wants.iter().map(|tp| (*tp, self.load(group, *tp))).collect();
        for (tp, loading) in loading {
            match tokio::time::timeout_at(deadline, loading).await {
                Ok(Ok(loaded)) => led.push(loaded),
                Ok(Err(error)) if !error.is_passing() => {
                    failed.insert(tp, error);
                }
                // It goes on loading, or is loaded again: the next fetch finds it.
                Ok(Err(_)) | Err(_) => {}
            }
        }
        (led, failed)
    }

    /// Takes what there is, if that is enough.
    async fn look(
        &self,
        key: &MemberKey,
        led: &[Arc<Led>],
        terms: Terms,
        (force, room): (bool, &mut impl FnMut(usize) -> usize),
    ) -> Look {
        let limits = self.limits(&key.group);
        let mut answer = Answer::new();
        let mut readings = Vec::new();
        let mut bytes = 0_u64;
        for led in led {
            let Some(reading) = led.read() else { continue };
            match led.available(terms.isolation, limits) {
                Ok(Some(available)) => {
                    bytes = bytes.saturating_add(available);
                    readings.push(reading);
                }
                Ok(None) => {}
                Err(error) => {
                    answer.push((led.key.tp, Err(self.lost(led, error))));
                }
            }
        }
        let enough = !readings.is_empty() && bytes >= terms.bytes_min;
        if !force && !enough {
            let all_failed = !answer.is_empty() && answer.len() == led.len();
            return if all_failed { Look::Enough(answer) } else { Look::Wait };
        }
        let most = terms.bytes_max.min(readings.len().saturating_mul(READ_BYTES_MAX));
        let terms = Terms { bytes_max: room(most).min(most), ..terms };
        let moved = self.take_all(&key.member, &readings, terms, &mut answer).await;
        let given = answer.iter().any(|(_, given)| match given {
            Ok(given) => !given.acquired.is_empty(),
            Err(_) => true,
        });
        if force || given || terms.bytes_min == 0 {
            Look::Enough(answer)
        } else if moved {
            Look::Moved
        } else {
            Look::Wait
        }
    }

    /// Reads and acquires. Whether anything moved on.
    async fn take_all(
        &self,
        member: &str,
        readings: &[Reading],
        terms: Terms,
        answer: &mut Answer,
    ) -> bool {
        let each = (terms.bytes_max / readings.len().max(1)).clamp(1, READ_BYTES_MAX);
        for reading in readings {
            let from = reading.led().state().next_fetch_offset();
            reading.led().log.warm(self.remote(), from, each).await;
        }
        let mut left = Left { bytes: terms.bytes_max, records: terms.records_max, first: true };
        let mut moved = false;
        for reading in readings {
            let led = reading.led();
            let from = led.state().next_fetch_offset();
            let taken = self.take(member, led, (from, each), (terms, &left)).await;
            moved |= led.state().next_fetch_offset() != from;
            if let Ok(given) = &taken {
                left.bytes = left.bytes.saturating_sub(given.records.len());
                left.records = left.records.saturating_sub(batches::count(&given.acquired));
                left.first &= given.records.is_empty();
            }
            answer.push((led.key.tp, taken));
        }
        moved
    }

    async fn take(
        &self,
        member: &str,
        led: &Arc<Led>,
        (from, each): (Offset, usize),
        (terms, left): (Terms, &Left),
    ) -> Result<Fetched, Error> {
        let bounds = ReadBounds {
            offset: from,
            bytes_max: each.min(left.bytes),
            at_least_one: left.first,
            isolation: terms.isolation,
        };
        let read = match led.log.read(self.remote(), bounds).await {
            Ok(read) => read,
            Err(log::Error::OffsetOutOfRange { .. }) => return Ok(Fetched::default()),
            Err(error) => return Err(self.lost(led, error)),
        };
        let read = Batches::find(read.whole(), read.aborted.as_deref());
        let ranges = read.offsets();
        let acquired = {
            let mut state = led.state();
            if led.is_fenced() {
                // It is loaded anew: the next look sees that.
                return Ok(Fetched::default());
            }
            for (first, last) in read.void() {
                // Need not be kept: whoever loads the state finds them again.
                let _ = state.archive(first, last);
            }
            let fetched = Read { from, batches: &ranges };
            let wanted = (left.records, terms.batch_size);
            let acquired = state.acquire(self.now(), member, fetched, wanted);
            self.expect_expiry(led, state.next_deadline());
            acquired
        };
        Ok(Fetched { records: read.holding(&acquired), acquired })
    }

    /// What a partition that cannot be read is to the group.
    fn lost(&self, led: &Arc<Led>, error: log::Error) -> Error {
        if matches!(error, log::Error::NotLeader { .. }) {
            led.fence();
            return Error::NotLeader;
        }
        Error::Log(error)
    }
}

/// What is left of a fetch's bounds.
struct Left {
    bytes: usize,
    records: usize,
    /// Nothing was read yet: a batch that is too large is read all the same.
    first: bool,
}

/// A fetch that waits. Dropping it takes it off its partitions.
struct Waiting {
    records: Waiter,
    news: Arc<Notify>,
    led: Vec<Arc<Led>>,
}

impl Waiting {
    fn register(led: &[Arc<Led>]) -> Self {
        let news = Arc::new(Notify::new());
        for led in led {
            led.await_news(&news);
        }
        let records = Waiter::register(led.iter().map(|led| Arc::clone(&led.log)).collect());
        Self { records, news, led: led.to_vec() }
    }

    fn is_for(&self, led: &[Arc<Led>]) -> bool {
        let pairs = self.led.iter().zip(led);
        self.led.len() == led.len() && pairs.into_iter().all(|(a, b)| Arc::ptr_eq(a, b))
    }

    async fn woken(&self, deadline: Instant) {
        let news = async {
            tokio::select! {
                biased;
                () = self.records.woken() => {}
                () = self.news.notified() => {}
            }
        };
        // The time is over: the caller sees it.
        let _ = tokio::time::timeout_at(deadline, news).await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for led in &self.led {
            led.forget_waiter(&self.news);
        }
    }
}
