//! The transaction coordinator: asks the machine of a transactional id, has markers written, and answers when that is stable.
//!
//! Every step is synchronous and joins the open slot, so on one chain slot order stands for durability: markers may follow
//! the record that they rest on at once, and a client's batch the record that admits it. A transaction ends with one put.
//!
//! Source: KIP-98, KIP-360, KIP-447, KIP-890; `TransactionCoordinator`, `TransactionMarkerChannelManager` in Apache Kafka.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::error::Error;
use super::machine::{Step, Timing, TransactionLog, Verdict, Wakes};
use super::markers::MarkerWriter;
use super::producer_ids::ProducerIds;
use super::state::{End, Init, Partitions, Producer, Protocol, Refusal, Status, Transaction};
use crate::base::clock::Timestamp;
use crate::base::ids::{BrokerId, ProducerId, SlotId};
use crate::base::re2::WholePattern;
use crate::base::task;
use crate::state_topic::{self, MarkerTarget, Parts, ShardHandle, StateTopic, TopicSpec};

/// How long an answer that needs a proof of leadership waits for it (law 9).
const PROOF_WITHIN: Duration = Duration::from_secs(5);
/// Markers that could not be written are tried again after this.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// Without news, unfinished transactions are looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Settings of the coordinator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How `__transaction_state` is created.
    pub topic: TopicSpec,
    /// `transaction.max.timeout.ms`.
    pub timeout_max: Duration,
    /// When transactions are looked after.
    pub timing: Timing,
}

/// What a client wants of the transaction that its batch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The partition must be part of it.
    Verify,
    /// The partition becomes part of it (KIP-890).
    Add,
}

/// Which partitions are part of a transaction, and why others are not.
pub type Verified = BTreeMap<String, BTreeMap<i32, Result<(), Refusal>>>;

/// A batch that its transaction's coordinator does not admit. [`Transactions::confirm`] says when that may be told.
#[derive(Debug)]
pub struct Denied {
    error: Error,
    /// Who decided, and on what.
    rests_on: Option<(ShardHandle<TransactionLog>, Option<SlotId>)>,
}

/// Which transactions to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In one of these states; none: in any.
    pub statuses: Option<Vec<Status>>,
    /// Of one of these producers; empty: any.
    pub producers: Vec<ProducerId>,
    /// Open for longer than this.
    pub longer_than: Option<Duration>,
    /// Whose id the pattern matches in whole.
    pub pattern: Option<WholePattern>,
}

#[derive(Debug)]
struct Inner {
    topic: StateTopic<TransactionLog>,
    parts: Parts,
    markers: MarkerWriter,
    producer_ids: ProducerIds,
    settings: Settings,
    /// Wakes [`abort_exhausted`].
    wanting: Arc<Notify>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The task that waits for it ends.
        self.wanting.notify_one();
    }
}

/// The coordinator of the transactional ids whose partitions this broker leads. Clones share it.
#[derive(Debug, Clone)]
pub struct Transactions(Arc<Inner>);

impl Transactions {
    /// Begins to serve. `targets` are the state topics whose machines take part in transactions.
    #[must_use]
    pub fn start(parts: Parts, settings: Settings, targets: Vec<Arc<dyn MarkerTarget>>) -> Self {
        let wakes = Wakes::default();
        let (timing, told) = (settings.timing, wakes.clone());
        let topic = StateTopic::start(parts.clone(), settings.topic.clone(), move |_| {
            TransactionLog::new(timing, told.clone())
        });
        let markers = MarkerWriter::new(
            Arc::clone(&parts.cluster),
            parts.registry.clone(),
            Arc::clone(&parts.clock),
            targets,
        );
        let producer_ids = ProducerIds::default();
        let Wakes { markers: ending, wanting } = wakes;
        let told = Arc::clone(&wanting);
        let inner =
            Arc::new(Inner { topic, parts, markers, producer_ids, settings, wanting: told });
        task::spawn("transaction-markers", finish_all(Arc::downgrade(&inner), ending));
        task::spawn("transaction-ids", abort_exhausted(Arc::downgrade(&inner), wanting));
        Self(inner)
    }

    fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }

    /// How the topic is created.
    #[must_use]
    pub fn topic_spec(&self) -> &TopicSpec {
        self.0.topic.spec()
    }

    /// Who coordinates a transactional id, if anybody. The topic is created if it does not exist.
    ///
    /// # Errors
    /// [`state_topic::Error::NotAvailable`].
    pub async fn leader_of(&self, id: &str) -> Result<Option<BrokerId>, state_topic::Error> {
        self.0.topic.leader_of(id).await
    }

    /// A producer id that nobody had before.
    ///
    /// # Errors
    /// [`Error::NoProducerId`].
    pub async fn fresh_id(&self) -> Result<ProducerId, Error> {
        self.0.fresh_id().await.ok_or(Error::NoProducerId)
    }

    /// Writes markers for whoever asks (WriteTxnMarkers).
    #[must_use]
    pub fn markers(&self) -> &MarkerWriter {
        &self.0.markers
    }

    /// Gives a producer its id and epoch, and fences whoever had them before.
    ///
    /// # Errors
    /// [`Error`]; CONCURRENT_TRANSACTIONS also when a transaction that was open has been aborted first.
    pub async fn init(
        &self,
        id: &str,
        timeout_ms: i32,
        expected: Option<Producer>,
    ) -> Result<Producer, Error> {
        if id.is_empty() {
            return Err(Error::NoTransactionalId);
        }
        let timeout = u64::try_from(timeout_ms).unwrap_or(0);
        if timeout == 0 || Duration::from_millis(timeout) > self.0.settings.timeout_max {
            return Err(Error::InvalidTimeout { timeout_ms });
        }
        let shard = self.0.topic.shard_of(id)?;
        let mut fresh = None;
        loop {
            let request = Init { timeout_ms, expected, fresh, now: self.now() };
            let verdict = shard.turn(|machine, turn| machine.init(turn, id, &request))??;
            match settle(&shard, verdict).await? {
                Step::Done(producer) | Step::Ending(producer) => return Ok(producer),
                Step::NeedsProducerId => fresh = Some(self.fresh_id().await?),
                Step::AbortedFirst => {
                    self.0.finish(&shard, id);
                    return Err(Error::Refused(Refusal::ConcurrentTransactions));
                }
            }
        }
    }

    /// Adds partitions to a transaction.
    ///
    /// # Errors
    /// [`Error`]: none was added.
    pub async fn add(&self, id: &str, producer: Producer, added: &Partitions) -> Result<(), Error> {
        if id.is_empty() {
            return Err(Error::NoTransactionalId);
        }
        let shard = self.0.topic.shard_of(id)?;
        let verdict = shard.turn(|machine, turn| machine.add(turn, id, (producer, added)))??;
        settle(&shard, verdict).await
    }

    /// Whether each of these partitions is part of a transaction. Whoever asks leads the partition on another chain, so a yes
    /// too is said only after a proof of leadership: a later coordinator may have ended the transaction (law 9).
    ///
    /// # Errors
    /// [`Error`]: of none can it be said.
    pub async fn verify(
        &self,
        id: &str,
        producer: Producer,
        asked: &Partitions,
    ) -> Result<Verified, Error> {
        if id.is_empty() {
            return Err(Error::NoTransactionalId);
        }
        let shard = self.0.topic.shard_of(id)?;
        let mut after = None;
        let verified = shard.turn(|machine, _| {
            let mut each = |topic: &str, number: i32| {
                let verdict = machine.verify(id, producer, (topic, number));
                after = verdict.after.max(after);
                (number, verdict.outcome)
            };
            let topics = asked.iter().map(|(topic, numbers)| {
                (topic.clone(), numbers.iter().map(|number| each(topic, *number)).collect())
            });
            topics.collect()
        })?;
        shard.stable(after).await?;
        shard.prove(PROOF_WITHIN).await?;
        Ok(verified)
    }

    /// Ends a transaction. Gives who the producer is from here on.
    ///
    /// # Errors
    /// [`Error`]. After `NotCoordinator` it may have ended: the client asks again.
    pub async fn end(
        &self,
        id: &str,
        producer: Producer,
        commit: bool,
        protocol: Protocol,
    ) -> Result<Producer, Error> {
        if id.is_empty() {
            return Err(Error::NoTransactionalId);
        }
        let shard = self.0.topic.shard_of(id)?;
        let mut fresh = None;
        loop {
            let request = End { producer, commit, protocol, fresh, now: self.now() };
            let verdict = shard.turn(|machine, turn| machine.end(turn, id, &request))??;
            if let Ok(Step::Ending(_)) = verdict.outcome {
                // Before anything waits: the markers join the slot of the decision, or the one behind it.
                self.0.finish(&shard, id);
            }
            match settle(&shard, verdict).await? {
                Step::Done(producer) | Step::Ending(producer) => return Ok(producer),
                Step::NeedsProducerId => fresh = Some(self.fresh_id().await?),
                Step::AbortedFirst => {
                    return Err(Error::Refused(Refusal::ConcurrentTransactions));
                }
            }
        }
    }

    /// Whether a batch of a transaction may be appended to a partition that it has no open transaction in. Synchronous, so
    /// that the batch joins the slot of what was decided here, or a later one: it needs no other proof (law 9).
    ///
    /// # Errors
    /// [`Denied`]: the batch must not be appended.
    pub fn admit(
        &self,
        id: &str,
        producer: Producer,
        part: (&str, i32),
        admission: Admission,
    ) -> Result<(), Denied> {
        let denied = |error: Error| Denied { error, rests_on: None };
        let shard = self.0.topic.shard_of(id).map_err(|error| denied(error.into()))?;
        let verdict = match admission {
            Admission::Verify => {
                let verdict = shard.turn(|machine, _| machine.verify(id, producer, part));
                verdict.map_err(|error| denied(error.into()))?
            }
            Admission::Add => {
                let added = Partitions::from([(part.0.to_owned(), [part.1].into())]);
                let verdict = shard.turn(|machine, turn| machine.add(turn, id, (producer, &added)));
                verdict.and_then(|verdict| verdict).map_err(|error| denied(error.into()))?
            }
        };
        verdict.outcome.map_err(|refusal| Denied {
            error: Error::Refused(refusal),
            rests_on: Some((shard, verdict.after)),
        })
    }

    /// Waits until a denial may be told, and gives what is told.
    pub async fn confirm(&self, denied: Denied) -> Error {
        let Denied { error, rests_on } = denied;
        let (Error::Refused(refusal), Some((shard, after))) = (error, rests_on) else {
            return error;
        };
        let verdict: Verdict<()> = Verdict { outcome: Err(refusal), after };
        settle(&shard, verdict).await.err().unwrap_or(error)
    }

    /// The transaction of an id.
    ///
    /// # Errors
    /// [`Error::UnknownId`] and others.
    pub async fn describe(&self, id: &str) -> Result<Transaction, Error> {
        if id.is_empty() {
            return Err(Error::NoTransactionalId);
        }
        let shard = self.0.topic.shard_of(id)?;
        let (known, after) = shard.turn(|machine, _| machine.get(id))?;
        shard.stable(after).await?;
        shard.prove(PROOF_WITHIN).await?;
        known.ok_or(Error::UnknownId)
    }

    /// The transactions of all ids that are coordinated here, in the order of partitions and ids.
    ///
    /// # Errors
    /// [`Error::Coordinator`]: some partition is still loading.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<(String, Transaction)>, Error> {
        let now = self.now();
        let mut all = Vec::new();
        for shard in self.0.topic.shards() {
            let wanted = |id: &str, known: &Transaction| filter.wants(id, known, now);
            let (listed, after) = shard.turn(|machine, _| machine.list(wanted))?;
            shard.stable(after).await?;
            all.extend(listed);
        }
        Ok(all)
    }
}

