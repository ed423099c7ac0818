//! The registry's one writer and follower of its topic, and the state that everybody else reads.
//!
//! One task owns the order of changes: it reads the topic to its end, decides what is asked on that state, appends the
//! records of several changes as one batch, reads them back, and only then answers. So an answer rests on records that
//! are there for good, and a restart, which reads the same records, gives the same.
//!
//! A batch whose outcome is not known is never guessed about: the topic is read until it is led again, and shows whether
//! the batch is there; if not, its changes are decided anew.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::any::{AnySchema, Rules};
use super::catalog::Catalog;
use super::decide::{self, Answer, Command, Plan, Registered, Registration, Write};
use super::entity::Content;
use super::error::Error;
use super::records::{Key, Value};
use super::state::{State, Stored, Update};
use super::subject::Subject;
use crate::base::clock::{Timestamp, sleep};
use crate::base::offset::Offset;
use crate::base::task;
use crate::base::watch;
use crate::client::local::{LogError, TopicLog};
use crate::client::{Received, Record};

/// Changes that may wait.
const QUEUE_MAX: usize = 256;
/// Changes that are written together.
const BATCH_MAX: usize = 64;
/// How long a request waits for the topic: to be led, read to its end, written.
const WITHIN: Duration = Duration::from_secs(30);
/// How often a change is decided anew because its records did not make it.
const TRIES_MAX: usize = 5;
/// A text, with what it refers to, whose parsing is worth a thread of its own.
const LONG_TEXT: usize = 64 << 10;
/// Such texts that are parsed at a time: each may take a core and some hundred megabytes.
const LONG_PARSES_MAX: usize = 2;
/// The wait before the topic is asked again after it did not answer.
const AGAIN: Duration = Duration::from_millis(50);

/// The registry. Clones share it.
#[derive(Debug, Clone)]
pub struct Service {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Asked>,
}

#[derive(Debug)]
struct Shared {
    log: Arc<dyn TopicLog>,
    catalog: Catalog,
    state: RwLock<State>,
    long_parses: Arc<Semaphore>,
    /// What was read of which topic.
    at: watch::Sender<Position>,
}

/// How far the topic was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Position {
    topic: Option<uuid::Uuid>,
    next: Offset,
}

#[derive(Debug)]
struct Asked {
    command: Command,
    answer: oneshot::Sender<Result<Answer, Error>>,
}

impl Service {
    /// Serves the topic behind `log` from now on.
    #[must_use]
    pub fn start(log: Arc<dyn TopicLog>) -> Self {
        let (commands, queue) = mpsc::channel(QUEUE_MAX);
        let shared = Arc::new(Shared {
            log,
            catalog: Catalog::default(),
            state: RwLock::default(),
            long_parses: Arc::new(Semaphore::new(LONG_PARSES_MAX)),
            at: watch::Sender::new(Position::default()),
        });
        let owner = Owner { shared: Arc::clone(&shared), queue, ahead: None, seen: Vec::new() };
        task::spawn("schema-registry", owner.run());
        Self { shared, commands }
    }

