//! Named tasks whose panic is never silent.
//!
//! In the binary a panic aborts the process (its panic hook, or `panic = "abort"`): a crash is recovered from the chain,
//! a half-dead broker is not. Elsewhere the panic is kept and [`assert_no_panics`] fails the running test or seed.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::PoisonError;

use futures::FutureExt as _;
use tokio::task::JoinHandle;

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Spawns `future` under `name` on the current runtime.
///
/// Dropping the handle detaches the task; it does not stop it.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<Option<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // Combinators, not an async block: that would keep a second copy of the future beside the one that it polls.
    tokio::spawn(AssertUnwindSafe(future).catch_unwind().map(move |done| match done {
        Ok(output) => Some(output),
        Err(panic) => {
            note(name, &*panic);
            None
        }
    }))
}

/// Keeps a panic for [`assert_no_panics`].
fn note(name: &'static str, panic: &(dyn std::any::Any + Send)) {
    let what = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "a panic without a message".to_owned());
    tracing::error!(task = name, what, "task panicked");
    PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{name}: {what}"));
}

/// Makes any panic end the process: called once by the binary before it starts tasks.
pub fn abort_on_panic() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        default(panic);
        std::process::abort();
    }));
}

/// Fails when a task spawned in this process has panicked since the last call.
///
/// # Panics
/// With the names and messages of the tasks that panicked.
pub fn assert_no_panics() {
    let panics = std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner));
    assert!(panics.is_empty(), "tasks panicked: {panics:?}");
}
