//! What it costs the broker to hold a record against its schema: CPU of produce with and without.

use anyhow::Context as _;
use serde_json::{Value as Json, json};
use thalweg::base::clock::Timestamp;
use thalweg::client::Record;
use thalweg::client::wire::{Acks, Client, NewTopic, Producer};
use thalweg::record::Compression;

use crate::broker::{Broker, Connection, Settings};
use crate::usage::{Meter, Reading};
use crate::values::{FORMATS, Format};
use crate::{Line, median};

/// What a topic asks for; the first is what the others are compared with.
const MODES: [(&str, &[(&str, &str)]); 3] = [
    ("none", &[]),
    (
        "id",
        &[("confluent.value.schema.validation", "true"), ("thalweg.schema.validation.mode", "id")],
    ),
    (
        "payload",
        &[
            ("confluent.value.schema.validation", "true"),
            ("thalweg.schema.validation.mode", "payload"),
        ],
    ),
];
const ROUNDS: usize = 3;
const BATCHES: usize = 300;
const BATCH_RECORDS: u64 = 1000;

/// All formats that are served; objects lie in memory, so that no disk is measured.
pub async fn measure(settings: &Settings) -> anyhow::Result<Vec<Line>> {
    let broker = settings.in_memory().start()?;
    let served = Connection::open(&broker.registry)?.ask("GET", "/schemas/types", "")?.to_owned();
    let mut lines = Vec::new();
    for format in FORMATS.iter().filter(|(name, ..)| served.contains(name)) {
        lines.push(one(&broker, format).await?);
    }
    Ok(lines)
}

async fn one(broker: &Broker, (name, schema, value): &Format) -> anyhow::Result<Line> {
    let client = broker.client().await?;
    let (mut costs, mut foreign) = ([const { Vec::new() }; MODES.len()], Vec::new());
    let mut bytes = 0;
    for round in 0..ROUNDS {
        for ((mode, configs), costs) in MODES.iter().zip(&mut costs) {
            let topic = format!("{}-{mode}-{round}", name.to_lowercase());
            let id = prepare(broker, &client, &topic, (name, &schema(), configs)).await?;
            let records: Vec<Record> = (0..BATCH_RECORDS).map(|n| record(id, &value(n))).collect();
            bytes = records.iter().filter_map(|r| r.value.as_ref()).map(|v| v.len()).sum();
            let used = produce(broker, &client, &topic, &records).await?;
            costs.push(used.broker * 1e6 / (BATCHES as u64 * BATCH_RECORDS) as f64);
            foreign.push(used.foreign);
            client.delete_topic(&topic).await?;
        }
    }
    let [none, id, payload] = costs.map(median);
    let value = format!(
        "{none:.2} us a record unchecked, {:+.2} us its id, {:+.2} us its payload",
        id - none,
        payload - none
    );
    let figure =
        format!("broker CPU of produce, {name}, {} bytes a value", bytes as u64 / BATCH_RECORDS);
    Ok(Line { figure, value, goal: "", foreign: median(foreign) })
}

/// Makes the topic and registers its schema, whose id it gives.
async fn prepare(
    broker: &Broker,
    client: &Client,
    topic: &str,
    (format, schema, configs): (&str, &str, &[(&str, &str)]),
) -> anyhow::Result<i32> {
    let body = json!({ "schema": schema, "schemaType": format }).to_string();
    let path = format!("/subjects/{topic}-value/versions");
    let said: Json =
        serde_json::from_str(Connection::open(&broker.registry)?.ask("POST", &path, &body)?)?;
    let pairs = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let topic = NewTopic {
        name: topic.to_owned(),
        partitions: Some(1),
        replication_factor: Some(1),
        configs: pairs.collect(),
    };
    client.create_topic(&topic).await?;
    Ok(i32::try_from(said["id"].as_i64().context("no id")?)?)
}

fn record(id: i32, payload: &[u8]) -> Record {
    let value = [&[0][..], &id.to_be_bytes(), payload].concat();
    Record {
        timestamp: Timestamp(1_700_000_000_000),
        key: None,
        value: Some(value.into()),
        headers: Vec::new(),
    }
}

async fn produce(
    broker: &Broker,
    client: &Client,
    topic: &str,
    records: &[Record],
) -> anyhow::Result<Reading> {
    let mut producer = Producer::new(client, topic, (Compression::None, Acks::All)).await?;
    let meter = Meter::start(broker.pid())?;
    for _ in 0..BATCHES {
        producer.send(0, records).await.map_err(|failed| anyhow::anyhow!("{failed:?}"))?;
    }
    producer.finish().await.map_err(|failed| anyhow::anyhow!("{failed:?}"))?;
    meter.read()
}
