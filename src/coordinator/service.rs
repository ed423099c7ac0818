//! The coordinator's owner task: takes events in order, makes what a group of them changed durable in one write, and only
//! then answers them and shows the image.
//!
//! Owns the state machine, its store and the order of answers. Decides nothing: that is [`super::machine`].
//! Invariant: nothing computed from a change leaves before the change is durable. While a group is being written no other
//! is applied, so that at every answer all of the state is durable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::event::{Alarm, Effect, Event, Reply, Ticket};
use super::machine::Machine;
use crate::base::backoff::Backoff;
use crate::base::clock::{SharedClock, sleep};
use crate::base::ids::{BrokerId, Incarnation};
use crate::base::rng::Rng;
use crate::base::task;
use crate::base::watch;
use crate::cluster::Image;
use crate::cluster::config::ConfigRules;
use crate::cluster::image::BrokerImage;
use crate::manifest::edit::{Broker, Term};
use crate::manifest::store::{self, Store, StoreError, read_term};
use crate::object::{self, keys};

/// Events that share a durable write, at most.
const GROUP_MAX: usize = 256;

/// Waits between tries to open the store again.
const REOPEN_WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// How long a superseded coordinator tries to learn its successor's name: it must exit soon.
const SUCCESSOR_WAIT: Duration = Duration::from_secs(3);

/// Between two looks for that name.
const SUCCESSOR_POLL: Duration = Duration::from_millis(100);

/// How a coordinator is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// `cluster.id`.
    pub cluster_id: String,
    /// The node that it runs in.
    pub broker: BrokerId,
    /// The process that it runs in.
    pub incarnation: Incarnation,
    /// Where the manifest lies.
    pub store: object::Store,
    /// The start-up probe found that the store honours If-Match.
    pub if_match: bool,
    /// Wall time.
    pub clock: SharedClock,
    /// Topic ids, seeds.
    pub rng: Rng,
    /// Checks config values.
    pub rules: Arc<dyn ConfigRules>,
    /// Questions that may wait; more wait at their asker.
    pub queue_max: usize,
}

/// Who took over from a superseded process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// Its node identity; this node's own on a single node.
    pub broker: BrokerId,
    /// The process; the nil UUID when it could not be read.
    pub incarnation: Incarnation,
    /// Its registration, if it had registered already.
    pub registered: Option<BrokerImage>,
}

/// A handle on the coordinator in this process. Clones share it.
#[derive(Debug, Clone)]
pub struct Coordinator {
    queue: mpsc::Sender<Message>,
    pub(super) image: watch::Receiver<Arc<Image>>,
    /// Another process has taken over, whoever it is.
    fenced: watch::Receiver<bool>,
    pub(super) superseded: watch::Receiver<Option<Successor>>,
    pub(super) rng: Rng,
}

enum Message {
    Ask(Event, oneshot::Sender<Reply>),
    Close(oneshot::Sender<()>),
}

impl Coordinator {
    /// Opens the manifest, which fences an earlier coordinator, and starts a new term. Ready when it returns.
    ///
    /// # Errors
    /// `Fenced`: another process opened it meanwhile. `Failed`, `Unloadable`: see there.
    pub async fn open(options: Options) -> Result<Self, StoreError> {
        let rng = options.rng.clone();
        let store_options = store::Options {
            raw: options.store.raw(),
            path: keys::meta(&options.cluster_id),
            locality: options.store.locality(),
            if_match: options.if_match,
            clock: Arc::clone(&options.clock),
            rng: Rng::from_seed(rng.u64()),
        };
        let office = Box::pin(Office::open(&options, &store_options, None)).await?;
        let (queue, requests) = mpsc::channel(options.queue_max);
        let (image_sender, image) = watch::channel(Arc::clone(office.machine.image()));
        let (successor, superseded) = watch::channel(None);
        let (lost, fenced) = watch::channel(false);
        let owner =
            Owner { options, store_options, requests, image: image_sender, lost, successor };
        task::spawn("coordinator", owner.run(office));
        Ok(Self { queue, image, fenced, superseded, rng })
    }