    /// Parsed schemas.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.shared.catalog
    }

    /// The state as it is, which may not be all that the topic says.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.shared.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the state holds everything that was in the topic when this was called.
    ///
    /// # Errors
    /// [`Error::NoLeader`]: the topic is not led here; [`Error::TimedOut`].
    pub async fn caught_up(&self) -> Result<(), Error> {
        let Some(extent) = self.shared.log.extent().map_err(of_log)? else {
            return Ok(());
        };
        let reached = |at: &Position| at.topic == Some(extent.topic) && at.next >= extent.end;
        if reached(&self.shared.at.borrow()) {
            return Ok(());
        }
        let mut at = self.shared.at.subscribe();
        match tokio::time::timeout(WITHIN, at.wait_for(reached)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Error::TimedOut("The registry's topic could not be read in time")),
        }
    }

    /// Proves that the state was all that the topic said, for a refusal that rests on it (law 9).
    ///
    /// # Errors
    /// [`Error::NoLeader`]: another process leads the topic; [`Error::TimedOut`].
    pub async fn prove(&self) -> Result<(), Error> {
        self.shared.log.prove().await.map_err(of_log)
    }

    /// Parses a schema, without holding anybody up; what asks for it next finds it parsed.
    ///
    /// # Errors
    /// [`Error::InvalidSchema`].
    pub async fn parse(
        &self,
        subject: &Subject,
        content: &Content,
        rules: Rules,
    ) -> Result<(), Error> {
        let wanted = self.shared.catalog.wanted(&self.state(), subject, content, rules)?;
        let catalog = self.shared.catalog.clone();
        if wanted.bytes() < LONG_TEXT {
            return catalog.get(wanted).map(|_| ());
        }
        // The semaphore lives as long as the service.
        let stopping = |_| Error::Store("The registry is stopping");
        let permit = Arc::clone(&self.shared.long_parses).acquire_owned();
        let permit = permit.await.map_err(stopping)?;
        let parsing = tokio::task::spawn_blocking(move || {
            let _until_done = permit;
            catalog.get(wanted).map(|_| ())
        });
        parsing.await.unwrap_or(Err(Error::Store("A schema could not be read")))
    }

    /// Parses the versions that a schema new under the subject is compared with, so that the one writer need not.
    pub async fn parse_previous(&self, subject: &Subject) {
        let previous = decide::previous(&self.state(), subject);
        for stored in previous {
            // One that cannot be read is told by the comparison, if it is compared at all.
            let _ = self.parse(&stored.subject, &stored.content, Rules::Stored).await;
        }
    }

    /// The schema of `content` under `subject`, as a stored one is read. The state is free while it is parsed.
    ///
    /// # Errors
    /// [`Error::InvalidSchema`].
    pub fn stored(&self, subject: &Subject, content: &Content) -> Result<Arc<AnySchema>, Error> {
        let catalog = &self.shared.catalog;
        let wanted = catalog.wanted(&self.state(), subject, content, Rules::Stored)?;
        catalog.get(wanted)
    }

    /// Whether the state holds everything that is in the topic now.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        match self.shared.log.extent() {
            Ok(None) => true,
            Ok(Some(extent)) => {
                let at = self.shared.at.borrow();
                at.topic == Some(extent.topic) && at.next >= extent.end
            }
            Err(_) => false,
        }
    }

    /// The parsed form of a version, which is kept by its hash: what it refers to is resolved once.
    ///
    /// # Errors
    /// [`Error::InvalidSchema`]: what it refers to is gone.
    pub fn compiled(&self, stored: &Stored) -> Result<Arc<AnySchema>, Error> {
        let catalog = &self.shared.catalog;
        if let Some(schema) = catalog.known(stored) {
            return Ok(schema);
        }
        let wanted =
            catalog.wanted(&self.state(), &stored.subject, &stored.content, Rules::Stored)?;
        catalog.keep(stored, wanted)
    }

    /// The version that a registration comes to without a change, found without waiting for the writer.
    ///
    /// # Errors
    /// [`Error::InvalidSchema`].
    pub fn existing(&self, wanted: &Registration) -> Result<Option<Registered>, Error> {
        decide::existing(&self.state(), &self.shared.catalog, wanted)
    }

    /// Makes a change, and answers when it is in the topic for good.
    ///
    /// # Errors
    /// Why it was refused; [`Error::Store`] and [`Error::TimedOut`]: it may have been made.
    pub async fn change(&self, command: Command) -> Result<Answer, Error> {
        let (answer, answered) = oneshot::channel();
        let asking = async {
            let sent = self.commands.send(Asked { command, answer }).await;
            sent.map_err(|_| Error::Store("The registry is stopping"))?;
            answered.await.map_err(|_| Error::Store("The registry is stopping"))?
        };
        tokio::time::timeout(WITHIN, asking)
            .await
            .unwrap_or(Err(Error::TimedOut("The registry's topic could not be written in time")))
    }

    /// Whether schemas of the subject are stored in their normal form: asked for, or set.
    #[must_use]
    pub fn normalizes(&self, subject: &Subject, asked: bool) -> bool {
        asked || self.state().config_in_scope(subject).normalize.unwrap_or(false)
    }

    /// The largest record that the topic takes.
    #[must_use]
    pub fn record_bytes_max(&self) -> usize {
        self.shared.log.record_bytes_max()
    }
}

