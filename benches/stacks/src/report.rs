//! The list of where time goes, for people.

use std::fmt::Write;

use crate::folded::{Folded, Share};

const ENTRY_LINES: usize = 16;
const OWN_LINES: usize = 40;
const ALL_LINES: usize = 80;
/// Names of generic functions run to hundreds of characters.
const NAME_CHARACTERS_MAX: usize = 140;

/// Shares of functions by their own time and with what they call, and of system calls.
pub fn text(folded: &Folded, title: &str, subtitle: &str) -> String {
    let total = folded.total();
    let mut text = format!("{title}\n{subtitle}\n{total} samples\n\nby entry into the kernel\n");
    let mut entries: Vec<(&str, u64)> = folded.entries().into_iter().collect();
    entries.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (entry, count) in entries.into_iter().take(ENTRY_LINES) {
        line(&mut text, &[percent(count, total)], entry);
    }
    let mut functions: Vec<(&str, Share)> = folded.functions().into_iter().collect();
    functions.sort_by_key(|(_, share)| std::cmp::Reverse(share.own));
    text.push_str("\nby own time (own, with callees)\n");
    for (name, share) in functions.iter().take(OWN_LINES).filter(|(_, share)| share.own > 0) {
        line(&mut text, &[percent(share.own, total), percent(share.all, total)], name);
    }
    functions.sort_by_key(|(_, share)| std::cmp::Reverse(share.all));
    text.push_str("\nThalweg's functions, with callees (own, with callees)\n");
    let ours =
        functions.iter().filter(|(name, _)| name.trim_start_matches('<').starts_with("thalweg::"));
    for (name, share) in ours.take(ALL_LINES) {
        line(&mut text, &[percent(share.own, total), percent(share.all, total)], name);
    }
    text
}

fn percent(count: u64, total: u64) -> f64 {
    100.0 * count as f64 / total as f64
}

fn line(text: &mut String, shares: &[f64], name: &str) {
    for share in shares {
        let _ = write!(text, "{share:6.2}%  ");
    }
    let short: String = name.chars().take(NAME_CHARACTERS_MAX).collect();
    let _ = writeln!(text, "{short}{}", if short.len() < name.len() { "…" } else { "" });
}
