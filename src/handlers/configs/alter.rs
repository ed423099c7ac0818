//! AlterConfigs: a resource's overrides become the ones given, and no others. And what it shares with the incremental API.
//!
//! Source: KIP-133; `ConfigAdminManager.preprocess`, `ConfigurationControlManager.legacyAlterConfigs` in Apache Kafka.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::group_bounds;
use super::loggers;
use super::resource;
use super::rules;
use crate::cluster::client::{ConfigChange, ConfigEdit, Visible};
use crate::cluster::config::{ConfigResource, ResourceKind};
use crate::cluster::error::Refusal;
use crate::handlers::scope::{Refused, Scope, within};
use crate::protocol::ErrorCode;

/// No time comes with these requests: as long as Kafka's default for requests between brokers.
const TIMEOUT_MS: i32 = 30_000;

pub(in crate::handlers) async fn handle(
    scope: &Scope<'_>,
    request: AlterConfigsRequest,
) -> Visible<AlterConfigsResponse> {
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
    let response = AlterConfigsResponse::default().with_responses(responses.collect());
    Visible { value: response, version: done.version }
}

/// A change that is asked for.
#[derive(Debug)]
pub(super) enum Change {
    /// The coordinator makes it.
    Cluster(ConfigChange),
    /// This process makes it, of its own log lines: the level that they get, if another.
    Level(Option<&'static str>),
}

/// A resource as a request names it, and the change that is asked for, unless that is refused.
pub(super) type Asked<'a> = ((i8, &'a str), Result<Change, Refused>);

/// Has the changes done that can be, and gives the code and the words of each answer, in order.
pub(super) async fn alter_each(
    scope: &Scope<'_>,
    asked: Vec<Asked<'_>>,
    validate_only: bool,
) -> Visible<Vec<(i16, Option<StrBytes>)>> {
    let twice = twice(asked.iter().map(|(named, _)| *named));
    let parts = asked.into_iter().map(|((kind, name), part)| {
        check_once(&twice, kind, name)?;
        part
    });
    let done = change(scope, parts.collect(), validate_only).await;
    let answers = done.value.into_iter().map(|done| match done {
        Ok(()) => (0, None),
        Err(refused) => (refused.error.code(), refused.message()),
    });
    Visible { value: answers.collect(), version: done.version }
}

fn part(scope: &Scope<'_>, asked: &AlterConfigsResource) -> Result<Change, Refused> {
    check_keys(asked.configs.iter().map(|config| (&*config.name, config.value.is_none())))?;
    let resource = resource::altered(scope, asked.resource_type, &asked.resource_name)?;
    let value = |config: &kafka_protocol::messages::alter_configs_request::AlterableConfig| {
        let value = config.value.as_ref().expect("null was refused above");
        (config.name.to_string(), value.to_string())
    };
    let wanted: BTreeMap<String, String> = asked.configs.iter().map(value).collect();
    check(scope, &resource, wanted.keys().map(String::as_str), &wanted)?;
    Ok(Change::Cluster(ConfigChange { resource, change: ConfigEdit::Replace(wanted) }))
}

/// The resources that are named more than once.
fn twice<'a>(names: impl Iterator<Item = (i8, &'a str)>) -> BTreeSet<(i8, String)> {
    let mut seen = BTreeSet::new();
    let again = names.filter(|name| !seen.insert(*name));
    again.map(|(kind, name)| (kind, name.to_owned())).collect()
}

fn check_once(twice: &BTreeSet<(i8, String)>, kind: i8, name: &str) -> Result<(), Refused> {
    if !twice.contains(&(kind, name.to_owned())) {
        return Ok(());
    }
    Err(Refused::new(ErrorCode::InvalidRequest, "Each resource must appear at most once."))
}

/// Each key once, and with a value: `keys` says of each whether it lacks one.
pub(super) fn check_keys<'a>(
    keys: impl Iterator<Item = (&'a str, bool)> + Clone,
) -> Result<(), Refused> {
    let invalid = |message: &str| Err(Refused::new(ErrorCode::InvalidRequest, message));
    let mut seen = BTreeSet::new();
    if !keys.clone().all(|(key, _)| seen.insert(key)) {
        return invalid("Error due to duplicate config keys");
    }
    let null: Vec<&str> = keys.filter(|(_, null)| *null).map(|(key, _)| key).collect();
    if null.is_empty() {
        return Ok(());
    }
    invalid(&format!("Null value not supported for : {}", null.join(", ")))
}

/// Checks the overrides that a resource is to have, before it is looked for: `keys` are those that the request names.
pub(super) fn check<'a>(
    scope: &Scope<'_>,
    resource: &ConfigResource,
    keys: impl Iterator<Item = &'a str>,
    wanted: &BTreeMap<String, String>,
) -> Result<(), Refused> {
    let kind = resource.kind();
    if kind == ResourceKind::Broker {
        resource::check_dynamic(scope, keys)?;
    }
    let pairs = wanted.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    rules::check_all(kind, pairs).map_err(|fault| {
        let error = match kind {
            ResourceKind::Topic | ResourceKind::Group => ErrorCode::InvalidConfig,
            // Kafka's own choice for these two.
            ResourceKind::Broker | ResourceKind::ClientMetrics => ErrorCode::InvalidRequest,
        };
        Refused::new(error, fault.reason)
    })?;
    match resource {
        ConfigResource::Group(_) => {
            group_bounds::check(&scope.config.groups, &scope.config.share_groups, wanted)
        }
        ConfigResource::Topic(name) => {
            rules::warn_if_compacted(name, wanted);
            Ok(())
        }
        ConfigResource::Broker(_) | ConfigResource::ClientMetrics(_) => Ok(()),
    }
}

/// Has those parts done that were not refused yet.
async fn change(
    scope: &Scope<'_>,
    parts: Vec<Result<Change, Refused>>,
    validate_only: bool,
) -> Visible<Vec<Result<(), Refused>>> {
    let fine: Vec<ConfigChange> = parts
        .iter()
        .filter_map(|part| match part {
            Ok(Change::Cluster(change)) => Some(change.clone()),
            Ok(Change::Level(_)) | Err(_) => None,
        })
        .collect();
    let unchanged = scope.image.version;
    let (mut done, version) = if fine.is_empty() {
        (Ok(Vec::new().into_iter()), unchanged)
    } else {
        let call = scope.cluster.alter_configs(fine, validate_only);
        match within(TIMEOUT_MS, call).await {
            Ok(done) => (Ok(done.value.into_iter()), done.version),
            Err(error) => (Err(error), unchanged),
        }
    };
    let value = parts.into_iter().map(|part| match (part?, &mut done) {
        (Change::Level(Some(level)), _) if !validate_only => loggers::set(level),
        (Change::Level(_), _) => Ok(()),
        (Change::Cluster(_), Ok(done)) => {
            done.next().expect("one answer for each part").map_err(refused)
        }
        (Change::Cluster(_), Err(error)) => Err(Refused::standard(*error)),
    });
    Visible { value: value.collect(), version }
}

fn refused(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::UnknownTopicName { name } => Refused::new(
            ErrorCode::UnknownTopicOrPartition,
            format!("The topic '{name}' does not exist."),
        ),
        other => other.into(),
    }
}