fn of_log(error: LogError) -> Error {
    match error {
        LogError::NotAvailable => Error::NoLeader,
        LogError::Unknown { .. } => Error::TimedOut("Write to the registry's topic timed out"),
        LogError::Unreadable => Error::Store("The registry's topic could not be read"),
        LogError::Unproven => {
            Error::TimedOut("Whether the registry's topic is led here is not known")
        }
    }
}

/// The one that reads and writes the topic.
struct Owner {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Asked>,
    /// The state with what is being written: what the changes of one batch are decided on. The same as everybody's
    /// between batches; none before the first, and after one that did not make it.
    ahead: Option<State>,
    /// Records read since a batch was sent, if its outcome is not known.
    seen: Vec<Received>,
}

/// A change of the batch that is being written.
struct Pending {
    asked: Asked,
    plan: Result<Plan, Error>,
}

impl Owner {
    /// Runs until nobody can ask any more.
    async fn run(mut self) {
        loop {
            let end = self.catch_up().await;
            let mut batch = Vec::new();
            tokio::select! {
                biased;
                taken = self.queue.recv_many(&mut batch, BATCH_MAX) => {
                    if taken == 0 {
                        return;
                    }
                    self.serve(batch).await;
                }
                () = news(&*self.shared.log, end) => {}
            }
        }
    }

    /// Reads the topic to its end, and says where that is.
    async fn catch_up(&mut self) -> Result<Option<Offset>, LogError> {
        loop {
            let at = *self.shared.at.borrow();
            let Some(extent) = self.shared.log.extent()? else {
                if at.topic.is_some() {
                    self.reset(Position::default());
                }
                return Ok(None);
            };
            if at.topic != Some(extent.topic) || at.next < extent.start {
                self.reset(Position { topic: Some(extent.topic), next: extent.start });
                continue;
            }
            if at.next >= extent.end {
                return Ok(Some(extent.end));
            }
            let (records, next) = self.shared.log.read(at.next).await?;
            if next <= at.next {
                return Err(LogError::Unreadable);
            }
            self.take_up(&records);
            self.seen.extend(records);
            self.shared.at.send_replace(Position { next, ..at });
        }
    }

    /// The topic is another: whatever was known is void.
    fn reset(&mut self, position: Position) {
        tracing::info!(topic = ?position.topic, "schemas are read from the start");
        *self.shared.state.write().unwrap_or_else(PoisonError::into_inner) = State::default();
        self.ahead = None;
        self.shared.at.send_replace(position);
    }

    fn take_up(&mut self, records: &[Received]) {
        let updates: Vec<(Offset, Update)> =
            records.iter().map(|received| (received.offset, update(received))).collect();
        let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
        for (offset, update) in &updates {
            if let Err(ignored) = state.apply(update) {
                tracing::error!(%offset, ?ignored, "a schema was not taken up: its id means another text");
            }
            // It holds our own records already, and takes them once more to no effect.
            if let Some(ahead) = &mut self.ahead {
                let _ = ahead.apply(update);
            }
        }
    }

    /// Makes the changes of one batch and answers them.
    async fn serve(&mut self, batch: Vec<Asked>) {
        let mut batch = batch;
        for _ in 0..TRIES_MAX {
            // Whoever does not wait any more need not be served.
            batch.retain(|asked| !asked.answer.is_closed());
            if batch.is_empty() {
                return;
            }
            match self.attempt(batch).await {
                Ok(()) => return,
                Err(again) => batch = again,
            }
            sleep(AGAIN).await;
        }
        for asked in batch {
            let failed = Error::Store("The registry's topic could not be written");
            let _ = asked.answer.send(Err(failed));
        }
    }

