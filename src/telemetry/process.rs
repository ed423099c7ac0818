//! The process's own figures, under the names that Prometheus' dashboards know. From /proc; absent elsewhere.

use super::Registry;

/// Linux counts a process's time in hundredths of a second, whatever its timer's rate.
const TICKS_A_SECOND: f64 = 100.0;

pub(super) fn register(registry: &Registry) {
    let add = |name, help, read: fn() -> Option<f64>| {
        registry.at_scrape(name, help, &[], move |samples| {
            if let Some(value) = read() {
                samples.push(&[], value);
            }
        });
    };
    add("process_resident_memory_bytes", "Resident memory of the process.", resident_bytes);
    add("process_cpu_seconds_total", "User and system time of the process.", cpu_seconds);
    add("process_open_fds", "Open file descriptors.", open_fds);
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the program's name in parentheses, may hold spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_A_SECOND)
}

fn open_fds() -> Option<f64> {
    let count = u32::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()?;
    // The directory that was just read is one of them.
    Some(f64::from(count.saturating_sub(1)))
}
