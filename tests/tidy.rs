//! What keeps the source readable as it grows: layers, import bans, headers, sizes. Depends on nothing but std.
//!
//! `src/lib.rs` declares modules in reading order, and a module names only modules declared below it.

use std::fs;
use std::path::{Path, PathBuf};

/// Product lines that a file may have at most. Items behind `#[cfg(test)]` do not count, nor do pure tables.
const LINES_MAX: usize = 600;

/// Files that are tables: longer ones are no harder to read.
const TABLES: &[&str] = &[];

/// What may be named only in some places: a needle in the code, and where it is allowed. A place ends in `/` for a folder,
/// or starts with `*` for a file's name anywhere.
const ONLY_IN: &[(&str, &[&str])] = &[
    // Its structs hold the fields of all versions, so they must not travel.
    (
        "kafka_protocol::",
        &["server/", "handlers/", "protocol/", "record/", "client/wire.rs", "client/wire/"],
    ),
    ("object_store::", &["object/"]),
    ("slatedb::", &["manifest/"]),
    ("prometheus::", &["telemetry/", "*metrics.rs"]),
    ("anyhow::", &["cli/"]),
    ("env::var", &["config/load.rs"]),
];

/// Where nothing waits: deciding is separate from doing.
const NEVER_AWAITS: &[&str] = &["*state.rs", "record/", "protocol/", "segment/format.rs"];

/// Surfaces, and the modules that they may name besides themselves.
const SURFACES: &[(&str, &[&str])] = &[
    ("console", &["client", "telemetry", "config", "base"]),
    ("schema_registry", &["client", "telemetry", "config", "base"]),
    ("client", &["record", "telemetry", "config", "base"]),
];

/// The simulator's mutations: patches of `src`, which nobody applies until they are asked for.
const MUTATIONS: &str = "tests/sim/mutations";

struct File {
    /// Below `src`, with `/` between.
    path: String,
    text: String,
}

impl File {
    /// The top-level module that it belongs to.
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| match place.strip_prefix('*') {
            Some(name) => self.path.rsplit('/').next() == Some(name),
            None if place.ends_with('/') => self.path.starts_with(place),
            None => self.path == *place,
        })
    }

    fn is_tests(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// The lines that are no item of tests, with their numbers.
    fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        product(&self.text)
    }
}

/// The lines of a file without the items behind `#[cfg(test)]`, each to its end and no further.
fn product(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut of_tests = false;
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    lines.filter(move |(_, line)| {
        of_tests |= line.starts_with("#[cfg(test)]");
        let keep = !of_tests;
        of_tests &= !ends_item(line);
        keep
    })
}

/// Whether an item that starts at the start of a line ends with this line: with a brace there, or all of it is one line.
fn ends_item(line: &str) -> bool {
    let item = line.starts_with(|c: char| c.is_ascii_alphabetic());
    line.starts_with('}') || (item && line.ends_with([';', '}']))
}

