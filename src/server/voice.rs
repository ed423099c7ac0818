//! Whether clients may be answered at all.
//!
//! Decided by whoever knows whether this process still leads; listeners and connections only obey.

use crate::base::watch;

/// What listeners and connections may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Answer.
    Free,
    /// Nothing: another process may have taken over. Connections are closed, and none is accepted until it is known.
    Held,
    /// Nothing any more: the process exits. The listeners are closed, too.
    Lost,
}

/// Resolves when nothing may be answered, if ever.
pub(super) async fn silenced(mut voice: watch::Receiver<Voice>) {
    if voice.wait_for(|voice| *voice != Voice::Free).await.is_err() {
        // Whoever decided is gone, and has said nothing against it.
        std::future::pending().await
    }
}

/// Waits for the next change, if ever.
pub(super) async fn changed(voice: &mut watch::Receiver<Voice>) {
    if voice.changed().await.is_err() {
        std::future::pending().await
    }
}
