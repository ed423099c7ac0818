//! The share partitions of this broker: loaded on first use, dropped when they are another's, kept in time by one task.
//!
//! Owns which share partitions there are, the sessions, and when locks expire. Does not own the state of one (`led`).
//!
//! Source: KIP-932; `SharePartitionManager` in Apache Kafka 4.3.1.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::time::Instant;

use super::Error;
use super::alarm::Alarm;
use super::led::{Key, Led};
use super::partition::{Acknowledgement, Change, Limits, Loaded};
use super::persister::Persister;
use super::sessions::{self, Context, Ended, FetchRequest, MemberKey, ShareSessions};
use crate::base::clock::{SharedClock, Timestamp, sleep, sleep_until};
use crate::base::ids::TopicPartition;
use crate::base::offset::Offset;
use crate::base::task;
use crate::cluster::ShareSettings;
use crate::cluster::client::ClusterClient;
use crate::cluster::offset_reset::AutoOffsetReset;
use crate::config::ShareGroupsConfig;
use crate::log::{self, Isolation, PartitionHandle, Registry};

/// How long a load waits for its proof that the end of the log is the end (law 9).
const PROOF_WITHIN: Duration = Duration::from_secs(5);

/// A load that fails for a passing reason is tried again, after a time that doubles. Nothing is told meanwhile.
const LOAD_AGAIN_AFTER: Duration = Duration::from_millis(10);
const LOAD_AGAIN_AFTER_MAX: Duration = Duration::from_millis(500);
const LOAD_WITHIN: Duration = Duration::from_secs(5);

/// What share partitions work with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Settings of groups.
    pub cluster: Arc<dyn ClusterClient>,
    /// The partitions led here.
    pub registry: Registry,
    /// What is kept of share partitions.
    pub persister: Persister,
    /// Wall clock, for `by_duration`.
    pub clock: SharedClock,
    /// Settings of the broker.
    pub config: ShareGroupsConfig,
}

/// What a member held is given back.
type Releasing = Shared<BoxFuture<'static, ()>>;

type Loading = Shared<BoxFuture<'static, Result<Arc<Led>, Error>>>;

/// The share partitions of this broker. Clones share them.
#[derive(Debug, Clone)]
pub struct SharePartitions(Arc<Inner>);

struct Inner {
    parts: Parts,
    started: Instant,
    connections: AtomicU64,
    sessions: Mutex<ShareSessions>,
    led: Mutex<BTreeMap<Key, Loading>>,
    /// Releases of what members hold whose sessions ended with their connections: still to be begun.
    ended: Mutex<Vec<Releasing>>,
    /// All of them that are not through.
    releasing: Mutex<BTreeMap<MemberKey, Releasing>>,
    alarm: Arc<Alarm>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharePartitions").finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The task that keeps the time ends.
        self.alarm.ring();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that may open sessions: they end when this is dropped.
#[derive(Debug)]
pub struct Connection {
    id: u64,
    partitions: Weak<Inner>,
}

impl Connection {
    /// Names it to [`SharePartitions::fetch_session`].
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(inner) = self.partitions.upgrade() else { return };
        let ended = lock(&inner.sessions).disconnected(self.id);
        if ended.is_empty() {
            return;
        }
        for ended in ended {
            let key = ended.key.clone();
            let releasing = release_later(Weak::clone(&self.partitions), ended).boxed().shared();
            lock(&inner.releasing).insert(key, releasing.clone());
            lock(&inner.ended).push(releasing);
        }
        inner.alarm.ring();
    }
}

