//! A saved corpus, and seeded mutations of it: for those who run it on the stable toolchain (`tests/fuzz`, `tests/alloc`).

use std::fs;
use std::path::{Path, PathBuf};

use thalweg::base::rng::Rng;

/// A seed longer than this is run as it is and not mutated: it would take its time from thousands of small ones.
pub(super) const BYTES_MAX: usize = 8 << 10;

/// The inputs in a folder, by name.
pub(super) fn corpus(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).expect("a readable folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "bin"));
    files.sort();
    assert!(!files.is_empty(), "no corpus in {folder:?}");
    let read = |path: PathBuf| {
        let seed = fs::read(&path).expect("a readable file");
        (path, seed)
    };
    files.into_iter().map(read).collect()
}

fn below(rng: &Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).expect("below a length in memory")
}

/// One of `seeds` with some bytes changed, cut off or put in from another.
pub(super) fn mutated(seeds: &[Vec<u8>], rng: &Rng) -> Vec<u8> {
    let mut input = seeds[below(rng, seeds.len())].clone();
    for _ in 0..=rng.below(6) {
        mutate(&mut input, seeds, rng);
    }
    input
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &Rng) {
    if input.is_empty() {
        input.push(rng.u64().to_le_bytes()[0]);
        return;
    }
    let at = below(rng, input.len());
    let to = at + below(rng, (input.len() - at).min(40) + 1);
    match rng.below(7) {
        0 => input[at] ^= 1 << rng.below(8),
        1 => input[at] = rng.u64().to_le_bytes()[0],
        2 => input[at] = [0, 1, 0x7f, 0x80, 0xff][below(rng, 5)],
        3 => input.truncate(at),
        4 => drop(input.drain(at..to)),
        5 => {
            let again = input[at..to].to_vec();
            input.splice(at..at, again);
        }
        _ => {
            let other = &seeds[below(rng, seeds.len())];
            let from = below(rng, other.len() + 1);
            let piece = other[from..other.len().min(from + 40)].to_vec();
            input.splice(at..to, piece);
        }
    }
}
