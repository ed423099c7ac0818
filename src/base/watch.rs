//! A value that many watch: readers see the newest, and wait for the next or for one that suits them.
//!
//! As `tokio::sync::watch`, which wakes its waiters in an order drawn from the operating system: it spreads them over
//! eight queues at random. Here they wake in the order in which they began to wait, so that a simulated run repeats byte
//! for byte, and whoever asked first is answered first.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::Notify;

/// The sender is gone: nothing new will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sender is gone")]
pub struct Closed;

#[derive(Debug)]
struct State<T> {
    value: T,
    /// Grows with each change.
    version: u64,
    closed: bool,
}

#[derive(Debug)]
struct Shared<T> {
    state: RwLock<State<T>>,
    news: Notify,
}

impl<T> Shared<T> {
    fn read(&self) -> RwLockReadGuard<'_, State<T>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<T>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look at the value. Changes wait while it lives: never held over an await.
#[derive(Debug)]
pub struct Ref<'a, T>(RwLockReadGuard<'a, State<T>>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

/// Changes the value. Dropping it closes the channel.
pub struct Sender<T>(Arc<Shared<T>>);

/// Watches the value. A clone has seen what the original had seen.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// A channel that holds `value`, which the receiver counts as seen.
#[must_use]
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Sender<T> {
    /// A channel without a receiver yet.
    #[must_use]
    pub fn new(value: T) -> Self {
        let state = RwLock::new(State { value, version: 0, closed: false });
        Self(Arc::new(Shared { state, news: Notify::new() }))
    }

    /// Puts `value` in place of the old one, which it gives back.
    pub fn send_replace(&self, mut value: T) -> T {
        self.send_modify(|current| std::mem::swap(current, &mut value));
        value
    }

    /// Changes the value in place.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            change(value);
            true
        });
    }

    /// Changes the value in place; nobody is told unless `change` says that it did. Gives what it said.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        {
            let mut state = self.0.write();
            if !change(&mut state.value) {
                return false;
            }
            state.version += 1;
        }
        self.0.news.notify_waiters();
        true
    }

    /// The value.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.read())
    }

    /// A receiver that counts the present value as seen.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver { shared: Arc::clone(&self.0), seen: self.0.read().version }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.write().closed = true;
        self.0.news.notify_waiters();
    }
}

impl<T> Receiver<T> {
    /// The value. It does not count as seen by this.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.read())
    }

    /// The value, which counts as seen from now on.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let state = self.shared.read();
        self.seen = state.version;
        Ref(state)
    }

    /// Waits for a value that was not seen, which counts as seen then. Cancel-safe.
    ///
    /// # Errors
    /// [`Closed`]: there will be none.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            // Made before the look: what is sent between the look and the wait wakes it.
            let news = self.shared.news.notified();
            {
                let state = self.shared.read();
                if state.version != self.seen {
                    self.seen = state.version;
                    return Ok(());
                }
                if state.closed {
                    return Err(Closed);
                }
            }
            news.await;
        }
    }

    /// Waits until the value suits, which the present one may do already. What was looked at counts as seen. Cancel-safe.
    ///
    /// # Errors
    /// [`Closed`]: the last value does not suit.
    pub async fn wait_for(
        &mut self,
        mut suits: impl FnMut(&T) -> bool,
    ) -> Result<Ref<'_, T>, Closed> {
        let Self { shared, seen } = self;
        loop {
            let news = shared.news.notified();
            {
                let state = shared.read();
                *seen = state.version;
                if suits(&state.value) {
                    return Ok(Ref(state));
                }
                if state.closed {
                    return Err(Closed);
                }
            }
            news.await;
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.borrow().0.value).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.borrow().0.value).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt as _;

    use super::*;
    use crate::base::task;

    #[tokio::test]
    async fn who_waits_longest_wakes_first() {
        let (sender, receiver) = channel(0);
        let woken = Arc::new(Mutex::new(Vec::new()));
        // Fewer than the scheduler runs before it looks at the test again: all of them wait by then.
        let waiting: Vec<_> = (0..40)
            .map(|number| {
                let (mut receiver, woken) = (receiver.clone(), Arc::clone(&woken));
                task::spawn("waits", async move {
                    receiver.changed().await.expect("a value");
                    woken.lock().expect("whole").push(number);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        sender.send_replace(1);
        for task in waiting {
            task.await.expect("ended");
        }
        assert_eq!(*woken.lock().expect("whole"), (0..40).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_receiver_sees_each_newest_value_once() {
        let (sender, mut receiver) = channel(1);
        assert!(receiver.changed().now_or_never().is_none(), "the first value counts as seen");
        assert_eq!(sender.send_replace(2), 1);
        sender.send_modify(|value| *value += 1);
        assert_eq!(receiver.changed().now_or_never(), Some(Ok(())));
        assert_eq!((*receiver.borrow(), *sender.borrow()), (3, 3));
        assert!(receiver.changed().now_or_never().is_none());
        assert!(!sender.send_if_modified(|_| false));
        assert!(receiver.changed().now_or_never().is_none(), "nothing was modified");
        sender.send_replace(4);
        assert_eq!(*receiver.borrow_and_update(), 4);
        assert!(receiver.changed().now_or_never().is_none(), "it was borrowed");
    }

    #[tokio::test]
    async fn a_last_value_is_seen_before_the_end() {
        let (sender, mut receiver) = channel(1);
        sender.send_replace(2);
        drop(sender);
        assert_eq!(receiver.changed().await, Ok(()));
        assert_eq!(receiver.changed().await, Err(Closed));
        assert_eq!(receiver.wait_for(|value| *value == 2).await.map(|value| *value), Ok(2));
        assert_eq!(receiver.wait_for(|value| *value == 3).await.map(|value| *value), Err(Closed));
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_leaves_nothing_behind() {
        let (sender, mut receiver) = channel(1);
        assert!(receiver.wait_for(|value| *value == 2).now_or_never().is_none());
        let waits = task::spawn("waits", async move {
            receiver.wait_for(|value| *value == 3).await.map(|value| *value)
        });
        tokio::task::yield_now().await;
        sender.send_replace(2);
        tokio::task::yield_now().await;
        sender.send_replace(3);
        assert_eq!(waits.await.expect("ended"), Some(Ok(3)));
    }
}