/// A line without its comment. A `//` in a literal hides the rest of its line, which hides no import.
fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files() -> Vec<File> {
    let (root, mut files) = (root(), Vec::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                let path = path.strip_prefix(&root).expect("it lies below src");
                files.push(File { path: path.to_string_lossy().replace('\\', "/"), text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The modules of `src/lib.rs`, in its order.
fn layers() -> Vec<String> {
    let text = fs::read_to_string(root().join("lib.rs")).expect("src/lib.rs");
    let name = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
    text.lines().filter_map(name).collect()
}

/// The modules that a line of code names by `crate::`, one or several in braces.
fn named(line: &str) -> Vec<&str> {
    let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let mut found = Vec::new();
    for rest in line.split("crate::").skip(1) {
        if let Some(inner) = rest.strip_prefix('{') {
            let parts = inner.split(',').map(str::trim);
            found.extend(parts.map(|part| &part[..word(part).unwrap_or(part.len())]));
        } else {
            found.push(&rest[..word(rest).unwrap_or(rest.len())]);
        }
    }
    found
}

fn fail_if_any(faults: &[String], rule: &str) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}

#[test]
fn modules_name_only_modules_below_them() {
    let layers = layers();
    assert!(layers.len() > 10, "src/lib.rs declares its modules one a line: {layers:?}");
    let place = |name: &str| layers.iter().position(|layer| layer == name);
    let mut faults = Vec::new();
    for file in files() {
        let Some(own) = place(file.module()) else { continue };
        for (at, line) in file.text.lines().enumerate() {
            for name in named(code(line)) {
                if place(name).is_some_and(|other| other < own) {
                    faults.push(format!(
                        "src/{}:{}: names {name}, which stands above it",
                        file.path,
                        at + 1
                    ));
                }
            }
        }
    }
    fail_if_any(&faults, "a module names only modules declared below it in src/lib.rs");
}

#[test]
fn surfaces_keep_to_the_surface() {
    let layers = layers();
    let mut faults = Vec::new();
    for file in files() {
        let Some((surface, allowed)) = SURFACES.iter().find(|(name, _)| *name == file.module())
        else {
            continue;
        };
        for (at, line) in file.product() {
            let others = named(code(line)).into_iter().filter(|name| {
                name != surface && !allowed.contains(name) && layers.iter().any(|l| l == name)
            });
            faults.extend(others.map(|name| format!("src/{}:{at}: names {name}", file.path)));
        }
    }
    fail_if_any(
        &faults,
        "surfaces name only client, telemetry, config and base (client also record)",
    );
}

#[test]
fn crates_stay_where_they_belong() {
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| !file.is_tests()) {
        for (needle, places) in ONLY_IN.iter().filter(|(_, places)| !file.is_in(places)) {
            let lines = file.product().filter(|(_, line)| code(line).contains(needle));
            faults.extend(lines.map(|(at, _)| {
                format!("src/{}:{at}: `{needle}` belongs in {}", file.path, places.join(", "))
            }));
        }
    }
    fail_if_any(&faults, "some crates are named only in some places");
}

#[test]
fn what_decides_does_not_wait() {
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| file.is_in(NEVER_AWAITS) && !file.is_tests()) {
        let lines = file.product().filter(|(_, line)| code(line).contains(".await"));
        faults.extend(lines.map(|(at, _)| format!("src/{}:{at}", file.path)));
    }
    fail_if_any(&faults, "no `.await` in state machines and codecs");
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = files().into_iter().filter(|file| !file.text.starts_with("//! "));
    let faults: Vec<String> = silent.map(|file| format!("src/{}", file.path)).collect();
    fail_if_any(&faults, "a file starts with `//!` and what it is for");
}

#[test]
fn files_stay_short() {
    let mut faults = Vec::new();
    for file in
        files().iter().filter(|file| !file.is_tests() && !TABLES.contains(&file.path.as_str()))
    {
        let lines = file.product().count();
        if lines > LINES_MAX {
            faults.push(format!("src/{}: {lines} product lines", file.path));
        }
    }
    fail_if_any(&faults, "a file has at most 600 product lines: split it by concept");
}

#[test]
fn only_the_item_behind_cfg_test_is_left_out() {
    let text = "\
//! A file.
#[cfg(test)]
mod tests;
use a::b;
#[cfg(test)]
#[expect(dead_code, reason = \"half of it\")]
pub(crate) fn only_in_tests(a: u8) -> u8 {
    if a > 0 { 1 } else {
        2
    }
}
fn product() {}
#[cfg(test)]
use a::{
    b, c,
};
fn more() {}
#[cfg(test)]
mod inner {
    fn test() {}
}
";
    let kept: Vec<_> = product(text).collect();
    let expected =
        [(1, "//! A file."), (4, "use a::b;"), (12, "fn product() {}"), (17, "fn more() {}")];
    assert_eq!(kept, expected);
}

#[test]
fn names_in_braces_are_seen() {
    assert_eq!(named("use crate::base::ids::{A, B};"), ["base"]);
    assert_eq!(named("use crate::{log, wal::Error};"), ["log", "wal"]);
    assert_eq!(named("fn f(x: crate::log::X) -> crate::wal::Y"), ["log", "wal"]);
    assert_eq!(code("use std::fmt; // crate::log"), "use std::fmt; ");
}

/// What a patch takes away or leaves as it is, a hunk each, with its file.
fn hunks(patch: &str) -> Vec<(String, String)> {
    let mut file = String::new();
    let mut hunks: Vec<(String, String)> = Vec::new();
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("+++ b/") {
            file = path.to_owned();
        } else if line.starts_with("@@") {
            hunks.push((file.clone(), String::new()));
        } else if let Some((_, before)) = hunks.last_mut()
            && let Some(kept) =
                line.strip_prefix([' ', '-']).or_else(|| line.is_empty().then_some(""))
            && !line.starts_with("---")
        {
            before.push_str(kept);
            before.push('\n');
        }
    }
    hunks
}

#[test]
fn every_mutation_still_has_what_it_changes() {
    let mut count = 0;
    for entry in fs::read_dir(MUTATIONS).expect("the mutations") {
        let path = entry.expect("a file").path();
        let patch = fs::read_to_string(&path).expect("a patch");
        for head in ["law: ", "expect: "] {
            assert!(patch.lines().any(|line| line.starts_with(head)), "{path:?} has no {head}");
        }
        let hunks = hunks(&patch);
        assert!(!hunks.is_empty(), "{path:?} changes nothing");
        for (file, before) in hunks {
            let text = fs::read_to_string(&file).expect("what it changes");
            assert!(text.contains(&before), "{path:?}: no longer in {file}:\n{before}");
        }
        count += 1;
    }
    assert!(count > 50, "{count} mutations");
}
