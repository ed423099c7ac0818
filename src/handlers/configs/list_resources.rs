//! ListConfigResources: the resources that can have configs.
//!
//! Source: KIP-714 (version 0: client metrics only), KIP-1142; `KafkaApis.handleListConfigResources`.

use kafka_protocol::messages::list_config_resources_response::ConfigResource as Listed;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::cluster::config::ConfigResource;
use crate::handlers::scope::{Scope, text};
use crate::protocol::ErrorCode;

const KINDS: [i8; 5] = [GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC];

pub(in crate::handlers) fn handle(
    scope: &Scope<'_>,
    version: i16,
    request: &ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let asked: &[i8] = match (version, request.resource_types.as_slice()) {
        (0, _) => &[CLIENT_METRICS],
        (_, []) => &KINDS,
        (_, asked) => asked,
    };
    if !asked.iter().all(|kind| KINDS.contains(kind)) {
        return ListConfigResourcesResponse::default()
            .with_error_code(ErrorCode::UnsupportedVersion.code());
    }
    let listed = KINDS.iter().filter(|kind| asked.contains(kind)).flat_map(|kind| {
        let listed =
            |name| Listed::default().with_resource_type(*kind).with_resource_name(text(name));
        names(scope, *kind).into_iter().map(listed).collect::<Vec<_>>()
    });
    ListConfigResourcesResponse::default().with_config_resources(listed.collect())
}

fn names(scope: &Scope<'_>, kind: i8) -> Vec<String> {
    let image = &scope.image;
    match kind {
        TOPIC => image.names.keys().cloned().collect(),
        BROKER | BROKER_LOGGER => image.brokers.keys().map(ToString::to_string).collect(),
        _ => {
            let overridden = image.configs.keys().filter_map(|resource| match resource {
                ConfigResource::Group(name) if kind == GROUP => Some(name),
                ConfigResource::ClientMetrics(name) if kind == CLIENT_METRICS => Some(name),
                _ => None,
            });
            overridden.cloned().collect()
        }
    }
}