impl SharePartitions {
    /// Serves share partitions from now on.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let alarm = Arc::new(Alarm::default());
        let changes = parts.registry.changes();
        let inner = Arc::new(Inner {
            sessions: Mutex::new(ShareSessions::new(parts.config.max_share_sessions)),
            parts,
            started: Instant::now(),
            connections: AtomicU64::new(0),
            led: Mutex::default(),
            ended: Mutex::default(),
            releasing: Mutex::default(),
            alarm: Arc::clone(&alarm),
        });
        task::spawn("share-time", keep_time(Arc::downgrade(&inner), alarm, changes));
        Self(inner)
    }

    /// A new connection.
    #[must_use]
    pub fn connection(&self) -> Connection {
        let id = self.0.connections.fetch_add(1, Ordering::Relaxed);
        Connection { id, partitions: Arc::downgrade(&self.0) }
    }

    /// What the group goes by.
    #[must_use]
    pub fn settings(&self, group: &str) -> ShareSettings {
        settings(&self.0.parts, group)
    }

    /// Finds what a ShareFetch reads.
    ///
    /// # Errors
    /// [`sessions::Error`].
    pub fn fetch_session(
        &self,
        key: &MemberKey,
        request: FetchRequest,
    ) -> Result<Context, sessions::Error> {
        lock(&self.0.sessions).fetch(key, request)
    }

    /// Waits until what a member held in a session that ended with its connection is given back. Before that it must not be
    /// given anything in another session: that would be given back too.
    pub async fn released(&self, key: &MemberKey) {
        let releasing = lock(&self.0.releasing).get(key).cloned();
        if let Some(releasing) = releasing {
            releasing.await;
        }
    }

    /// Takes a ShareAcknowledge into its session.
    ///
    /// # Errors
    /// [`sessions::Error`].
    pub fn acknowledge_session(&self, key: &MemberKey, epoch: i32) -> Result<(), sessions::Error> {
        lock(&self.0.sessions).acknowledge(key, epoch)
    }

    /// Whether the answer to a request of an open session must name a partition, of which it says this: records, a failure.
    #[must_use]
    pub fn must_tell(&self, key: &MemberKey, tp: TopicPartition, says: (bool, bool)) -> bool {
        lock(&self.0.sessions).must_tell(key, tp, says)
    }

    /// Ends a member's session, and gives back what it holds.
    pub async fn close_session(&self, key: &MemberKey) {
        let ended = lock(&self.0.sessions).close(key);
        if let Some(ended) = ended {
            self.release(ended).await;
        }
    }

    /// Takes what a member says of records that it has: all of it or nothing. Resolves when that is kept.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn acknowledge(
        &self,
        key: &MemberKey,
        tp: TopicPartition,
        batches: &[Acknowledgement],
    ) -> Result<(), Error> {
        let led = self.loaded(&key.group, tp).ok_or(Error::NotLoaded)?;
        let step = led.change(&self.0.parts.persister, |state| {
            Ok(Some(state.acknowledge(&key.member, batches)?))
        });
        step.await
    }

    /// Gives back what a member held whose session is over; lets go of the group's partitions after its last.
    async fn release(&self, ended: Ended) {
        let Ended { key, partitions, last_of_group } = ended;
        let held = partitions.iter().filter_map(|tp| self.loaded(&key.group, *tp));
        let released = held.map(|led| {
            let member = key.member.clone();
            async move {
                let release =
                    led.change(&self.0.parts.persister, |state| Ok(state.release(&member)));
                if let Err(error) = release.await {
                    // The locks expire.
                    tracing::debug!(group = %led.key.group, tp = %led.key.tp, %error, "not released");
                }
            }
        });
        futures::future::join_all(released).await;
        if last_of_group {
            self.drop_group(&key.group).await;
        }
    }

    /// Lets go of a group that nobody fetches for: its offsets may be altered, and it may be deleted.
    async fn drop_group(&self, group: &str) {
        let mut theirs = Vec::new();
        {
            let sessions = lock(&self.0.sessions);
            if sessions.has_group(group) {
                return;
            }
            lock(&self.0.led).retain(|key, loading| match loading.peek() {
                _ if &*key.group != group => true,
                Some(Ok(led)) => {
                    theirs.push(Arc::clone(led));
                    true
                }
                Some(Err(_)) | None => false,
            });
        }
        for led in theirs {
            led.close().await;
        }
        self.0.sweep();
    }

    /// A share partition that was loaded.
    fn loaded(&self, group: &str, tp: TopicPartition) -> Option<Arc<Led>> {
        let key = Key { group: group.into(), tp };
        let led = lock(&self.0.led).get(&key)?.peek()?.as_ref().ok().map(Arc::clone)?;
        self.0.is_current(&led).then_some(led)
    }

    /// Loads a share partition, unless that is done or under way.
    pub(super) fn load(&self, group: &str, tp: TopicPartition) -> Loading {
        let key = Key { group: group.into(), tp };
        let mut all = lock(&self.0.led);
        if let Some(loading) = all.get(&key) {
            match loading.peek() {
                None => return loading.clone(),
                Some(Ok(led)) if self.0.is_current(led) => return loading.clone(),
                Some(_) => {}
            }
        }
        let weak = Arc::downgrade(&self.0);
        let alarm = Arc::clone(&self.0.alarm);
        let loading = load(self.0.parts.clone(), key.clone(), (weak, Arc::clone(&alarm)));
        let loading = loading.boxed().shared();
        all.insert(key.clone(), loading.clone());
        drop(all);
        let loaded = loading.clone();
        // It goes on when the request that began it does not.
        task::spawn("share-load", async move {
            if loaded.await.is_err() {
                // It is forgotten.
                alarm.look_now(&key);
            }
        });
        loading
    }

    pub(super) fn limits(&self, group: &str) -> Limits {
        limits_of(&self.settings(group))
    }

    pub(super) fn remote(&self) -> &log::Remote {
        self.0.parts.registry.remote()
    }

    /// The time that locks go by.
    pub(super) fn now(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Has the locks of a share partition given back when the first expires.
    pub(super) fn expect_expiry(&self, led: &Led, deadline: Option<Duration>) {
        if let Some(deadline) = deadline {
            self.0.alarm.look_at(&led.key, deadline);
        }
    }

    /// How many looks at single share partitions there were, so far.
    #[cfg(test)]
    pub(crate) fn looks(&self) -> usize {
        self.0.alarm.taken()
    }

    /// What is due: sessions that ended, share partitions whose time has come.
    fn on_time(&self) {
        for releasing in std::mem::take(&mut *lock(&self.0.ended)) {
            task::spawn("share-release", releasing);
        }
        let now = self.now();
        for key in self.0.alarm.take_due(now) {
            let Some(led) = self.0.current(&key) else { continue };
            let deadline = led.state().next_deadline();
            match deadline {
                Some(deadline) if deadline <= now => self.expire(led),
                later => self.expect_expiry(&led, later),
            }
        }
    }

    fn expire(&self, led: Arc<Led>) {
        if !led.begin_expiring() {
            // It is looked at again when that is done.
            return;
        }
        let partitions = self.clone();
        task::spawn("share-expire", async move {
            let now = partitions.now();
            let persister = &partitions.0.parts.persister;
            if let Err(error) = led.change(persister, |state| Ok(state.expire_locks(now))).await {
                tracing::debug!(group = %led.key.group, tp = %led.key.tp, %error, "expired locks not kept");
            }
            led.end_expiring();
            partitions.0.alarm.look_now(&led.key);
        });
    }
}

