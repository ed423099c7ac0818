//! The brokers that the script is sent to: ours as a process, or Apache Kafka from its jars.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;

/// What Kafka prints and stores never exceeds this in the script.
const KAFKA_HEAP: &str = "-Xmx512m";
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A running broker; it ends with this value.
#[derive(Debug)]
pub struct Broker {
    pub address: SocketAddr,
    /// What record timestamps count from: an hour before the start.
    pub base_ms: i64,
    /// Of its coordinators: how often it was started before.
    pub first_epoch: i32,
    kafka: bool,
    child: Child,
    _dir: TempDir,
}

impl Broker {
    /// Our broker on a memory store, with settings of its own.
    pub fn thalweg(settings: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self::started(dir, &["--store", "memory://"], settings, 0)
    }

    /// Our broker in its second life, on the data directory that `fill` wrote in its first.
    pub fn thalweg_on(settings: &[&str], fill: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fill(&dir.path().join("data"));
        Self::started(dir, &[], settings, 1)
    }

    fn started(dir: TempDir, store: &[&str], settings: &[&str], first_epoch: i32) -> Self {
        let ready = dir.path().join("ready.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        command.args(["--registry", "none"]).args(store);
        command.arg("--ready-file").arg(&ready).arg("--data-dir").arg(dir.path().join("data"));
        for setting in ["broker.id=1"].iter().chain(settings) {
            command.args(["--set", setting]);
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the program starts");
        let address = wait_for(&mut child, || address_in(&ready));
        Self { address, base_ms: an_hour_ago(), first_epoch, kafka: false, child, _dir: dir }
    }

    /// Apache Kafka, combined mode, on free ports.
    pub fn kafka(jars: &Path, settings: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let [port, controller] = free_ports();
        let properties = dir.path().join("server.properties");
        std::fs::write(
            &properties,
            kafka_properties(dir.path(), port, controller) + &settings.join("\n"),
        )
        .expect("a writable folder");
        let log = std::fs::File::create(dir.path().join("kafka.log")).expect("a writable folder");
        let classes = format!("{}/*", jars.display());
        let formatted = java(&classes)
            .args(["kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c"])
            .arg(&properties)
            .stdout(Stdio::null())
            .status()
            .expect("java is installed");
        assert!(formatted.success(), "Kafka could not format its folder");
        let mut child = java(&classes)
            .args(["-Xms512m", KAFKA_HEAP, "kafka.Kafka"])
            .arg(&properties)
            .stdout(log)
            .spawn()
            .expect("java is installed");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        wait_for(&mut child, || TcpStream::connect(address).ok().map(|_| ()));
        Self { address, base_ms: an_hour_ago(), first_epoch: 0, kafka: true, child, _dir: dir }
    }

    pub fn is_kafka(&self) -> bool {
        self.kafka
    }

    /// The broker's process, for a look at its memory.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn java(classes: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-cp", classes]).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn kafka_properties(dir: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
         log.dirs={}/data\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=1\n\
         share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n\
         share.coordinator.state.topic.num.partitions=1\n",
        dir.display()
    )
}

fn free_ports() -> [u16; 2] {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut ports = (19_310..19_399).filter(free);
    [(); 2].map(|()| ports.next().expect("two free ports"))
}

fn wait_for<T>(child: &mut Child, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < START_PATIENCE {
        if let Some(found) = look() {
            return found;
        }
        let ended = child.try_wait().expect("our own child");
        assert!(ended.is_none(), "the broker ended at its start: {ended:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the broker was not ready after {START_PATIENCE:?}");
}

fn address_in(ready: &PathBuf) -> Option<SocketAddr> {
    let text = std::fs::read_to_string(ready).ok()?;
    let bound: serde_json::Value = serde_json::from_str(&text).ok()?;
    first_address(&bound)
}

/// The first `host:port` in the file: the Kafka listener.
fn first_address(value: &serde_json::Value) -> Option<SocketAddr> {
    match value {
        serde_json::Value::String(text) => text.rsplit("//").next()?.parse().ok(),
        serde_json::Value::Array(items) => items.iter().find_map(first_address),
        serde_json::Value::Object(fields) => {
            let kafka = fields.iter().filter(|(name, _)| !name.contains("http"));
            kafka.map(|(_, value)| value).find_map(first_address)
        }
        _ => None,
    }
}

fn an_hour_ago() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_millis()).expect("64 bits hold milliseconds") - 3_600_000
}