    /// Resolves as soon as it is known that another process has taken over: nothing more may be answered.
    pub async fn fenced(&self) {
        let mut fenced = self.fenced.clone();
        if fenced.wait_for(|fenced| *fenced).await.is_err() {
            // The coordinator was shut down: nobody takes over any more.
            std::future::pending().await
        }
    }

    /// Resolves when another process has taken over and its name is known, or cannot be learnt: this one exits and never
    /// takes back.
    pub async fn superseded(&self) -> Successor {
        let mut superseded = self.superseded.clone();
        let successor =
            superseded.wait_for(Option::is_some).await.ok().and_then(|seen| seen.clone());
        match successor {
            Some(successor) => successor,
            // The coordinator was shut down: nobody takes over any more.
            None => std::future::pending().await,
        }
    }

    /// Stops taking questions, answers those that wait, and closes the manifest.
    pub async fn shutdown(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            // An error means that it ended by itself meanwhile.
            let _ = closed.await;
        }
    }

    /// Asks. No answer: the coordinator is down, or lost its store while it worked on this.
    pub(super) async fn ask(&self, event: Event) -> Option<Reply> {
        let (sender, reply) = oneshot::channel();
        self.queue.send(Message::Ask(event, sender)).await.ok()?;
        reply.await.ok()
    }
}

/// One time in office: the state, its store, and who waits for answers. Dropped as a whole when the store is lost.
struct Office {
    store: Store,
    machine: Machine,
    waiting: BTreeMap<Ticket, oneshot::Sender<Reply>>,
    next_ticket: Ticket,
}

impl Office {
    /// Opens the store and makes the new term durable: from then on deletions may be issued.
    async fn open(
        options: &Options,
        store_options: &store::Options,
        expected_epoch: Option<u64>,
    ) -> Result<Self, StoreError> {
        let (store, state) = Store::open(store_options, expected_epoch).await?;
        let (broker, incarnation) = (options.broker, options.incarnation);
        let term = Term { term: state.term.term + 1, broker, incarnation };
        let rules = Arc::clone(&options.rules);
        let mut machine = Machine::start(&options.cluster_id, state, term, rules);
        let (changes, _) = machine.take_changes();
        store.write(&machine.state, &changes).await?;
        let epoch = store.epoch();
        tracing::info!(term = term.term, epoch, incarnation = %incarnation.0, "coordinator took office");
        Ok(Self { store, machine, waiting: BTreeMap::new(), next_ticket: 0 })
    }

    /// Applies a group and makes it durable; then delivers what follows from it.
    async fn decide(
        &mut self,
        group: impl Iterator<Item = (Event, oneshot::Sender<Reply>)>,
        image: &watch::Sender<Arc<Image>>,
    ) -> Result<(), StoreError> {
        let mut effects = Vec::new();
        for (event, sender) in group {
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            self.waiting.insert(ticket, sender);
            effects.extend(self.machine.apply(ticket, event));
        }
        let (changes, next) = self.machine.take_changes();
        if !changes.is_empty() {
            self.store.write(&self.machine.state, &changes).await?;
        }
        if next.order() != image.borrow().order() {
            image.send_replace(next);
        }
        effects.into_iter().for_each(|effect| self.deliver(effect));
        Ok(())
    }

    fn deliver(&mut self, effect: Effect) {
        match effect {
            Effect::Answer(ticket, reply) => {
                if let Some(sender) = self.waiting.remove(&ticket) {
                    // Whoever gave up asking is not told.
                    let _ = sender.send(reply);
                }
            }
            Effect::Alarm(Alarm::Offline { tp, chain, slot }) => {
                tracing::error!(%tp, %chain, %slot, "partition taken offline: a run does not start at its end");
            }
            Effect::Alarm(Alarm::Refused { error }) => {
                tracing::error!(%error, "rows refused: they contradict the manifest");
            }
        }
    }
}

/// Why an office ended.
enum End {
    Closed(Option<oneshot::Sender<()>>),
    Fenced,
    Failed(StoreError),
}

struct Owner {
    options: Options,
    store_options: store::Options,
    requests: mpsc::Receiver<Message>,
    image: watch::Sender<Arc<Image>>,
    lost: watch::Sender<bool>,
    successor: watch::Sender<Option<Successor>>,
}

