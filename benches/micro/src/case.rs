//! What a case is.

/// How much one run does, for the throughput.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// Bytes of records.
    Bytes(u64),
    /// Batches, requests, rows: what the name says.
    Items(u64),
}

/// A prepared case.
pub struct Bench {
    /// Called before each run, and not measured.
    pub between: Box<dyn FnMut()>,
    /// What is measured.
    pub run: Box<dyn FnMut()>,
}

/// A step that is measured.
pub struct Case {
    /// Where and what.
    pub name: &'static str,
    /// How much a run does.
    pub work: Work,
    /// Runs under callgrind: enough that what happens once in a while is shared out.
    pub runs: u32,
    /// Builds what the step works on.
    pub prepare: fn() -> Bench,
}

impl Bench {
    /// A step that needs nothing between runs.
    pub fn new(run: impl FnMut() + 'static) -> Self {
        Self { between: Box::new(|| ()), run: Box::new(run) }
    }
}