impl Inner {
    /// Whether this is still the state of its partition.
    fn is_current(&self, led: &Led) -> bool {
        let ours = self.parts.registry.partition(&led.key.tp);
        !led.is_fenced()
            && ours.is_some_and(|ours| Arc::ptr_eq(&ours, &led.log))
            && led.log.offsets().is_ok()
    }

    /// Whether to keep it: it is not when it could not be loaded, nor when it is led here no more, which its waiters are told.
    fn stays(&self, loading: &Loading) -> bool {
        match loading.peek() {
            None => true,
            Some(Err(_)) => false,
            Some(Ok(led)) if self.is_current(led) => true,
            Some(Ok(led)) => {
                led.fence();
                false
            }
        }
    }

    /// The share partition, if it is loaded. Lets go of it if it does not stay.
    fn current(&self, key: &Key) -> Option<Arc<Led>> {
        let mut all = lock(&self.led);
        let loading = all.get(key)?;
        if self.stays(loading) {
            return loading.peek()?.as_ref().ok().map(Arc::clone);
        }
        all.remove(key);
        None
    }

    /// Lets go of all that do not stay.
    fn sweep(&self) {
        lock(&self.led).retain(|_, loading| self.stays(loading));
    }
}

/// Gives back what a member held whose session ended. Holds no part while it waits to be begun.
async fn release_later(inner: Weak<Inner>, ended: Ended) {
    let Some(inner) = inner.upgrade() else { return };
    let key = ended.key.clone();
    let partitions = SharePartitions(inner);
    partitions.release(ended).await;
    lock(&partitions.0.releasing).remove(&key);
}

