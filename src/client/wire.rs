//! A client over TCP: finds the cluster, asks the right broker, tries again within a bound.
//!
//! Owns connections and what is known of the cluster. Retries repeat the request: a single [`Client::produce`] that was
//! retried may stand twice, as with any Kafka client without idempotence. A [`Producer`] writes each record once.

mod admin;
mod cluster;
mod connection;
mod consume;
mod groups;
mod produce;
mod producer;
mod share_groups;
mod transactions;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use kafka_protocol::ResponseError;
use tokio::time::Instant;

pub use admin::{ConfigEntry, ConfigSource, NewTopic};
pub use cluster::{Broker, Metadata, Partition, Topic};
pub use consume::{At, Fetched, Limits};
pub use groups::{GroupDetails, GroupEpochs, GroupMember, GroupOffset, GroupSummary};
pub use produce::{Acks, partition_of};
pub use producer::{Producer, Undelivered, Written};
pub use share_groups::SHARE;
pub use transactions::{DescribedTransaction, ListedTransaction, OpenTransaction};

use super::{Code, Error};
use crate::base::backoff::Backoff;
use crate::base::clock;
use crate::base::rng::Rng;
use crate::config::Address;
use connection::Connection;

/// How a client is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Brokers to ask first.
    pub bootstrap: Vec<Address>,
    /// The name that brokers log.
    pub client_id: String,
    /// The longest that a call may take, retries included.
    pub timeout: Duration,
    /// Spreads retries.
    pub rng: Rng,
}

/// A client. Clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    options: Arc<Options>,
    known: Arc<Mutex<Known>>,
}

/// What was learnt of the cluster.
#[derive(Debug, Default)]
struct Known {
    connections: BTreeMap<Address, Arc<Connection>>,
    brokers: BTreeMap<i32, Address>,
    controller: Option<i32>,
    topics: BTreeMap<String, Topic>,
}

impl Client {
    /// Connects to the first of the bootstrap brokers that answers.
    ///
    /// # Errors
    /// None answers.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let client = Self { options: Arc::new(options), known: Arc::default() };
        client.any().await?;
        Ok(client)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the topic's leaders asked for anew.
    fn forget_topic(&self, name: &str) {
        self.known().topics.remove(name);
    }

    /// Calls `attempt` until it succeeds, fails for good, or the client's timeout has passed.
    async fn retrying<'a, T>(
        &self,
        attempt: impl Fn() -> BoxFuture<'a, Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + self.options.timeout;
        let (first, longest) = (Duration::from_millis(50), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, longest, self.options.rng.clone());
        loop {
            let error = match attempt().await {
                Err(error) if error.is_retriable() => error,
                result => return result,
            };
            let delay = backoff.next_delay();
            if Instant::now() + delay > deadline {
                return Err(error);
            }
            tracing::debug!(%error, ?delay, "trying again");
            self.known().topics.clear();
            clock::sleep(delay).await;
        }
    }

    /// An open connection to `address`.
    async fn connection(&self, address: &Address) -> Result<Arc<Connection>, Error> {
        let known = self.known().connections.get(address).filter(|one| one.is_open()).cloned();
        if let Some(connection) = known {
            return Ok(connection);
        }
        let Options { client_id, timeout, .. } = &*self.options;
        let connection = Arc::new(Connection::open(address, client_id, *timeout).await?);
        self.known().connections.insert(address.clone(), Arc::clone(&connection));
        Ok(connection)
    }

    /// A connection to any broker: a known one, else one to start from.
    async fn any(&self) -> Result<Arc<Connection>, Error> {
        let mut addresses: Vec<Address> = self.known().brokers.values().cloned().collect();
        addresses.extend(self.options.bootstrap.iter().cloned());
        let mut last = None;
        for address in addresses {
            match self.connection(&address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("there is at least one bootstrap address"))
    }

    /// A connection to the broker that takes changes.
    async fn controller(&self) -> Result<Arc<Connection>, Error> {
        if self.known().controller.is_none() {
            self.refresh(Some(&[]), false).await?;
        }
        let address = {
            let known = self.known();
            known.controller.and_then(|id| known.brokers.get(&id).cloned())
        };
        match address {
            Some(address) => self.connection(&address).await,
            None => self.any().await,
        }
    }
}

/// What `code` and what came with it say.
fn check(code: i16, message: Option<&str>) -> Result<(), Error> {
    if code == 0 {
        return Ok(());
    }
    Err(Error::Refused { code: named(code), message: message.unwrap_or_default().to_owned() })
}

/// Kafka's name is `UNKNOWN_TOPIC_OR_PARTITION` where the crate's is `UnknownTopicOrPartition`.
fn named(number: i16) -> Code {
    let Some(known) = ResponseError::try_from_code(number) else {
        return Code { number, name: "NONE".to_owned(), is_retriable: false };
    };
    let mut name = String::new();
    for letter in known.to_string().chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() && !name.ends_with(' ') {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    Code { number, name, is_retriable: known.is_retriable() }
}

#[cfg(test)]
mod tests;
