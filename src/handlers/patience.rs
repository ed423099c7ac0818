//! How long requests wait.

use std::time::Duration;

/// How long an answer waits for its proof of leadership when the request names no time (law 9).
pub(super) const PROOF_WITHIN: Duration = Duration::from_secs(5);
