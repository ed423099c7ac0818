//! Where records lie, and where the log starts.

use super::machine::Machine;
use crate::base::clock::Timestamp;
use crate::base::ids::TopicPartition;
use crate::base::offset::Offset;
use crate::manifest::Error;
use crate::manifest::client::{Extent, Plan, PlannedRun};
use crate::manifest::edit::Edit;
use crate::manifest::partition::Partition;

/// The most runs in one plan, whatever is asked for.
const PLAN_RUNS_MAX: usize = 4096;

impl Machine {
    fn readable(&self, tp: TopicPartition) -> Result<&Partition, Error> {
        let live = self.state.topics.get(&tp.topic).is_some_and(|topic| !topic.deleting);
        let partition = self.state.partition(&tp).filter(|_| live);
        partition.ok_or(Error::UnknownPartition { tp })
    }

    pub(super) fn plan(
        &self,
        tp: TopicPartition,
        from: Offset,
        runs_max: usize,
    ) -> Result<Plan, Error> {
        let partition = self.readable(tp)?;
        let log_start = partition.log_start;
        if from < log_start {
            return Err(Error::BelowLogStart { tp, offset: from, log_start });
        }
        let runs = partition.runs.from(partition.find(from)).take(runs_max.min(PLAN_RUNS_MAX));
        let runs = runs.map(|run| run.planned(tp)).collect();
        Ok(Plan { runs, log_start, committed_end: partition.end })
    }

    pub(super) fn plan_timestamp(
        &self,
        tp: TopicPartition,
        at: Timestamp,
    ) -> Result<Option<PlannedRun>, Error> {
        let mut runs = self.readable(tp)?.runs.iter();
        Ok(runs.find(|run| run.max_timestamp >= at).map(|run| run.planned(tp)))
    }

    pub(super) fn plan_max_timestamp(
        &self,
        tp: TopicPartition,
    ) -> Result<Option<PlannedRun>, Error> {
        // The last of equals is what `max_by_key` gives; from the back, that is the first.
        let newest = self.readable(tp)?.runs.iter().rev().max_by_key(|run| run.max_timestamp);
        Ok(newest.map(|run| run.planned(tp)))
    }

    pub(super) fn extents(&self, partitions: &[TopicPartition]) -> Vec<Option<Extent>> {
        let extent = |tp: &TopicPartition| {
            let partition = self.readable(*tp).ok()?;
            Some(Extent { bytes: partition.bytes, committed_end: partition.end })
        };
        partitions.iter().map(extent).collect()
    }

    pub(super) fn advance_log_start(
        &mut self,
        tp: TopicPartition,
        to: Offset,
    ) -> Result<Offset, Error> {
        let partition = self.readable(tp)?;
        if partition.offline.is_some() {
            return Err(Error::UnknownPartition { tp });
        }
        let log_start = partition.log_start;
        if to > log_start {
            self.state.apply(Edit::LogStart { tp, to });
        }
        Ok(log_start.max(to))
    }
}
