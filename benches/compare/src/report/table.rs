//! The report as one table in Markdown, which a terminal shows as well as a page does.

use std::fmt::Write;

use super::{Line, Report, Target};
use crate::{stats::Samples, system::System};

const HEAD: [&str; 9] = [
    "row",
    "figure",
    "Thalweg",
    "min - max",
    "Kafka",
    "min - max",
    "ratio",
    "machine's limit",
    "target",
];

impl Report {
    /// The table with its caption, the limits and the remarks.
    pub fn table(&self) -> String {
        let mut cells: Vec<[String; 9]> = vec![HEAD.map(str::to_owned)];
        cells.extend(self.lines.iter().map(row));
        let widths: Vec<usize> = (0..HEAD.len())
            .map(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = format!(
            "{}\nAt most {} rounds, amounts and durations times {}\n\n",
            self.machine.caption(),
            self.rounds,
            self.scale
        );
        for (number, row) in cells.iter().enumerate() {
            let padded: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            let _ = writeln!(text, "| {} |", padded.join(" | "));
            if number == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                let _ = writeln!(text, "|-{}-|", rules.join("-|-"));
            }
        }
        text.push_str(&self.limits_text());
        for remark in &self.remarks {
            let _ = writeln!(text, "- {remark}");
        }
        text
    }

    fn limits_text(&self) -> String {
        let (limits, trip) = (&self.limits, &self.limits.trip);
        format!(
            "\nThe machine: loopback {:.0} MB/s (CPU-s/GiB: send {:.2}, of 64 MiB {:.2}, receive {:.2}); CRC-32C {:.0} MB/s; \
             synced 8 MiB writes {:.0} MB/s; emulator PUT {:.0} MB/s, GET {:.0} MB/s. A bare round trip over the loopback: of 64 connections {:.0} k/s, {:.1} us of \
             the answering side's CPU, p50 {:.2}, p99 {:.2} ms; of one alone p50 {:.3}, p99 {:.3}, p99.9 {:.3} ms.\n",
            limits.loopback_rate,
            limits.loopback_send_cpu,
            limits.tail_send_cpu,
            limits.loopback_receive_cpu,
            limits.crc_rate,
            limits.disk_rate,
            limits.put_rate,
            limits.get_rate,
            trip.rate,
            trip.cpu_us,
            trip.crowd_ms[0],
            trip.crowd_ms[1],
            trip.alone_ms[0],
            trip.alone_ms[1],
            trip.alone_ms[2],
        )
    }
}

fn row(line: &Line) -> [String; 9] {
    let digits = line.figure.digits;
    let median =
        |system| line.median(system).map_or_else(|| "-".to_owned(), |value| number(value, digits));
    let range = |system| {
        let range = line.samples.get(&system).and_then(Samples::range);
        range.map_or_else(String::new, |(least, most)| {
            format!("{} - {}", number(least, digits), number(most, digits))
        })
    };
    [
        line.row.clone(),
        format!("{}, {}", line.figure.name, line.figure.unit),
        median(System::Thalweg),
        range(System::Thalweg),
        median(System::Kafka),
        range(System::Kafka),
        line.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        line.limit
            .map_or_else(String::new, |(value, what)| format!("{} {what}", number(value, digits))),
        line.target.map_or_else(String::new, |target| goal(line, target)),
    ]
}

fn goal(line: &Line, target: Target) -> String {
    let sign = if line.figure.better == super::Better::Higher { ">=" } else { "<=" };
    let absolute =
        target.absolute.map(|bound| format!("{sign} {}", number(bound, line.figure.digits)));
    let relative = target.of_kafka.map(|bound| format!("{sign} {bound:.2}x"));
    let parts: Vec<String> = absolute.into_iter().chain(relative).collect();
    let verdict = match line.reached() {
        Some(true) => " yes",
        Some(false) => " NO",
        None => "",
    };
    format!("{}{verdict}", parts.join(", "))
}

/// With thousands apart.
pub(super) fn number(value: f64, digits: usize) -> String {
    let plain = format!("{value:.digits$}");
    let (whole, fraction) =
        plain.split_once('.').map_or((plain.as_str(), None), |(a, b)| (a, Some(b)));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |rest| ("-", rest));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    fraction.map_or_else(
        || format!("{sign}{grouped}"),
        |fraction| format!("{sign}{grouped}.{fraction}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(number(1_234_567.891, 1), "1,234,567.9");
        assert_eq!(number(-12.0, 0), "-12");
    }
}