/// Does what is due, whenever it is.
async fn keep_time(
    inner: Weak<Inner>,
    alarm: Arc<Alarm>,
    mut changes: crate::base::watch::Receiver<u64>,
) {
    loop {
        let deadline = {
            // Holds no part while it waits: a stopped node lets its store go.
            let Some(inner) = inner.upgrade() else { return };
            let started = inner.started;
            SharePartitions(inner).on_time();
            alarm.next().map(|next| started + next)
        };
        let due = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = due => {}
            () = alarm.rung() => {}
            changed = changes.changed() => match (changed, inner.upgrade()) {
                (Ok(()), Some(inner)) => inner.sweep(),
                _ => return,
            },
        }
    }
}

fn settings(parts: &Parts, group: &str) -> ShareSettings {
    ShareSettings::of(&parts.config, &parts.cluster.image().borrow(), group)
}

async fn load(
    parts: Parts,
    key: Key,
    (service, alarm): (Weak<Inner>, Arc<Alarm>),
) -> Result<Arc<Led>, Error> {
    let (started, mut wait) = (Instant::now(), LOAD_AGAIN_AFTER);
    loop {
        match load_state(&parts, key.clone(), Arc::clone(&alarm)).await {
            // As a shard of the state is being replayed.
            Err(error) if error.is_passing() && started.elapsed() < LOAD_WITHIN => {
                sleep(wait).await;
                wait = (wait * 2).min(LOAD_AGAIN_AFTER_MAX);
                if service.strong_count() == 0 {
                    return Err(error);
                }
            }
            loaded => return loaded,
        }
    }
}

async fn load_state(parts: &Parts, key: Key, alarm: Arc<Alarm>) -> Result<Arc<Led>, Error> {
    let log = parts.registry.partition(&key.tp).ok_or(Error::NotLeader)?;
    let leader_epoch = log.offsets().map_err(|_| Error::NotLeader)?.leader_epoch;
    let read = parts.persister.read(&key.group, key.tp, leader_epoch.0);
    let mut loaded: Loaded = read.await?;
    let settings = settings(parts, &key.group);
    if loaded.start_offset < Offset::ZERO {
        loaded.start_offset = start_of(parts, &log, settings.auto_offset_reset).await?;
        // Kept before anything is given out: a restart must not decide anew, and pass over what came meanwhile.
        let begins = Change::beginning(loaded.start_offset);
        let epochs = (leader_epoch.0, loaded.state_epoch);
        let begun = parts.persister.begin_write(&key.group, key.tp, epochs, &begins).await?;
        begun.stable().await?;
    }
    Ok(Led::new(key, log, leader_epoch, (loaded, limits_of(&settings)), alarm))
}

/// Where a group begins that has not read the partition yet.
async fn start_of(
    parts: &Parts,
    log: &PartitionHandle,
    reset: AutoOffsetReset,
) -> Result<Offset, Error> {
    let offsets = log.offsets()?;
    match reset {
        AutoOffsetReset::Earliest => return Ok(offsets.log_start),
        AutoOffsetReset::Latest => {}
        AutoOffsetReset::ByDuration(back) => {
            let back = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
            let at = Timestamp(parts.clock.now().0.saturating_sub(back));
            let remote = parts.registry.remote();
            let found = log.offset_for_timestamp(remote, at, Isolation::ReadUncommitted).await?;
            if let Some(found) = found {
                return Ok(found.offset);
            }
        }
    }
    log.prove(PROOF_WITHIN).await?;
    Ok(offsets.high_watermark)
}

fn limits_of(settings: &ShareSettings) -> Limits {
    Limits {
        lock: settings.record_lock_duration,
        delivery_count_limit: i16::try_from(settings.delivery_count_limit).unwrap_or(i16::MAX),
        record_locks_max: usize::try_from(settings.partition_max_record_locks).unwrap_or(0),
    }
}
