//! Topics and their configs: created, described, changed, deleted.

use futures::FutureExt as _;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeConfigsRequest, IncrementalAlterConfigsRequest,
};

use super::cluster::{text, topic_name};
use super::{Client, check};
use crate::base::offset::Offset;
use crate::client::Error;

/// How long a broker may take over a change.
const CHANGE_TIMEOUT_MS: i32 = 30_000;

/// Kafka's number for topics among resources.
const TOPIC_RESOURCE: i8 = 2;

/// A topic to create.
#[derive(Debug, Clone)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Its partitions; none: the broker's default.
    pub partitions: Option<i32>,
    /// Its replication factor; none: the broker's default.
    pub replication_factor: Option<i16>,
    /// Its configs.
    pub configs: Vec<(String, String)>,
}

/// One config of a topic.
#[derive(Debug, Clone)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; none where the broker keeps it to itself.
    pub value: Option<String>,
    /// Where it was said.
    pub source: ConfigSource,
    /// What it does, if the broker tells.
    pub documentation: Option<String>,
}

/// Where a config's value was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// By the topic itself.
    Topic,
    /// By the broker or the cluster.
    Broker,
    /// Nowhere.
    Default,
}

impl Client {
    /// Creates a topic; gives its number of partitions and its replication factor, where the broker tells.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn create_topic(&self, new: &NewTopic) -> Result<(Option<i32>, Option<i16>), Error> {
        let config = |(name, value): &(String, String)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        };
        let topic = CreatableTopic::default()
            .with_name(topic_name(&new.name))
            .with_num_partitions(new.partitions.unwrap_or(-1))
            .with_replication_factor(new.replication_factor.unwrap_or(-1))
            .with_configs(new.configs.iter().map(config).collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(CHANGE_TIMEOUT_MS);
        self.retrying(|| {
            async {
                let controller = self.controller().await?;
                let version = controller.version::<CreateTopicsRequest>(7)?;
                let answer = controller.ask(&request, version).await?;
                let mut said = (None, None);
                for topic in answer.topics {
                    check(topic.error_code, topic.error_message.as_deref())?;
                    said.0 = Some(topic.num_partitions).filter(|count| *count > 0);
                    said.1 = Some(topic.replication_factor).filter(|factor| *factor > 0);
                }
                Ok(said)
            }
            .boxed()
        })
        .await
    }

    /// Deletes a topic and everything in it.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn delete_topic(&self, name: &str) -> Result<(), Error> {
        // Retried, an unknown topic would look like a failure of what was done: it is asked for once.
        let controller = self.controller().await?;
        let version = controller.version::<DeleteTopicsRequest>(6)?;
        let request = DeleteTopicsRequest::default().with_timeout_ms(CHANGE_TIMEOUT_MS);
        let request = if version >= 6 {
            let topic = DeleteTopicState::default().with_name(Some(topic_name(name)));
            request.with_topics(vec![topic])
        } else {
            request.with_topic_names(vec![topic_name(name)])
        };
        let answer = controller.ask(&request, version).await?;
        self.known().topics.remove(name);
        let mut responses = answer.responses.iter();
        responses.try_for_each(|one| check(one.error_code, one.error_message.as_deref()))
    }

    /// Gives a topic more partitions: `count` in all.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn create_partitions(&self, name: &str, count: i32) -> Result<(), Error> {
        let topic = CreatePartitionsTopic::default()
            .with_name(topic_name(name))
            .with_count(count)
            .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(CHANGE_TIMEOUT_MS);
        self.retrying(|| {
            async {
                let controller = self.controller().await?;
                let version = controller.version::<CreatePartitionsRequest>(3)?;
                let answer = controller.ask(&request, version).await?;
                self.known().topics.remove(name);
                let mut results = answer.results.iter();
                results.try_for_each(|one| check(one.error_code, one.error_message.as_deref()))
            }
            .boxed()
        })
        .await
    }

    /// Every config of a topic.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn topic_configs(&self, name: &str) -> Result<Vec<ConfigEntry>, Error> {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(text(name))
            .with_configuration_keys(None);
        self.retrying(|| {
            async {
                let connection = self.any().await?;
                let version = connection.version::<DescribeConfigsRequest>(4)?;
                let request = DescribeConfigsRequest::default()
                    .with_resources(vec![resource.clone()])
                    .with_include_documentation(version >= 3);
                let answer = connection.ask(&request, version).await?;
                let mut entries = Vec::new();
                for result in answer.results {
                    check(result.error_code, result.error_message.as_deref())?;
                    entries.extend(result.configs.into_iter().map(|one| ConfigEntry {
                        name: one.name.to_string(),
                        value: one.value.map(|value| value.to_string()),
                        source: source(one.config_source),
                        documentation: one.documentation.map(|text| text.to_string()),
                    }));
                }
                Ok(entries)
            }
            .boxed()
        })
        .await
    }

    /// Sets some configs of a topic, and gives others back their defaults.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn alter_topic_configs(
        &self,
        name: &str,
        set: &[(String, String)],
        unset: &[String],
    ) -> Result<(), Error> {
        let one = |name: &str, operation, value| {
            AlterableConfig::default()
                .with_name(text(name))
                .with_config_operation(operation)
                .with_value(value)
        };
        let set = set.iter().map(|(name, value)| one(name, 0, Some(text(value))));
        let configs = set.chain(unset.iter().map(|name| one(name, 1, None))).collect();
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(text(name))
            .with_configs(configs);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        self.retrying(|| {
            async {
                let connection = self.controller().await?;
                let version = connection.version::<IncrementalAlterConfigsRequest>(1)?;
                let answer = connection.ask(&request, version).await?;
                let mut responses = answer.responses.iter();
                responses.try_for_each(|one| check(one.error_code, one.error_message.as_deref()))
            }
            .boxed()
        })
        .await
    }

    /// Deletes the records before `before` of one partition; gives the first offset that is left.
    ///
    /// # Errors
    /// [`Error::Refused`] with Kafka's reason.
    pub async fn delete_records(
        &self,
        name: &str,
        partition: i32,
        before: Offset,
    ) -> Result<Offset, Error> {
        let one =
            DeleteRecordsPartition::default().with_partition_index(partition).with_offset(before.0);
        let topic =
            DeleteRecordsTopic::default().with_name(topic_name(name)).with_partitions(vec![one]);
        let request = DeleteRecordsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(CHANGE_TIMEOUT_MS);
        self.retrying(|| {
            async {
                let topic = self.topic(name, false).await?;
                let leaders = self.leaders(&topic, vec![(partition, ())]).await?;
                let (leader, _) = leaders.first().expect("one partition has one leader");
                let version = leader.version::<DeleteRecordsRequest>(2)?;
                let answer = leader.ask(&request, version).await?;
                let mut left = before;
                for one in answer.topics.iter().flat_map(|topic| &topic.partitions) {
                    check(one.error_code, None)?;
                    left = Offset(one.low_watermark);
                }
                Ok(left)
            }
            .boxed()
        })
        .await
    }
}

/// Kafka's numbers: 1 the topic's own, 5 the program's default, others the brokers' or the cluster's.
fn source(number: i8) -> ConfigSource {
    match number {
        1 => ConfigSource::Topic,
        5 => ConfigSource::Default,
        _ => ConfigSource::Broker,
    }
}
