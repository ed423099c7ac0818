//! How long requests wait.

use std::time::Duration;

use tokio::time::Instant;

/// How long an answer waits for its proof of leadership when the request names no time (law 9).
pub(super) const PROOF_WITHIN: Duration = Duration::from_secs(5);

/// The least that a change which has begun is waited for.
const CHANGE_WITHIN: Duration = Duration::from_secs(5);

/// When a request that changes something, and says how long it waits, has waited long enough.
///
/// Kafka looks at that time only while other replicas are behind: alone, it has written before it looks, and answers a
/// request of 0 ms that all is well. Here a change takes a put, which some clients' times are too short for (kafka-node asks
/// for 100 ms), and it goes on whether or not it is waited for: to say that it timed out would have it sent again and again.
/// So a time counts only from where it tells of a store that is away.
pub(super) fn deadline(timeout_ms: i32) -> Instant {
    let asked = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    Instant::now() + asked.max(CHANGE_WITHIN)
}
