//! The rules of layers, names and faults, and what every table must hold to.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::*;

fn inputs(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Inputs {
    let flags = flags.iter().map(|(name, text)| Setting {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
        source: Source::Flag(format!("--set {name}={text}")),
    });
    Inputs {
        file: Some((PathBuf::from("t.toml"), file.to_owned())),
        env: env.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        flags: flags.collect(),
    }
}

fn faults(inputs: &Inputs) -> Vec<String> {
    Config::load(inputs).err().unwrap_or_default().0.iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_are_valid_and_names_are_unique() {
    Config::with([]).expect("defaults have no faults");
    let mut names = BTreeSet::new();
    for key in keys() {
        let all = key.also.iter().map(|(name, _)| *name).chain([key.name]);
        for name in all {
            assert!(names.insert(name), "{name} is there twice");
            assert!(names.insert(env_name(name).leak()), "{name} shares its variable");
        }
        assert!(key.doc.ends_with('.'), "{}", key.name);
    }
}

#[test]
fn every_bound_fits_its_type() {
    for key in keys() {
        let (Kind::Int { min, max }
        | Kind::IntOrDefault { min, max }
        | Kind::Bytes { min, max }
        | Kind::Millis { min, max }) = key.kind
        else {
            continue;
        };
        for bound in [min, max] {
            // Only what goes with other settings may be refused here.
            let _ = Config::with([(key.name, bound.to_string().as_str())]);
        }
        for beyond in [min.checked_sub(1), max.checked_add(1)].into_iter().flatten() {
            let text = beyond.to_string();
            // -1 is read as no limit only where it is allowed.
            assert!(Config::with([(key.name, text.as_str())]).is_err(), "{} = {text}", key.name);
        }
    }
}

/// What the coordinator refuses to make is refused at the start: a topic that no request creates is worse.
#[test]
fn topics_can_be_created_as_they_are_set() {
    for key in keys() {
        let greatest = match key.name {
            name if name.ends_with("num.partitions") => i64::from(PARTITIONS_MAX),
            name if name.ends_with("replication.factor") => i64::from(FACTOR_MAX),
            _ => continue,
        };
        assert!(matches!(key.kind, Kind::Int { max, .. } if max == greatest), "{}", key.name);
    }
}

#[test]
fn later_layers_win_and_sources_are_kept() {
    let file = "num.partitions = 2\n\n[wal]\nflush.ms = \"5ms\"\n";
    let env = [("THALWEG_NUM_PARTITIONS", "3"), ("HOME", "/root")];
    let config = Config::load(&inputs(file, &env, &[("num.partitions", "4")])).expect("valid");
    assert_eq!(config.topic.num_partitions, 4);
    assert_eq!(config.wal.flush, Duration::from_millis(5));
    let source = |name| config.entry(name).expect("a key").source.to_string();
    assert_eq!(source("num.partitions"), "--set num.partitions=4");
    assert_eq!(source("wal.flush.ms"), "t.toml:4");
    assert_eq!(source("broker.id"), "default");
    let config = Config::load(&inputs(file, &env, &[])).expect("valid");
    assert_eq!(config.topic.num_partitions, 3);
}

#[test]
fn kafkas_names_and_units_work() {
    let config = Config::with([
        ("node.id", "7"),
        ("log.retention.hours", "2"),
        ("message.max.bytes", "2MiB"),
        ("log.retention.bytes", "-1"),
        ("log.cleanup.policy", "compact, delete"),
    ])
    .expect("valid");
    assert_eq!(config.node.broker_id.0, 7);
    assert_eq!(config.topic.retention, Some(Duration::from_secs(7200)));
    assert_eq!(config.topic.message_max_bytes.0, 2 << 20);
    assert_eq!(config.topic.retention_bytes, None);
    assert_eq!(config.topic.cleanup_policy, ["compact", "delete"]);
    assert_eq!(Config::with([("log.retention.hours", "-1")]).expect("valid").topic.retention, None);
    let by_topic = config.topic_default("retention.ms").expect("a default");
    assert_eq!(by_topic.value.to_string(), "7200000");
}

#[test]
fn only_what_kubernetes_says_of_a_service_is_skipped() {
    let unknown = |env: &[(&str, &str)]| {
        let faults = faults(&inputs("", env, &[]));
        assert!(faults.iter().all(|fault| fault.contains("is not a setting")), "{faults:?}");
        faults.len()
    };
    let of = |service: &str, host: &str| {
        [
            ("SERVICE_HOST", host.to_owned()),
            ("SERVICE_PORT", "9092".to_owned()),
            ("SERVICE_PORT_KAFKA", "9092".to_owned()),
            ("PORT", format!("tcp://{host}:9092")),
            ("PORT_9092_TCP", format!("tcp://{host}:9092")),
            ("PORT_9092_TCP_PROTO", "tcp".to_owned()),
            ("PORT_9092_TCP_PORT", "9092".to_owned()),
            ("PORT_9092_TCP_ADDR", host.to_owned()),
        ]
        .map(|(name, value)| (format!("{service}_{name}"), value))
    };
    for service in ["THALWEG", "THALWEG_HTTP", "THALWEG_NUM_PARTITIONS"] {
        let all = of(service, "10.0.0.1");
        let all = all.each_ref().map(|(name, value)| (name.as_str(), value.as_str()));
        assert_eq!(unknown(&all), 0, "{service}");
        // Without the Service's host they are nobody's.
        assert_eq!(unknown(&all[1..]), 7, "{service}");
        for at in 1..all.len() {
            let mut changed = all;
            changed[at].1 = "9644x";
            assert_eq!(unknown(&changed), 1, "{changed:?}");
        }
    }
    for (name, value) in [
        ("THALWEG_HTTP_PORT", "9644"),
        ("THALWEG_PORT", "9092"),
        ("THALWEG_PORT", "tcp://10.0.0.1:9092"),
        ("THALWEG_CACHE", "/cache"),
        ("THALWEG_BIN", "/usr/bin/thalweg"),
        ("THALWEG_KAFKA_JARS", "/jars"),
        ("THALWEG_REFRESH_FROM", "/jars"),
    ] {
        assert_eq!(unknown(&[(name, value)]), 1, "{name}={value}");
    }
}

#[test]
fn all_faults_come_at_once_with_their_places() {
    let file = "num.partitons = 1\nbroker.id = \"x\"\n";
    let env = [
        ("THALWEG_WAL_SLOT_BYTES", "9MiB"),
        ("THALWEG_BROKR_ID", "1"),
        // Kubernetes puts these there for a Service called thalweg.
        ("THALWEG_PORT_9092_TCP_ADDR", "10.0.0.1"),
        ("THALWEG_SERVICE_HOST", "10.0.0.1"),
        ("THALWEG_SERVICE_PORT_KAFKA", "9092"),
        ("THALWEG_TEST_CACHE", "/cache"),
    ];
    let flags = [("log.dirs", "/d"), ("store.url", "ftp://x"), ("log.retention.ms", "soon")];
    let expected = [
        "t.toml:1: `num.partitons = 1` is not a setting; did you mean `num.partitions`?",
        "t.toml:2: `broker.id = x` is not a whole number",
        "environment THALWEG_BROKR_ID: `THALWEG_BROKR_ID = 1` is not a setting; did you mean `broker.id`?",
        "environment THALWEG_WAL_SLOT_BYTES: `wal.slot.bytes = 9MiB` is above the greatest allowed, 8388608",
        "--set log.dirs=/d: `log.dirs = /d` is not a setting; records lie in one place: say `data.dir` or `store.url`",
        "--set log.retention.ms=soon: `log.retention.ms = soon` is not a time such as 250, 250ms, 90s, 15m, 12h or 7d",
        "--set store.url=ftp://x: `store.url = ftp://x` is not a place: it starts with s3://, gs://, az://, file:// or memory://",
    ];
    assert_eq!(faults(&inputs(file, &env, &flags)), expected);
}

#[test]
fn a_file_that_is_not_toml_says_the_line() {
    let faults = faults(&inputs("num.partitions = 2\nbroker.id = = 1\n", &[], &[]));
    assert!(faults[0].starts_with("t.toml:2: `broker.id = = 1` is not TOML: "), "{faults:?}");
}

#[test]
fn one_layer_must_not_contradict_itself() {
    let file = "broker.id = 1\nnode.id = 2\n";
    let expected = ["t.toml:2: `node.id = 2` contradicts broker.id (t.toml:1)"];
    assert_eq!(faults(&inputs(file, &[], &[])), expected);
    assert_eq!(faults(&inputs("broker.id = 1\nnode.id = 1\n", &[], &[])), [""; 0]);
}

#[test]
fn a_directory_bucket_is_known_by_its_name() {
    let url = ("store.url", "s3://b--use1-az4--x-s3/p");
    let endpoint = ("store.endpoint", "http://localhost:9000");
    for (settings, express) in [
        (vec![url], true),
        (vec![url, ("store.express", "false")], false),
        (vec![url, endpoint], false),
        (vec![("store.url", "s3://b/p--x-s3")], false),
        (vec![("store.url", "gs://b--x-s3")], false),
        (vec![("store.url", "s3://b"), ("store.express", "true")], true),
    ] {
        let config = Config::with(settings.iter().copied()).expect("it has no faults");
        assert_eq!(config.store.express, express, "{settings:?}");
    }
    let said = faults(&inputs("", &[], &[url, endpoint, ("store.express", "true")]));
    assert!(said.len() == 1 && said[0].contains("leave store.endpoint empty"), "{said:?}");
}

#[test]
fn other_machines_reach_a_listener_only_when_it_was_meant() {
    let check = |settings: &[(&str, &str)], expected: &[&str]| {
        let faults = Config::with(settings.iter().copied()).err().unwrap_or_default();
        let what: Vec<String> = faults.0.iter().map(|fault| fault.what.clone()).collect();
        assert_eq!(what.len(), expected.len(), "{settings:?}: {what:?}");
        for (what, expected) in what.iter().zip(expected) {
            assert!(what.contains(expected), "{settings:?}: {what}");
        }
    };
    check(&[("listeners", "[::1]:0,B://127.0.0.9:0,C://localhost:0")], &[]);
    check(&[("listeners", "10.1.2.3:9092")], &["opens 10.1.2.3:9092"]);
    check(&[("http.listen", "0.0.0.0:9644")], &["opens 0.0.0.0:9644"]);
    check(&[("schema.registry.listen", "0.0.0.0:8081")], &["opens 0.0.0.0:8081"]);
    check(&[("schema.registry.listen", "none")], &[]);
    check(&[("schema.registry.listen", "nowhere")], &["not host:port"]);
    check(&[("listeners", "10.1.2.3:9092"), ("insecure", "true")], &[]);
    let every = ("listeners", "0.0.0.0:9092");
    check(&[every, ("insecure", "true")], &["no address to connect to"]);
    check(&[every, ("insecure", "true"), ("advertised.listeners", "kafka.example:9092")], &[]);
    check(&[("advertised.listeners", "X://localhost:1")], &["names X"]);
    check(&[("listeners", "A://localhost:1,A://localhost:1")], &["two listeners", "twice"]);
    check(&[("listeners", "")], &["names no listener"]);
    check(&[("listener.security.protocol.map", "A:SSL")], &["only PLAINTEXT"]);
    check(&[("listeners", "SSL://localhost:1")], &["asks for the protocol SSL"]);
    let said = ("listener.security.protocol.map", "sasl_ssl:PLAINTEXT");
    check(&[("listeners", "SASL_SSL://localhost:1"), said], &[]);
    check(&[("listeners", "localhost")], &["not host:port"]);
    check(&[("listeners", "::1:9092")], &["not host:port"]);
}

#[test]
fn advertised_listeners_go_by_name() {
    let config = Config::with([
        ("listeners", "INSIDE://localhost:9092,OUTSIDE://localhost:9093"),
        ("advertised.listeners", "outside://kafka.example:443"),
    ])
    .expect("valid");
    let told: Vec<String> =
        config.server.advertised_listeners.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["INSIDE://localhost:9092", "OUTSIDE://kafka.example:443"]);
}

#[test]
fn what_is_printed_says_the_same_again() {
    let said = [("num.partitions", "4"), ("broker.rack", "a\"b"), ("log.level", "debug")];
    let config = Config::with(said).expect("valid");
    let printed = config.print();
    let again = Config::load(&inputs(&printed, &[], &[])).expect("what is printed is valid");
    for (one, other) in config.entries().iter().zip(again.entries()) {
        assert_eq!(one.value, other.value, "{}", one.key.name);
    }
    assert!(printed.contains("num.partitions = 4  # from --set num.partitions=4"));
}

#[test]
fn the_reference_page_is_up_to_date() {
    let page = include_str!("../../docs/configuration.md");
    assert!(page == reference(), "run `thalweg config reference > docs/configuration.md`");
}