impl Filter {
    fn wants(&self, id: &str, known: &Transaction, now: Timestamp) -> bool {
        let open_ms = now.0.saturating_sub(known.start.0);
        let long = self.longer_than.is_none_or(|longer| {
            let longer = i64::try_from(longer.as_millis()).unwrap_or(i64::MAX);
            open_ms > longer
        });
        long && self.statuses.as_ref().is_none_or(|wanted| wanted.contains(&known.status))
            && (self.producers.is_empty() || self.producers.contains(&known.producer.id))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(id))
    }
}

impl Inner {
    async fn fresh_id(&self) -> Option<ProducerId> {
        self.producer_ids.next(self.parts.cluster.as_ref()).await
    }

    /// Writes the markers of a transaction that has ended, as far as they can be written now. True: all of them.
    fn finish(&self, shard: &ShardHandle<TransactionLog>, id: &str) -> bool {
        // An error says that the shard is closed: whoever leads the partition next begins anew.
        let Ok(Some(work)) = shard.turn(|machine, turn| machine.claim(turn, id)) else {
            return true;
        };
        let left = self.markers.write_all(work.partitions, &work.marker);
        let finished = shard.turn(|machine, turn| machine.finished(turn, id, left));
        finished.and_then(|finished| finished).unwrap_or(true)
    }

