//! A life that ends after any poll of any of its tasks, and so at every await of the broker and of its clients.
//!
//! The crash drops everything that runs. It differs from one a poll earlier only if that poll changed what outlives the
//! broker: the store, or what clients know. [`Lived::points`] are the polls that did, so a crash after each of them stands
//! for a crash after every poll. Unlike a store that falls silent, the crash leaves undone all calls that are under way,
//! whatever was begun after them and is done.
//!
//! The program knows nothing of it. The runtime looks at its main future after each task ([`EVENT_INTERVAL`]), which counts.
//! One that always wants to be looked at leaves the runtime no time to be idle, and a paused clock goes on only then: so a
//! task that does nothing comes round ([`Round`]), and when nothing else ran since its last time, time goes on by hand.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use thalweg::base::task;
use tokio::time::Instant;

/// Of the runtime: after so many tasks it looks at its main future.
pub(crate) const EVENT_INTERVAL: u32 = 1;

/// What tokio's timers are exact to.
const TICK: Duration = Duration::from_millis(1);

/// How a life went.
#[derive(Debug)]
pub(crate) struct Lived {
    /// It was over before its crash.
    pub(crate) undisturbed: bool,
    /// The polls after which something that outlives the broker was another than before.
    pub(crate) points: Vec<u64>,
}

thread_local! {
    /// A life runs on one thread.
    static LOOKS: Cell<u64> = const { Cell::new(0) };
}

/// A client looks at what clients know over all lives, and may add to it.
pub(crate) fn clients_look() {
    LOOKS.set(LOOKS.get() + 1);
}

/// Lets everything that is spawned run for `length`, or for so many polls. `calls` is another after each call of the store,
/// and each answer.
pub(crate) async fn live(length: Duration, polls: u64, calls: impl Fn() -> u64) -> Lived {
    let round = Round::begin();
    let over = Instant::now() + length;
    let outlives = || (calls(), LOOKS.get());
    let (mut polled, mut since_round, mut known) = (0, 0, outlives());
    let mut points = Vec::new();
    let undisturbed = poll_fn(|context| {
        context.waker().wake_by_ref();
        if round.came() {
            if since_round == 0 {
                // Once polled it has moved the clock.
                let _ = pin!(tokio::time::advance(TICK)).poll(context);
            }
            since_round = 0;
            return if Instant::now() >= over { Poll::Ready(true) } else { Poll::Pending };
        }
        (polled, since_round) = (polled + 1, since_round + 1);
        let before = std::mem::replace(&mut known, outlives());
        if before != known {
            points.push(polled);
        }
        if polled >= polls { Poll::Ready(false) } else { Poll::Pending }
    });
    Lived { undisturbed: undisturbed.await, points }
}

/// A task that is always the last in the queue.
struct Round(Arc<AtomicBool>);

impl Round {
    fn begin() -> Self {
        let came = Arc::new(AtomicBool::new(false));
        let round = Self(Arc::clone(&came));
        // Detached: it ends with the runtime.
        drop(task::spawn("sim-round", async move {
            poll_fn::<(), _>(|context| {
                came.store(true, Ordering::Relaxed);
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }));
        round
    }

    /// Whether it was the task that ran last.
    fn came(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}
