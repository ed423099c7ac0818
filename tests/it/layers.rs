//! Where the settings of a process are said, what it starts from when nothing is, and what of them clients see.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    DescribeClusterRequest, IncrementalAlterConfigsRequest, MetadataRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::broker::Settings;
use crate::cli::run;
use crate::listeners::ask;

/// Kafka's number of this kind of resource.
const BROKER_LOGGER: i8 = 8;

/// What `serve --print-config` prints in this folder, with these flags and variables and no others.
fn printed(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(["serve", "--print-config"]).args(args).current_dir(folder);
    command.env_clear().envs(env.iter().copied()).stdin(Stdio::null());
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{args:?} {env:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The line of a setting: its value, and where it was said.
fn line<'a>(printed: &'a str, key: &str) -> anyhow::Result<&'a str> {
    let of = |line: &'a str| line.strip_prefix(key)?.strip_prefix(" = ");
    printed.lines().find_map(of).with_context(|| format!("no line of {key}:\n{printed}"))
}

#[test]
fn without_arguments_it_serves_this_machine_from_a_directory_below() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let printed = printed(folder.path(), &[], &[])?;
    for (key, value) in [
        ("listeners", "\"PLAINTEXT://localhost:9092\""),
        ("http.listen", "\"127.0.0.1:9644\""),
        ("schema.registry.listen", "\"127.0.0.1:8081\""),
        ("data.dir", "\"./thalweg-data\""),
        ("store.url", "\"\""),
        ("broker.id", "1"),
    ] {
        let line = line(&printed, key)?;
        ensure!(line == value, "{key} = {line}");
    }
    Ok(())
}

/// A key for each layer that is the strongest to say it, and for each way to name the file.
#[test]
fn a_file_is_over_the_defaults_the_environment_over_it_and_flags_over_all() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str, text: &str| -> anyhow::Result<String> {
        let path = folder.path().join(name);
        fs::write(&path, text)?;
        Ok(path.to_str().context("the path is text")?.to_owned())
    };
    let text = "broker.id = 7\nbroker.rack = \"seven\"\n\n[num]\npartitions = 2\n\n\
                [default.replication]\nfactor = 2\n";
    let file = path("thalweg.toml", text)?;
    let other = path("other.toml", "broker.id = 8\n")?;

    // The flag that names a file is over the variable.
    let env = [("THALWEG_CONFIG", other.as_str()), ("THALWEG_NUM_PARTITIONS", "3")];
    let both = printed(folder.path(), &["--config", &file, "--set", "num.partitions=4"], &env)?;
    ensure!(line(&both, "broker.id")? == format!("7  # from {file}:1"), "{both}");
    ensure!(line(&both, "num.partitions")? == "4  # from --set num.partitions", "{both}");
    let by_variable = printed(folder.path(), &[], &env)?;
    ensure!(line(&by_variable, "broker.id")? == format!("8  # from {other}:1"), "{by_variable}");
    let expected = "3  # from environment THALWEG_NUM_PARTITIONS";
    ensure!(line(&by_variable, "num.partitions")? == expected, "{by_variable}");

    // A process goes by them.
    let mut settings = Settings::directory(folder.path()).set("default.replication.factor", "4");
    let env = [
        ("THALWEG_CONFIG", file.as_str()),
        ("THALWEG_NUM_PARTITIONS", "3"),
        ("THALWEG_DEFAULT_REPLICATION_FACTOR", "3"),
    ];
    settings.env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let broker = settings.start()?;
    let topic = TopicName(StrBytes::from_static_str("seen"));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(topic))]))
        .with_allow_auto_topic_creation(true);
    let answer = ask(&broker.address, &request, 12)?;
    let brokers: Vec<_> = answer.brokers.iter().map(|one| (one.node_id.0, &one.rack)).collect();
    let rack = Some(StrBytes::from_static_str("seven"));
    ensure!(brokers == [(7, &rack)], "Metadata: {brokers:?}");
    let partitions = &answer.topics.first().context("no topic")?.partitions;
    let replicas: Vec<usize> = partitions.iter().map(|one| one.replica_nodes.len()).collect();
    ensure!(replicas == [4, 4, 4], "{partitions:?}");

    // Clients that are near to their data ask either.
    let cluster = ask(&broker.address, &DescribeClusterRequest::default(), 1)?;
    let brokers: Vec<_> = cluster.brokers.iter().map(|one| (one.broker_id.0, &one.rack)).collect();
    ensure!(brokers == [(7, &rack)], "DescribeCluster: {brokers:?}");
    Ok(())
}

