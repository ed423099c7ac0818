//! Requests and their answers, on a topic in memory.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::*;
use crate::client::local::TopicLog;
use crate::schema_registry::service::memory::MemoryLog;

fn app() -> App {
    let service = Service::start(Arc::new(MemoryLog::default()) as Arc<dyn TopicLog>);
    let about = About { cluster_id: "tests".to_owned() };
    App { service, about, bodies: Semaphore::new(1) }
}

impl App {
    /// The answer to a request: an error is its code.
    async fn ask(&self, method: &Method, uri: &str, body: &str) -> Result<Json, u32> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let answered = async {
            let target = Target::parse(path, query)?;
            self.dispatch(method, target, body.as_bytes()).await
        };
        match answered.await.map_err(|error| error.code())? {
            Reply::Body(bytes) => Ok(serde_json::from_slice(&bytes).expect("an answer is JSON")),
            Reply::Nothing => Ok(Json::Null),
        }
    }

    async fn register(&self, subject: &str, body: &Json) -> Json {
        let uri = format!("/subjects/{subject}/versions");
        self.ask(&Method::POST, &uri, &body.to_string()).await.expect("it is registered")
    }
}

const MONEY: &str = r#"{"type":"record","name":"Money","fields":[{"name":"cents","type":"long"}]}"#;
const ORDER: &str =
    r#"{"type":"record","name":"Order","fields":[{"name":"total","type":"Money"}]}"#;

/// A schema in a context that refers to another there.
async fn with_references() -> App {
    let app = app();
    let references = json!([{ "name": "Money", "subject": "money", "version": 1 }]);
    for prefix in ["", ":.eu:"] {
        app.register(&format!("{prefix}money"), &json!({ "schema": MONEY })).await;
        let order = json!({ "schema": ORDER, "references": references });
        app.register(&format!("{prefix}order"), &order).await;
    }
    app
}

#[tokio::test(start_paused = true)]
async fn references_are_qualified_where_that_is_asked_for() {
    let app = with_references().await;
    for (uri, subject) in [
        ("/schemas/ids/2?subject=:.eu:order", "money"),
        ("/schemas/ids/2?subject=:.eu:order&referenceFormat=qualified", ":.eu:money"),
        ("/contexts/.eu/schemas/ids/2?referenceFormat=qualified", ":.eu:money"),
        ("/subjects/:.eu:order/versions/1?referenceFormat=qualified", ":.eu:money"),
        ("/subjects/order/versions/1?referenceFormat=qualified", "money"),
        ("/schemas/ids/2?referenceFormat=qualified", "money"),
    ] {
        let said = app.ask(&Method::GET, uri, "").await.expect(uri);
        assert_eq!(said["references"][0]["subject"], subject, "{uri}");
    }
}

/// Java's serializers know nothing of references: they ask for the schema that a record carries.
///
/// Source: `ParsedSchema.canLookup`.
#[tokio::test(start_paused = true)]
async fn a_schema_is_found_with_its_references_in_place() {
    let app = with_references().await;
    let in_place = ORDER.replace("\"Money\"", MONEY);
    let asked = json!({ "schema": in_place });
    let found = app.ask(&Method::POST, "/subjects/order", &asked.to_string()).await;
    let found = found.expect("it is found");
    assert_eq!((&found["version"], &found["id"]), (&json!(1), &json!(2)));
    assert_eq!(app.register("order", &asked).await["id"], 2, "it is the same schema");
    let other = json!({ "schema": in_place.replace("cents", "euros") });
    assert_eq!(app.ask(&Method::POST, "/subjects/order", &other.to_string()).await, Err(40403));
    // One with references is not found by the text that they stand in.
    let plain = app.register("plain", &asked).await;
    assert_ne!(plain["id"], 2);
    let references = json!([{ "name": "Money", "subject": "money", "version": 1 }]);
    let asked = json!({ "schema": ORDER, "references": references }).to_string();
    assert_eq!(app.ask(&Method::POST, "/subjects/plain", &asked).await, Err(40403));
}

