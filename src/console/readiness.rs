//! Whether the node can do its work, and if not, why not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Named checks. A node is ready when all hold; one without checks is still starting, and is not. Clones are the same.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Check>>>);

/// What the checks said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// All hold, and there are some.
    pub ready: bool,
    /// A line for each check.
    pub lines: String,
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verdict().fmt(f)
    }
}

impl Readiness {
    /// Adds a check, or puts it in the place of the one of that name. It must answer at once: it looks at what is known,
    /// and asks nobody. What it returns when it does not hold says why, for people.
    pub fn add(
        &self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        let mut checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        checks.insert(name, Arc::new(check));
    }

    /// Runs every check.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if checks.is_empty() {
            return Verdict { ready: false, lines: "starting\n".to_owned() };
        }
        let mut verdict = Verdict { ready: true, lines: String::new() };
        for (name, check) in checks {
            let line = match check() {
                Ok(()) => format!("{name}: ok\n"),
                Err(why) => {
                    verdict.ready = false;
                    format!("{name}: {why}\n")
                }
            };
            verdict.lines.push_str(&line);
        }
        verdict
    }
}
