//! ApiVersions: what we serve, and the features of the cluster.
//!
//! Source: KIP-35, KIP-511, KIP-584, KIP-1022; `KafkaApis.handleApiVersionsRequest`.

use kafka_protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;

use super::scope::Scope;
use crate::protocol::api::{APIS, Api};
use crate::protocol::{ApiKey, ErrorCode};

/// Features that clients look for, and the level of each that is built and in force; 0: not built.
const FEATURES: [(&str, i16); 3] =
    [("group.version", 1), ("share.version", 1), ("transaction.version", 2)];

pub(super) fn handle(
    scope: &Scope<'_>,
    version: i16,
    request: &ApiVersionsRequest,
) -> ApiVersionsResponse {
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
    let response = ApiVersionsResponse::default().with_api_keys(APIS.iter().map(range).collect());
    if version < 3 {
        return response;
    }
    // Level 0 as the least cannot be told to a client of version 3 (KAFKA-17492).
    let features = if version >= 4 { FEATURES.as_slice() } else { &[] };
    let feature = |(name, level): &(&'static str, i16)| {
        let name = StrBytes::from_static_str(name);
        SupportedFeatureKey::default().with_name(name).with_max_version(*level)
    };
    let finalized = FEATURES.iter().filter(|(_, level)| *level > 0).map(|(name, level)| {
        FinalizedFeatureKey::default()
            .with_name(StrBytes::from_static_str(name))
            .with_max_version_level(*level)
            .with_min_version_level(*level)
    });
    response
        .with_finalized_features(finalized.collect())
        .with_supported_features(features.iter().map(feature).collect())
        .with_finalized_features_epoch(i64::try_from(scope.image.version).unwrap_or(i64::MAX))
}

/// To a version that we do not know: which ones we do, in version 0 (KIP-511).
pub(super) fn unsupported() -> ApiVersionsResponse {
    ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_api_keys(vec![range(ApiKey::ApiVersions.api())])
}

fn range(api: &Api) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(api.key.code())
        .with_min_version(api.advertised_min)
        .with_max_version(api.max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::fake::Fake;

    #[test]
    fn clients_that_name_themselves_badly_are_refused_from_version_3_on() {
        let fake = Fake::new(&[], &[]);
        for (version, name, error) in [
            (2, "", ErrorCode::None),
            (3, "", ErrorCode::InvalidRequest),
            (3, "a b", ErrorCode::InvalidRequest),
            (3, "-a", ErrorCode::InvalidRequest),
            (4, "apache-kafka-java", ErrorCode::None),
        ] {
            let request = ApiVersionsRequest::default()
                .with_client_software_name(StrBytes::from_static_str(name))
                .with_client_software_version(StrBytes::from_static_str("4.3.1"));
            let response = handle(&fake.scope(), version, &request);
            assert_eq!(response.error_code, error.code(), "{version} {name}");
        }
    }

    #[test]
    fn produce_is_advertised_from_0_and_the_state_of_share_groups_not_at_all() {
        let fake = Fake::new(&[], &[]);
        let response = handle(&fake.scope(), 0, &ApiVersionsRequest::default());
        let produce = response.api_keys.iter().find(|api| api.api_key == 0).expect("there");
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
        assert!(response.api_keys.iter().all(|api| !matches!(api.api_key, 83..=87)));
        assert_eq!(unsupported().api_keys.len(), 1);
    }
}
