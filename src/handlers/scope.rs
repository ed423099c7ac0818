//! What a handler of metadata needs of its session: an image that does not change under it, and the way to change it.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;

use super::Session;
use crate::base::ids::BrokerId;
use crate::cluster::client::ClusterClient;
use crate::cluster::error::Error;
use crate::cluster::image::{BrokerImage, Image};
use crate::config::Config;
use crate::manifest::client::Endpoint;
use crate::protocol::ErrorCode;
use crate::state_topic::TopicSpec;

/// What anybody may do with the cluster while there are no ACLs, as a bit set of `AclOperation`s.
pub(super) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;
/// What anybody may do with a topic while there are no ACLs.
pub(super) const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// Operations were not asked for.
pub(super) const NO_OPERATIONS: i32 = i32::MIN;

/// One request's view.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) cluster: &'a dyn ClusterClient,
    pub(super) config: &'a Config,
    /// This broker.
    pub(super) broker: BrokerId,
    /// The listener that the client came in on: answers name its addresses.
    pub(super) listener: &'a str,
    pub(super) image: Arc<Image>,
    /// How the coordinators' own topics are created.
    pub(super) internal: [&'a TopicSpec; 3],
}

impl<'a> Scope<'a> {
    /// The view of a request that starts now.
    pub(super) fn of(session: &'a Session) -> Self {
        let context = &session.context;
        Self {
            cluster: context.cluster.as_ref(),
            config: &context.config,
            broker: context.broker,
            listener: &session.listener,
            image: context.image(),
            internal: [
                context.groups.topic_spec(),
                context.transactions.topic_spec(),
                context.persister.topic_spec(),
            ],
        }
    }

    /// Brokers that the client's listener reaches.
    pub(super) fn brokers(&'a self) -> impl Iterator<Item = (&'a BrokerImage, &'a Endpoint)> {
        let reached =
            |broker: &'a BrokerImage| Some((broker, broker.listeners.get(self.listener)?));
        self.image.brokers.values().filter_map(reached)
    }
}

/// Waits for `call` as long as the client does.
pub(super) async fn within<T>(
    timeout_ms: i32,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, ErrorCode> {
    let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    match tokio::time::timeout(timeout, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Error::Unavailable)) | Err(_) => Err(ErrorCode::RequestTimedOut),
        Ok(Err(Error::Superseded { .. })) => Err(ErrorCode::NotController),
    }
}

/// Text of ours as the crate takes it.
pub(super) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// An error and what it says beside its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) error: ErrorCode,
    pub(super) message: Option<String>,
}

impl Refused {
    pub(super) fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Self { error, message: Some(message.into()) }
    }

    /// With Kafka's standard sentence.
    pub(super) fn standard(error: ErrorCode) -> Self {
        Self::new(error, error.message())
    }

    pub(super) fn message(&self) -> Option<StrBytes> {
        self.message.clone().map(StrBytes::from_string)
    }
}
