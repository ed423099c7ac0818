//! The loggers of a broker: one, `root`, whose level clients may change while the broker runs. It is not kept: the next start
//! goes by `log.level` again.
//!
//! Source: KIP-412; `RuntimeLoggerManager` in Apache Kafka.

use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};

use super::incremental_alter::{APPEND, DELETE, SET, SUBTRACT};
use crate::config::Config;
use crate::handlers::scope::{Refused, Scope};
use crate::protocol::ErrorCode;
use crate::telemetry::tracing;

/// The logger above all others.
pub(super) const ROOT: &str = "root";

/// Kafka's levels, and what they are to us.
const LEVELS: [(&str, &str); 6] = [
    ("DEBUG", "debug"),
    ("ERROR", "error"),
    ("FATAL", "error"),
    ("INFO", "info"),
    ("TRACE", "trace"),
    ("WARN", "warn"),
];

/// The level that `root` has, in Kafka's words.
pub(super) fn level(config: &Config) -> String {
    let said = tracing::level().unwrap_or_else(|| config.node.log_level.clone());
    said.split([',', '=']).next().unwrap_or_default().to_ascii_uppercase()
}

/// The level that a request asks for; none: it leaves it as it is.
pub(super) fn wanted(
    scope: &Scope<'_>,
    asked: &AlterConfigsResource,
) -> Result<Option<&'static str>, Refused> {
    let invalid = |message: String| Refused::new(ErrorCode::InvalidRequest, message);
    let name = &*asked.resource_name;
    let id: i32 = name
        .parse()
        .map_err(|_| invalid(format!("Node id must be an integer, but it is: {name}")))?;
    if id != scope.broker.0 {
        let own = scope.broker;
        return Err(invalid(format!("Unexpected node id. Expected {own}, but received {id}")));
    }
    let mut level = None;
    for config in &asked.configs {
        level = Some(wanted_by(config)?);
    }
    Ok(level)
}

fn wanted_by(config: &AlterableConfig) -> Result<&'static str, Refused> {
    let invalid = |message: String| Err(Refused::new(ErrorCode::InvalidRequest, message));
    let not_for = |operation: &str| {
        invalid(format!("{operation} operation is not allowed for the BROKER_LOGGER resource"))
    };
    let name = &*config.name;
    match config.config_operation {
        SET | DELETE if name != ROOT => {
            let message = format!("Logger {name} does not exist!");
            Err(Refused::new(ErrorCode::InvalidConfig, message))
        }
        SET => {
            let value = config.value.as_deref().unwrap_or_default();
            let known = LEVELS.iter().find(|(level, _)| *level == value);
            known.map(|(_, ours)| *ours).ok_or_else(|| {
                let levels = LEVELS.map(|(level, _)| level).join(", ");
                let message = format!(
                    "Cannot set the log level of {name} to {value} as it is not a supported log level. \
                     Valid log levels are {levels}"
                );
                Refused::new(ErrorCode::InvalidConfig, message)
            })
        }
        DELETE => invalid(format!("Removing the log level of the {ROOT} logger is not allowed")),
        APPEND => not_for("APPEND"),
        SUBTRACT => not_for("SUBTRACT"),
        // Kafka stumbles over it, and says only so.
        _ => Err(Refused { error: ErrorCode::UnknownServerError, message: None }),
    }
}

/// Has the lines of this process go by `level`.
pub(super) fn set(level: &str) -> Result<(), Refused> {
    tracing::set_level(level)
        .map_err(|error| Refused::new(ErrorCode::InvalidConfig, error.to_string()))
}
