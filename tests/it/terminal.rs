//! What the command line shows a person who waits for it: how far it has come, on a terminal and nowhere else.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::time::Instant;

use crate::broker::Settings;
use crate::cli::run;

/// How long a test waits for a line that is drawn five times a second.
const DRAWN_WITHIN: Duration = Duration::from_secs(30);
/// What takes the line that was there off the terminal.
const CLEARED: &str = "\r\x1b[K";

/// The two ends of a terminal: a person's, and the program's.
fn terminal() -> anyhow::Result<(File, File)> {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&person)?;
    unlockpt(&person)?;
    let name = ptsname(&person, Vec::new())?.into_string()?;
    let program = File::options().read(true).write(true).open(name)?;
    Ok((File::from(person), program))
}

/// What is shown until `enough`, or until nobody draws any more.
fn shown(person: &mut File, enough: impl Fn(&str) -> bool) -> String {
    let (mut all, mut some) = (Vec::new(), [0; 4096]);
    let ends = Instant::now() + 2 * DRAWN_WITHIN;
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if enough(&text) {
            return text;
        }
        let left = ends.saturating_duration_since(Instant::now()).try_into().expect("a minute");
        match poll(&mut [PollFd::new(person, PollFlags::IN)], Some(&left)) {
            Ok(1..) => {}
            _ => return text,
        }
        match person.read(&mut some) {
            Ok(read) if read > 0 => all.extend_from_slice(&some[..read]),
            // The program has closed its end.
            _ => return text,
        }
    }
}

/// Writes a line now and then, until told to stop or for as long as a test waits.
fn type_into(mut input: ChildStdin, stop: Arc<AtomicBool>) -> thread::JoinHandle<u64> {
    thread::spawn(move || {
        let began = Instant::now();
        let mut typed = 0;
        while !stop.load(Ordering::Relaxed) && began.elapsed() < DRAWN_WITHIN {
            if input.write_all(b"a line\n").is_err() {
                break;
            }
            typed += 1;
            thread::sleep(Duration::from_millis(50));
        }
        typed
    })
}

fn command(args: &[&str], broker: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(args).args(["--broker", broker]);
    command
}

#[test]
fn produce_and_consume_show_how_far_they_have_come() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let broker = Settings::directory(folder.path()).start()?;
    run(&["topic", "create", "typed", "-p", "1", "--broker", &broker.address], "")?;
    let typed = produces(&broker.address)?;
    consumes(&broker.address, &folder.path().join("read"), typed)
}

/// Gives how many lines it wrote.
fn produces(broker: &str) -> anyhow::Result<u64> {
    let (mut person, program) = terminal()?;
    let mut child = command(&["produce", "typed"], broker)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(program)
        .spawn()?;
    let stop = Arc::new(AtomicBool::new(false));
    let typing = type_into(child.stdin.take().context("no input")?, Arc::clone(&stop));
    let drawn = shown(&mut person, |text| text.matches(" records, ").count() >= 2);
    stop.store(true, Ordering::Relaxed);
    let rest = shown(&mut person, |_| false);
    ensure!(child.wait()?.success(), "{drawn:?} {rest:?}");
    let typed = typing.join().expect("it only writes");
    ensure!(drawn.matches(" records, ").count() >= 2, "what was shown is {drawn:?}");
    ensure!(drawn.starts_with(CLEARED) && drawn.contains("/s"), "{drawn:?}");
    // The line goes, and what it came to stays.
    let ends = format!("{CLEARED}{typed} records to typed; partition 0: 0-{}\r\n", typed - 1);
    ensure!(rest.ends_with(&ends), "{rest:?} does not end with {ends:?}");
    Ok(typed)
}

/// Reads what is there into a file, goes on to wait, and is interrupted.
fn consumes(broker: &str, file: &Path, lines: u64) -> anyhow::Result<()> {
    let (mut person, program) = terminal()?;
    let output = file.to_str().context("a path of text")?;
    let mut child = command(&["consume", "typed", "--output", output], broker)
        .stdin(Stdio::null())
        .stdout(program.try_clone()?)
        .stderr(program)
        .spawn()?;
    let all = format!("{CLEARED}{lines} records, ");
    let drawn = shown(&mut person, |text| text.contains(&all));
    ensure!(drawn.contains(&all), "what was shown is {drawn:?}");
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process")?;
    kill_process(pid, Signal::INT)?;
    let rest = shown(&mut person, |_| false);
    ensure!(child.wait()?.success(), "{rest:?}");
    ensure!(rest.contains(&all) && rest.ends_with("/s\r\n"), "{rest:?}");
    ensure!(std::fs::read_to_string(file)?.lines().count() as u64 == lines, "lines are missing");
    Ok(())
}
