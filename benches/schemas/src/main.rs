//! The Schema Registry's figures, of a broker as a process: look-ups by id, a start with many schemas, and what it costs
//! to hold records against schemas. See `benches/README.md`.

mod broker;
mod lookups;
mod start;
mod usage;
mod validation;
mod values;

use anyhow::Context as _;

/// One figure.
#[derive(Debug)]
pub struct Line {
    /// What was measured.
    pub figure: String,
    /// How much it was, in words.
    pub value: String,
    /// What the project asks for.
    pub goal: &'static str,
    /// Cores that everything else on the machine used meanwhile.
    pub foreign: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (schemas, seconds) = (number(100_000)?, number(5)? as f64);
    let program = std::env::var("THALWEG_BIN").context("THALWEG_BIN names no program")?;
    let folder = tempfile::tempdir()?;
    let settings = broker::Settings::new(program, folder.path());
    let mut lines = start::measure(&settings, schemas).await?;
    lines.extend(lookups::measure(&settings, schemas, seconds)?);
    lines.extend(validation::measure(&settings).await?);
    println!("| figure | | goal | other processes, cores |\n|---|---|---|---|");
    for Line { figure, value, goal, foreign } in lines {
        println!("| {figure} | {value} | {goal} | {foreign:.2} |");
    }
    Ok(())
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
