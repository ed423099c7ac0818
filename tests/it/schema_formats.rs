//! Avro, JSON Schema and Protobuf at the registry over HTTP: each alike, references, forms, and what is wrong with each.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use crate::broker::Broker;
use crate::schema_registry::{Registry, ask, settings};

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
            r#"{"additionalProperties":false,"properties":{"cents":{"type":"integer"}},"type":"object"}"#,
            "{ \"additionalProperties\" :false,\n\"properties\":{\"cents\":{\"type\":\"integer\"}} , \"type\":\"object\"}",
            r#"{"additionalProperties":false,"properties":{"cents":{"type":"integer"}},"type":"object"}"#,
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
    // Past all that the registry gives by itself, and another for each.
    let at = CASES.iter().position(|other| other.kind == case.kind);
    let id = 1000 * (at.context("a case")? + 1);
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

/// No bad request may take longer than this, nor the broker more memory for all of them: 0.2 s and 130 MiB were measured,
/// and a busy machine may take its time.
const BAD_WITHIN: Duration = Duration::from_secs(15);
const MEMORY_MAX: u64 = 512 << 20;

/// A text of a format that nests so deep.
fn nested(kind: &str, depth: usize) -> String {
    let (open, inner, close) = match kind {
        "AVRO" => (r#"{"type":"array","items":"#, "\"int\"", "}"),
        "JSON" => (r#"{"not":"#, "{}", "}"),
        _ => ("message A { ", "", "}"),
    };
    open.repeat(depth) + inner + &close.repeat(depth)
}

/// A text of a format with a comment of so many bytes.
fn long(kind: &str, bytes: usize) -> String {
    let filler = "x".repeat(bytes);
    match kind {
        "AVRO" => format!(r#"{{"type":"fixed","name":"F","size":1,"doc":"{filler}"}}"#),
        "JSON" => format!(r#"{{"description":"{filler}"}}"#),
        _ => format!("// {filler}\nmessage A {{}}"),
    }
}

/// Bad texts are errors of the three ways in: registrations, look-ups, comparisons.
fn bad_texts(registry: &Registry) -> anyhow::Result<()> {
    for Case { kind, base, .. } in &CASES {
        let subject = format!("{kind}-bad");
        let versions = format!("/subjects/{subject}/versions");
        let body = |text: &str| json!({ "schemaType": kind, "schema": text });
        registry.json("POST", &versions, &body(base[0]))?;
        let (look_up, compare) =
            (format!("/subjects/{subject}"), format!("/compatibility{versions}"));
        let cases = [
            (&versions, long(kind, 10 << 20), 42209),
            (&look_up, long(kind, 10 << 20), 42201),
            (&compare, long(kind, 10 << 20), 42201),
            (&versions, nested(kind, 10_000), 42201),
            (&look_up, nested(kind, 10_000), 42201),
            (&compare, nested(kind, 10_000), 42201),
            (&versions, "{".to_owned(), 42201),
        ];
        for (path, text, code) in cases {
            let began = Instant::now();
            registry.refused("POST", path, &body(&text), code)?;
            let (took, bytes) = (began.elapsed(), text.len());
            ensure!(took < BAD_WITHIN, "{kind} {path}: {bytes} bytes took {took:?}");
        }
        // Bytes that are no text, and half a character.
        let (start, end) = (format!(r#"{{"schemaType":"{kind}","schema":""#), r#""}"#);
        for bad in [&b"\xff"[..], b"\xc3", b"\\ud800", b"\x00"] {
            let body = [start.as_bytes(), bad, end.as_bytes()].concat();
            let (status, _, said) = ask(&registry.0, "POST", &versions, &body)?;
            let said: Json = serde_json::from_str(&said)?;
            ensure!(status == 400 && said["error_code"] == 400, "{kind} {bad:?}: {status} {said}");
        }
    }
    Ok(())
}

/// What refers to itself or doubles at each step ends, whichever way it is asked.
fn references_without_end(registry: &Registry) -> anyhow::Result<()> {
    let json = |text: &str| json!({ "schemaType": "JSON", "schema": text });
    let path = "/subjects/bomb/versions";
    let doubling: Vec<String> = (0..60)
        .map(|at| {
            let next = format!(r##"{{"$ref":"#/definitions/d{}"}}"##, at + 1);
            format!(r#""d{at}":{{"allOf":[{next},{next}]}}"#)
        })
        .collect();
    let bomb = format!(
        r##"{{"$ref":"#/definitions/d0","definitions":{{{},"d60":{{}}}}}}"##,
        doubling.join(",")
    );
    registry.refused("POST", path, &json(&bomb), 42201)?;
    registry.refused("POST", path, &json(r##"{"$ref":"#"}"##), 42201)?;
    registry.refused("POST", path, &json(r#"{"$ref":"https://example.com/a.json"}"#), 42201)?;

    for case in &CASES {
        doubling_references(registry, case)?;
        in_a_circle(registry, case)?;
    }
    Ok(())
}

/// The two before a number, if there are.
fn before(at: usize) -> Vec<usize> {
    [at.checked_sub(1), at.checked_sub(2)].into_iter().flatten().collect()
}

/// A schema that refers to the two before it.
fn with_two_before(kind: &str, at: usize) -> String {
    let joined = |part: &dyn Fn(usize) -> String, between: &str| {
        before(at).into_iter().map(part).collect::<Vec<_>>().join(between)
    };
    match kind {
        "AVRO" => {
            let fields = joined(&|of| format!(r#"{{"name":"f{of}","type":"R{of}"}}"#), ",");
            format!(r#"{{"type":"record","name":"R{at}","fields":[{fields}]}}"#)
        }
        "JSON" => {
            let parts = joined(&|of| format!(r#""f{of}":{{"$ref":"R{of}"}}"#), ",");
            format!(r#"{{"title":"R{at}","type":"object","properties":{{{parts}}}}}"#)
        }
        _ => {
            let imports = joined(&|of| format!("import public \"R{of}\";"), " ");
            format!("syntax = \"proto3\"; {imports} message M{at} {{}}")
        }
    }
}

/// Each refers to the two before it: 2^30 ways, and 40 texts.
fn doubling_references(registry: &Registry, case: &Case) -> anyhow::Result<()> {
    let kind = case.kind;
    let refers = |of: usize| json!({ "name": format!("R{of}"), "subject": format!("{kind}-R{of}"), "version": 1 });
    for at in 0..40 {
        let references: Vec<Json> = before(at).into_iter().map(refers).collect();
        let body = json!({ "schemaType": kind, "schema": with_two_before(kind, at), "references": references });
        let path = format!("/subjects/{kind}-R{at}/versions");
        let (status, said) = registry.json("POST", &path, &body)?;
        // A compiler of JSON Schema goes each way: there is a bound.
        if kind == "JSON" && status == 422 && at > 10 {
            ensure!(said["error_code"] == 42201, "{said}");
            return Ok(());
        }
        ensure!(status == 200, "{kind} {at}: {status} {said}");
    }
    ensure!(kind != "JSON", "2^30 ways were gone");
    for form in ["", "?format=resolved", "?format=serialized", "?referenceFormat=qualified"] {
        registry.get(&format!("/subjects/{kind}-R39/versions/1{form}"))?;
    }
    Ok(())
}

/// References to the latest version, which comes to refer back.
fn in_a_circle(registry: &Registry, case: &Case) -> anyhow::Result<()> {
    let (one, other) = (format!("{}-one", case.kind), format!("{}-other", case.kind));
    let body = |text: &str, to: Option<&str>| {
        let name = case.refers.0;
        let references: Vec<Json> = to
            .into_iter()
            .map(|subject| json!({ "name": name, "subject": subject, "version": -1 }))
            .collect();
        json!({ "schemaType": case.kind, "schema": text, "references": references })
    };
    registry.json("PUT", "/config", &json!({ "compatibility": "NONE" }))?;
    let put = |subject: &str, body: &Json| {
        registry.json("POST", &format!("/subjects/{subject}/versions"), body)
    };
    let (status, said) = put(&one, &body(case.base[0], None))?;
    ensure!(status == 200, "{said}");
    let (status, said) = put(&other, &body(case.refers.1, Some(&one)))?;
    ensure!(status == 200, "{said}");
    // From here on each refers to the other; an answer of either kind will do, if one comes.
    let (status, said) = put(&one, &body(case.refers.1, Some(&other)))?;
    ensure!(status == 200 || said["error_code"] == 42201, "{said}");
    for subject in [&one, &other] {
        let (status, said) = put(subject, &body(case.refers.1, Some(&one)))?;
        ensure!(status == 200 || said["error_code"] == 42201, "{said}");
        let path = format!("/compatibility/subjects/{subject}/versions?verbose=true");
        let (status, said) = registry.json("POST", &path, &body(case.base[0], None))?;
        ensure!(status == 200, "{said}");
    }
    registry.json("PUT", "/config", &json!({ "compatibility": "BACKWARD" }))?;
    Ok(())
}

/// A body that is sent in pieces and never ends is refused at the bound of its size.
fn endless_body(broker: &Broker) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(&broker.registry)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(
        b"POST /subjects/a/versions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    let piece = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
    for sent in 0..64 {
        // It may close before it has read what we send.
        if stream.write_all(&piece).is_err() {
            ensure!(sent > 10, "refused after {sent} MiB");
            break;
        }
        if sent == 63 {
            bail!("64 MiB of a body were taken");
        }
    }
    let mut answer = Vec::new();
    // What was sent beyond the answer may reset the connection.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    Ok(())
}

/// One broker: 5 s. A body that comes too slowly is a unit test's, whose clock can be moved.
#[test]
fn bad_schemas_are_errors_in_bounded_time_and_memory() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = settings(folder.path()).start()?;
    let registry = Registry::of(&broker);
    bad_texts(&registry)?;
    references_without_end(&registry)?;
    endless_body(&broker)?;
    registry.get("/subjects").context("it serves on")?;
    let peak = broker.memory_peak()?;
    println!("at most {} MiB", peak >> 20);
    ensure!(peak < MEMORY_MAX, "{} MiB", peak >> 20);
    Ok(())
}
