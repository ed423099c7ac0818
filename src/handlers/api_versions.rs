//! ApiVersions: what we serve, and the features of the cluster.
//!
//! Source: KIP-35, KIP-511, KIP-584; `KafkaApis.handleApiVersionsRequest`.

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use crate::protocol::ErrorCode;
use crate::protocol::api::APIS;

pub(super) async fn handle(version: i16, request: ApiVersionsRequest) -> ApiVersionsResponse {
    let named = |text: &str| {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(fine)
    };
    let names_itself =
        named(&request.client_software_name) && named(&request.client_software_version);
    if version >= 3 && !names_itself {
        return ApiVersionsResponse::default().with_error_code(ErrorCode::InvalidRequest.code());
    }
    response(version, ErrorCode::None)
}

/// What we serve, beside `error`.
pub(super) fn response(_version: i16, error: ErrorCode) -> ApiVersionsResponse {
    let apis = APIS.iter().map(|api| {
        ApiVersion::default()
            .with_api_key(api.key.code())
            .with_min_version(api.advertised_min)
            .with_max_version(api.max)
    });
    ApiVersionsResponse::default().with_error_code(error.code()).with_api_keys(apis.collect())
}
