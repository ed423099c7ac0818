//! Avro, JSON Schema and Protobuf at the registry over HTTP: each alike, references, forms, and what is wrong with each.

use anyhow::ensure;
use serde_json::{Value as Json, json};

use crate::schema_registry::{Registry, settings};

/// What one format is asked.
struct Case {
    kind: &'static str,
    /// A schema, the same written otherwise, and as it is stored.
    base: [&'static str; 3],
    /// The name by which one refers to it, and one that does.
    refers: (&'static str, &'static str),
    /// One that reads what `base` wrote; one that does not, with the rule that it breaks, and where.
    fits: &'static str,
    breaks: (&'static str, &'static str, &'static str),
}

const CASES: [Case; 3] = [
    Case {
        kind: "AVRO",
        base: [
            r#"{"type":"record","name":"Money","fields":[{"name":"cents","type":"int"}]}"#,
            r#"{ "name": "Money", "type": "record", "fields": [{"type": "int", "name": "cents"}] }"#,
            r#"{"type":"record","name":"Money","fields":[{"name":"cents","type":"int"}]}"#,
        ],
        refers: (
            "Money",
            r#"{"type":"record","name":"Order","fields":[{"name":"total","type":"Money"}]}"#,
        ),
        fits: r#"{"type":"record","name":"Money","fields":[{"name":"cents","type":"long"}]}"#,
        breaks: (
            r#"{"type":"record","name":"Money","fields":[{"name":"cents","type":"string"}]}"#,
            "TYPE_MISMATCH",
            "/fields/0/type",
        ),
    },
    Case {
        kind: "JSON",
        base: [
            r#"{"type":"object","properties":{"cents":{"type":"integer"}},"additionalProperties":false}"#,
            "{ \"type\" : \"object\",\n\"properties\":{\"cents\":{\"type\":\"integer\"}} , \"additionalProperties\":false}",
            r#"{"type":"object","properties":{"cents":{"type":"integer"}},"additionalProperties":false}"#,
        ],
        refers: ("money.json", r#"{"type":"object","properties":{"total":{"$ref":"money.json"}}}"#),
        fits: r#"{"type":"object","properties":{"cents":{"type":"number"}},"additionalProperties":false}"#,
        breaks: (
            r#"{"type":"object","properties":{"cents":{"type":"string"}},"additionalProperties":false}"#,
            "TYPE_CHANGED",
            "#/properties/cents",
        ),
    },
    Case {
        kind: "PROTOBUF",
        base: [
            "syntax = \"proto3\";\n\nmessage Money {\n  int32 cents = 1;\n}\n",
            "// Money.\nsyntax='proto3'; message Money { int32 cents=1; }",
            "syntax = \"proto3\";\n\nmessage Money {\n  int32 cents = 1;\n}\n",
        ],
        refers: (
            "money.proto",
            "syntax = \"proto3\";\n\nimport \"money.proto\";\n\nmessage Order {\n  Money total = 1;\n}\n",
        ),
        fits: "syntax = \"proto3\"; message Money { int64 cents = 1; string currency = 2; }",
        breaks: (
            "syntax = \"proto3\"; message Money { string cents = 1; }",
            "FIELD_SCALAR_KIND_CHANGED",
            "#/Money/1",
        ),
    },
];

fn schema(case: &Case, text: &str) -> Json {
    json!({ "schemaType": case.kind, "schema": text })
}

fn same_in_every_format(registry: &Registry, case: &Case) -> anyhow::Result<()> {
    let Case { kind, base, refers: (name, referring), fits, breaks: (broken, rule, place) } = case;
    let subject = format!("/subjects/{kind}");
    let versions = format!("{subject}/versions");
    let (status, first) = registry.json("POST", &versions, &schema(case, base[1]))?;
    ensure!(status == 200, "{kind}: {status} {first}");
    let stored = registry.get(&format!("{versions}/1"))?;
    if *kind != "AVRO" {
        ensure!(stored["schema"] == base[2], "{kind}: {stored}");
    }
    ensure!(stored["schemaType"] == *kind, "{stored}");
    for text in [base[0], base[1]] {
        for path in [&subject, &format!("{subject}?normalize=true")] {
            let (status, found) = registry.json("POST", path, &schema(case, text))?;
            ensure!(status == 200 && found["id"] == first["id"], "{kind}: {status} {found}");
        }
    }

    // The wrong schema, with path and rule, and the right one.
    let check = format!("/compatibility{versions}/latest?verbose=true");
    let (_, said) = registry.json("POST", &check, &schema(case, broken))?;
    let message = said["messages"][0].as_str().unwrap_or_default();
    ensure!(said["is_compatible"] == false, "{kind}: {said}");
    ensure!(message.contains(rule) && message.contains(place), "{kind}: {said}");
    registry.refused("POST", &versions, &schema(case, broken), 409)?;
    let (_, said) = registry.json("POST", &check, &schema(case, fits))?;
    ensure!(said["is_compatible"] == true && said["messages"] == json!([]), "{kind}: {said}");

    // Metadata and rules are kept; another format does not fit, unless none need.
    let mut with_rules = schema(case, fits);
    with_rules["metadata"] = json!({ "properties": { "owner": "shop" } });
    with_rules["ruleSet"] = json!({ "domainRules": [{ "name": "r", "kind": "CONDITION", "mode": "WRITE", "type": "CEL", "expr": "true" }] });
    let (status, said) = registry.json("POST", &versions, &with_rules)?;
    ensure!(status == 200, "{kind}: {said}");
    let kept = registry.get(&format!("{versions}/2"))?;
    ensure!(kept["metadata"]["properties"]["owner"] == "shop", "{kept}");
    ensure!(kept["ruleSet"]["domainRules"][0]["expr"] == "true", "{kept}");
    let other = CASES.iter().find(|other| other.kind != *kind).expect("there are three");
    registry.refused("POST", &versions, &schema(other, other.base[0]), 409)?;
    let (_, said) = registry.json("POST", &check, &schema(other, other.base[0]))?;
    let message = said["messages"][0].as_str().unwrap_or_default();
    ensure!(message == "Incompatible because of different schema type", "{said}");
    let open = format!("{kind}-open");
    registry.json("PUT", &format!("/config/{open}"), &json!({ "compatibility": "NONE" }))?;
    for (version, one) in [(1, case), (2, other)] {
        let path = format!("/subjects/{open}/versions");
        let (_, said) = registry.json("POST", &path, &schema(one, one.base[0]))?;
        ensure!(said["version"] == version && said["schemaType"] == one.kind, "{said}");
    }

    // A reference is to what it says, and keeps it from being deleted.
    let path = format!("/subjects/{kind}-order/versions");
    registry.refused("POST", &path, &schema(case, referring), 42201)?;
    let mut body = schema(case, referring);
    body["references"] = json!([{ "name": name, "subject": kind, "version": 1 }]);
    let (status, order) = registry.json("POST", &path, &body)?;
    ensure!(status == 200 && order["references"] == body["references"], "{kind}: {order}");
    ensure!(registry.get(&format!("{versions}/1/referencedby"))? == json!([order["id"]]));
    registry.refused("DELETE", &format!("{versions}/1"), &Json::Null, 42206)?;
    let mut missing = body.clone();
    missing["references"][0]["version"] = json!(9);
    registry.refused("POST", &path, &missing, 42201)?;
    imported(registry, case)
}

/// In import mode a schema comes with its id and version.
fn imported(registry: &Registry, case: &Case) -> anyhow::Result<()> {
    let subject = format!("{}-imported", case.kind);
    registry.json("PUT", &format!("/mode/{subject}"), &json!({ "mode": "IMPORT" }))?;
    let id = 900 + case.kind.len();
    let mut body = schema(case, case.breaks.0);
    body["id"] = json!(id);
    body["version"] = json!(7);
    let (status, said) = registry.json("POST", &format!("/subjects/{subject}/versions"), &body)?;
    ensure!(status == 200 && said["id"] == id, "{status} {said}");
    let stored = registry.get(&format!("/subjects/{subject}/versions/7"))?;
    ensure!(stored["id"] == id && stored["schemaType"] == case.kind, "{stored}");
    Ok(())
}

/// One broker: 2 s.
#[test]
fn every_format_is_served_alike() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = settings(folder.path()).start()?;
    let registry = Registry::of(&broker);
    ensure!(registry.get("/schemas/types")? == json!(["JSON", "PROTOBUF", "AVRO"]));
    for case in &CASES {
        same_in_every_format(&registry, case)?;
    }
    // A form of Protobuf's, and one of Avro's; the schema stays what it is.
    let serialized = registry.get("/subjects/PROTOBUF/versions/1?format=serialized")?;
    let again = json!({ "schemaType": "PROTOBUF", "schema": serialized["schema"] });
    let (status, found) = registry.json("POST", "/subjects/PROTOBUF", &again)?;
    ensure!(status == 200 && found["version"] == 1, "{found}");
    let resolved = registry.get("/subjects/AVRO-order/versions/1?format=resolved")?;
    ensure!(resolved["schema"].as_str().is_some_and(|text| text.contains("cents")), "{resolved}");
    ensure!(resolved["guid"] == registry.get("/subjects/AVRO-order/versions/1")?["guid"]);
    Ok(())
}
