//! Resources as the config APIs name them: a type's number and a name.

use super::rules;
use crate::base::ids::BrokerId;
use crate::cluster::config::ConfigResource;
use crate::config::live_default;
use crate::handlers::scope::{Refused, Scope};
use crate::handlers::topics;
use crate::protocol::ErrorCode;

pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const BROKER_LOGGER: i8 = 8;
pub(super) const CLIENT_METRICS: i8 = 16;
pub(super) const GROUP: i8 = 32;

fn invalid(message: impl Into<String>) -> Refused {
    Refused::new(ErrorCode::InvalidRequest, message)
}

/// The resource whose overrides are to change.
pub(super) fn altered(scope: &Scope<'_>, kind: i8, name: &str) -> Result<ConfigResource, Refused> {
    match kind {
        TOPIC if name.is_empty() => Err(invalid("Default topic resources are not allowed.")),
        TOPIC => match topics::name_fault(name) {
            Some(fault) => Err(Refused::new(ErrorCode::InvalidTopicException, fault)),
            None => Ok(ConfigResource::Topic(name.to_owned())),
        },
        BROKER if name.is_empty() => Ok(ConfigResource::Broker(None)),
        BROKER => {
            let id: i32 = name
                .parse()
                .map_err(|_| invalid(format!("Node id must be an integer, but it is: {name}")))?;
            if id != scope.broker.0 {
                return Err(invalid(format!(
                    "Unexpected broker id, expected {}, but received {name}",
                    scope.broker
                )));
            }
            Ok(ConfigResource::Broker(Some(BrokerId(id))))
        }
        CLIENT_METRICS if name.is_empty() => Err(invalid("Subscription name can't be empty")),
        CLIENT_METRICS => Ok(ConfigResource::ClientMetrics(name.to_owned())),
        GROUP if name.is_empty() => Err(invalid("Default group resources are not allowed.")),
        GROUP => Ok(ConfigResource::Group(name.to_owned())),
        other => Err(invalid(format!("Unknown resource type {other}"))),
    }
}

/// Refuses settings of a broker that are read once, when it starts.
pub(super) fn check_dynamic<'a>(
    scope: &Scope<'_>,
    keys: impl Iterator<Item = &'a str>,
) -> Result<(), Refused> {
    let fixed = |key: &&str| {
        scope.config.entry(key).is_some()
            && live_default(key).is_none()
            && rules::find(crate::cluster::config::ResourceKind::Broker, key).is_none()
    };
    let fixed: Vec<&str> = keys.filter(fixed).collect();
    if fixed.is_empty() {
        return Ok(());
    }
    Err(invalid(format!("Cannot update these configs dynamically: [{}]", fixed.join(", "))))
}
