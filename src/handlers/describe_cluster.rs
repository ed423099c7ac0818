//! DescribeCluster: the brokers that the client's listener reaches.
//!
//! Source: KIP-700, KIP-919 (endpoint types), KIP-1073 (fenced brokers); `KafkaApis.handleDescribeCluster`.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::scope::{CLUSTER_OPERATIONS, NO_OPERATIONS, Refused, Scope, text};
use crate::protocol::ErrorCode;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn handle(
    scope: &Scope<'_>,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    if let Some(refused) = refusal(request.endpoint_type) {
        return DescribeClusterResponse::default()
            .with_error_code(refused.error.code())
            .with_error_message(refused.message());
    }
    let brokers = scope.brokers().map(|(broker, endpoint)| {
        DescribeClusterBroker::default()
            .with_broker_id(BrokerId(broker.id.0))
            .with_host(text(endpoint.host.clone()))
            .with_port(i32::from(endpoint.port))
            .with_rack(broker.rack.clone().map(text))
    });
    let operations = if request.include_cluster_authorized_operations {
        CLUSTER_OPERATIONS
    } else {
        NO_OPERATIONS
    };
    DescribeClusterResponse::default()
        .with_cluster_id(text(scope.image.cluster_id.clone()))
        .with_controller_id(BrokerId(scope.broker.0))
        .with_brokers(brokers.collect())
        .with_cluster_authorized_operations(operations)
}

fn refusal(endpoint_type: i8) -> Option<Refused> {
    match endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some(Refused::new(
            ErrorCode::MismatchedEndpointType,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
        )),
        other => Some(Refused::new(
            ErrorCode::UnsupportedEndpointType,
            format!("Unsupported endpoint type {other}"),
        )),
    }
}
