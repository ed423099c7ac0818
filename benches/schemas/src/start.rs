//! How soon a broker with many schemas knows them all.

use std::time::Instant;

use serde_json::json;
use thalweg::base::clock::Timestamp;
use thalweg::client::Record;
use thalweg::client::wire::{Acks, NewTopic};
use thalweg::record::Compression;

use crate::broker::{Broker, Connection, Settings};
use crate::usage::Meter;
use crate::{Line, median};

/// Starts of which the one in the middle counts.
const STARTS: usize = 5;

/// Writes the schemas, stops in order, and starts again.
pub async fn measure(settings: &Settings, schemas: usize) -> anyhow::Result<Vec<Line>> {
    let broker = settings.start()?;
    write(&broker, schemas).await?;
    broker.stop()?;
    let (mut ready, mut known, mut cpu, mut foreign) = (vec![], vec![], vec![], vec![]);
    for _ in 0..STARTS {
        let began = Instant::now();
        let broker = settings.start()?;
        ready.push(began.elapsed().as_secs_f64() * 1e3);
        let meter = Meter::start(broker.pid())?;
        Connection::open(&broker.registry)?.ask("GET", &format!("/schemas/ids/{schemas}"), "")?;
        known.push(began.elapsed().as_secs_f64() * 1e3);
        cpu.push(crate::usage::cpu_seconds(broker.pid())? * 1e3);
        foreign.push(meter.read()?.foreign);
        broker.stop()?;
    }
    let value = format!(
        "ready after {:.0} ms, all known after {:.0} ms ({:.0} ms of CPU)",
        median(ready),
        median(known),
        median(cpu)
    );
    let figure = format!("start with {schemas} schemas");
    Ok(vec![Line { figure, value, goal: "< 1 s", foreign: median(foreign) }])
}

/// Puts the schemas into the topic as a registry would have: four versions to a subject.
async fn write(broker: &Broker, schemas: usize) -> anyhow::Result<()> {
    let client = broker.client().await?;
    let topic = NewTopic {
        name: "_schemas".to_owned(),
        partitions: Some(1),
        replication_factor: Some(1),
        configs: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
    };
    client.create_topic(&topic).await?;
    let records: Vec<Record> = (0..schemas).map(record).collect();
    for batch in records.chunks(2000) {
        client.produce("_schemas", 0, batch, (Compression::None, Acks::All)).await?;
    }
    Ok(())
}

fn record(number: usize) -> Record {
    let (subject, version) = (format!("subject-{}-value", number / 4), number % 4 + 1);
    let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    let fields = [field("id", "long"), field("name", "string"), field("total", "double")];
    let schema = json!({ "type": "record", "name": format!("R{number}"), "fields": fields });
    let key = json!({ "keytype": "SCHEMA", "subject": subject, "version": version, "magic": 1 });
    let value = json!({
        "subject": subject,
        "version": version,
        "id": number + 1,
        "schema": schema.to_string(),
        "deleted": false,
    });
    Record {
        timestamp: Timestamp(1_700_000_000_000),
        key: Some(key.to_string().into()),
        value: Some(value.to_string().into()),
        headers: Vec::new(),
    }
}
