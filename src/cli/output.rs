//! What goes to standard output.

use std::io::Write as _;

use serde::Serialize;

/// Prints `text` as it is.
pub(super) fn text(text: &str) -> anyhow::Result<()> {
    bytes(text.as_bytes())
}

/// Prints `bytes` as they are.
pub(super) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Prints `value` as JSON with line breaks.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    text(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Rows under headings, in columns as wide as what is in them. Numbers stand to the right.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines, each after `indent`.
    pub(super) fn lines(&self, indent: &str) -> String {
        let columns = self.rows[0].len();
        let cells = |column: usize| self.rows.iter().map(move |row| row[column].as_str());
        let width = |column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let is_number = |cell: &str| cell == "-" || cell.parse::<f64>().is_ok();
        let right: Vec<bool> = (0..columns)
            .map(|at| self.rows.len() > 1 && cells(at).skip(1).all(is_number))
            .collect();
        let mut out = String::new();
        for row in &self.rows {
            let padded = row.iter().enumerate().map(|(at, cell)| pad(cell, widths[at], right[at]));
            let line = padded.collect::<Vec<_>>().join("  ");
            out.push_str(format!("{indent}{line}").trim_end());
            out.push('\n');
        }
        out
    }
}

fn pad(cell: &str, width: usize, right: bool) -> String {
    let space = " ".repeat(width.saturating_sub(cell.chars().count()));
    if right { format!("{space}{cell}") } else { format!("{cell}{space}") }
}

/// `1 record`, `2 records`.
pub(super) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

/// `1234567` as `1,234,567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes with three digits or so: `1.5 MiB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let mut table = Table::new(&["topic", "partitions"]);
        table.row(vec!["a".to_owned(), "12".to_owned()]);
        table.row(vec!["longer".to_owned(), "3".to_owned()]);
        let expected = "topic   partitions\na               12\nlonger           3\n";
        assert_eq!(table.lines(""), expected);
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(count(1usize, "record"), "1 record");
        assert_eq!(count(1_234_567usize, "record"), "1,234,567 records");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(3 << 19), "1.5 MiB");
    }
}
