//! The functions at an address of the program, the inlined ones included.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use anyhow::Context;
use object::{Object, ObjectSymbol};

use crate::script::Frame;

/// The symbols and the debug information of one program.
pub struct Symbols {
    program: PathBuf,
    /// Where each symbol begins; a name that occurs twice is left out, for it does not say where.
    begins: BTreeMap<String, u64>,
    debug: addr2line::Loader,
    known: RefCell<HashMap<(Frame, bool), Vec<String>>>,
}

impl Symbols {
    /// Reads a program.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let program = path.canonicalize().with_context(|| format!("no {}", path.display()))?;
        let bytes = std::fs::read(&program)?;
        let file = object::File::parse(&*bytes)
            .with_context(|| format!("{} is no program", program.display()))?;
        let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for symbol in file.symbols().filter(ObjectSymbol::is_definition) {
            if let Ok(name) = symbol.name() {
                found.entry(name.to_owned()).or_default().push(symbol.address());
            }
        }
        let begins = found
            .into_iter()
            .filter_map(|(name, addresses)| match addresses[..] {
                [address] => Some((name, address)),
                _ => None,
            })
            .collect();
        // Its error is no `Error` that can be sent on.
        let debug = addr2line::Loader::new(&program)
            .map_err(|error| anyhow::anyhow!("{}: {error}", program.display()))?;
        Ok(Self { program, begins, debug, known: RefCell::default() })
    }

    /// The names at a frame, innermost first; at least one. `called`: the frame's address is where its callee returns to.
    pub fn names(&self, frame: &Frame, called: bool) -> Vec<String> {
        let key = (frame.clone(), called);
        if let Some(names) = self.known.borrow().get(&key) {
            return names.clone();
        }
        let names = self
            .inlined(frame, called)
            .filter(|names| !names.is_empty())
            .unwrap_or_else(|| vec![plain(frame)]);
        self.known.borrow_mut().insert(key, names.clone());
        names
    }

    fn inlined(&self, frame: &Frame, called: bool) -> Option<Vec<String>> {
        if Path::new(&frame.object) != self.program {
            return None;
        }
        let begin = self.begins.get(&frame.symbol)?;
        // A return address belongs to the next instruction; the call is before it.
        let address = begin + frame.offset - u64::from(called);
        let mut frames = self.debug.find_frames(address).ok()?;
        let mut names = Vec::new();
        while let Ok(Some(inlined)) = frames.next() {
            let name = inlined.function.as_ref().and_then(|name| name.raw_name().ok());
            names.extend(name.map(|name| demangled(&name)));
        }
        // The outermost is the function itself, of which the symbol tells more: its crate and its type.
        names.pop();
        names.push(demangled(&frame.symbol));
        Some(names)
    }
}

fn plain(frame: &Frame) -> String {
    if frame.is_kernel() {
        return format!("{}_[k]", frame.symbol);
    }
    if frame.symbol == "[unknown]" {
        let object = frame.object.rsplit('/').next().unwrap_or("?");
        return format!("[{}]", object.trim_matches(['[', ']']));
    }
    demangled(&frame.symbol)
}

/// Without the hash, and in one word: folded stacks separate frames by semicolons and counts by a blank.
fn demangled(symbol: &str) -> String {
    let name = format!("{:#}", rustc_demangle::demangle(symbol));
    name.replace("::{{closure}}", "::{closure}").replace(';', ":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_hash() {
        let name = demangled("_ZN4core3fmt5write17h0123456789abcdefE");
        assert_eq!(name, "core::fmt::write");
    }

    #[test]
    fn kernel_frames_are_marked() {
        let frame = Frame {
            symbol: "tcp_sendmsg".to_owned(),
            offset: 3,
            object: "[kernel.kallsyms]".to_owned(),
        };
        assert_eq!(plain(&frame), "tcp_sendmsg_[k]");
    }
}
