//! Child processes that never outlive the harness.
//!
//! Three nets: each guard kills on drop (also while unwinding), a signal handler kills all, and the kernel kills a
//! child whose parent is gone (`setpriv --pdeathsig`), which covers even `kill -9` of the harness.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use nix::{
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{Signal, kill},
    },
    unistd::Pid,
};

/// How long an interrupted program may take to write its result.
const INTERRUPT_TIME_MAX: Duration = Duration::from_secs(60);

static RUNNING: Mutex<BTreeMap<u32, String>> = Mutex::new(BTreeMap::new());
static SCRATCH: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A child that is killed when the guard is dropped.
#[derive(Debug)]
pub struct Process {
    child: std::process::Child,
    log: PathBuf,
}

/// A program, its arguments and its environment.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables set on top of the harness's own.
    pub environment: Vec<(String, String)>,
}

impl Program {
    /// A program without arguments.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// Adds arguments.
    pub fn arguments<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.path).args(&self.arguments);
        // A variable of that prefix is a setting to Thalweg; what the harness itself is told this way is none of it.
        let told = std::env::vars_os().map(|(name, _)| name);
        for name in told.filter(|name| name.to_string_lossy().starts_with("THALWEG_")) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Starts it, its output going to a log file. Call from the main thread: the kernel's net is tied to the thread
    /// that starts the child.
    pub fn start(&self, log: &Path) -> anyhow::Result<Process> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("could not write {}", log.display()))?;
        let child =
            self.command().stdout(file.try_clone()?).stderr(file).spawn().with_context(|| {
                format!("could not start {} (through setpriv of util-linux)", self.path.display())
            })?;
        let name = self.path.display().to_string();
        RUNNING.lock().expect("no holder panics").insert(child.id(), name);
        Ok(Process { child, log: log.to_owned() })
    }

    /// Runs it to its end and gives back what it printed; a failure carries its last lines.
    pub fn output(&self) -> anyhow::Result<String> {
        let output = self
            .command()
            .output()
            .with_context(|| format!("could not start {}", self.path.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let fault = String::from_utf8_lossy(&output.stderr);
            bail!(
                "{} failed ({}): {}{}",
                self.path.display(),
                output.status,
                last_lines(&text),
                last_lines(&fault)
            );
        }
        Ok(text)
    }
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error with the end of its log if it has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            bail!("process {} ended ({status}); its last words:\n{}", self.pid(), last_lines(&log));
        }
        Ok(())
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) {
        self.end();
    }

    /// Ctrl-C, for a program that writes its result then; waits until it is gone.
    pub fn interrupt(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.pid())?), Signal::SIGINT)?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(began.elapsed() < INTERRUPT_TIME_MAX, "process {} does not end", self.pid());
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn end(&mut self) {
        // Already gone is fine: the wait below reaps it either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
        RUNNING.lock().expect("no holder panics").remove(&self.child.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// A directory for everything that a run writes; removed at its end, also by a signal.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes one below `parent`.
    pub fn new(parent: &Path, keep: bool) -> anyhow::Result<Self> {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("could not make {}", parent.display()))?;
        let path = tempfile::Builder::new().prefix("compare-").tempdir_in(parent)?.keep();
        if !keep {
            *SCRATCH.lock().expect("no holder panics") = Some(path.clone());
        }
        Ok(Self { path, keep })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new, empty directory in it.
    pub fn directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        Ok(tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(&self.path)?.keep())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// As many open files as the system allows, for rows of thousands of connections: children inherit it.
pub fn raise_file_limit() -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
        .context("could not raise the limit of open files")
}

/// Ends every child and the run on Ctrl-C and SIGTERM.
pub fn watch_signals() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        let running = RUNNING.lock().expect("no holder panics").clone();
        for (pid, name) in &running {
            eprintln!("ending {name} ({pid})");
            if let Ok(pid) = i32::try_from(*pid) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        if let Some(path) = SCRATCH.lock().expect("no holder panics").take() {
            let _ = std::fs::remove_dir_all(path);
        }
        std::process::exit(130);
    })
    .context("could not catch signals")
}
