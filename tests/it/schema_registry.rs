//! The Schema Registry of a broker as a process, over HTTP: every resource, errors, kills, and topics written by hand.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value as Json, json};
use thalweg::base::rng::Rng;
use thalweg::client::Record;
use thalweg::client::wire::{Acks, Client, NewTopic, Options};
use thalweg::record::Compression;

use crate::broker::{Broker, Settings};
use crate::cli::{output, run};
use crate::parts;

pub(crate) fn settings(folder: &Path) -> Settings {
    Settings { registry: "127.0.0.1:0".to_owned(), ..Settings::directory(folder) }
}

/// A request and its answer: status, head and body.
pub(crate) fn ask(
    address: &str,
    method: &str,
    path: &str,
    body: &[u8],
) -> anyhow::Result<(u16, String, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(40)))?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    let status = head.get(9..12).context("no status")?.parse()?;
    Ok((status, head.to_ascii_lowercase(), body.to_owned()))
}

/// The registry of one broker.
pub(crate) struct Registry(pub(crate) String);

impl Registry {
    pub(crate) fn of(broker: &Broker) -> Self {
        Self(broker.registry.clone())
    }

    pub(crate) fn json(
        &self,
        method: &str,
        path: &str,
        body: &Json,
    ) -> anyhow::Result<(u16, Json)> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let (status, head, body) = ask(&self.0, method, path, text.as_bytes())?;
        ensure!(head.contains("application/vnd.schemaregistry.v1+json"), "{head}");
        let said = if body.is_empty() { Json::Null } else { serde_json::from_str(&body)? };
        Ok((status, said))
    }

    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Json> {
        let (status, said) = self.json("GET", path, &Json::Null)?;
        ensure!(status == 200, "GET {path}: {status} {said}");
        Ok(said)
    }

    fn register(&self, subject: &str, schema: &str) -> anyhow::Result<Json> {
        self.register_as("AVRO", subject, schema)
    }

    fn register_as(&self, kind: &str, subject: &str, schema: &str) -> anyhow::Result<Json> {
        let path = format!("/subjects/{subject}/versions");
        let body = json!({ "schema": schema, "schemaType": kind });
        let (status, said) = self.json("POST", &path, &body)?;
        ensure!(status == 200, "{subject}: {status} {said}");
        Ok(said)
    }

    /// A request that is refused, with this code.
    pub(crate) fn refused(
        &self,
        method: &str,
        path: &str,
        body: &Json,
        code: u64,
    ) -> anyhow::Result<()> {
        let (status, said) = self.json(method, path, body)?;
        ensure!(said["error_code"] == code, "{method} {path}: {status} {said}, expected {code}");
        let expected = if code >= 1000 { code / 100 } else { code };
        ensure!(u64::from(status) == expected, "{method} {path}: status {status} for {code}");
        ensure!(said["message"].as_str().is_some_and(|text| !text.is_empty()), "{said}");
        Ok(())
    }
}

const INT: &str = "\"int\"";
const LONG: &str = "\"long\"";

