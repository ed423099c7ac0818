//! Turns `perf script`'s stack samples of one program into a flamegraph, folded stacks and a list of where time goes.
//!
//! `perf` itself leaves out inlined functions, which in an optimised program are most of them; here each address is
//! looked up in the program's debug information and expanded.

mod folded;
mod report;
mod script;
mod symbols;

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use clap::Parser;

use crate::{folded::Folded, script::Samples, symbols::Symbols};

/// Makes `NAME.svg` and `NAME.txt` of samples, and `NAME.folded` on demand.
#[derive(Parser, Debug)]
struct Options {
    /// The program that was sampled, with its debug information.
    #[arg(long)]
    program: PathBuf,
    /// The picture's title.
    #[arg(long)]
    title: String,
    /// A line below the title: machine, commit, date.
    #[arg(long, default_value = "")]
    subtitle: String,
    /// Write the folded stacks as well: some megabytes.
    #[arg(long)]
    folded: bool,
    /// Where to write, without the ending.
    #[arg(long, value_name = "PATH")]
    output: PathBuf,
    /// Output of `perf script --no-inline --no-demangle -F comm,tid,time,event,ip,sym,symoff,dso`, in any number of files.
    #[arg(required = true)]
    scripts: Vec<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let symbols = Symbols::load(&options.program)?;
    let mut folded = Folded::default();
    for path in &options.scripts {
        let file =
            File::open(path).with_context(|| format!("could not read {}", path.display()))?;
        for sample in Samples::new(BufReader::new(file).lines()) {
            folded.add(&sample?, &symbols);
        }
    }
    ensure!(folded.total() > 0, "no samples");
    let write = |ending: &str, text: &[u8]| write(&options.output, ending, text);
    let lines = folded.lines();
    if options.folded {
        write("folded", lines.join("\n").as_bytes())?;
    }
    write("txt", report::text(&folded, &options.title, &options.subtitle).as_bytes())?;
    write("svg", &picture(&options, &lines)?)?;
    Ok(())
}

fn write(path: &Path, ending: &str, text: &[u8]) -> anyhow::Result<()> {
    let path = path.with_extension(ending);
    let file =
        File::create(&path).with_context(|| format!("could not write {}", path.display()))?;
    let mut file = BufWriter::new(file);
    file.write_all(text)?;
    file.flush()?;
    println!("{}", path.display());
    Ok(())
}

fn picture(options: &Options, lines: &[String]) -> anyhow::Result<Vec<u8>> {
    use inferno::flamegraph::{self, Palette, color::MultiPalette};
    let mut style = flamegraph::Options::default();
    style.title.clone_from(&options.title);
    style.subtitle = (!options.subtitle.is_empty()).then(|| options.subtitle.clone());
    style.colors = Palette::Multi(MultiPalette::Rust);
    style.deterministic = true;
    style.min_width = 0.1;
    style.count_name = "samples".to_owned();
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut style, lines.iter().map(String::as_str), &mut svg)?;
    Ok(svg)
}
