//! A transactional producer, as a client library is one: it tries again what may be tried again, with the same sequences,
//! aborts after what may not, and gives up its identity when it is fenced.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use thalweg::base::clock::sleep;
use thalweg::base::ids::ProducerId;
use thalweg::record::build::BatchBuilder;
use thalweg::record::{Attributes, Compression};

use super::super::world::WALL;
use super::group::Membership;
use super::history::Key;
use super::link::{Identity, Link, Protocol};

/// Kafka's codes.
pub(super) mod code {
    pub(crate) const UNKNOWN_TOPIC: i16 = 3;
    pub(crate) const NOT_LEADER: i16 = 6;
    pub(crate) const TIMED_OUT: i16 = 7;
    pub(crate) const COORDINATOR_LOADING: i16 = 14;
    pub(crate) const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    pub(crate) const NOT_COORDINATOR: i16 = 16;
    pub(crate) const NOT_ENOUGH_REPLICAS: i16 = 19;
    pub(crate) const ILLEGAL_GENERATION: i16 = 22;
    pub(crate) const UNKNOWN_MEMBER: i16 = 25;
    pub(crate) const REBALANCE_IN_PROGRESS: i16 = 27;
    pub(crate) const INVALID_PRODUCER_EPOCH: i16 = 47;
    pub(crate) const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
    pub(crate) const CONCURRENT_TRANSACTIONS: i16 = 51;
    pub(crate) const MEMBER_ID_REQUIRED: i16 = 79;
    pub(crate) const FENCED_INSTANCE: i16 = 82;
    pub(crate) const PRODUCER_FENCED: i16 = 90;
    pub(crate) const FENCED_MEMBER_EPOCH: i16 = 110;
    pub(crate) const UNRELEASED_INSTANCE: i16 = 111;
    pub(crate) const STALE_MEMBER_EPOCH: i16 = 113;
}

/// Tries of one request before its sender gives up.
const TRIES: u32 = 8;
/// EndTxn is tried for as long as it takes, which is at most about this often.
const END_TRIES: u32 = 200;
const RETRY_AFTER: Duration = Duration::from_millis(40);

/// Why a transaction does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It can only be aborted.
    Abort,
    /// The membership of the group is over: abort, and join again.
    Evicted,
    /// Somebody else is the producer now.
    Fenced,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Yes,
    /// It was refused, and no try before may have been served.
    No,
    Unknown,
}

fn is_retriable(given: i16) -> bool {
    matches!(
        given,
        code::UNKNOWN_TOPIC
            | code::NOT_LEADER
            | code::TIMED_OUT
            | code::COORDINATOR_LOADING
            | code::COORDINATOR_NOT_AVAILABLE
            | code::NOT_COORDINATOR
            | code::NOT_ENOUGH_REPLICAS
            | code::CONCURRENT_TRANSACTIONS
    )
}

fn trouble(given: i16) -> Trouble {
    match given {
        code::INVALID_PRODUCER_EPOCH
        | code::PRODUCER_FENCED
        | code::INVALID_PRODUCER_ID_MAPPING => Trouble::Fenced,
        code::ILLEGAL_GENERATION
        | code::UNKNOWN_MEMBER
        | code::REBALANCE_IN_PROGRESS
        | code::FENCED_INSTANCE => Trouble::Evicted,
        _ => Trouble::Abort,
    }
}

/// A transactional producer with an identity.
pub(super) struct TxnProducer {
    pub(super) link: Link,
    id: String,
    protocol: Protocol,
    timeout_ms: i32,
    identity: Identity,
    sequences: BTreeMap<Key, i32>,
    /// Partitions of the open transaction, with the older protocol.
    added: BTreeSet<Key>,
    offsets_added: bool,
    /// Something was sent in this transaction.
    begun: bool,
    /// A batch of this epoch has an unknown fate: its sequence must not be used again.
    doubt: bool,
}

impl TxnProducer {
    /// Takes the transactional id over. Tries until it has it.
    pub(super) async fn take_over(
        link: Link,
        id: &str,
        protocol: Protocol,
        timeout_ms: i32,
    ) -> Self {
        link.find_coordinator(1, id).await;
        let mut producer = Self {
            link,
            id: id.to_owned(),
            protocol,
            timeout_ms,
            identity: (-1, -1),
            sequences: BTreeMap::new(),
            added: BTreeSet::new(),
            offsets_added: false,
            begun: false,
            doubt: false,
        };
        while !producer.init(None).await {
            sleep(RETRY_AFTER * 5).await;
        }
        producer
    }

    /// False: somebody else is the producer now.
    async fn init(&mut self, expected: Option<Identity>) -> bool {
        loop {
            match self.link.init(&self.id, self.timeout_ms, expected).await {
                Some(Ok(identity)) => {
                    self.go_on_as(identity);
                    return true;
                }
                Some(Err(given)) if !is_retriable(given) => return false,
                _ => sleep(RETRY_AFTER).await,
            }
        }
    }