#[test]
fn every_resource_answers() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = settings(folder.path()).start()?;
    let registry = Registry::of(&broker);
    ensure!(registry.get("/")? == json!({}));
    ensure!(registry.get("/subjects")? == json!([]));
    ensure!(registry.get("/contexts")? == json!(["."]));
    ensure!(registry.get("/schemas/types")?.as_array().context("a list")?.contains(&json!("AVRO")));
    ensure!(registry.get("/config")? == json!({ "compatibilityLevel": "BACKWARD" }));
    ensure!(registry.get("/mode")? == json!({ "mode": "READWRITE" }));
    ensure!(registry.get("/v1/metadata/id")?["scope"]["clusters"]["kafka-cluster"] == "thalweg");

    let first = registry.register("a", INT)?;
    ensure!((&first["id"], &first["version"]) == (&json!(1), &json!(1)), "{first}");
    ensure!(registry.register("a", INT)? == first, "the same schema is the same version");
    ensure!(registry.register("a", LONG)?["id"] == 2);
    ensure!(registry.register(":.eu:a", LONG)?["id"] == 1);
    ensure!(registry.get("/subjects")? == json!([":.eu:a", "a"]));
    ensure!(registry.get("/subjects?subjectPrefix=a")? == json!(["a"]));
    ensure!(registry.get("/contexts/.eu/subjects")? == json!([":.eu:a"]));
    ensure!(registry.get("/contexts/.eu/schemas/ids/1")?["schema"] == LONG);
    ensure!(registry.get("/contexts")? == json!([".", ".eu"]));
    ensure!(registry.get("/subjects/a/versions")? == json!([1, 2]));
    let latest = registry.get("/subjects/a/versions/latest")?;
    ensure!(latest["subject"] == "a" && latest["version"] == 2 && latest["id"] == 2, "{latest}");
    ensure!(registry.get("/subjects/a/versions/-1")? == latest);
    ensure!(registry.get("/subjects/a/versions/2/schema")? == "long");
    ensure!(registry.get("/schemas/ids/1")?["schema"] == INT);
    ensure!(registry.get("/schemas/ids/1?fetchMaxId=true")?["maxId"] == 2);
    ensure!(registry.get("/schemas/ids/1/schema")? == "int");
    ensure!(registry.get("/schemas/ids/1/subjects")? == json!(["a"]));
    ensure!(registry.get("/schemas/ids/1/versions")? == json!([{ "subject": "a", "version": 1 }]));
    let guid = latest["guid"].as_str().context("a guid")?;
    ensure!(registry.get(&format!("/schemas/guids/{guid}"))?["schema"] == LONG);
    let ids = registry.get(&format!("/schemas/guids/{guid}/ids"))?;
    ensure!(ids == json!([{ "context": ".", "id": 2 }, { "context": ".eu", "id": 1 }]), "{ids}");
    ensure!(
        registry.get("/schemas?subjectPrefix=a&latestOnly=true")?.as_array().map(Vec::len)
            == Some(1)
    );
    ensure!(registry.get("/schemas?offset=1&limit=1")?[0]["version"] == 2);

    let (status, found) = registry.json("POST", "/subjects/a", &json!({ "schema": LONG }))?;
    ensure!(status == 200 && found["version"] == 2, "{found}");
    let fits = "/compatibility/subjects/a/versions/latest?verbose=true";
    let (_, said) = registry.json("POST", fits, &json!({ "schema": "\"float\"" }))?;
    ensure!(said["is_compatible"] == true, "{said}");
    let (_, said) = registry.json("POST", fits, &json!({ "schema": INT }))?;
    ensure!(said["is_compatible"] == false && said["messages"][0].is_string(), "{said}");

    let (_, said) = registry.json("PUT", "/config/a", &json!({ "compatibility": "NONE" }))?;
    ensure!(said == json!({ "compatibility": "NONE" }), "{said}");
    ensure!(registry.get("/config/a")? == json!({ "compatibilityLevel": "NONE" }));
    ensure!(registry.register("a", "\"string\"")?["version"] == 3);
    let (_, said) = registry.json("DELETE", "/config/a", &Json::Null)?;
    ensure!(said == json!({ "compatibilityLevel": "NONE" }), "{said}");

    let (_, gone) = registry.json("DELETE", "/subjects/a/versions/3", &Json::Null)?;
    ensure!(gone == 3);
    ensure!(registry.get("/subjects/a/versions?deletedOnly=true")? == json!([3]));
    ensure!(registry.get("/subjects/a/versions?deletedAsNegative=true")? == json!([1, 2, -3]));
    let (_, gone) = registry.json("DELETE", "/subjects/a", &Json::Null)?;
    ensure!(gone == json!([1, 2]), "{gone}");
    ensure!(registry.get("/subjects?deleted=true")? == json!([":.eu:a", "a"]));
    ensure!(registry.get("/subjects?deletedOnly=true")? == json!(["a"]));
    let (_, gone) = registry.json("DELETE", "/subjects/a?permanent=true", &Json::Null)?;
    ensure!(gone == json!([1, 2, 3]), "{gone}");
    registry.refused("DELETE", "/contexts/.eu", &Json::Null, 42211)?;
    for permanent in ["", "?permanent=true"] {
        registry.json("DELETE", &format!("/subjects/:.eu:a{permanent}"), &Json::Null)?;
    }
    let (status, _) = registry.json("DELETE", "/contexts/.eu", &Json::Null)?;
    ensure!(status == 204 && registry.get("/contexts")? == json!(["."]), "{status}");
    Ok(())
}

