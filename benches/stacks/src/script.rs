//! Reads `perf script`'s text: a line that names the thread, a line a frame from the innermost out, an empty line.

use anyhow::Context;

/// One frame as `perf` knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The symbol, as the linker knows it; `[unknown]` if there is none.
    pub symbol: String,
    /// Bytes from the symbol's start.
    pub offset: u64,
    /// The file that it is in: a path, or `[kernel.kallsyms]`.
    pub object: String,
}

impl Frame {
    /// Whether it is the kernel's.
    pub fn is_kernel(&self) -> bool {
        self.object.starts_with("[kernel") || self.object.starts_with("[guest.kernel")
    }
}

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The thread's name.
    pub thread: String,
    /// Innermost first.
    pub frames: Vec<Frame>,
}

/// The samples of a text, in its order.
pub struct Samples<L> {
    lines: L,
}

impl<L: Iterator<Item = std::io::Result<String>>> Samples<L> {
    /// Reads lines.
    pub fn new(lines: L) -> Self {
        Self { lines }
    }

    fn read(&mut self, head: &str) -> anyhow::Result<Sample> {
        let mut frames = Vec::new();
        for line in self.lines.by_ref() {
            let line = line?;
            if line.trim().is_empty() {
                break;
            }
            frames.push(frame(&line).with_context(|| format!("not a frame: {line}"))?);
        }
        Ok(Sample { thread: thread(head), frames })
    }
}

impl<L: Iterator<Item = std::io::Result<String>>> Iterator for Samples<L> {
    type Item = anyhow::Result<Sample>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.lines.next()? {
                Ok(line) if line.trim().is_empty() => {}
                Ok(head) => return Some(self.read(&head)),
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

/// `NAME TID SECONDS: EVENT:`; the name may hold spaces.
fn thread(head: &str) -> String {
    let words: Vec<&str> = head.split_whitespace().collect();
    let is_tid = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
    let name = words.iter().position(is_tid).unwrap_or(1).max(1);
    words[..name.min(words.len())].join(" ")
}

/// `ADDRESS SYMBOL+0xOFFSET (OBJECT)`; a symbol of C++ may hold spaces and parentheses.
fn frame(line: &str) -> Option<Frame> {
    let (_, rest) = line.trim().split_once(' ')?;
    let (symbol, object) = rest.rsplit_once(" (")?;
    let object = object.strip_suffix(')')?.to_owned();
    let known = symbol.rsplit_once("+0x").and_then(|(symbol, offset)| {
        Some((symbol.to_owned(), u64::from_str_radix(offset, 16).ok()?))
    });
    let (symbol, offset) = known.unwrap_or_else(|| (symbol.to_owned(), 0));
    Some(Frame { symbol, offset, object })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read() {
        let text = "tokio worker 17825   742.311115: cpu-clock: \n\
                    \tffffffff81402706 copy_to_user+0x16 ([kernel.kallsyms])\n\
                    \t           8ac0e _ZN4main17h00E+0x1e (/opt/a b/thalweg)\n\
                    \t           1 [unknown] ([unknown])\n\n\
                    other 9 1.0: cpu-clock: \n\
                    \t 5 f+0x0 (/lib/c.so)\n";
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        let samples: Vec<Sample> = Samples::new(lines).map(|one| one.expect("valid")).collect();
        assert_eq!(samples.len(), 2);
        assert_eq!(samples[0].thread, "tokio worker");
        assert!(samples[0].frames[0].is_kernel());
        let ours = Frame {
            symbol: "_ZN4main17h00E".to_owned(),
            offset: 0x1e,
            object: "/opt/a b/thalweg".to_owned(),
        };
        assert_eq!(samples[0].frames[1], ours);
        assert_eq!(samples[0].frames[2].symbol, "[unknown]");
        assert_eq!(samples[1].thread, "other");
    }
}
