//! Proof of leadership without a clock (law 9): that no fence stood in the chain's way at a time after the question.
//!
//! One round at a time; a round serves every request that arrived before it began. A round ends with a slot that became
//! stable and whose first put began in it, or with a GET of every name from the first not known stored to the first never
//! sent, none of which finds a fence. Where a lock holds the store, the lock is the proof.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::handle::Shared;
use super::{End, Error, fence};
use crate::base::backoff::Backoff;
use crate::base::clock::sleep;
use crate::base::ids::SlotId;
use crate::object::keys;

/// Requests that may wait for the next round.
const WAITING_MAX: usize = 4096;

type Answer = oneshot::Sender<()>;

#[derive(Debug)]
pub(super) struct Prover(mpsc::Sender<Answer>);

impl Prover {
    pub(super) fn new() -> (Self, mpsc::Receiver<Answer>) {
        let (requests, rounds) = mpsc::channel(WAITING_MAX);
        (Self(requests), rounds)
    }

    pub(super) async fn prove(&self, shared: &Shared, within: Duration) -> Result<(), Error> {
        let ended = || shared.ended().map(|end| Error::Ended { chain: shared.chain, end });
        if let Some(error) = ended() {
            return Err(error);
        }
        if shared.settings.lock_is_proof {
            return Ok(());
        }
        let (answer, proven) = oneshot::channel();
        let round = async {
            self.0.send(answer).await.ok()?;
            proven.await.ok()
        };
        match tokio::time::timeout(within, round).await {
            Ok(Some(())) => Ok(()),
            Ok(None) => {
                Err(ended().unwrap_or(Error::Ended { chain: shared.chain, end: End::Closed }))
            }
            Err(_) => Err(ended().unwrap_or_else(|| Error::Unproven {
                chain: shared.chain,
                waited_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX),
            })),
        }
    }
}

/// Serves rounds until the chain ends.
pub(super) async fn run(shared: Arc<Shared>, mut requests: mpsc::Receiver<Answer>) {
    let mut progress = shared.progress.subscribe();
    loop {
        let first = tokio::select! {
            biased;
            _ = progress.wait_for(|progress| progress.ended.is_some()) => return,
            first = requests.recv() => first,
        };
        let Some(first) = first else { return };
        let mut waiting = vec![first];
        while let Ok(more) = requests.try_recv() {
            waiting.push(more);
        }
        if !round(&shared).await {
            return;
        }
        for answer in waiting {
            // Whoever asked may have given up.
            let _ = answer.send(());
        }
    }
}

/// One round. False: the chain has ended.
async fn round(shared: &Shared) -> bool {
    // A slot from `unsent` on has its first put after this moment.
    let unsent = shared.sent.load(Ordering::Acquire);
    let stable = shared.stable();
    let began = Instant::now();
    let mut progress = shared.progress.subscribe();
    let newer = progress.wait_for(|progress| progress.ended.is_some() || progress.stable > unsent);
    let by_gets = async {
        let mut names: FuturesUnordered<_> =
            (stable..=unsent).map(|slot| no_fence(shared, SlotId(slot))).collect();
        while let Some(free) = names.next().await {
            if !free {
                return false;
            }
        }
        true
    };
    let open = tokio::select! {
        biased;
        progress = newer => progress.is_ok_and(|progress| progress.ended.is_none()),
        open = by_gets => open,
    };
    if open {
        shared.proven.by(began);
    }
    open
}

/// Whether no fence stands in the name; ends the chain if one does. Tries until the store answers.
async fn no_fence(shared: &Shared, slot: SlotId) -> bool {
    let key = keys::slot(&shared.parts.cluster, shared.chain, slot);
    let mut backoff =
        Backoff::new(Duration::from_millis(50), Duration::from_secs(1), shared.parts.rng.clone());
    loop {
        match fence::look(&shared.parts.store, &key, shared.chain, slot).await {
            Ok(fence::Name::Free | fence::Name::Data { .. }) => return true,
            Ok(fence::Name::Fence) => {
                shared.end(End::Fenced { slot });
                return false;
            }
            Ok(fence::Name::Foreign) => {
                shared.end(End::Foreign { slot });
                return false;
            }
            Err(error) => {
                tracing::debug!(%error, %slot, "name could not be read for a proof");
                sleep(backoff.next_delay()).await;
            }
        }
    }
}
