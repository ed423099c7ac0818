//! What `/readyz` looks at.

use super::leadership::Standing;
use crate::base::watch;
use crate::console::Readiness;
use crate::log::Registry;
use crate::object::Store;

/// Adds the node's checks. They look at what is known, and ask nobody.
pub(super) fn add_checks(
    readiness: &Readiness,
    registry: &Registry,
    store: &Store,
    standing: watch::Receiver<Standing>,
) {
    readiness.add("chain", move || match &*standing.borrow() {
        Standing::Leading => Ok(()),
        Standing::Taking => Err("taking a new chain".to_owned()),
        Standing::Fenced => Err("fenced: another process may have taken over".to_owned()),
        Standing::Superseded => Err("superseded: another process has taken over".to_owned()),
        Standing::Stopped => Err("stopped".to_owned()),
        Standing::Failed(error) => Err(error.to_string()),
    });
    let health = store.health();
    readiness.add("store", move || health.borrow().verdict());
    let registry = registry.clone();
    readiness.add("admission", move || match registry.wal() {
        Some(wal) if wal.has_room() => Ok(()),
        Some(_) => {
            Err("memory for records on their way is full, or too much is uncommitted".to_owned())
        }
        None => Err("no chain yet".to_owned()),
    });
}
