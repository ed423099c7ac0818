//! Kafka's own client in a Java process.

use anyhow::{Context, ensure};

use super::{KIB, short_retention};
use crate::{
    rows::{CPU, Measured, RATE, Row},
    stage::{Place, Stage},
    system::System,
};

/// The row.
pub(super) struct JavaProduce;

impl Row for JavaProduce {
    fn name(&self) -> String {
        "produce-1k-1p-none-java".to_owned()
    }

    fn about(&self) -> String {
        "Kafka's own ProducerPerformance at full speed: 1,024 B values, 1 partition, acks=all, 5 ms linger".to_owned()
    }

    fn turn(&self, stage: &mut Stage<'_>, system: System) -> anyhow::Result<Vec<Measured>> {
        stage.open(system, Place::Memory)?;
        let topic = stage.topic(system, 1, &short_retention(1))?;
        let records = stage.scaled(KIB.records);
        let bootstrap = format!("bootstrap.servers={}", stage.address(system));
        let kafka =
            stage.launcher.kafka.as_ref().context("ProducerPerformance comes with Apache Kafka")?;
        let program = kafka
            .java(&["-Xms512m", "-Xmx512m"], "org.apache.kafka.tools.ProducerPerformance")
            .arguments(["--topic", &topic, "--throughput", "-1", "--record-size", "1024"])
            .arguments(["--num-records".to_owned(), records.to_string()])
            .arguments([
                "--producer-props",
                &bootstrap,
                "acks=all",
                "linger.ms=5",
                "batch.size=1000000",
            ])
            .arguments(["buffer.memory=134217728"]);
        let metered = stage.metered(system, || program.output())?;
        // The client is a process of its own here, so what it uses is no disturbance.
        stage.take_disturbance();
        stage.drop_topic(system, &topic)?;
        let rate = final_rate(&metered.result)?;
        let gibibytes = (records * KIB.bytes as u64) as f64 / (1u64 << 30) as f64;
        Ok(vec![
            Measured::beside(RATE, rate, stage.limits.loopback_rate, "loopback"),
            Measured::beside(
                CPU,
                metered.reading.processes[0] / gibibytes,
                stage.limits.produce_cpu(),
                "receive + CRC",
            ),
        ])
    }
}

/// The MB/s of ProducerPerformance's last summary, which it counts in MiB.
fn final_rate(output: &str) -> anyhow::Result<f64> {
    let line = output.lines().rev().find(|line| line.contains("MB/sec")).context("no summary")?;
    let before = line.split("MB/sec").next().unwrap_or("");
    let number = before
        .rsplit(['(', ' '])
        .find(|text| !text.is_empty())
        .context("no rate in the summary")?;
    let rate: f64 = number.parse()?;
    ensure!(rate > 0.0, "nothing was sent");
    Ok(rate * (1u64 << 20) as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_read() {
        let line = "100000 records sent, 59916.1 records/sec (58.51 MB/sec), 3.2 ms avg latency, 250.00 ms max latency.";
        assert!((final_rate(line).expect("a summary") - 61.35).abs() < 0.01);
    }
}
