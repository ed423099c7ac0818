//! Avro schemas judged by Java and by us: random pairs, of which one is the other after some changes.
//!
//! Java is Confluent's `AvroSchema` with the Avro that its client came with, and with the one of today. Texts, normal
//! forms, verdicts and their reasons must be the same. `THALWEG_TEST_SEED` chooses other pairs.

#[path = "../support/java.rs"]
mod java;
#[path = "../support/parts.rs"]
mod parts;

mod dice;
mod render;
mod schema;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use dice::Dice;
use schema::Version;
use thalweg::schema_registry::avro::Schema;
use thalweg::schema_registry::format::{Difference, ResolvedReference};

const PAIRS: usize = 20_000;
const SEED: u64 = 1;
/// All that Java tells apart.
const KINDS: [&str; 6] = [
    "FIXED_SIZE_MISMATCH",
    "MISSING_ENUM_SYMBOLS",
    "MISSING_UNION_BRANCH",
    "NAME_MISMATCH",
    "READER_FIELD_MISSING_DEFAULT_VALUE",
    "TYPE_MISMATCH",
];

/// A reader's texts and a writer's: the schema, then what it refers to.
struct Pair {
    reader: Vec<String>,
    writer: Vec<String>,
}

/// What is said of a pair.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    /// The canonical text and the normal form of the reader and of the writer; nothing of what is refused.
    texts: [String; 4],
    /// Kind, place and message of each difference.
    differences: Vec<[String; 3]>,
}

fn pairs(version: Version, seed: u64) -> Vec<Pair> {
    let mut dice = Dice(seed);
    let pair = |_| {
        let schema = schema::random(&mut dice, version);
        let other = schema::evolved(&schema, &mut dice, version);
        let reader = render::texts(&schema, &mut dice, version);
        let writer = render::texts(&other, &mut dice, version);
        if dice.once_in(2) {
            Pair { reader, writer }
        } else {
            Pair { reader: writer, writer: reader }
        }
    };
    (0..PAIRS).map(pair).collect()
}

fn parse(texts: &[String]) -> Option<Schema> {
    let reference = |(at, text): (usize, &String)| ResolvedReference {
        name: format!("reference {at}"),
        schema: text.clone(),
    };
    let references: Vec<_> = texts.iter().enumerate().skip(1).map(reference).collect();
    Schema::parse(&texts[0], &references).ok()
}

fn ours(pair: &Pair) -> Verdict {
    let (reader, writer) = (parse(&pair.reader), parse(&pair.writer));
    let texts = [&reader, &writer].map(|schema| {
        schema
            .as_ref()
            .map_or_else(Default::default, |schema| [schema.canonical(), schema.normalized()])
    });
    let [[reader_text, reader_form], [writer_text, writer_form]] = texts;
    let found = match (reader, writer) {
        (Some(reader), Some(writer)) => reader.check_reads(&writer),
        _ => Vec::new(),
    };
    let told = |Difference { kind, path, message }| match kind {
        // Java throws.
        "READER_FIELD_AMBIGUOUS" => ["EXCEPTION".to_owned(), String::new(), String::new()],
        kind => [kind.to_owned(), path, message],
    };
    Verdict {
        texts: [reader_text, reader_form, writer_text, writer_form],
        differences: found.into_iter().map(told).collect(),
    }
}

fn javas(pairs: &[Pair], version: Version, parts: &Path) -> Vec<Verdict> {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("pairs");
    let mut file = std::io::BufWriter::new(fs::File::create(&input).expect("a file"));
    for Pair { reader, writer } in pairs {
        let line = format!("{}\t{}\n", reader.join("\u{1}"), writer.join("\u{1}"));
        file.write_all(line.as_bytes()).expect("written");
    }
    file.into_inner().expect("written");
    let jars = |name: &str| parts.join(name).join("*").display().to_string();
    let mut path = vec![parts.join("classes").display().to_string(), jars("jars")];
    if version == Version::V1_12 {
        // What comes first counts.
        path.insert(1, jars("avro"));
    }
    let mut oracle = java::java(&path.join(":"));
    let output = oracle.args(["-Xss4m", "Oracle"]).arg(&input).output().expect("java runs");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    lines.lines().map(verdict).collect()
}

fn verdict(line: &str) -> Verdict {
    let mut parts = line.split('\t').map(str::to_owned);
    let texts = [(); 4].map(|()| parts.next().expect("four texts"));
    let difference = |part: String| {
        let mut parts = part.split('\u{1}').map(str::to_owned);
        let [kind, place, message] = [(); 3].map(|()| parts.next().expect("three parts"));
        let message = if kind == "EXCEPTION" { String::new() } else { message };
        [kind, place, message]
    };
    Verdict { texts, differences: parts.map(difference).collect() }
}

/// Where Avro 1.11 differs from what we follow, 1.12.
fn forgive(java: &mut Verdict, ours: &Verdict, version: Version) {
    // Java fails to write what it then could not read.
    for form in [1, 3] {
        if java.texts[form].is_empty() && !java.texts[form - 1].is_empty() {
            java.texts[form].clone_from(&ours.texts[form]);
        }
    }
    if version == Version::V1_11 && java.differences.len() == ours.differences.len() {
        // It forgets the place when a writer's union is read as one type.
        for (java, ours) in java.differences.iter_mut().zip(&ours.differences) {
            java[1].clone_from(&ours[1]);
        }
    }
}

fn judge(version: Version) {
    let parts = parts::folder().join("confluent");
    if !parts.join("stamp").exists() {
        assert!(!parts::are_demanded(), "Java's Avro is not installed: tests/parts confluent");
        eprintln!("SKIPPED: Java's Avro is not installed: tests/parts confluent");
        return;
    }
    let seed = parts::seed(SEED);
    let pairs = pairs(version, seed);
    let javas = javas(&pairs, version, &parts);
    assert_eq!(javas.len(), pairs.len());
    let (mut compatible, mut refused, mut unlike) = (0, 0, Vec::new());
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for (number, (pair, mut java)) in pairs.iter().zip(javas).enumerate() {
        let ours = ours(pair);
        forgive(&mut java, &ours, version);
        if java.texts[0].is_empty() || java.texts[2].is_empty() {
            refused += 1;
        } else if java.differences.is_empty() {
            compatible += 1;
        }
        for [kind, ..] in &java.differences {
            *kinds.entry(kind.clone()).or_default() += 1;
        }
        if java != ours {
            unlike.push(format!(
                "pair {number}\n  reader {}\n  writer {}\n  java {java:?}\n  ours {ours:?}",
                pair.reader.join("\n    with "),
                pair.writer.join("\n    with ")
            ));
        }
    }
    eprintln!(
        "{version:?}, seed {seed}: {PAIRS} pairs, {compatible} compatible, {refused} with a refused schema; {kinds:?}"
    );
    let first: Vec<_> = unlike.iter().take(3).map(String::as_str).collect();
    assert!(unlike.is_empty(), "seed {seed}: {} pairs differ\n{}", unlike.len(), first.join("\n"));
    let third = PAIRS / 3;
    assert!((third..2 * third).contains(&compatible), "about half is compatible: {compatible}");
    assert!(refused < PAIRS / 5, "most are schemas: {refused}");
    for kind in KINDS {
        assert!(kinds.get(kind).is_some_and(|count| *count > 100), "{kind} is seldom: {kinds:?}");
    }
}

#[test]
fn pairs_are_judged_as_by_confluents_java() {
    judge(Version::V1_11);
}

#[test]
fn pairs_are_judged_as_by_todays_java() {
    judge(Version::V1_12);
}