#[tokio::test(start_paused = true)]
async fn an_alias_stands_for_its_subject_in_paths_and_queries() {
    let app = app();
    for (subject, schema) in [("other", "\"int\""), ("real", "\"long\"")] {
        app.register(subject, &json!({ "schema": schema })).await;
    }
    app.ask(&Method::PUT, "/config/short", r#"{"alias":"real"}"#).await.expect("it is set");
    for uri in [
        "/subjects/short/versions/1",
        "/schemas/ids/2?subject=short",
        "/contexts/./schemas/ids/2?subject=short",
    ] {
        let said = app.ask(&Method::GET, uri, "").await.expect(uri);
        assert_eq!((&said["subject"], &said["version"]), (&json!("real"), &json!(1)), "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn modes_are_answered_as_they_were_asked_for() {
    let app = app();
    let mode = |text: &str| json!({ "mode": text });
    for (method, uri, body, expected) in [
        (Method::PUT, "/mode/a", r#"{"mode":"readonly"}"#, Ok(mode("readonly"))),
        (Method::GET, "/mode/a", "", Ok(mode("READONLY"))),
        (Method::PUT, "/mode/a", r#"{"mode":null}"#, Ok(json!({ "mode": null }))),
        (Method::GET, "/mode/a", "", Err(40409)),
        (Method::GET, "/mode/a?defaultToGlobal=true", "", Ok(mode("READWRITE"))),
        (Method::DELETE, "/mode/a", "", Err(40401)),
        (Method::DELETE, "/mode/:.eu:?recursive=true", "", Ok(json!({ "mode": null }))),
        (Method::PUT, "/mode/a", r#"{"mode":"FORWARD"}"#, Err(42204)),
        (Method::PUT, "/mode/a", "{}", Err(42204)),
        (Method::PUT, "/mode/a", "", Err(422)),
    ] {
        let said = app.ask(&method, uri, body).await;
        assert_eq!(said, expected, "{method} {uri} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_empty_is_told_apart() {
    let app = app();
    app.register("a", &json!({ "schema": "\"int\"" })).await;
    for (uri, body, code) in [
        // No body at all.
        ("/subjects/a/versions", "", 422),
        ("/subjects/a", "", 422),
        ("/compatibility/subjects/a/versions/1", "", 422),
        // No schema in it: nothing is found, and nothing can be registered.
        ("/subjects/a", "{}", 40403),
        ("/subjects/b", r#"{"schema":" "}"#, 40401),
        ("/subjects/b/versions", "{}", 42201),
        ("/compatibility/subjects/a/versions/1", "{}", 42201),
        ("/subjects/a/versions", "[", 400),
    ] {
        assert_eq!(app.ask(&Method::POST, uri, body).await, Err(code), "{uri} {body}");
    }
    // A version without a text has the text of the one before it.
    let again = json!({ "metadata": { "properties": { "owner": "x" } } });
    let said = app.register("a", &again).await;
    assert_eq!((&said["version"], &said["schema"]), (&json!(2), &json!("\"int\"")));
}

/// The wrong versions, numbers and combinations that paths can name.
#[tokio::test(start_paused = true)]
async fn every_place_says_what_is_missing() {
    let app = app();
    for schema in ["\"int\"", "\"long\""] {
        app.register("a", &json!({ "schema": schema })).await;
    }
    app.ask(&Method::DELETE, "/subjects/a/versions/1", "").await.expect("it goes");
    let (get, delete) = (Method::GET, Method::DELETE);
    for (method, uri, code) in [
        (&get, "/subjects/a/versions/1", 40402),
        (&get, "/subjects/a/versions/1/schema", 40402),
        (&get, "/subjects/a/versions/x", 42202),
        (&get, "/subjects/a/versions/3/referencedby", 40402),
        (&get, "/subjects/b/versions/latest", 40401),
        (&get, "/subjects/b/versions/latest/referencedby", 40401),
        (&get, "/subjects/b/metadata", 40401),
        (&get, "/subjects/a/metadata?key=k&value=v", 40403),
        (&get, "/schemas/ids/9/schema", 40403),
        (&get, "/schemas/ids/9/subjects", 40403),
        (&get, "/schemas/ids/9/versions", 40403),
        (&get, "/schemas/ids/x", 404),
        (&get, "/schemas/ids/99999999999", 404),
        (&get, "/schemas/guids/00000000-0000-0000-0000-000000000000", 40403),
        (&get, "/schemas/guids/x", 40403),
        (&get, "/config/b", 40408),
        (&delete, "/config/b", 40401),
        (&delete, "/subjects/b", 40401),
        (&delete, "/subjects/b/versions/1", 40401),
        (&delete, "/subjects/a/versions/9", 40402),
        (&delete, "/subjects/a/versions/0", 42202),
        (&delete, "/subjects/a/versions/1", 40406),
        (&delete, "/subjects/a/versions/2?permanent=true", 40407),
        (&delete, "/subjects/a?permanent=true", 40405),
    ] {
        assert_eq!(app.ask(method, uri, "").await, Err(code), "{method} {uri}");
    }
    for (uri, expected) in [
        ("/subjects/a/versions/1?deleted=true", json!(1)),
        ("/subjects/a/versions/latest", json!(2)),
    ] {
        let said = app.ask(&get, uri, "").await.expect(uri);
        assert_eq!(said["version"], expected, "{uri}");
    }
    let none = app.ask(&get, "/schemas/guids/00000000-0000-0000-0000-000000000000/ids", "").await;
    assert_eq!(none, Ok(json!([])));
}

/// What is wrong with rules is said before anything is asked of the topic.
#[tokio::test(start_paused = true)]
async fn rules_that_are_none_are_refused() {
    let app = app();
    let rules = [
        r#"{"domainRules":[{"type":"CEL","mode":"WRITE"}]}"#,
        r#"{"domainRules":[{"name":"r","mode":"WRITE"}]}"#,
        r#"{"domainRules":[{"name":"r","type":"CEL"}]}"#,
        r#"{"domainRules":[{"name":"r","type":"CEL","mode":"UPGRADE"}]}"#,
        r#"{"migrationRules":[{"name":"r","type":"CEL","mode":"READ"}]}"#,
        r#"{"domainRules":[{"name":"r","type":"CEL","mode":"READ"},{"name":"r","type":"CEL","mode":"READ"}]}"#,
    ];
    for rules in rules {
        let body = format!(r#"{{"schema":"\"int\"","ruleSet":{rules}}}"#);
        let said = app.ask(&Method::POST, "/subjects/a/versions", &body).await;
        assert_eq!(said, Err(42210), "{rules}");
        let body = format!(r#"{{"defaultRuleSet":{rules}}}"#);
        assert_eq!(app.ask(&Method::PUT, "/config/a", &body).await, Err(42210), "{rules}");
    }
}

/// `/compatibility` holds names against the settings too.
#[tokio::test(start_paused = true)]
async fn a_comparison_validates_fields_where_settings_ask_for_it() {
    let app = app();
    let said = app.ask(&Method::PUT, "/config/a", r#"{"validateFields":true}"#).await;
    assert_eq!(said.map(|said| said["validateFields"].clone()), Ok(json!(true)));
    let dollars = json!({ "schemaType": "JSON", "schema": r#"{"properties":{"$$a":true}}"# });
    let uri = "/compatibility/subjects/a/versions";
    assert_eq!(app.ask(&Method::POST, uri, &dollars.to_string()).await, Err(42201));
    let said = app.ask(&Method::POST, &format!("{uri}?verbose=true"), &dollars.to_string()).await;
    assert_eq!(said.map(|said| said["is_compatible"].clone()), Ok(json!(false)));
    for normalize in ["", "&normalize=true"] {
        let used = json!({
            "schemaType": "JSON",
            "schema": r#"{"properties":{"a":true}}"#,
            "metadata": { "properties": { "confluent:reserved": "a" } },
        });
        let uri = format!("{uri}?verbose=true{normalize}");
        let said = app.ask(&Method::POST, &uri, &used.to_string()).await.expect("an answer");
        assert_eq!(said["is_compatible"], false, "{said}");
    }
}

/// Each parameter of a list, on subjects of two contexts of which one version is deleted.
#[tokio::test(start_paused = true)]
async fn parameters_of_lists_choose() {
    let app = app();
    let rule = json!({ "domainRules": [{ "name": "r", "type": "CEL", "mode": "WRITE" }] });
    let owned = json!({ "properties": { "owner": "me", "level": "1" } });
    for (subject, body) in [
        ("a", json!({ "schema": "\"int\"", "metadata": owned })),
        ("a", json!({ "schema": "\"long\"", "ruleSet": rule })),
        ("b", json!({ "schema": "\"int\"", "metadata": owned })),
        (":.eu:a", json!({ "schema": "\"int\"" })),
    ] {
        app.register(subject, &body).await;
    }
    app.ask(&Method::DELETE, "/subjects/b", "").await.expect("it goes");
    app.ask(&Method::PUT, "/config/short", r#"{"alias":"a"}"#).await.expect("it is set");
    let of = |said: &Json| match said {
        Json::Array(all) if all.iter().all(Json::is_object) => {
            let name = |one: &Json| {
                format!("{}{}", one["subject"].as_str().unwrap_or("?"), one["version"])
            };
            Json::from(all.iter().map(name).collect::<Vec<_>>())
        }
        Json::Object(one) => {
            json!([format!("{}{}", one["subject"].as_str().unwrap_or("?"), one["version"])])
        }
        other => other.clone(),
    };
    for (uri, expected) in [
        ("/schemas", json!(["a1", "a2"])),
        ("/schemas?subjectPrefix=:*:", json!(["a1", "a2", ":.eu:a1"])),
        ("/schemas?subjectPrefix=:*:&deleted=true", json!(["a1", "a2", "b1", ":.eu:a1"])),
        ("/schemas?latestOnly=true", json!(["a2"])),
        ("/schemas?latestOnly=true&deleted=true", json!(["a2", "b1"])),
        ("/schemas?ruleType=CEL", json!(["a2"])),
        ("/schemas?ruleType=other", json!([])),
        ("/schemas?subjectPrefix=short", json!([])),
        ("/schemas?subjectPrefix=short&aliases=true", json!(["a1", "a2"])),
        ("/schemas?offset=1", json!(["a2"])),
        ("/schemas?limit=1", json!(["a1"])),
        ("/contexts/.eu/schemas", json!([":.eu:a1"])),
        ("/subjects", json!([":.eu:a", "a"])),
        ("/subjects?deleted=true", json!([":.eu:a", "a", "b"])),
        ("/subjects?deletedOnly=true", json!(["b"])),
        ("/subjects?subjectPrefix=:.eu:", json!([":.eu:a"])),
        ("/subjects?offset=1&limit=1", json!(["a"])),
        ("/contexts/.eu/subjects", json!([":.eu:a"])),
        ("/contexts/.eu/subjects/a/versions", json!([1])),
        ("/subjects/a/versions?offset=1", json!([2])),
        ("/subjects/a/versions?limit=1", json!([1])),
        ("/subjects/a/metadata", json!(["a2"])),
        ("/subjects/a/metadata?key=owner&value=me", json!(["a2"])),
        ("/subjects/a/metadata?key=owner&value=me&key=level&value=1", json!(["a2"])),
        ("/schemas/ids/1/subjects", json!(["a"])),
        ("/schemas/ids/1/subjects?deleted=true", json!(["a", "b"])),
        ("/schemas/ids/1/versions?deleted=true&offset=1", json!(["b1"])),
        ("/contexts/.eu/schemas/ids/1/subjects", json!([":.eu:a"])),
        ("/contexts", json!([".", ".eu"])),
        ("/contexts?contextPrefix=.e", json!([".eu"])),
        ("/contexts?offset=1", json!([".eu"])),
    ] {
        let said = app.ask(&Method::GET, uri, "").await.expect(uri);
        assert_eq!(of(&said), expected, "{uri}: {said}");
    }
    let version = app.ask(&Method::GET, "/v1/metadata/version", "").await.expect("a version");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

/// `force` and `recursive`, and a context in front of settings and comparisons.
#[tokio::test(start_paused = true)]
async fn force_and_recursive_do_what_they_say() {
    let app = app();
    let (get, put, delete) = (Method::GET, Method::PUT, Method::DELETE);
    app.register(":.eu:a", &json!({ "schema": "\"long\"" })).await;
    let int = r#"{"schema":"\"int\""}"#;
    let import = r#"{"mode":"IMPORT"}"#;
    let mode = |name: &str| Ok(json!({ "mode": name }));
    for (method, uri, body, expected) in [
        (
            &Method::POST,
            "/contexts/.eu/compatibility/subjects/a/versions",
            int,
            Ok(json!({ "is_compatible": false })),
        ),
        (&Method::POST, "/contexts/.eu/subjects/a/versions", int, Err(409)),
        (&Method::POST, "/contexts/.eu/subjects/a/versions?force=true", int, Ok(json!(null))),
        (
            &put,
            "/contexts/.eu/config",
            r#"{"compatibility":"NONE"}"#,
            Ok(json!({ "compatibility": "NONE" })),
        ),
        (&get, "/config/:.eu:", "", Ok(json!({ "compatibilityLevel": "NONE" }))),
        (
            &get,
            "/config/:.eu:a?defaultToGlobal=true",
            "",
            Ok(json!({ "compatibilityLevel": "NONE" })),
        ),
        (&put, "/contexts/.eu/mode/a", import, Err(42205)),
        (&put, "/contexts/.eu/mode/a?force=true", import, mode("IMPORT")),
        (&put, "/mode/:.eu:b", r#"{"mode":"READONLY_OVERRIDE"}"#, mode("READONLY_OVERRIDE")),
        (&Method::POST, "/subjects/:.eu:b/versions", int, Err(42205)),
        (&delete, "/mode/:.eu:", "", Err(40401)),
        (&delete, "/contexts/.eu/mode?recursive=true", "", Ok(json!({ "mode": null }))),
        (&get, "/mode/:.eu:a", "", Err(40409)),
        (&get, "/mode/:.eu:b", "", Err(40409)),
    ] {
        let mut said = app.ask(method, uri, body).await;
        if expected == Ok(Json::Null) {
            said = said.map(|_| Json::Null);
        }
        assert_eq!(said, expected, "{method} {uri} {body}");
    }
}