impl Owner {
    async fn run(mut self, mut office: Office) {
        loop {
            let epoch = office.store.epoch();
            match self.serve(&mut office).await {
                End::Closed(done) => {
                    office.store.close().await;
                    drop(done);
                    return;
                }
                End::Fenced => return Box::pin(self.superseded()).await,
                End::Failed(error) => {
                    tracing::error!(%error, "coordinator lost its store: state dropped");
                }
            }
            // Nothing of the state survives: what was being written may or may not be there.
            let Office { store, machine, waiting, .. } = office;
            drop((machine, waiting));
            refusing(&mut self.requests, store.close()).await;
            match Box::pin(self.reopen(epoch)).await {
                Some(next) => office = next,
                None => return Box::pin(self.superseded()).await,
            }
        }
    }

    async fn serve(&mut self, office: &mut Office) -> End {
        let mut messages = Vec::with_capacity(GROUP_MAX);
        loop {
            let closed = async {
                tokio::select! {
                    biased;
                    taken = self.requests.recv_many(&mut messages, GROUP_MAX) => Ok(taken),
                    error = office.store.closed() => Err(error),
                }
            };
            match closed.await {
                Ok(0) => return End::Closed(None),
                Ok(_) => {}
                Err(StoreError::Fenced) => return End::Fenced,
                Err(error) => return End::Failed(error),
            }
            let mut close = None;
            let group = messages.drain(..).filter_map(|message| match message {
                Message::Ask(event, sender) => Some((event, sender)),
                Message::Close(done) => {
                    close = Some(done);
                    None
                }
            });
            match office.decide(group, &self.image).await {
                Ok(()) => {}
                Err(StoreError::Fenced) => return End::Fenced,
                Err(error) => return End::Failed(error),
            }
            if close.is_some() {
                return End::Closed(close);
            }
        }
    }

    /// Opens the store again, but only if nobody else did: a single node never fences its successor. None: somebody did.
    async fn reopen(&mut self, epoch: u64) -> Option<Office> {
        let mut backoff = Backoff::new(REOPEN_WAITS.0, REOPEN_WAITS.1, self.options.rng.clone());
        loop {
            refusing(&mut self.requests, sleep(backoff.next_delay())).await;
            let opening = Office::open(&self.options, &self.store_options, Some(epoch));
            match refusing(&mut self.requests, opening).await {
                Ok(office) => {
                    self.image.send_replace(Arc::clone(office.machine.image()));
                    return Some(office);
                }
                Err(StoreError::Fenced) => return None,
                Err(error) => tracing::warn!(%error, "manifest could not be opened again"),
            }
        }
    }

    /// Says who took over, and ends. Whoever waits or asks from now on learns it too.
    async fn superseded(self) {
        self.lost.send_replace(true);
        let named = tokio::time::timeout(SUCCESSOR_WAIT, self.successor_named());
        let successor = match Box::pin(named).await {
            Ok((term, broker)) => Successor {
                broker: term.broker,
                incarnation: term.incarnation,
                registered: broker.filter(|b| b.incarnation == term.incarnation).map(|broker| {
                    BrokerImage {
                        id: term.broker,
                        rack: broker.rack,
                        listeners: broker.listeners,
                        incarnation: broker.incarnation,
                    }
                }),
            },
            // It died before it signed its term, or the store does not answer.
            Err(_) => Successor {
                broker: self.options.broker,
                incarnation: Incarnation(uuid::Uuid::nil()),
                registered: None,
            },
        };
        tracing::error!(successor = %successor.incarnation, broker = %successor.broker, "coordinator superseded");
        self.successor.send_replace(Some(successor));
    }
}

impl Owner {
    /// Reads who holds the term until it is somebody else: a successor opens the manifest first and signs then.
    async fn successor_named(&self) -> (Term, Option<Broker>) {
        loop {
            match read_term(&self.store_options).await {
                Ok(Some((term, broker))) if term.incarnation != self.options.incarnation => {
                    return (term, broker);
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "successor could not be read"),
            }
            sleep(SUCCESSOR_POLL).await;
        }
    }
}

/// Does `work`, and leaves who asks meanwhile without an answer.
async fn refusing<T>(requests: &mut mpsc::Receiver<Message>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            message = requests.recv() => {
                if message.is_none() {
                    return work.await;
                }
            }
        }
    }
}
