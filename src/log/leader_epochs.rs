//! Where each leader epoch of a partition began. Pure.
//!
//! Source: KIP-101, KIP-320; `LeaderEpochFileCache` in Apache Kafka.

use std::sync::Arc;

use crate::base::ids::LeaderEpoch;
use crate::base::offset::Offset;
use crate::manifest::client::EpochStart;

/// Epochs with their first offsets, both ascending. The last one is the current epoch.
#[derive(Debug, Clone)]
pub(super) struct LeaderEpochs(Arc<[EpochStart]>);

impl LeaderEpochs {
    /// `epochs` as granted, shared with those who told them; the current one is added if it is missing.
    pub(super) fn new(epochs: Arc<[EpochStart]>, current: LeaderEpoch, start: Offset) -> Self {
        let current = EpochStart { epoch: current, start };
        if epochs.last() == Some(&current) {
            return Self(epochs);
        }
        let before = epochs.iter().filter(|epoch| epoch.epoch < current.epoch).copied();
        Self(before.chain([current]).collect())
    }

    /// The epoch in force.
    pub(super) fn current(&self) -> LeaderEpoch {
        self.0.last().expect("never empty").epoch
    }

    /// The largest epoch at or below `asked`, and where it ended: where the next began, or `log_end` for the current one.
    /// An epoch before all that have records from `log_start` on ended where these begin. None: no epoch, or one from the
    /// future.
    pub(super) fn end_of(
        &self,
        asked: LeaderEpoch,
        log_start: Offset,
        log_end: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        if asked < LeaderEpoch(0) || asked > self.current() {
            return None;
        }
        let next = self.0.partition_point(|epoch| epoch.epoch <= asked);
        let Some(next_start) = self.0.get(next).map(|epoch| epoch.start) else {
            return Some((asked, log_end));
        };
        // Those that are forgotten would begin below it.
        let first = self.0.partition_point(|epoch| epoch.start <= log_start).saturating_sub(1);
        let found = if next > first { self.0[next - 1].epoch } else { asked };
        Some((found, next_start.max(log_start)))
    }

    /// The epoch in which the record at `offset` was written.
    pub(super) fn of_offset(&self, offset: Offset) -> LeaderEpoch {
        let next = self.0.partition_point(|epoch| epoch.start <= offset);
        self.0[next.saturating_sub(1)].epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_epochs_end_where_the_next_began() {
        let start = |epoch, start| EpochStart { epoch: LeaderEpoch(epoch), start: Offset(start) };
        let epochs =
            LeaderEpochs::new([start(1, 0), start(3, 10)].into(), LeaderEpoch(5), Offset(20));
        let ends = |asked, log_start| {
            let end = epochs.end_of(LeaderEpoch(asked), Offset(log_start), Offset(25));
            end.map(|(epoch, offset)| (epoch.0, offset.0))
        };
        assert_eq!(ends(-1, 0), None);
        assert_eq!(ends(0, 0), Some((0, 0)));
        assert_eq!(ends(1, 0), Some((1, 10)));
        assert_eq!(ends(2, 0), Some((1, 10)));
        assert_eq!(ends(4, 0), Some((3, 20)));
        assert_eq!(ends(5, 0), Some((5, 25)));
        assert_eq!(ends(6, 0), None);
        // The first is gone, and half of the second.
        assert_eq!(ends(1, 15), Some((1, 15)));
        assert_eq!(ends(2, 15), Some((2, 15)));
        assert_eq!(ends(3, 15), Some((3, 20)));
        // Nothing is left.
        assert_eq!(ends(3, 25), Some((3, 25)));
        assert_eq!(ends(5, 25), Some((5, 25)));
        assert_eq!(epochs.of_offset(Offset(9)), LeaderEpoch(1));
        assert_eq!(epochs.of_offset(Offset(10)), LeaderEpoch(3));
        assert_eq!(epochs.of_offset(Offset(24)), LeaderEpoch(5));
    }
}
