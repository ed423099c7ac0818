//! Lists that many partitions have alike, kept once. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

/// The lists seen so far.
#[derive(Debug)]
pub(super) struct Alike<T>(BTreeSet<Arc<[T]>>);

impl<T: Ord + Clone> Alike<T> {
    pub(super) fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// The one list that is like `list`.
    pub(super) fn of(&mut self, list: &[T]) -> Arc<[T]> {
        if let Some(known) = self.0.get(list) {
            return Arc::clone(known);
        }
        let new: Arc<[T]> = list.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_are_one() {
        let mut alike = Alike::new();
        let (first, other, again) = (alike.of(&[1, 2]), alike.of(&[2, 1]), alike.of(&[1, 2]));
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!((first.as_ref(), other.as_ref()), ([1, 2].as_slice(), [2, 1].as_slice()));
    }
}