#[test]
fn what_is_wrong_is_said_with_its_code() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = settings(folder.path()).start()?;
    let registry = Registry::of(&broker);
    registry.register("a", LONG)?;
    let none = Json::Null;
    let schema = |text: &str| json!({ "schema": text });
    let cases = [
        ("GET", "/nowhere", none.clone(), 404),
        ("PUT", "/subjects/a", none.clone(), 405),
        ("GET", "/subjects/%ff/versions", none.clone(), 400),
        ("POST", "/subjects/a/versions", none.clone(), 422),
        ("GET", "/subjects/b/versions", none.clone(), 40401),
        ("GET", "/subjects/a/versions/9", none.clone(), 40402),
        ("GET", "/subjects/a/versions/0", none.clone(), 42202),
        ("GET", "/schemas/ids/99", none.clone(), 40403),
        ("POST", "/subjects/a", schema(INT), 40403),
        ("DELETE", "/subjects/a?permanent=true", none.clone(), 40405),
        ("DELETE", "/subjects/a/versions/1?permanent=true", none.clone(), 40407),
        ("GET", "/config/a", none.clone(), 40408),
        ("GET", "/mode/a", none.clone(), 40409),
        ("POST", "/subjects/a/versions", schema(INT), 409),
        ("POST", "/subjects/a/versions", schema("{"), 42201),
        ("POST", "/subjects/a/versions", json!({ "schema": INT, "schemaType": "XML" }), 42201),
        ("POST", "/subjects/a/versions", json!({ "schema": INT, "id": 7 }), 42205),
        ("PUT", "/config", json!({ "compatibility": "SIDEWAYS" }), 42203),
        ("PUT", "/mode", json!({ "mode": "SIDEWAYS" }), 42204),
        ("PUT", "/mode", json!({ "mode": "IMPORT" }), 42205),
        ("POST", "/subjects/__GLOBAL/versions", schema(INT), 42208),
        ("GET", "/contexts/a:b:c/subjects", none.clone(), 400),
    ];
    for (method, path, body, code) in cases {
        registry.refused(method, path, &body, code)?;
    }
    registry.json("DELETE", "/subjects/a/versions/1", &none)?;
    registry.refused("DELETE", "/subjects/a", &none, 40404)?;
    registry.refused("DELETE", "/subjects/a/versions/1", &none, 40406)
}

#[test]
fn hostile_bodies_are_errors_in_bounded_time() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = settings(folder.path()).start()?;
    let registry = Registry::of(&broker);
    let path = "/subjects/a/versions";
    let large = json!({ "schema": format!("{{\"type\":\"fixed\",\"name\":\"F\",\"size\":1,\"doc\":\"{}\"}}", "x".repeat(10 << 20)) });
    registry.refused("POST", path, &large, 42209)?;
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    registry.refused("POST", path, &json!({ "schema": deep }), 42201)?;
    let (status, _, _) =
        ask(&broker.registry, "POST", path, format!("{{\"schema\":{deep}}}").as_bytes())?;
    ensure!(status == 400, "{status}");
    let bomb =
        json!({ "schema": INT, "references": [{ "name": "x", "subject": "x", "version": 1 }] });
    registry.refused("POST", path, &bomb, 42201)?;
    // A length beyond the bound is refused before a byte of it is read.
    let mut stream = TcpStream::connect(&broker.registry)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(
        b"POST /subjects/a/versions HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n",
    )?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    ensure!(&start == b"HTTP/1.1 413", "{start:?}");
    ensure!(registry.get("/subjects")? == json!([]));
    Ok(())
}

/// Every answer that a restart must give again.
fn everything(registry: &Registry) -> anyhow::Result<BTreeMap<String, Json>> {
    let mut answers = BTreeMap::new();
    for path in [
        "/subjects?deleted=true",
        "/contexts",
        "/config",
        "/mode",
        "/schemas?deleted=true&limit=100",
    ] {
        answers.insert(path.to_owned(), registry.get(path)?);
    }
    let subjects = answers["/subjects?deleted=true"].clone();
    for subject in subjects.as_array().into_iter().flatten().filter_map(Json::as_str) {
        for settings in ["config", "mode"] {
            let path = format!("/{settings}/{subject}?defaultToGlobal=true");
            answers.insert(path.clone(), registry.get(&path)?);
        }
        let path = format!("/subjects/{subject}/versions?deleted=true");
        for version in registry.get(&path)?.as_array().into_iter().flatten() {
            let path = format!("/subjects/{subject}/versions/{version}?deleted=true");
            let stored = registry.get(&path)?;
            for path in about(subject, &stored) {
                answers.insert(path.clone(), registry.get(&path)?);
            }
            answers.insert(path, stored);
        }
    }
    Ok(answers)
}

