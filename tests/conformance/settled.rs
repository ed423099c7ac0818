//! A change of metadata that nothing else in the script sees: the quota of a client that nobody is.

use kafka_protocol::{
    messages::{
        AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest,
        DescribeClientQuotasResponse,
        alter_client_quotas_request::{EntityData, EntryData, OpData},
        describe_client_quotas_request::ComponentData,
    },
    protocol::StrBytes,
};

const KIND: StrBytes = StrBytes::from_static_str("client-id");
const CLIENT: StrBytes = StrBytes::from_static_str("nobody");

/// Sets it to `rate`.
pub(crate) fn set(rate: f64) -> AlterClientQuotasRequest {
    let key = StrBytes::from_static_str("producer_byte_rate");
    let client = EntityData::default().with_entity_type(KIND).with_entity_name(Some(CLIENT));
    let entry = EntryData::default()
        .with_entity(vec![client])
        .with_ops(vec![OpData::default().with_key(key).with_value(rate)]);
    AlterClientQuotasRequest::default().with_entries(vec![entry])
}

/// Whether that was accepted.
pub(crate) fn is_set(answer: &AlterClientQuotasResponse) -> bool {
    answer.entries.iter().all(|entry| entry.error_code == 0)
}

/// Asks for it.
pub(crate) fn ask() -> DescribeClientQuotasRequest {
    let client = ComponentData::default().with_entity_type(KIND).with_match(Some(CLIENT));
    DescribeClientQuotasRequest::default().with_components(vec![client])
}

/// Whether it is `rate` by now.
pub(crate) fn is(answer: &DescribeClientQuotasResponse, rate: f64) -> bool {
    let mut values = answer.entries.iter().flatten().flat_map(|entry| &entry.values);
    values.any(|value| value.value.total_cmp(&rate).is_eq())
}
