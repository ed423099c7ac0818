//! Fetches that wait for records: woken by the partitions that they name, never by all.
//!
//! Source: `DelayedFetch` in Apache Kafka.

use std::sync::Arc;

use tokio::sync::Notify;

use super::PartitionHandle;

/// The waiters of one partition: most partitions have none, and pay one pointer for it.
#[derive(Debug, Default)]
pub(super) struct Waiters(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting(Vec<Arc<Notify>>);

impl Waiters {
    pub(super) fn wake(&self) {
        for waiter in self.0.iter().flat_map(|waiting| &waiting.0) {
            waiter.notify_one();
        }
    }

    fn add(&mut self, waiter: Arc<Notify>) {
        self.0.get_or_insert_default().0.push(waiter);
    }

    fn remove(&mut self, gone: &Arc<Notify>) {
        let Some(waiting) = &mut self.0 else { return };
        waiting.0.retain(|waiter| !Arc::ptr_eq(waiter, gone));
        if waiting.0.is_empty() {
            // An idle partition keeps no memory for those who once waited.
            self.0 = None;
        }
    }
}

/// One waiting fetch. Dropping it takes it off its partitions.
#[derive(Debug)]
pub struct Waiter {
    notify: Arc<Notify>,
    partitions: Vec<PartitionHandle>,
}

impl Waiter {
    /// Registers with `partitions`: whatever becomes stable there from now on wakes it.
    #[must_use]
    pub fn register(partitions: Vec<PartitionHandle>) -> Self {
        let notify = Arc::new(Notify::new());
        for partition in &partitions {
            partition.lock().waiters.add(Arc::clone(&notify));
        }
        Self { notify, partitions }
    }

    /// Waits for news since the last call. Cancel-safe.
    pub async fn woken(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        for partition in &self.partitions {
            partition.lock().waiters.remove(&self.notify);
        }
    }
}
