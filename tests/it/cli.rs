//! The program's command line, as a person or a script uses it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::broker::Settings;
use crate::kafka::Kafka;
use crate::kafka_tools;
use crate::ports::free_port;

/// Runs the program with `args` and `input`; gives what it printed if it succeeded, else an error with what it said.
pub(crate) fn run(args: &[&str], input: &str) -> anyhow::Result<String> {
    let output = output(args, input)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{args:?}: {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

pub(crate) fn output(args: &[&str], input: &str) -> anyhow::Result<Output> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // What does not read its input may be gone before all of it is written.
    let _ = child.stdin.take().context("no input")?.write_all(input.as_bytes());
    Ok(child.wait_with_output()?)
}

fn refusal(args: &[&str]) -> anyhow::Result<String> {
    let output = output(args, "")?;
    ensure!(!output.status.success(), "{args:?} succeeded");
    Ok(String::from_utf8(output.stderr)?)
}

fn lines(text: &str) -> anyhow::Result<Vec<Value>> {
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

#[test]
fn a_record_goes_round() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Settings::directory(folder.path()).start()?;
    let with = |args: &[&str], input: &str| {
        let target = ["--broker", broker.address.as_str()];
        run(&[args, &target].concat(), input)
    };
    let made = with(&["topic", "create", "orders", "-p", "2", "-c", "retention.ms=60000"], "")?;
    ensure!(made == "created orders with 2 partitions\n", "{made}");
    with(&["topic", "create", "orders", "--if-not-exists"], "")?;

    let input = "ada:one\nbo:\nada:three\n";
    let produce = ["produce", "orders", "-K", ":", "-Z", "-H", "by=test", "-z", "lz4", "--json"];
    let written: Value = serde_json::from_str(&with(&produce, input)?)?;
    ensure!(written["records"] == 3, "{written}");
    let read = lines(&with(&["consume", "orders", "--until", "end", "--json"], "")?)?;
    let values: Vec<&Value> = read.iter().map(|record| &record["value"]).collect();
    ensure!(values.len() == 3 && values.contains(&&Value::Null), "{read:?}");
    ensure!(read[0]["headers"] == json!([{"name": "by", "value": "test"}]), "{read:?}");
    let last = with(&["consume", "orders", "--from", "-1", "--until", "end", "-k"], "")?;
    ensure!(last.lines().any(|line| line == "ada\tthree"), "{last}");

    with(&["topic", "alter", "orders", "-p", "3", "--unset", "retention.ms"], "")?;
    let shown: Value =
        serde_json::from_str(&with(&["topic", "describe", "orders", "--json"], "")?)?;
    ensure!(shown["partitions"].as_array().map(Vec::len) == Some(3), "{shown}");
    ensure!(shown["configs"] == json!([]), "{shown}");
    let listed = with(&["topic", "list"], "")?;
    ensure!(listed.lines().nth(1).is_some_and(|line| line.starts_with("orders")), "{listed}");
    let missing = ["consume", "nowhere", "--broker", &broker.address];
    ensure!(refusal(&missing)?.contains("UNKNOWN_TOPIC_OR_PARTITION"), "no such topic");
    with(&["topic", "delete", "orders"], "")?;
    let left = with(&["topic", "list", "--json"], "")?;
    ensure!(left.trim() == "[]", "{left}");
    Ok(())
}

#[test]
fn records_come_from_where_the_flags_say_and_go_where_they_say() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Settings::directory(folder.path()).start()?;
    records_go_where_the_flags_say(&broker.address)
}

