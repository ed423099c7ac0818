//! Kinds of changes, by Confluent's names (`json.diff.Difference.Type`), and which of them keep a reader working.

use crate::schema_registry::format::Difference;

/// A change, and where: `#/properties/id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) kind: &'static str,
    pub(super) path: String,
}

impl Change {
    pub(super) fn is_compatible(&self) -> bool {
        COMPATIBLE.contains(&self.kind)
    }

    pub(super) fn into_difference(self) -> Difference {
        let message = format!("at '{}': {}", self.path, why(self.kind));
        Difference { kind: self.kind, path: self.path, message }
    }
}

/// What Confluent's registry takes for compatible (`SchemaDiff.COMPATIBLE_CHANGES_STRICT`).
const COMPATIBLE: &[&str] = &[
    "ID_CHANGED",
    "DESCRIPTION_CHANGED",
    "TITLE_CHANGED",
    "DEFAULT_CHANGED",
    "SCHEMA_REMOVED",
    "TYPE_EXTENDED",
    "MAX_LENGTH_INCREASED",
    "MAX_LENGTH_REMOVED",
    "MIN_LENGTH_DECREASED",
    "MIN_LENGTH_REMOVED",
    "PATTERN_REMOVED",
    "MAXIMUM_INCREASED",
    "MAXIMUM_REMOVED",
    "MINIMUM_DECREASED",
    "MINIMUM_REMOVED",
    "EXCLUSIVE_MAXIMUM_INCREASED",
    "EXCLUSIVE_MAXIMUM_REMOVED",
    "EXCLUSIVE_MINIMUM_DECREASED",
    "EXCLUSIVE_MINIMUM_REMOVED",
    "MULTIPLE_OF_REDUCED",
    "MULTIPLE_OF_REMOVED",
    "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED",
    "REQUIRED_ATTRIBUTE_REMOVED",
    "DEPENDENCY_ARRAY_NARROWED",
    "DEPENDENCY_ARRAY_REMOVED",
    "DEPENDENCY_SCHEMA_REMOVED",
    "MAX_PROPERTIES_INCREASED",
    "MAX_PROPERTIES_REMOVED",
    "MIN_PROPERTIES_DECREASED",
    "MIN_PROPERTIES_REMOVED",
    "ADDITIONAL_PROPERTIES_ADDED",
    "ADDITIONAL_PROPERTIES_EXTENDED",
    "UNEVALUATED_PROPERTIES_ADDED",
    "UNEVALUATED_PROPERTIES_EXTENDED",
    "PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
    "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL",
    "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
    "PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL",
    "PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "MAX_ITEMS_INCREASED",
    "MAX_ITEMS_REMOVED",
    "MIN_ITEMS_DECREASED",
    "MIN_ITEMS_REMOVED",
    "MAX_CONTAINS_INCREASED",
    "MAX_CONTAINS_REMOVED",
    "MIN_CONTAINS_DECREASED",
    "MIN_CONTAINS_REMOVED",
    "UNIQUE_ITEMS_REMOVED",
    "ADDITIONAL_ITEMS_ADDED",
    "ADDITIONAL_ITEMS_EXTENDED",
    "UNEVALUATED_ITEMS_ADDED",
    "UNEVALUATED_ITEMS_EXTENDED",
    "ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
    "ITEM_ADDED_TO_CLOSED_CONTENT_MODEL",
    "ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    "ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL",
    "ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "ENUM_ARRAY_EXTENDED",
    "COMBINED_TYPE_EXTENDED",
    "PRODUCT_TYPE_NARROWED",
    "SUM_TYPE_EXTENDED",
    "NOT_TYPE_NARROWED",
];

/// The reason in words, by the parts of which the names are made.
fn why(kind: &str) -> &'static str {
    match kind {
        "TYPE_CHANGED" | "TYPE_NARROWED" => "the reader accepts another type",
        "SCHEMA_ADDED" => "the reader has a schema where the writer had none",
        "ENUM_ARRAY_NARROWED" | "ENUM_ARRAY_CHANGED" => {
            "the reader lacks values that the writer could write"
        }
        "COMBINED_TYPE_CHANGED" => "the reader combines its schemas in another way",
        "COMBINED_TYPE_SUBSCHEMAS_CHANGED" => {
            "schemas of the combination have no match in the reader"
        }
        "PRODUCT_TYPE_EXTENDED" => "the reader demands more schemas at once",
        "SUM_TYPE_NARROWED" => "the reader offers fewer schemas to choose from",
        "NOT_TYPE_EXTENDED" => "the reader forbids more",
        "COMPARISON_EXCEEDED" => "the schemas are too complex to be compared",
        "REFERENCE_UNRESOLVED" => "the schemas cannot be compared: a reference leads nowhere",
        "DEPTH_EXCEEDED" => "the schemas lead too deep to be compared",
        _ if kind.starts_with("REQUIRED_") => "the reader requires what the writer could leave out",
        _ if kind.contains("_ADDED_TO_OPEN_CONTENT_MODEL") => {
            "the writer's content model is open: it could write anything in this place"
        }
        _ if kind.contains("_FROM_CLOSED_CONTENT_MODEL") => {
            "the reader's content model is closed, and lacks it"
        }
        _ if kind.contains("NOT_COVERED_BY") => {
            "what the content model says of other members does not cover it"
        }
        _ if kind.ends_with("_ADDED") => "the reader has a restriction that the writer had not",
        _ if kind.ends_with("_REMOVED") => "the reader permits nothing here, and the writer did",
        _ => "the reader's restriction is narrower than the writer's",
    }
}
