//! IncrementalAlterConfigs: changes some keys of a resource's overrides.
//!
//! Source: KIP-339; `ConfigurationControlManager.incrementalAlterConfigs` in Apache Kafka.

use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::alter::{Change, alter_each, check, check_keys};
use super::loggers;
use super::resource::{self, BROKER, BROKER_LOGGER};
use crate::cluster::client::{ConfigChange, ConfigEdit, Visible};
use crate::cluster::config::ConfigOp;
use crate::handlers::scope::{Refused, Scope};
use crate::protocol::ErrorCode;

pub(in crate::handlers) async fn handle(
    scope: &Scope<'_>,
    request: IncrementalAlterConfigsRequest,
) -> Visible<IncrementalAlterConfigsResponse> {
    let named = request.resources.iter().map(|one| {
        let named = (one.resource_type, &*one.resource_name);
        (named, part(scope, one))
    });
    let done = alter_each(scope, named.collect(), request.validate_only).await;
    let responses = request.resources.iter().zip(done.value).map(|(asked, (code, message))| {
        AlterConfigsResourceResponse::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone())
            .with_error_code(code)
            .with_error_message(message)
    });
    let response = IncrementalAlterConfigsResponse::default().with_responses(responses.collect());
    Visible { value: response, version: done.version }
}

pub(super) const SET: i8 = 0;
pub(super) const DELETE: i8 = 1;
pub(super) const APPEND: i8 = 2;
pub(super) const SUBTRACT: i8 = 3;

fn part(scope: &Scope<'_>, asked: &AlterConfigsResource) -> Result<Change, Refused> {
    let lacks =
        |config: &AlterableConfig| config.config_operation != DELETE && config.value.is_none();
    check_keys(asked.configs.iter().map(|config| (&*config.name, lacks(config))))?;
    if asked.resource_type == BROKER_LOGGER {
        return loggers::wanted(scope, asked).map(Change::Level);
    }
    let resource = resource::altered(scope, asked.resource_type, &asked.resource_name)?;
    let mut wanted = scope.image.overrides(&resource).cloned().unwrap_or_default();
    let mut ops = Vec::with_capacity(asked.configs.len());
    for config in &asked.configs {
        let op = op(asked.resource_type, config)?;
        match &op {
            ConfigOp::Set(value) => wanted.insert(config.name.to_string(), value.clone()),
            ConfigOp::Delete => wanted.remove(&*config.name),
            // Lists are joined where the current one is known for sure.
            ConfigOp::Append(_) | ConfigOp::Subtract(_) => None,
        };
        ops.push((config.name.to_string(), op));
    }
    check(scope, &resource, asked.configs.iter().map(|config| &*config.name), &wanted)?;
    Ok(Change::Cluster(ConfigChange { resource, change: ConfigEdit::Incremental(ops) }))
}

fn op(kind: i8, config: &AlterableConfig) -> Result<ConfigOp, Refused> {
    let value = || config.value.as_ref().map(ToString::to_string).unwrap_or_default();
    match config.config_operation {
        SET => Ok(ConfigOp::Set(value())),
        DELETE => Ok(ConfigOp::Delete),
        APPEND => Ok(ConfigOp::Append(value())),
        SUBTRACT => Ok(ConfigOp::Subtract(value())),
        other if kind == BROKER => {
            let message = format!("Unknown operations type {other}");
            Err(Refused::new(ErrorCode::InvalidRequest, message))
        }
        // Kafka's controller stumbles over it, and says only so.
        _ => Err(Refused { error: ErrorCode::UnknownServerError, message: None }),
    }
}

#[cfg(test)]
mod tests;