/// The commands speak Kafka's protocol and nothing else: they work with Apache Kafka as well.
#[test]
fn records_of_apache_kafka_come_from_where_the_flags_say() -> anyhow::Result<()> {
    let Some(jars) = kafka_tools::jars() else { return Ok(()) };
    let kafka = Kafka::start(&jars, &[])?;
    let address = kafka.address.to_string();
    records_go_where_the_flags_say(&address)?;
    let with = |args: &[&str]| run(&[args, &["--broker", &address]].concat(), "");
    with(&["topic", "create", "altered", "-p", "1", "-c", "retention.ms=60000"])?;
    with(&["topic", "alter", "altered", "-p", "2", "-c", "retention.ms=70000"])?;
    let described: Value =
        serde_json::from_str(&with(&["topic", "describe", "altered", "--json"])?)?;
    ensure!(described["partitions"].as_array().map(Vec::len) == Some(2), "{described}");
    ensure!(described.to_string().contains("70000"), "{described}");
    let listed = with(&["topic", "list"])?;
    ensure!(listed.contains("altered"), "{listed}");
    Ok(())
}

fn records_go_where_the_flags_say(address: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let with = |args: &[&str], input: &str| run(&[args, &["--broker", address]].concat(), input);
    let (topic, copy) = (&format!("flags-{}", process::id()), &format!("copy-{}", process::id()));
    for name in [topic, copy] {
        with(&["topic", "create", name, "-p", "3", "-c", "retention.ms=-1"], "")?;
    }
    let file = |name: &str, text: &str| -> anyhow::Result<String> {
        let path = folder.path().join(name);
        fs::write(&path, text)?;
        Ok(path.to_str().context("the path is text")?.to_owned())
    };
    // Whole files of several lines, with one key and one time, in one partition.
    let (one, two) = (file("one", "1\n2")?, file("two", "")?);
    let whole = ["-f", "files", "-p", "1", "-k", "key", "-t", "2026-11-23T06:00:00Z", "-H", "a=b"];
    with(&[&["produce", topic, &one, &two][..], &whole].concat(), "")?;
    // Lines of a file and of standard input, two days later, in another.
    let lines = file("lines", "x\ny\n")?;
    let later = ["-p", "2", "-t", "2026-11-25T06:00:00Z", "--acks", "1", "-z", "zstd"];
    with(&[&["produce", topic, &lines, "-"][..], &later].concat(), "z\n")?;

    let consume = |args: &[&str]| with(&[&["consume", topic][..], args].concat(), "");
    let shown = consume(&["-p", "1", "--until", "end", "-t", "-o", "-H", "-k"])?;
    let head = "2026-11-23T06:00:00.000Z\t1:";
    ensure!(shown == format!("{head}0\ta=b\tkey\t1\n2\n{head}1\ta=b\tkey\t\n"), "{shown:?}");
    let from_time = ["--from", "@2026-11-24T00:00:00Z", "--until", "end"];
    ensure!(consume(&from_time)? == "x\ny\nz\n", "what was written on the 25th");
    let until_time = ["--until", "@2026-11-24T00:00:00Z", "-o", "-p", "1,2"];
    ensure!(consume(&until_time)?.lines().count() == 3, "what was written on the 23rd");
    let middle = ["-p", "2", "--from", "1", "--until", "2"];
    ensure!(consume(&middle)? == "y\n", "from one offset to before another");
    let some = ["-p", "2", "-n", "2", "--output", &file("output", "")?];
    ensure!(consume(&some)?.is_empty(), "what goes to a file is not printed");
    ensure!(
        fs::read_to_string(folder.path().join("output"))? == "x\ny\n",
        "a file with two records"
    );
    let past = [&["consume", topic][..], &["-p", "2", "--from", "9"], &["--broker", address]];
    ensure!(refusal(&past.concat())?.contains("past its end, 3"), "there is no offset 9");

    // What is printed as JSON is read as JSON, each record with its partition.
    let objects = consume(&["--until", "end", "--json"])?;
    with(&["produce", copy, "--format", "json"], &objects)?;
    let copied = with(&["consume", copy, "--until", "end", "--json"], "")?;
    let sorted = |text: &str| -> anyhow::Result<Vec<String>> {
        let mut all: Vec<String> = text.lines().map(|line| line.replace(copy, topic)).collect();
        all.sort();
        ensure!(all.len() == 5, "{text}");
        Ok(all)
    };
    ensure!(sorted(&objects)? == sorted(&copied)?, "{objects}{copied}");
    for name in [topic, copy] {
        with(&["topic", "delete", name], "")?;
    }
    Ok(())
}