/// What else can be asked about a version; of most, the little that is different for each.
fn about(subject: &str, stored: &Json) -> Vec<String> {
    let (version, id, guid) =
        (&stored["version"], &stored["id"], stored["guid"].as_str().unwrap_or_default());
    let mut paths = vec![
        format!("/schemas/ids/{id}?subject={subject}"),
        format!("/subjects/{subject}/versions/{version}?deleted=true&format=serialized"),
    ];
    if version.as_i64().is_some_and(|version| version <= 3) {
        let schema = format!("/schemas/ids/{id}");
        paths.extend(
            ["/subjects", "/versions"].map(|what| format!("{schema}{what}?subject={subject}")),
        );
        paths.extend([
            format!("/schemas/guids/{guid}"),
            format!("/schemas/guids/{guid}/ids"),
            format!("/subjects/{subject}/versions/{version}/referencedby"),
        ]);
    }
    paths
}

/// Something of everything that a topic can hold: references, settings, another context, what was deleted.
fn some_of_all(registry: &Registry) -> anyhow::Result<()> {
    let base = r#"{"type":"record","name":"Base","fields":[]}"#;
    let user = r#"{"type":"record","name":"User","fields":[{"name":"base","type":"Base"}]}"#;
    registry.register("base", base)?;
    let references = json!([{ "name": "Base", "subject": "base", "version": 1 }]);
    let body = json!({ "schema": user, "references": references,
        "metadata": { "properties": { "owner": "shop" } } });
    for (method, path, body) in [
        ("POST", "/subjects/user/versions", body),
        ("PUT", "/config/user", json!({ "compatibility": "FULL" })),
        ("PUT", "/config/short", json!({ "alias": "user" })),
        ("PUT", "/mode/user", json!({ "mode": "READONLY" })),
        ("POST", "/subjects/:.eu:a/versions", json!({ "schema": INT })),
        ("POST", "/subjects/gone/versions", json!({ "schema": INT })),
        ("POST", "/subjects/gone/versions", json!({ "schema": LONG })),
        ("DELETE", "/subjects/gone/versions/1", Json::Null),
        ("POST", "/subjects/never/versions", json!({ "schema": LONG })),
        ("DELETE", "/subjects/never", Json::Null),
        ("DELETE", "/subjects/never?permanent=true", Json::Null),
    ] {
        let (status, said) = registry.json(method, path, &body)?;
        ensure!(status == 200, "{method} {path}: {status} {said}");
    }
    Ok(())
}

/// The id that each schema was acknowledged with.
type Given = Arc<Mutex<BTreeMap<String, i64>>>;

