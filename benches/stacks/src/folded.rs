//! Equal stacks counted together.

use std::collections::{BTreeMap, BTreeSet};

use crate::{script::Sample, symbols::Symbols};

/// Stacks, outermost frame first, with the number of their samples.
#[derive(Debug, Default)]
pub struct Folded {
    stacks: BTreeMap<Vec<String>, u64>,
}

/// Samples of one function.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// In which it was innermost.
    pub own: u64,
    /// In which it was anywhere.
    pub all: u64,
}

impl Folded {
    /// Adds a sample.
    pub fn add(&mut self, sample: &Sample, symbols: &Symbols) {
        let mut stack = Vec::with_capacity(sample.frames.len() + 1);
        for (depth, frame) in sample.frames.iter().enumerate() {
            stack.extend(symbols.names(frame, depth > 0));
        }
        stack.push(sample.thread.clone());
        stack.reverse();
        *self.stacks.entry(stack).or_default() += 1;
    }

    /// All samples.
    pub fn total(&self) -> u64 {
        self.stacks.values().sum()
    }

    /// The format that every flamegraph tool reads: frames by semicolons, a blank, the count.
    pub fn lines(&self) -> Vec<String> {
        let line = |(stack, count): (&Vec<String>, &u64)| format!("{} {count}", stack.join(";"));
        self.stacks.iter().map(line).collect()
    }

    /// The share of every function.
    pub fn functions(&self) -> BTreeMap<&str, Share> {
        let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
        for (stack, count) in &self.stacks {
            // A function that calls itself counts once.
            for name in stack.iter().map(String::as_str).collect::<BTreeSet<_>>() {
                shares.entry(name).or_default().all += count;
            }
            if let Some(name) = stack.last() {
                shares.entry(name).or_default().own += count;
            }
        }
        shares
    }

    /// Samples by how they entered the kernel, and those that were not in it as `user`.
    pub fn entries(&self) -> BTreeMap<&str, u64> {
        let mut entries: BTreeMap<&str, u64> = BTreeMap::new();
        for (stack, count) in &self.stacks {
            *entries.entry(entry(stack)).or_default() += count;
        }
        entries
    }
}

/// The system call, or the exception or interrupt; by tail calls its own frame may be gone, and the next one tells.
fn entry(stack: &[String]) -> &str {
    const DOORS: [&str; 3] = ["entry_SYSCALL_64_after_hwframe", "do_syscall_64", "x64_sys_call"];
    let mut kernel = stack.iter().filter_map(|name| name.strip_suffix("_[k]"));
    let inside = kernel.find(|name| !DOORS.contains(name));
    inside.map_or("user", |name| name.strip_prefix("__x64_sys_").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_calls_itself_counts_once() {
        let stack = ["thread", "a", "a", "b"].map(str::to_owned).to_vec();
        let folded = Folded { stacks: BTreeMap::from([(stack, 3)]) };
        assert_eq!(folded.functions()["a"], Share { own: 0, all: 3 });
        assert_eq!(folded.functions()["b"], Share { own: 3, all: 3 });
        assert_eq!(folded.lines(), ["thread;a;a;b 3"]);
    }
}
