//! The subscribers of one topic from the least to the most loaded, as partitions go from the one end to the other.
//!
//! Two ranges of equal load: one grows from the left as its members receive, one from the right as its members give. The
//! topic is even once their loads differ by one at most. Loads while moving are known from the ranges; the sizes that are
//! handed in are read only for members that neither range has reached.
//!
//! Source: `UniformHeterogeneousAssignmentBuilder.MemberAssignmentBalancer` in Apache Kafka 4.3.1.

#[derive(Debug)]
pub(super) struct Loads {
    /// Subscribers, the least loaded first.
    sorted: Vec<usize>,
    /// `..least_end` receive; each had `least_load` when the round began.
    least_end: usize,
    least_load: i64,
    least_next: usize,
    /// `most_start..most_end` give; members past it have nothing of the topic.
    most_start: usize,
    most_end: usize,
    most_load: i64,
    /// One past the next to give.
    most_next: usize,
}

impl Loads {
    /// `members` must not be empty.
    pub(super) fn new(members: &[usize], sizes: &[usize]) -> Self {
        let mut sorted = members.to_vec();
        sorted.sort_by_key(|member| (sizes[*member], *member));
        let count = sorted.len();
        Self {
            least_end: 0,
            least_load: load(sizes, sorted[0]) - 1,
            least_next: 0,
            most_start: count,
            most_end: count,
            most_load: load(sizes, sorted[count - 1]) + 1,
            most_next: count,
            sorted,
        }
    }

    /// How far the most loaded is above the least, at first.
    pub(super) fn spread(&self, sizes: &[usize]) -> i64 {
        load(sizes, self.sorted[self.sorted.len() - 1]) - load(sizes, self.sorted[0])
    }

    /// Who receives next.
    pub(super) fn next_least(&mut self, sizes: &[usize]) -> usize {
        if self.least_next >= self.least_end {
            self.least_load += 1;
            while self.least_end < self.sorted.len()
                && load(sizes, self.sorted[self.least_end]) == self.least_load
            {
                self.least_end += 1;
            }
            self.least_next = 0;
        }
        self.least_next += 1;
        self.sorted[self.least_next - 1]
    }

    /// Who gives next; `None`: nobody has anything left to give.
    pub(super) fn next_most(&mut self, sizes: &[usize]) -> Option<usize> {
        if self.most_next <= self.most_start {
            if self.most_end <= self.most_start && self.most_start > 0 {
                // The range is empty after exclusions: it goes on with whoever comes next.
                self.most_load = load(sizes, self.sorted[self.most_start - 1]);
            } else {
                self.most_load -= 1;
            }
            while self.most_start > 0
                && load(sizes, self.sorted[self.most_start - 1]) == self.most_load
            {
                self.most_start -= 1;
            }
            self.most_next = self.most_end;
        }
        self.most_next = self.most_next.checked_sub(1)?;
        Some(self.sorted[self.most_next])
    }

    /// Takes the one that [`Self::next_most`] gave out of the range: it has nothing of the topic.
    pub(super) fn exclude_most(&mut self) {
        self.sorted.swap(self.most_next, self.most_end - 1);
        self.most_end -= 1;
    }

    pub(super) fn is_balanced(&self) -> bool {
        self.most_load - self.least_load <= 1
    }
}

fn load(sizes: &[usize], member: usize) -> i64 {
    i64::try_from(sizes[member]).unwrap_or(i64::MAX)
}
