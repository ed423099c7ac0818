//! Where the programs that tests run beside Thalweg lie: `tests/parts` puts them there.

use std::env;
use std::path::PathBuf;

/// The folder of installed parts, outside the checkout.
pub(crate) fn folder() -> PathBuf {
    let chosen = env::var_os("THALWEG_TEST_CACHE").map(PathBuf::from);
    chosen.unwrap_or_else(|| {
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache");
        cache.unwrap_or_else(home).join("thalweg-tests")
    })
}

/// In CI a part that is missing is a failure, elsewhere a test that is skipped and says so.
pub(crate) fn are_demanded() -> bool {
    env::var("CI").is_ok_and(|value| value == "true")
}

/// The seed of everything that a test draws: `THALWEG_TEST_SEED`, else `default`.
pub(crate) fn seed(default: u64) -> u64 {
    env::var("THALWEG_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