    /// Finishes what no request finishes: timed-out transactions, those of a coordinator before, what failed. True: nothing
    /// is left.
    fn finish_round(&self) -> bool {
        let mut done = true;
        for shard in self.topic.shards() {
            let unclaimed = shard.turn(|machine, _| machine.unclaimed()).unwrap_or_default();
            for id in unclaimed {
                done &= self.finish(&shard, &id);
            }
        }
        done
    }
}

/// Has markers written until the coordinator is gone.
async fn finish_all(inner: Weak<Inner>, wake: Arc<Notify>) {
    loop {
        let done = match inner.upgrade() {
            Some(inner) => inner.finish_round(),
            None => return,
        };
        let pause = if done { LOOK_EVERY } else { RETRY_AFTER };
        // Whether it was woken or the time is over: it looks again.
        let _ = tokio::time::timeout(pause, wake.notified()).await;
        if !done {
            // A refusal must not become a busy loop when it is woken again and again.
            tokio::task::yield_now().await;
        }
    }
}

/// Aborts transactions that are late in their producer's last epoch, until the coordinator is gone. Apart from the markers,
/// which never wait for a producer id.
async fn abort_exhausted(inner: Weak<Inner>, wanting: Arc<Notify>) {
    loop {
        wanting.notified().await;
        let Some(inner) = inner.upgrade() else { return };
        for shard in inner.topic.shards() {
            for id in shard.turn(|machine, _| machine.take_wanting()).unwrap_or_default() {
                // The next check asks again.
                let Some(fresh) = inner.fresh_id().await else { continue };
                // An error says that the shard is closed.
                if let Ok(Ok(())) =
                    shard.turn(|machine, turn| machine.abort_late(turn, &id, Some(fresh)))
                {
                    inner.finish(&shard, &id);
                }
            }
        }
    }
}

/// Waits until a verdict may be told (laws 5 and 9).
async fn settle<T>(shard: &ShardHandle<TransactionLog>, verdict: Verdict<T>) -> Result<T, Error> {
    shard.stable(verdict.after).await?;
    match verdict.outcome {
        Ok(value) => Ok(value),
        Err(refusal) => {
            if refusal != Refusal::ConcurrentTransactions {
                shard.prove(PROOF_WITHIN).await?;
            }
            Err(refusal.into())
        }
    }
}