fn registers(address: Arc<Mutex<String>>, name: usize, given: Given, stop: Arc<AtomicBool>) {
    for size in 1.. {
        let number = name * 100_000 + size;
        let (kind, schema) = match number % 3 {
            0 => ("AVRO", format!(r#"{{"type":"fixed","name":"F","size":{number}}}"#)),
            1 => ("JSON", format!(r#"{{"type":"string","maxLength":{number}}}"#)),
            _ => (
                "PROTOBUF",
                format!("syntax = \"proto3\";\n\nmessage M {{\n  int32 f = {number};\n}}\n"),
            ),
        };
        // The same schema again until it is acknowledged: whether it was written is not known.
        loop {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let at = address.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Ok(said) = Registry(at).register_as(kind, &format!("s{name}"), &schema)
                && let Some(id) = said["id"].as_i64()
            {
                given.lock().unwrap_or_else(PoisonError::into_inner).insert(schema, id);
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn kills_lose_no_id_and_use_none_twice() -> anyhow::Result<()> {
    const CLIENTS: usize = 8;
    const KILLS: usize = 4;
    let rng = Rng::from_seed(parts::seed(6));
    let folder = tempfile::tempdir()?;
    let settings = settings(folder.path());
    let mut broker = settings.start()?;
    Registry::of(&broker).json("PUT", "/config", &json!({ "compatibility": "NONE" }))?;
    some_of_all(&Registry::of(&broker))?;
    let address = Arc::new(Mutex::new(broker.registry.clone()));
    let (given, stop) = (Given::default(), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|name| {
            let (address, given, stop) =
                (Arc::clone(&address), Arc::clone(&given), Arc::clone(&stop));
            thread::spawn(move || registers(address, name, given, stop))
        })
        .collect();
    let count = || given.lock().unwrap_or_else(PoisonError::into_inner).len();
    for _ in 0..KILLS {
        let before = count();
        let wanted = before + 20 + usize::try_from(rng.u64() % 30)?;
        for _ in 0..6000 {
            if count() >= wanted {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        ensure!(count() >= wanted, "clients stand still at {}", count());
        broker.kill()?;
        broker = settings.start()?;
        *address.lock().unwrap_or_else(PoisonError::into_inner) = broker.registry.clone();
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("a client does not panic");
    }
    let given = given.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let registry = Registry::of(&broker);
    let mut by_id: BTreeMap<i64, &String> = BTreeMap::new();
    for (schema, id) in &given {
        ensure!(by_id.insert(*id, schema).is_none(), "id {id} was given twice");
        let stored = registry.get(&format!("/schemas/ids/{id}"))?;
        ensure!(stored["schema"] == *schema, "id {id}: {stored}, not {schema}");
    }
    let before = everything(&registry)?;
    ensure!(broker.terminate()?.success(), "the broker stops in order");
    let broker = settings.start()?;
    ensure!(everything(&Registry::of(&broker))? == before, "a restart answers the same");
    println!("{} schemas over {KILLS} kills", given.len());
    Ok(())
}

/// Every kind of key that Confluent's registry writes, with tombstones, out of order, and what nobody can read.
fn written_by_hand() -> Vec<Record> {
    let schema = |subject: &str, version: u32, id: u32, text: &str, more: &str| {
        (
            format!(
                r#"{{"keytype":"SCHEMA","subject":"{subject}","version":{version},"magic":1}}"#
            ),
            Some(format!(
                r#"{{"subject":"{subject}","version":{version},"id":{id},{more}"schema":{},"deleted":false}}"#,
                json!(text)
            )),
        )
    };
    let plain = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    let base = r#"{"type":"record","name":"Base","fields":[]}"#;
    let user = r#"{"type":"record","name":"User","fields":[{"name":"base","type":"Base"}]}"#;
    let refers = r#""references":[{"name":"Base","subject":"base","version":1}],"#;
    let records = [
        plain(r#"{"keytype":"NOOP","magic":0}"#, None),
        plain(r#"{"keytype":"CONFIG","magic":0}"#, Some(r#"{"compatibilityLevel":"FULL"}"#)),
        // Who refers comes before what it refers to, and a later version before an earlier one: compaction keeps the
        // order of offsets, not of versions.
        schema("user", 1, 5, user, refers),
        schema("a", 2, 2, LONG, ""),
        schema("a", 1, 1, INT, r#""schemaType":"AVRO","#),
        schema("base", 1, 4, base, ""),
        schema("gone", 1, 3, "\"string\"", ""),
        plain(
            r#"{"keytype":"DELETE_SUBJECT","subject":"gone","magic":0}"#,
            Some(r#"{"subject":"gone","version":1}"#),
        ),
        schema("dead", 1, 9, "\"bytes\"", ""),
        plain(r#"{"keytype":"SCHEMA","subject":"dead","version":1,"magic":1}"#, None),
        plain(
            r#"{"keytype":"MODE","subject":"a","magic":0}"#,
            Some(r#"{"subject":"a","mode":"READONLY"}"#),
        ),
        plain(
            r#"{"keytype":"CONTEXT","tenant":"default","context":".eu","magic":0}"#,
            Some(r#"{"tenant":"default","context":".eu"}"#),
        ),
        schema(":.eu:a", 1, 1, "\"double\"", ""),
        plain(
            r#"{"keytype":"CLEAR_SUBJECT","subject":":.us:","magic":0}"#,
            Some(r#"{"subject":":.us:"}"#),
        ),
        plain(r#"{"keytype":"SOMETHING","magic":0}"#, Some("{}")),
        plain("not even JSON", Some("x")),
        schema("clash", 1, 1, "\"boolean\"", ""),
    ];
    records
        .into_iter()
        .map(|(key, value)| Record {
            timestamp: thalweg::base::clock::Timestamp(1_700_000_000_000),
            key: Some(key.into()),
            value: value.map(Into::into),
            headers: Vec::new(),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_written_by_hand_loads() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = settings(folder.path()).start()?;
    let client = client(&broker).await?;
    client.create_topic(&topic()).await?;
    let records = written_by_hand();
    client.produce("_schemas", 0, &records, (Compression::None, Acks::All)).await?;

    let registry = Registry::of(&broker);
    ensure!(registry.get("/subjects")? == json!([":.eu:a", "a", "base", "user"]));
    ensure!(registry.get("/subjects?deletedOnly=true")? == json!(["gone"]));
    ensure!(registry.get("/subjects/a/versions")? == json!([1, 2]));
    ensure!(registry.get("/schemas/ids/5")?["references"][0]["subject"] == "base");
    ensure!(registry.get("/subjects/base/versions/1/referencedby")? == json!([5]));
    ensure!(registry.get("/config")? == json!({ "compatibilityLevel": "FULL" }));
    ensure!(registry.get("/mode/a")? == json!({ "mode": "READONLY" }));
    ensure!(registry.get("/contexts")? == json!([".", ".eu"]));
    ensure!(registry.get("/schemas/ids/1?subject=:.eu:")?["schema"] == "\"double\"");
    ensure!(registry.get("/schemas/ids/1")?["schema"] == INT, "an id keeps its text");
    ensure!(registry.get("/schemas/ids/1")?["ts"] == 1_700_000_000_000_i64);
    registry.refused("GET", "/schemas/ids/9", &Json::Null, 40403)?;
    registry.refused("POST", "/subjects/a/versions", &json!({ "schema": "\"float\"" }), 42205)?;
    // Ids that were ever given are not given again.
    ensure!(registry.register("new", "\"bytes\"")?["id"] == 10);
    Ok(())
}

/// The topic as Confluent's registry creates it.
fn topic() -> NewTopic {
    NewTopic {
        name: "_schemas".to_owned(),
        partitions: Some(1),
        replication_factor: Some(1),
        configs: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
    }
}

#[test]
fn the_command_line_goes_round() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = settings(folder.path()).start()?;
    let url = format!("http://{}", broker.registry);
    let with = |args: &[&str], input: &str| {
        run(&[&["schema"][..], args, &["--url", &url]].concat(), input)
    };
    ensure!(with(&["list"], "")? == "no subjects\n");
    ensure!(with(&["register", "orders/value", "-"], LONG)? == "orders/value version 1, id 1\n");
    ensure!(with(&["get", "orders/value"], "")? == "\"long\"\n");
    ensure!(with(&["get", "1"], "")? == "\"long\"\n");
    ensure!(with(&["check", "orders/value", "-"], "\"double\"")? == "fits orders/value\n");
    let check = ["schema", "check", "orders/value", "-", "--url", &url];
    let refused = output(&check, INT)?;
    let said = String::from_utf8(refused.stdout)?;
    ensure!(!refused.status.success() && said.contains("TYPE_MISMATCH"), "{said}");
    let listed: Json = serde_json::from_str(&with(&["list", "--json"], "")?)?;
    ensure!(listed == json!([{ "subject": "orders/value", "versions": [1] }]), "{listed}");
    let config = with(&["config", "orders/value", "--compatibility", "full"], "")?;
    ensure!(config.contains("FULL"), "{config}");
    ensure!(with(&["delete", "orders/value"], "")? == "deleted 1 version of orders/value\n");
    ensure!(with(&["delete", "orders/value", "--permanent"], "")?.ends_with("for good\n"));
    Ok(())
}

/// confluent-kafka's serializers, in every format that is served.
#[test]
fn python_serializers_go_round() -> anyhow::Result<()> {
    let python = parts::folder().join("python/bin/python");
    let has_registry = Command::new(&python)
        .args(["-c", "import confluent_kafka.schema_registry.avro"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_registry && !parts::are_demanded() {
        println!("skipped: {} has no schema registry; ./test installs it", python.display());
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let broker = settings(folder.path()).start()?;
    let served = Registry::of(&broker).get("/schemas/types")?;
    let formats = served.as_array().into_iter().flatten().filter_map(Json::as_str);
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python/schemas.py");
    let output = Command::new(&python)
        .arg(program)
        .args([broker.address.clone(), format!("http://{}", broker.registry)])
        .args(formats.clone().map(str::to_ascii_lowercase))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let done = String::from_utf8_lossy(&output.stdout).lines().count();
    ensure!(done == formats.count() && done > 0, "{done} formats");
    Ok(())
}

async fn client(broker: &Broker) -> anyhow::Result<Client> {
    let options = Options {
        bootstrap: vec![broker.address.parse().map_err(anyhow::Error::msg)?],
        client_id: "by-hand".to_owned(),
        timeout: Duration::from_secs(30),
        rng: Rng::from_os(),
    };
    Ok(Client::connect(options).await?)
}