#[test]
fn a_store_of_files_is_a_directory_that_outlives_the_process() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("objects");
    let mut settings = Settings::directory(folder.path());
    settings.store = Some(format!("file://{}", place.display()));
    let broker = settings.start()?;
    run(&["produce", "kept", "--broker", &broker.address], "one\ntwo\n")?;
    broker.kill()?;
    ensure!(place.is_dir(), "nothing is at {}", place.display());
    ensure!(!folder.path().join("data").exists(), "what lies in the store needs no data.dir");
    let broker = settings.start()?;
    let read = run(&["consume", "kept", "--until", "end", "--broker", &broker.address], "")?;
    ensure!(read == "one\ntwo\n", "{read:?}");
    ensure!(broker.terminate()?.success(), "it did not end well");
    Ok(())
}

#[test]
fn the_level_of_the_log_changes_while_the_process_runs() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = Settings::directory(folder.path());
    let broker = settings.start()?;
    let set = |level: &'static str| -> anyhow::Result<()> {
        let config = AlterableConfig::default()
            .with_name(StrBytes::from_static_str("root"))
            .with_value(Some(StrBytes::from_static_str(level)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(BROKER_LOGGER)
            .with_resource_name(StrBytes::from_static_str("1"))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer = ask(&broker.address, &request, 1)?;
        ensure!(answer.responses[0].error_code == 0, "{level}: {answer:?}");
        Ok(())
    };
    // Each connection ends with a line of that level.
    let details = || anyhow::Ok(fs::read_to_string(settings.log())?.matches("DEBUG").count());
    run(&["topic", "list", "--broker", &broker.address], "")?;
    ensure!(details()? == 0, "{}", settings.log_tail());
    set("DEBUG")?;
    for _ in 0..1000 {
        run(&["topic", "list", "--broker", &broker.address], "")?;
        if details()? > 0 {
            break;
        }
    }
    ensure!(details()? > 0, "no line of that level: {}", settings.log_tail());
    set("ERROR")?;
    ensure!(broker.terminate()?.success(), "it did not end well");
    let said = fs::read_to_string(settings.log())?;
    ensure!(!said.contains("stopping; a second signal"), "{said}");
    Ok(())
}

/// Whoever waits for the file takes its addresses for those of a broker that is there.
#[test]
fn a_ready_file_is_there_only_while_its_process_serves() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = Settings::directory(folder.path());
    let ready = folder.path().join("ready.json");
    let broker = settings.start()?;
    let (address, left) = (broker.address.clone(), fs::read(&ready)?);
    ensure!(broker.terminate()?.success() && !ready.exists(), "a stopped broker left it");

    // What a killed process left goes as the next one starts, even if that does not come up.
    fs::write(&ready, left)?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let listen = taken.local_addr()?.to_string();
    let start = |ready: &Path, listen: &str| -> anyhow::Result<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command.args(["serve", "--http", "127.0.0.1:0", "--registry", "none", "--listen", listen]);
        command.arg("--ready-file").arg(ready).arg("--data-dir").arg(folder.path().join("data"));
        let output = command.stdin(Stdio::null()).output()?;
        ensure!(!output.status.success(), "it started on {listen}");
        Ok(String::from_utf8(output.stderr)?)
    };
    let said = start(&ready, &listen)?;
    ensure!(said.contains(&listen), "{said}");
    ensure!(!ready.exists(), "it still tells of {address}");

    // What cannot be taken away would be believed.
    let said = start(folder.path(), "127.0.0.1:0")?;
    ensure!(said.contains("--ready-file"), "{said}");
    Ok(())
}
