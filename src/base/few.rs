//! A queue that nearly always holds one entry: that one lies in place, and only a second takes memory of its own.
//!
//! For what each of thousands of idle partitions has. An entry in place also leaves no hole among what was allocated and
//! freed meanwhile.

use std::collections::VecDeque;
use std::ops::Index;

/// Entries in order, few of them as a rule. Grows by a quarter, not by doubling.
#[derive(Debug, Clone)]
pub struct Few<T>(Held<T>);

#[derive(Debug, Clone)]
enum Held<T> {
    None,
    One(T),
    /// Any number: a queue that once held two stays one.
    Many(VecDeque<T>),
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Held::None)
    }
}

impl<T> Few<T> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Held::None => 0,
            Held::One(_) => 1,
            Held::Many(many) => many.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry at `place`.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&T> {
        match &self.0 {
            Held::One(one) if place == 0 => Some(one),
            Held::Many(many) => many.get(place),
            _ => None,
        }
    }

    /// The first entry.
    #[must_use]
    pub fn front(&self) -> Option<&T> {
        self.get(0)
    }

    /// The last entry.
    #[must_use]
    pub fn back(&self) -> Option<&T> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The last entry, to be changed.
    pub fn back_mut(&mut self) -> Option<&mut T> {
        match &mut self.0 {
            Held::None => None,
            Held::One(one) => Some(one),
            Held::Many(many) => many.back_mut(),
        }
    }

    /// Adds an entry behind the last.
    pub fn push_back(&mut self, entry: T) {
        self.0 = match std::mem::replace(&mut self.0, Held::None) {
            Held::None => Held::One(entry),
            Held::One(one) => {
                let mut many = VecDeque::with_capacity(2);
                many.extend([one, entry]);
                Held::Many(many)
            }
            Held::Many(mut many) => {
                if many.len() == many.capacity() {
                    many.reserve_exact(1 + many.len() / 4);
                }
                many.push_back(entry);
                Held::Many(many)
            }
        };
    }

    /// Takes the first entry off.
    pub fn pop_front(&mut self) -> Option<T> {
        match &mut self.0 {
            Held::Many(many) => many.pop_front(),
            held => match std::mem::replace(held, Held::None) {
                Held::One(one) => Some(one),
                _ => None,
            },
        }
    }

    /// Keeps those that `keep` says, in order.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        match &mut self.0 {
            Held::None => {}
            Held::One(one) => {
                if !keep(one) {
                    self.0 = Held::None;
                }
            }
            Held::Many(many) => many.retain(keep),
        }
    }

    /// Gives back what a queue that was once much longer holds.
    pub fn shrink(&mut self) {
        if let Held::Many(many) = &mut self.0
            && many.capacity() > 64
            && many.len() < many.capacity() / 4
        {
            many.shrink_to(many.len() * 2);
        }
    }

    /// All entries, in order, in two pieces.
    fn as_slices(&self) -> (&[T], &[T]) {
        match &self.0 {
            Held::None => (&[], &[]),
            Held::One(one) => (std::slice::from_ref(one), &[]),
            Held::Many(many) => many.as_slices(),
        }
    }

    /// The entries from `place` on, in order; none behind the last.
    pub fn from(&self, place: usize) -> impl DoubleEndedIterator<Item = &T> + Clone {
        let (front, back) = self.as_slices();
        let (skipped, rest) = (place.min(front.len()), place.saturating_sub(front.len()));
        front[skipped..].iter().chain(&back[rest.min(back.len())..])
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.from(0)
    }

    /// The place of the first entry of which `before` is not true, where it is true of all entries before that one.
    pub fn partition_point(&self, mut before: impl FnMut(&T) -> bool) -> usize {
        let (front, back) = self.as_slices();
        match back.first() {
            Some(first) if before(first) => front.len() + back.partition_point(before),
            _ => front.partition_point(before),
        }
    }
}

impl<T> Index<usize> for Few<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        self.get(place).expect("a place below the number of entries")
    }
}

impl<T> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, entries: I) {
        entries.into_iter().for_each(|entry| self.push_back(entry));
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut few = Self::default();
        few.extend(entries);
        few
    }
}

/// By their entries: how they are held is nobody's concern.
impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Eq> Eq for Few<T> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push(u8),
        Pop,
        ChangeLast(u8),
        Retain(u8),
        Shrink,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any::<u8>().prop_map(Step::Push),
            3 => Just(Step::Pop),
            1 => any::<u8>().prop_map(Step::ChangeLast),
            1 => any::<u8>().prop_map(Step::Retain),
            1 => Just(Step::Shrink),
        ]
    }

    proptest! {
        #[test]
        fn does_what_a_queue_does(steps in prop::collection::vec(step(), 0..40)) {
            let (mut few, mut queue) = (Few::default(), VecDeque::new());
            for step in steps {
                match step {
                    Step::Push(entry) => {
                        few.push_back(entry);
                        queue.push_back(entry);
                    }
                    Step::Pop => prop_assert_eq!(few.pop_front(), queue.pop_front()),
                    Step::ChangeLast(entry) => {
                        few.back_mut().into_iter().for_each(|last| *last = entry);
                        queue.back_mut().into_iter().for_each(|last| *last = entry);
                    }
                    Step::Retain(above) => {
                        few.retain(|&entry| entry > above);
                        queue.retain(|&entry| entry > above);
                    }
                    Step::Shrink => few.shrink(),
                }
                prop_assert_eq!(few.len(), queue.len());
                prop_assert_eq!(few.is_empty(), queue.is_empty());
                prop_assert_eq!((few.front(), few.back()), (queue.front(), queue.back()));
                prop_assert_eq!(&few, &queue.iter().copied().collect::<Few<u8>>());
                for place in 0..queue.len() + 2 {
                    prop_assert_eq!(few.get(place), queue.get(place));
                    prop_assert!(few.from(place).eq(queue.iter().skip(place)));
                }
            }
        }

        #[test]
        fn finds_places_in_order(gone in 0..20_usize, entries in prop::collection::vec(any::<u8>(), 0..20), asked: u8) {
            let mut sorted = entries;
            sorted.sort_unstable();
            // Pushes after pops have the queue go round the end of its memory.
            let mut few: Few<u8> = std::iter::repeat_n(0, gone).collect();
            for &entry in &sorted {
                few.push_back(entry);
                few.pop_front();
            }
            let kept: Vec<u8> = few.iter().copied().collect();
            let (found, expected) = (few.partition_point(|&entry| entry < asked), kept.partition_point(|&entry| entry < asked));
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn one_entry_lies_in_place() {
        assert!(size_of::<Few<[u64; 3]>>() <= 32 && size_of::<Few<[u64; 8]>>() <= 72);
        let mut few = Few::default();
        few.push_back([0_u64; 8]);
        assert!(matches!(few.0, Held::One(_)));
        assert!(few.pop_front().is_some() && few.is_empty() && matches!(few.0, Held::None));
    }
}
