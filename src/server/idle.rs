//! Notices that a connection is idle, with one timer for as long as it lives.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Resolves when nothing has happened for so long. The timer is moved only when it fires: being busy costs a look at the
/// clock, not a place in the timer wheel that all connections share.
#[derive(Debug)]
pub(super) struct Idle {
    /// None: never.
    max: Option<Duration>,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    pub(super) fn new(max: Option<Duration>) -> Self {
        let since = Instant::now();
        Self { max, since, timer: Box::pin(sleep_until(since + max.unwrap_or_default())) }
    }

    /// Something happened.
    pub(super) fn busy(&mut self) {
        self.since = Instant::now();
    }
}

impl Future for Idle {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(max) = self.max else { return Poll::Pending };
        loop {
            ready!(self.timer.as_mut().poll(context));
            let over = self.since + max;
            if over <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(over);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn ends_so_long_after_what_happened_last() {
        let began = Instant::now();
        let mut idle = Idle::new(Some(MAX));
        for _ in 0..3 {
            let waited = tokio::time::timeout(MAX - Duration::from_secs(1), &mut idle).await;
            assert!(waited.is_err(), "it is busy");
            idle.busy();
        }
        idle.await;
        assert_eq!(began.elapsed(), 3 * (MAX - Duration::from_secs(1)) + MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn never_ends_without_a_limit() {
        let idle = Idle::new(None);
        assert!(tokio::time::timeout(Duration::from_secs(86_400), idle).await.is_err());
    }
}