/// The broker is killed between two halves of the input; whatever was under way then is sent again.
#[test]
fn produce_keeps_order_and_writes_each_record_once_over_a_restart() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut settings = Settings::directory(folder.path());
    settings.listen = format!("127.0.0.1:{}", free_port()?);
    let broker = settings.start()?;
    let target = ["--broker", settings.listen.as_str()];
    run(&[&["topic", "create", "ordered", "-p", "1"][..], &target].concat(), "")?;
    let args = ["produce", "ordered", "--batch-bytes", "2000", "--json"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .args(args)
        .args(target)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    let half = |from: u32| -> String { (from..from + 30_000).map(|n| format!("{n}\n")).collect() };
    input.write_all(half(0).as_bytes())?;
    broker.kill()?;
    // While nobody takes records the program stops reading: the rest has to come from another thread.
    let rest = half(30_000);
    let writing = std::thread::spawn(move || input.write_all(rest.as_bytes()));
    let _broker = settings.start()?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    writing.join().expect("the writer only writes")?;
    let read = run(&[&["consume", "ordered", "--until", "end"][..], &target].concat(), "")?;
    let expected = half(0) + &half(30_000);
    ensure!(read.len() == expected.len(), "{} bytes of {}", read.len(), expected.len());
    ensure!(read == expected, "the records are not in their order");
    Ok(())
}

#[test]
fn a_record_that_is_refused_is_named_with_its_reason() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Settings::directory(folder.path()).set("message.max.bytes", "1000").start()?;
    let large = "x".repeat(5000);
    let output = output(&["produce", "limited", "--broker", &broker.address], &large)?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(!output.status.success(), "5000 bytes were taken");
    ensure!(said.contains("limited") && said.contains("partition 0"), "{said}");
    ensure!(said.contains("MESSAGE_TOO_LARGE"), "{said}");
    Ok(())
}

#[test]
fn inspectors_look_beside_a_running_broker() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Settings::directory(folder.path()).start()?;
    run(&["produce", "seen", "--broker", &broker.address], "a record\n")?;
    let data = folder.path().join("data");
    let place = ["--data-dir", data.to_str().context("the path is text")?, "--json"];
    let ask = |args: &[&str]| -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&run(&[args, &place].concat(), "")?)?)
    };
    let chains = ask(&["slot", "list"])?;
    let chain = chains[0]["chain"].to_string();
    let before = slots(&data)?;
    let listed = ask(&["slot", "list", &chain])?;
    let slot = listed[0]["slot"].to_string();
    let shown = ask(&["slot", "show", &chain, &slot, "--batches"])?;
    ensure!(shown["runs"][0]["end_offset"] == 1, "{shown}");
    let manifest = ask(&["manifest", "show"])?;
    ensure!(manifest["topics"][0]["topic"] == "seen", "{manifest}");
    ask(&["manifest", "topic", "seen", "--runs"])?;
    ensure!(slots(&data)? == before, "an inspector wrote");
    // Looked at, the broker is not fenced: what changes the manifest still works.
    run(&["topic", "create", "unfenced", "--broker", &broker.address], "")?;
    run(&["produce", "unfenced", "--broker", &broker.address], "another\n")?;
    Ok(())
}

/// Every slot below `folder`, by path.
fn slots(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.retain(|path| path.components().any(|part| part.as_os_str() == "w"));
    found.sort();
    Ok(found)
}

/// Also where it asks for the first one's addresses, as `serve` with no arguments does. 5 s: it waits for the directory.
#[test]
fn a_second_process_names_the_first() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Settings::directory(folder.path()).start()?;
    let ready: Value = serde_json::from_slice(&fs::read(folder.path().join("ready.json"))?)?;
    let data = folder.path().join("data");
    let data = data.to_str().context("the path is text")?;
    let http = ready["http"].as_str().context("no HTTP address")?;
    let serve = ["serve", "--data-dir", data, "--listen", &broker.address, "--http", http];
    let said = refusal(&[&serve[..], &["--registry", "none"]].concat())?;
    ensure!(said.contains(data) && said.contains(&ready["pid"].to_string()), "{said}");
    Ok(())
}