    fn go_on_as(&mut self, identity: Identity) {
        if identity != self.identity {
            self.identity = identity;
            self.sequences.clear();
            self.doubt = false;
        }
    }

    fn batch(&self, key: Key, values: &[String]) -> Bytes {
        let (id, epoch) = self.identity;
        let mut builder = BatchBuilder::new(Compression::None);
        let sequence = self.sequences.get(&key).copied().unwrap_or(0);
        builder.producer(ProducerId(id), epoch, sequence);
        builder.attributes(Attributes::default().transactional());
        for value in values {
            builder.push_value(WALL, None, Some(value.as_bytes()));
        }
        builder.build().bytes
    }

    /// Sends one batch of the transaction; gives its base offset.
    pub(super) async fn send(&mut self, key: Key, values: &[String]) -> Result<i64, Trouble> {
        self.begun = true;
        if self.protocol == Protocol::Shared && !self.added.contains(&key) {
            self.added.insert(key);
            let (link, id, identity) = (&self.link, self.id.as_str(), self.identity);
            retried(|| link.add_partition(id, identity, key)).await?;
        }
        let batch = self.batch(key, values);
        for _ in 0..TRIES {
            let of = (self.id.as_str(), self.protocol);
            match self.link.produce(of, key, batch.clone()).await {
                Some(Ok(base)) => {
                    *self.sequences.entry(key).or_insert(0) += values.len() as i32;
                    return Ok(base);
                }
                Some(Err(given)) if !is_retriable(given) => {
                    self.doubt = true;
                    return Err(trouble(given));
                }
                _ => sleep(RETRY_AFTER).await,
            }
        }
        self.doubt = true;
        Err(Trouble::Abort)
    }

    /// Makes a group's offsets part of the transaction.
    pub(super) async fn send_offsets(
        &mut self,
        member: &Membership,
        offsets: &[(Key, i64)],
    ) -> Result<(), Trouble> {
        self.begun = true;
        if self.protocol == Protocol::Shared && !self.offsets_added {
            self.offsets_added = true;
            let (link, id, identity) = (&self.link, self.id.as_str(), self.identity);
            retried(|| link.add_offsets(id, identity, member.group)).await?;
        }
        let (link, identity) = (&self.link, self.identity);
        let of = (self.id.as_str(), self.protocol.commit_offsets());
        retried(|| member.commit_in(link, of, identity, offsets)).await
    }

    /// Ends the transaction; an error says that this is no producer any more.
    pub(super) async fn end(&mut self, commit: bool) -> (Ended, Result<(), Trouble>) {
        if !self.begun {
            return (Ended::Yes, Ok(()));
        }
        let (ended, mut left) = self.end_begun(commit).await;
        self.begun = false;
        self.added.clear();
        self.offsets_added = false;
        if left.is_ok() && self.doubt && !self.init(Some(self.identity)).await {
            left = Err(Trouble::Fenced);
        }
        (ended, left)
    }

    async fn end_begun(&mut self, commit: bool) -> (Ended, Result<(), Trouble>) {
        let mut unsure = false;
        for _ in 0..END_TRIES {
            let of = (self.id.as_str(), self.protocol);
            match self.link.end(of, self.identity, commit).await {
                Some(Ok(identity)) => {
                    self.go_on_as(identity.unwrap_or(self.identity));
                    return (Ended::Yes, Ok(()));
                }
                Some(Err(given)) if !is_retriable(given) => {
                    let ended = if unsure { Ended::Unknown } else { Ended::No };
                    // A transaction to which nothing was added can not be aborted with the older protocol.
                    let nothing = !commit && self.protocol == Protocol::Shared;
                    let over = trouble(given) == Trouble::Fenced || !nothing;
                    self.doubt |= !over;
                    return (ended, if over { Err(Trouble::Fenced) } else { Ok(()) });
                }
                Some(Err(code::COORDINATOR_NOT_AVAILABLE | code::COORDINATOR_LOADING)) => {}
                // It may have been served: the answer got lost, or the chain ended first.
                _ => unsure = true,
            }
            sleep(RETRY_AFTER).await;
        }
        (Ended::Unknown, Err(Trouble::Fenced))
    }
}

/// Asks until the answer is one that counts.
async fn retried<F: Future<Output = Option<i16>>>(ask: impl Fn() -> F) -> Result<(), Trouble> {
    for _ in 0..TRIES {
        match ask().await {
            Some(0) => return Ok(()),
            Some(given) if !is_retriable(given) => return Err(trouble(given)),
            _ => sleep(RETRY_AFTER).await,
        }
    }
    Err(Trouble::Abort)
}
