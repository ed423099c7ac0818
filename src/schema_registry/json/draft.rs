//! The versions of the specification, by `$schema`.

use super::text::Json;

/// A version of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draft {
    Four,
    Six,
    Seven,
    Y2019,
    Y2020,
}

impl Draft {
    /// What a schema says of itself. Draft 7 if it says nothing known, as Confluent's registry takes it.
    pub(super) fn of(root: &Json) -> Self {
        let said = root.get("$schema").and_then(Json::as_str).unwrap_or_default();
        let said = said.trim_end_matches('#');
        let said = said
            .strip_prefix("http://")
            .or_else(|| said.strip_prefix("https://"))
            .unwrap_or_default();
        match said {
            "json-schema.org/draft-04/schema" | "json-schema.org/schema" => Self::Four,
            "json-schema.org/draft-06/schema" => Self::Six,
            "json-schema.org/draft/2019-09/schema" => Self::Y2019,
            "json-schema.org/draft/2020-12/schema" => Self::Y2020,
            _ => Self::Seven,
        }
    }

    pub(super) fn id_keyword(self) -> &'static str {
        if self == Self::Four { "id" } else { "$id" }
    }

    /// Whether it has vocabularies: references have siblings, and `unevaluated...` exist.
    pub(super) fn is_modern(self) -> bool {
        matches!(self, Self::Y2019 | Self::Y2020)
    }

    /// The same of the library that validates.
    pub(super) fn of_validator(self) -> jsonschema::Draft {
        match self {
            Self::Four => jsonschema::Draft::Draft4,
            Self::Six => jsonschema::Draft::Draft6,
            Self::Seven => jsonschema::Draft::Draft7,
            Self::Y2019 => jsonschema::Draft::Draft201909,
            Self::Y2020 => jsonschema::Draft::Draft202012,
        }
    }

    /// Its address, as the library knows it.
    pub(super) fn address(self) -> &'static str {
        match self {
            Self::Four => "http://json-schema.org/draft-04/schema#",
            Self::Six => "http://json-schema.org/draft-06/schema#",
            Self::Seven => "http://json-schema.org/draft-07/schema#",
            Self::Y2019 => "https://json-schema.org/draft/2019-09/schema",
            Self::Y2020 => "https://json-schema.org/draft/2020-12/schema",
        }
    }
}
