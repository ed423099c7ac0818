//! What was committed, and what open transactions will have committed.
//!
//! Source: `OffsetMetadataManager` in Apache Kafka 4.3.1; KIP-98 (pending offsets), KIP-211 (expiry).

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ids::ProducerId;
use crate::base::offset::Offset;
use crate::protocol::records::offsets::{OffsetCommit, offset_commit_key};
use crate::state_topic::StateRecord;

/// A topic's name and a partition's number.
pub(in crate::groups) type Place = (String, i32);

/// A committed offset and where its record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::groups) struct Committed {
    pub(in crate::groups) commit: OffsetCommit,
    pub(in crate::groups) record_offset: Offset,
}

type ByPlace = BTreeMap<Place, Committed>;

/// The offsets of many groups.
#[derive(Debug, Default)]
pub(in crate::groups) struct Offsets {
    committed: BTreeMap<String, ByPlace>,
    /// By producer, then by group.
    pending: BTreeMap<ProducerId, BTreeMap<String, ByPlace>>,
    /// About how much the committed offsets would take as records.
    bytes: u64,
}

/// About what a record of a commit takes in a batch.
fn record_bytes(group: &str, (topic, _): &Place, commit: &OffsetCommit) -> u64 {
    (group.len() + topic.len() + commit.metadata.len() + 66) as u64
}

impl Offsets {
    /// Takes up a commit that is in the log.
    pub(in crate::groups) fn put(&mut self, group: &str, place: Place, committed: Committed) {
        self.bytes += record_bytes(group, &place, &committed.commit);
        let offsets = match self.committed.get_mut(group) {
            Some(offsets) => offsets,
            None => self.committed.entry(group.to_owned()).or_default(),
        };
        if let Some(before) = offsets.get_mut(&place) {
            self.bytes -= record_bytes(group, &place, &before.commit);
            *before = committed;
        } else {
            offsets.insert(place, committed);
        }
    }

    /// Takes up a commit of an open transaction.
    pub(in crate::groups) fn put_pending(
        &mut self,
        producer: ProducerId,
        group: &str,
        place: Place,
        committed: Committed,
    ) {
        let groups = self.pending.entry(producer).or_default();
        groups.entry(group.to_owned()).or_default().insert(place, committed);
    }

    /// Takes up a tombstone: pending commits of the place go with it.
    pub(in crate::groups) fn remove(&mut self, group: &str, place: &Place) {
        if let Some(offsets) = self.committed.get_mut(group) {
            if let Some(before) = offsets.remove(place) {
                self.bytes -= record_bytes(group, place, &before.commit);
            }
            if offsets.is_empty() {
                self.committed.remove(group);
            }
        }
        for groups in self.pending.values_mut() {
            if let Some(offsets) = groups.get_mut(group) {
                offsets.remove(place);
            }
        }
    }

    /// A transaction has ended. Returns the groups whose offsets it touched.
    ///
    /// A commit that was written after the transaction's own stays: the newer record counts, not the later marker.
    pub(in crate::groups) fn end_transaction(
        &mut self,
        producer: ProducerId,
        commit: bool,
    ) -> Vec<String> {
        let Some(groups) = self.pending.remove(&producer) else { return Vec::new() };
        let touched = groups.keys().cloned().collect();
        if !commit {
            return touched;
        }
        let all = groups.into_iter().flat_map(|(group, offsets)| {
            offsets.into_iter().map(move |(place, pending)| (group.clone(), place, pending))
        });
        for (group, place, pending) in all {
            let existing = self.get(&group, &place);
            if existing.is_none_or(|there| pending.record_offset > there.record_offset) {
                self.put(&group, place, pending);
            }
        }
        touched
    }

    pub(in crate::groups) fn get(&self, group: &str, place: &Place) -> Option<&Committed> {
        self.committed.get(group)?.get(place)
    }

    /// The committed offsets of a group, in order.
    pub(in crate::groups) fn of_group(
        &self,
        group: &str,
    ) -> impl Iterator<Item = (&Place, &Committed)> {
        self.committed.get(group).into_iter().flatten()
    }

    /// Whether an open transaction commits an offset of the place.
    pub(in crate::groups) fn is_pending(&self, group: &str, place: &Place) -> bool {
        let mut pending = self.pending.values().filter_map(|groups| groups.get(group));
        pending.any(|offsets| offsets.contains_key(place))
    }

    /// Whether an open transaction commits an offset of the group.
    pub(in crate::groups) fn has_transactions(&self, group: &str) -> bool {
        self.pending.values().any(|groups| groups.contains_key(group))
    }

    /// The places that `gone` holds for, committed or pending, by group.
    pub(in crate::groups) fn places(&self, gone: impl Fn(&Place) -> bool) -> Vec<(String, Place)> {
        let pending = self.pending.values().flatten();
        let all = self.committed.iter().chain(pending);
        let found = all.flat_map(|(group, offsets)| {
            offsets.keys().filter(|place| gone(place)).map(|place| (group.clone(), place.clone()))
        });
        let found: BTreeSet<_> = found.collect();
        found.into_iter().collect()
    }

    /// About how much the committed offsets would take as records.
    pub(in crate::groups) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A group's offsets as records, but for those that an open transaction commits: their order to its marker matters.
    pub(in crate::groups) fn live(&self, group: &str) -> Vec<StateRecord> {
        let undisputed = self.of_group(group).filter(|(place, _)| !self.is_pending(group, place));
        let records = undisputed.map(|(place, committed)| record(group, place, &committed.commit));
        records.collect()
    }

    /// The oldest record that [`Offsets::live`] leaves out.
    pub(in crate::groups) fn oldest_pending(&self) -> Option<Offset> {
        let pending = self.pending.values().flatten().flat_map(|(group, offsets)| {
            offsets.iter().map(move |(place, pending)| {
                let replaced = self.get(group, place).map(|there| there.record_offset);
                replaced.map_or(pending.record_offset, |at| at.min(pending.record_offset))
            })
        });
        pending.min()
    }
}

/// The record of a commit.
pub(in crate::groups) fn record(group: &str, place: &Place, commit: &OffsetCommit) -> StateRecord {
    let key = offset_commit_key(group, &place.0, place.1);
    StateRecord { key, value: Some(commit.write()) }
}
