//! Takes over a chain: finds its end, fences it there, and gives its slots to the coordinator (law 7).
//!
//! The chain's end is the fence below which every name holds data. Any number of recoverers compute the same answer, and
//! a slot that cannot be read stops the recovery: it is never skipped and never fenced over.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};

use super::commit;
use super::fence::{self, Name};
use crate::base::backoff::Backoff;
use crate::base::clock::{SharedClock, sleep};
use crate::base::ids::{ChainId, Incarnation, SlotId};
use crate::base::rng::Rng;
use crate::manifest;
use crate::manifest::client::{ChainSpan, FencingChain, ManifestClient, ROWS_MAX};
use crate::manifest::row::SlotRow;
use crate::object::{self, Key, Store, keys};
use crate::segment::{SlotHeader, SlotIndex, Tail, decode_tail};

/// A stop fence goes to the first free name of c+256, c+512, ..., so that a live owner cannot outrun the recoverer.
const STOP_FENCE_STEP: u64 = 256;
/// Names read at once.
const READ_AHEAD: usize = 16;
/// The index of most slots lies within this many bytes of the end.
const SUFFIX_BYTES: u64 = 64 << 10;

/// Why a chain could not be taken over. Nothing is lost; the chain stays as it is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A slot below the end cannot be read: an alarm. It is never skipped.
    #[error("slot {slot} of chain {chain} cannot be read: {source}")]
    Unreadable {
        /// The chain.
        chain: ChainId,
        /// The slot.
        slot: SlotId,
        /// What is wrong with its bytes.
        source: crate::segment::Error,
    },
    /// Bytes that belong to no slot of this chain stand in a name: an alarm.
    #[error("slot {slot} of chain {chain} holds foreign bytes")]
    Foreign {
        /// The chain.
        chain: ChainId,
        /// The slot.
        slot: SlotId,
    },
    /// A slot that must be there is missing: an alarm.
    #[error("slot {slot} of chain {chain} is missing")]
    Missing {
        /// The chain.
        chain: ChainId,
        /// The slot.
        slot: SlotId,
    },
    /// The store refused in a way that waiting does not change.
    #[error("the store refused: {0}")]
    Store(#[from] object::Error),
    /// The coordinator refused.
    #[error("the coordinator refused: {0}")]
    Manifest(#[from] manifest::Error),
}

/// What a recoverer works with.
#[derive(Debug, Clone)]
pub struct Recoverer {
    /// Where slots and fences are.
    pub store: Store,
    /// Who is told.
    pub manifest: Arc<dyn ManifestClient>,
    /// For the fences' `created`.
    pub clock: SharedClock,
    /// Jitter of retries.
    pub rng: Rng,
    /// The cluster's prefix in the bucket.
    pub cluster: String,
    /// Who plants the fences.
    pub incarnation: Incarnation,
}

/// What was found in a name.
enum Found {
    Free,
    Fence,
    Data(Box<DataSlot>),
}

struct DataSlot {
    index: SlotIndex,
    row: SlotRow,
}

impl Recoverer {
    /// Fences `chain` and gives every slot of it to the coordinator; then it is sealed.
    ///
    /// Idempotent: stopping anywhere and starting again, here or elsewhere, gives the same end. Waits while the store or
    /// the coordinator does not answer.
    ///
    /// # Errors
    /// See [`Error`]: each leaves the chain fencing and raises an alarm.
    pub async fn take_over(&self, chain: &FencingChain) -> Result<(), Error> {
        let first = chain.committed.map_or(0, |committed| committed.0 + 1);
        self.plant_stop_fence(chain.chain, first).await?;
        let mut next = SlotId(first);
        let mut part = Vec::new();
        loop {
            let mut names = stream::iter(next.0..)
                .map(|slot| self.find(chain, SlotId(slot)))
                .buffered(READ_AHEAD)
                .boxed();
            let free = loop {
                match names.next().await.expect("names never end")? {
                    Found::Data(data) => {
                        next = next.next();
                        self.gather(chain.chain, &mut part, data.row).await?;
                    }
                    Found::Fence => break false,
                    Found::Free => break true,
                }
            };
            drop(names);
            if !free || self.plant(chain.chain, next).await? {
                break;
            }
            // Somebody was faster: what stands there now is classified like every other name.
        }
        if !part.is_empty() {
            self.submit(chain.chain, part).await?;
        }
        self.seal(chain.chain, next).await?;
        tracing::info!(chain = %chain.chain, sealed_at = %next, from = first, "chain taken over");
        Ok(())
    }

    /// The index of one slot that is known to hold data.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn read_index(&self, chain: ChainId, slot: SlotId) -> Result<SlotIndex, Error> {
        let known =
            FencingChain { chain, incarnation: self.incarnation, committed: None, trimmed: None };
        match self.find_any(&known, slot, false).await? {
            Found::Data(data) => Ok(data.index),
            Found::Fence | Found::Free => Err(Error::Missing { chain, slot }),
        }
    }

    /// Calls `apply` with every index of `span`, in slot order.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn replay(
        &self,
        span: ChainSpan,
        mut apply: impl FnMut(SlotId, &SlotIndex),
    ) -> Result<(), Error> {
        let mut indexes =
            stream::iter(span.from.0..span.end.0)
                .map(|slot| async move {
                    (SlotId(slot), self.read_index(span.chain, SlotId(slot)).await)
                })
                .buffered(READ_AHEAD);
        while let Some((slot, index)) = indexes.next().await {
            apply(slot, &index?);
        }
        Ok(())
    }

    async fn plant_stop_fence(&self, chain: ChainId, first: u64) -> Result<(), Error> {
        let mut name = first + STOP_FENCE_STEP - 1;
        loop {
            if self.plant(chain, SlotId(name)).await? {
                return Ok(());
            }
            let key = keys::slot(&self.cluster, chain, SlotId(name));
            match self
                .patiently(&key, || fence::look(&self.store, &key, chain, SlotId(name)))
                .await?
            {
                Name::Fence => return Ok(()),
                Name::Free => {}
                Name::Data { .. } => name += STOP_FENCE_STEP,
                Name::Foreign => return Err(Error::Foreign { chain, slot: SlotId(name) }),
            }
        }
    }

    /// Puts a fence into a name. False: something stands there (perhaps a fence of an earlier try of ours).
    async fn plant(&self, chain: ChainId, slot: SlotId) -> Result<bool, Error> {
        let key = keys::slot(&self.cluster, chain, slot);
        self.store.prepare_dir(key.dir()).await?;
        let put = || {
            let payload = fence::payload(chain, slot, self.incarnation, self.clock.now());
            self.store.put_if_absent(&key, payload)
        };
        match self.patiently(&key, put).await {
            Ok(()) => Ok(true),
            Err(object::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn find(&self, chain: &FencingChain, slot: SlotId) -> Result<Found, Error> {
        self.find_any(chain, slot, true).await
    }

    async fn find_any(
        &self,
        chain: &FencingChain,
        slot: SlotId,
        check_writer: bool,
    ) -> Result<Found, Error> {
        let key = keys::slot(&self.cluster, chain.chain, slot);
        let mut bytes = SUFFIX_BYTES;
        loop {
            let suffix = match self.patiently(&key, || self.store.get_suffix(&key, bytes)).await {
                Ok(suffix) => suffix,
                Err(object::Error::NotFound { .. }) => return Ok(Found::Free),
                Err(error) => return Err(error.into()),
            };
            let unreadable = |source| Error::Unreadable { chain: chain.chain, slot, source };
            let foreign = Error::Foreign { chain: chain.chain, slot };
            let stands_for =
                |header: &SlotHeader| header.chain == chain.chain && header.slot == slot;
            match decode_tail(&suffix.bytes, suffix.object_bytes).map_err(unreadable)? {
                Tail::NeedMore(more) => bytes = more,
                Tail::Fence(header) if stands_for(&header) => {
                    return self.durable(&key, Found::Fence).await;
                }
                Tail::Decoded { header, footer, index } if stands_for(&header) => {
                    if check_writer && header.incarnation != chain.incarnation {
                        return Err(foreign);
                    }
                    let row = commit::row_of(slot, &index, suffix.object_bytes, &footer);
                    return self
                        .durable(&key, Found::Data(Box::new(DataSlot { index, row })))
                        .await;
                }
                Tail::Fence(_) | Tail::Decoded { .. } => return Err(foreign),
            }
        }
    }

    /// On a local directory what is seen counts only once it is durable (law 6).
    async fn durable(&self, key: &Key, found: Found) -> Result<Found, Error> {
        self.store.make_durable(key).await?;
        Ok(found)
    }

    /// Adds a row to `part`, which goes to the coordinator when it is full.
    async fn gather(
        &self,
        chain: ChainId,
        part: &mut Vec<SlotRow>,
        row: SlotRow,
    ) -> Result<(), Error> {
        part.push(row);
        if part.len() == ROWS_MAX { self.submit(chain, std::mem::take(part)).await } else { Ok(()) }
    }

    async fn submit(&self, chain: ChainId, rows: Vec<SlotRow>) -> Result<(), Error> {
        self.until_answered(|| self.manifest.recovered(chain, rows.clone())).await
    }

    async fn seal(&self, chain: ChainId, sealed_at: SlotId) -> Result<(), Error> {
        self.until_answered(|| self.manifest.seal(chain, sealed_at)).await
    }

    async fn until_answered<F>(&self, mut call: impl FnMut() -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<(), manifest::Error>>,
    {
        let mut backoff = self.backoff();
        loop {
            match call().await {
                Err(manifest::Error::Unavailable) => sleep(backoff.next_delay()).await,
                answer => return Ok(answer?),
            }
        }
    }

    /// Tries a store call until it answers: an outage delays a recovery, it never changes its outcome.
    async fn patiently<T, F>(
        &self,
        key: &Key,
        mut call: impl FnMut() -> F,
    ) -> Result<T, object::Error>
    where
        F: Future<Output = Result<T, object::Error>>,
    {
        let mut backoff = self.backoff();
        loop {
            match call().await {
                Err(error) if error.is_retriable() => {
                    tracing::warn!(%key, %error, "recovery waits for the store");
                    sleep(backoff.next_delay()).await;
                }
                answer => return answer,
            }
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(Duration::from_millis(50), Duration::from_secs(5), self.rng.clone())
    }
}