#[test]
fn a_place_that_cannot_be_used_is_named_with_what_to_do() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (file, missing, empty) = (path("file"), path("missing"), path("empty"));
    fs::write(&file, "")?;
    fs::create_dir(&empty)?;
    let said = refusal(&["serve", "--listen", "localhost:0", "--data-dir", &file])?;
    ensure!(said.contains(&file) && said.contains("name another with --data-dir"), "{said}");
    for inspector in [&["slot", "list"][..], &["manifest", "show"]] {
        let said = refusal(&[inspector, &["--data-dir", &missing]].concat())?;
        ensure!(said.contains(&missing) && said.contains("--data-dir"), "{said}");
    }
    ensure!(!Path::new(&missing).exists(), "an inspector made {missing}");
    let said = refusal(&["manifest", "show", "--data-dir", &empty, "--set", "cluster.id=mine"])?;
    ensure!(said.contains("no cluster mine is here"), "{said}");
    Ok(())
}

#[test]
fn every_fault_of_the_settings_is_said_at_once() -> anyhow::Result<()> {
    let said = refusal(&["serve", "--listen", "10.0.0.1:0", "--set", "num.partitons=1"])?;
    ensure!(said.contains("has 2 faults"), "{said}");
    ensure!(said.contains("--insecure") && said.contains("`num.partitions`"), "{said}");
    let printed = run(&["serve", "--print-config", "--set", "num.partitions=3"], "")?;
    ensure!(printed.contains("num.partitions = 3  # from --set num.partitions"), "{printed}");
    Ok(())
}

/// The subcommands that `--help` lists.
fn subcommands() -> anyhow::Result<Vec<String>> {
    let help = run(&["--help"], "")?;
    let (_, listed) = help.split_once("Commands:\n").context("no commands")?;
    let listed = listed.lines().take_while(|line| !line.is_empty());
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    // What goes on in the next line is indented further.
    Ok(listed.filter(|line| !line.starts_with("   ")).filter_map(first).collect())
}

#[test]
fn shells_complete_every_subcommand() -> anyhow::Result<()> {
    let subcommands = subcommands()?;
    ensure!(subcommands.len() > 10, "{subcommands:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell], "")?;
        for name in &subcommands {
            let is_named = script.split(|c: char| !c.is_alphanumeric()).any(|word| word == name);
            ensure!(is_named, "{shell} does not complete {name}");
        }
    }
    Ok(())
}

#[test]
fn bash_takes_its_script_and_completes_by_it() -> anyhow::Result<()> {
    let script = run(&["completions", "bash"], "")?;
    // What stands before the cursor, and the word that is begun there.
    for (words, offered) in
        [("thalweg con", "consume\nconfig\n"), ("thalweg topic desc", "describe\n")]
    {
        let (before, begun) = words.rsplit_once(' ').context("several words")?;
        let last = before.rsplit(' ').next().unwrap_or_default();
        let asked = format!(
            "{script}\nCOMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             _thalweg thalweg {begun} {last}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        );
        let file = tempfile::NamedTempFile::new()?;
        fs::write(&file, asked)?;
        for flags in [&["-n"][..], &[]] {
            let output = Command::new("bash").args(flags).arg(file.path()).output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success() && said.is_empty(), "bash {flags:?}: {said}");
            let printed = String::from_utf8(output.stdout)?;
            let expected = if flags.is_empty() { offered } else { "" };
            ensure!(printed == expected, "`{words}` offers {printed:?}");
        }
    }
    Ok(())
}

#[test]
fn the_demo_tells_its_story() -> anyhow::Result<()> {
    let told = run(&["demo", "--fast", "--orders", "20"], "")?;
    ensure!(told.matches("-> proves: ").count() == 6 && told.contains("The end."), "{told}");
    Ok(())
}
