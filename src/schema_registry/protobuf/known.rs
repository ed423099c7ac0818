//! Files that a schema may import without a reference: those of Confluent and of Google's common types.
//!
//! The well-known types of `google/protobuf` are in every pool; these are the others that Confluent's registry knows.

/// Confluent's annotations.
pub(super) const META: &str = "confluent/meta.proto";

/// The text of a known file.
pub(super) fn text(name: &str) -> Option<&'static str> {
    Some(match name {
        META => include_str!("known/meta.proto"),
        "confluent/type/decimal.proto" => include_str!("known/decimal.proto"),
        "confluent/type/variant.proto" => include_str!("known/variant.proto"),
        _ => return None,
    })
}
