//! The report as one table in Markdown, which a terminal shows as well as a page does.

use std::fmt::Write;

use super::{Better, Line, Report, Target, Verdict};
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
        cells.extend(self.lines.iter().map(|line| row(line, self.rounds)));
        let widths: Vec<usize> = (0..HEAD.len())
            .map(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = format!(
            "{}\n{} rounds, amounts and durations times {}\n\n",
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
        if self.failed_rows > 0 {
            let _ = writeln!(text, "Rows that failed: {}", self.failed_rows);
        }
        for remark in &self.remarks {
            let _ = writeln!(text, "- {remark}");
        }
        text
    }

    fn limits_text(&self) -> String {
        let (limits, trip) = (&self.limits, &self.limits.trip);
        format!(
            "\nThe machine: loopback {:.0} MB/s (CPU-s/GiB: send {:.2}, of 64 MiB {:.2}, receive {:.2}); CRC-32C {:.0} MB/s; \
             synced 8 MiB writes {:.0} MB/s one after the other, {:.0} MB/s of 4 writers at once; emulator PUT {:.0} MB/s, GET {:.0} MB/s. A bare round trip over the loopback: of 64 connections {:.0} k/s, {:.1} us of \
             the answering side's CPU, p50 {:.2}, p99 {:.2} ms; of one alone p50 {:.3}, p99 {:.3}, p99.9 {:.3} ms.\n",
            limits.loopback_rate,
            limits.loopback_send_cpu,
            limits.tail_send_cpu,
            limits.loopback_receive_cpu,
            limits.crc_rate,
            limits.disk.rate,
            limits.disk_of_four.rate,
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

fn row(line: &Line, rounds: usize) -> [String; 9] {
    let digits = line.figure.digits;
    let median = |system| match line.median(system) {
        Some(value) => number(value, digits),
        None if line.failed.contains(&system) => "failed".to_owned(),
        None => "-".to_owned(),
    };
    let range = |system| range(line.samples.get(&system), digits, rounds);
    let figure = match line.figure.unit {
        "" => line.figure.name.to_owned(),
        unit => format!("{}, {unit}", line.figure.name),
    };
    // Kafka's own is in the JSON.
    let limit = line.limit(System::Thalweg).or_else(|| line.limit(System::Kafka));
    [
        line.row.clone(),
        figure,
        median(System::Thalweg),
        range(System::Thalweg),
        median(System::Kafka),
        range(System::Kafka),
        line.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        limit.map_or_else(String::new, |(value, what)| format!("{} {what}", number(value, digits))),
        goal(line),
    ]
}

/// Least and greatest, and how many there are if not one of each round.
fn range(samples: Option<&Samples>, digits: usize, rounds: usize) -> String {
    let Some((least, most)) = samples.and_then(Samples::range) else { return String::new() };
    let count = samples.map_or(0, |samples| samples.values.len());
    let counted = if count < rounds { format!(" ({count} of {rounds})") } else { String::new() };
    format!("{} - {}{counted}", number(least, digits), number(most, digits))
}

fn goal(line: &Line) -> String {
    let verdict = match line.verdict() {
        Some(Verdict::Reached) => "yes",
        Some(Verdict::Missed) => "NO",
        Some(Verdict::Failed) => "NO (failed)",
        Some(Verdict::NotBesideKafka) => "? (not beside Kafka)",
        Some(Verdict::NotMeasured) => "? (not measured)",
        // A line that is there only to say so.
        None if line.samples.is_empty() => "NO (failed)",
        None => "",
    };
    let bounds = line.target.map_or_else(String::new, |target| bounds(line, target));
    format!("{bounds} {verdict}").trim().to_owned()
}

fn bounds(line: &Line, target: Target) -> String {
    let sign = match line.figure.better {
        Better::Higher => ">=",
        Better::Lower => "<=",
        // Which way is better is not known before a turn has given the figure.
        Better::Neither => return String::new(),
    };
    let absolute =
        target.absolute.map(|bound| format!("{sign} {}", number(bound, line.figure.digits)));
    let relative = target.of_kafka.map(|bound| format!("{sign} {bound:.2}x"));
    absolute.into_iter().chain(relative).collect::<Vec<_>>().join(", ")
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
    fn fewer_samples_than_rounds_are_counted() {
        let samples = Samples { values: vec![1.0, 2.0] };
        assert_eq!(range(Some(&samples), 0, 2), "1 - 2");
        assert_eq!(range(Some(&samples), 0, 5), "1 - 2 (2 of 5)");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(number(1_234_567.891, 1), "1,234,567.9");
        assert_eq!(number(-12.0, 0), "-12");
    }
}