    /// One try: gives back the changes whose records are not in the topic.
    async fn attempt(&mut self, batch: Vec<Asked>) -> Result<(), Vec<Asked>> {
        if self.catch_up().await.is_err() {
            return Err(batch);
        }
        self.seen.clear();
        let mut ahead = self.ahead.take().unwrap_or_else(|| {
            self.shared.state.read().unwrap_or_else(PoisonError::into_inner).clone()
        });
        let pending: Vec<Pending> =
            batch.into_iter().map(|asked| self.decide(&mut ahead, asked)).collect();
        self.ahead = Some(ahead);
        let writes: Vec<&Write> = pending
            .iter()
            .filter_map(|one| one.plan.as_ref().ok())
            .flat_map(|p| &p.writes)
            .collect();
        let records: Vec<Record> = writes.into_iter().map(record).collect();
        let written = self.write(&records).await;
        self.seen.clear();
        if written.is_err() {
            // Every answer of this batch may rest on what is not there, refusals too.
            self.ahead = None;
            return Err(pending.into_iter().map(|one| one.asked).collect());
        }
        for Pending { asked, plan } in pending {
            let _ = asked.answer.send(plan.map(|plan| plan.answer));
        }
        Ok(())
    }

    /// Decides a change on everything before it, and takes up what it would write.
    fn decide(&self, ahead: &mut State, asked: Asked) -> Pending {
        let plan = decide::decide(ahead, &self.shared.catalog, &asked.command)
            .and_then(|plan| self.fitting(plan));
        if let Ok(plan) = &plan {
            for (key, value) in &plan.writes {
                // Our own decisions give no id another text.
                let _ = ahead.apply(&Update::of(key, value.clone(), Timestamp::NONE.0));
            }
        }
        Pending { asked, plan }
    }

    /// # Errors
    /// [`Error::TooLarge`]: a record of it is larger than the topic takes.
    fn fitting(&self, plan: Plan) -> Result<Plan, Error> {
        let max = self.shared.log.record_bytes_max();
        let bytes = |(key, value): &Write| {
            key.encode().len() + value.as_ref().map_or(0, |value| value.encode(key).len())
        };
        match plan.writes.iter().any(|write| bytes(write) > max) {
            true => Err(Error::TooLarge),
            false => Ok(plan),
        }
    }

    /// Writes the records, and reads the topic to its end. Answers only when it is known whether they are there.
    ///
    /// # Errors
    /// They are not.
    async fn write(&mut self, records: &[Record]) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        let at = match self.shared.log.append(records).await {
            Ok(at) => at,
            Err(LogError::Unknown { offset }) => offset,
            Err(error) => return Err(error),
        };
        // Until this process leads the topic again, nobody can say; and nothing else is decided meanwhile.
        while let Err(error) = self.catch_up().await {
            if self.queue.is_closed() {
                return Err(error);
            }
            tracing::warn!(%error, "waiting for the registry's topic");
            sleep(AGAIN).await;
        }
        match stands_at(&self.seen, at, records) {
            true => Ok(()),
            false => Err(LogError::NotAvailable),
        }
    }
}

/// Waits until there may be something to read.
async fn news(log: &dyn TopicLog, end: Result<Option<Offset>, LogError>) {
    match end {
        Ok(end) => log.changed(end).await,
        Err(_) => sleep(AGAIN).await,
    }
}

/// Whether `records` stand in what was read, from `at` on.
fn stands_at(seen: &[Received], at: Offset, records: &[Record]) -> bool {
    let from = seen.iter().skip_while(|received| received.offset < at);
    let mut pairs = from.zip(records);
    let equal = pairs.by_ref().take_while(|(received, record)| {
        received.record.key == record.key && received.record.value == record.value
    });
    equal.count() == records.len() && seen.iter().any(|received| received.offset == at)
}

fn record((key, value): &Write) -> Record {
    Record {
        timestamp: Timestamp::NONE,
        key: Some(key.encode().into()),
        value: value.as_ref().map(|value| value.encode(key).into()),
        headers: Vec::new(),
    }
}

/// What one record of the topic changes. One that cannot be read is skipped by everybody.
fn update(received: &Received) -> Update {
    let Received { offset, record, .. } = received;
    let Some(bytes) = &record.key else { return Update::Nothing };
    let read = Key::decode(bytes).and_then(|key| {
        let value = record.value.as_deref().map(|bytes| Value::decode(&key, bytes));
        Ok(Update::of(&key, value.transpose()?, record.timestamp.0))
    });
    read.unwrap_or_else(|error| {
        tracing::warn!(%offset, %error, "a record of the registry's topic was skipped");
        Update::Nothing
    })
}

#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
mod tests;
