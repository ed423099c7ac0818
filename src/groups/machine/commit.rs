//! OffsetCommit, OffsetFetch, OffsetDelete, DeleteGroups.

use super::{GroupsMachine, Held, Settled};
use crate::base::clock::Timestamp;
use crate::base::ids::SlotId;
use crate::base::offset::Offset;
use crate::groups::classic::{ClassicGroup, Outbox};
use crate::groups::offsets::{Committed, Place, record};
use crate::groups::{CommitRequest, OffsetToCommit, Refusal, TopicOffset};
use crate::protocol::records::offsets::{OffsetCommit, group_metadata_key, offset_commit_key};
use crate::state_topic::{StateRecord, Turn};

/// What became of each offset, in order.
pub(in crate::groups) type EachOffset = Vec<Option<Refusal>>;

impl GroupsMachine {
    /// Commits offsets.
    pub(in crate::groups) fn commit(
        &mut self,
        turn: &mut Turn<'_>,
        request: &CommitRequest,
    ) -> Settled<Result<EachOffset, Refusal>> {
        let group_id = request.group_id.as_str();
        if let Err(refusal) = self.validate_commit(request, false) {
            return Settled { answer: Err(refusal), after: self.metadata_slot(group_id) };
        }
        if let Some(held) = self.groups.get(group_id) {
            let mut out = Outbox::default();
            held.group.committed(&request.member_id, &mut out);
            self.settle(turn, group_id, out);
        }
        let (answer, commits) = self.to_commit(request, turn.now().wall);
        if commits.is_empty() {
            return Settled { answer: Ok(answer), after: None };
        }
        let records: Vec<StateRecord> =
            commits.iter().map(|(place, commit)| record(group_id, place, commit)).collect();
        let Ok(written) = turn.append(&records) else {
            return Settled { answer: Err(Refusal::NotCoordinator), after: None };
        };
        for (at, (place, commit)) in (written.base_offset.0..).map(Offset).zip(commits) {
            self.offsets.put(group_id, place, Committed { commit, record_offset: at });
        }
        self.offsets_written(group_id, written.slot);
        Settled { answer: Ok(answer), after: Some(written.slot) }
    }

    /// A group that only commits comes into being by it.
    pub(super) fn offsets_written(&mut self, group_id: &str, slot: SlotId) {
        let held = self.groups.entry(group_id.to_owned());
        let held = held.or_insert_with(|| Held::new(ClassicGroup::new(), None));
        held.offsets_slot = Some(slot);
    }

    pub(super) fn validate_commit(
        &self,
        request: &CommitRequest,
        transactional: bool,
    ) -> Result<(), Refusal> {
        let Some(held) = self.groups.get(&request.group_id) else {
            return match request.generation_id {
                ..0 => Ok(()),
                _ if request.knows_group_id_not_found => Err(Refusal::GroupIdNotFound),
                _ => Err(Refusal::IllegalGeneration),
            };
        };
        let member = (request.generation_id, request.member_id.as_str());
        held.group.validate_commit(member, request.group_instance_id.as_deref(), transactional)
    }

    /// What each offset is answered, and what is to be written.
    pub(super) fn to_commit(
        &self,
        request: &CommitRequest,
        now: Timestamp,
    ) -> (EachOffset, Vec<(Place, OffsetCommit)>) {
        let kept_ms = request.retention.map(|kept| i64::try_from(kept.as_millis()));
        let expires = kept_ms.map(|ms| now.0.saturating_add(ms.unwrap_or(i64::MAX)));
        let mut commits = Vec::with_capacity(request.offsets.len());
        let mut answers = Vec::with_capacity(request.offsets.len());
        for to_commit in &request.offsets {
            let OffsetToCommit { topic, topic_id, partition, offset, leader_epoch, metadata } =
                to_commit;
            // Kafka counts the characters of Java: units of UTF-16.
            if metadata.encode_utf16().count() > self.settings.metadata_chars_max {
                answers.push(Some(Refusal::OffsetMetadataTooLarge));
                continue;
            }
            answers.push(None);
            let commit = OffsetCommit {
                offset: *offset,
                leader_epoch: (*leader_epoch).max(-1),
                metadata: metadata.clone(),
                commit_timestamp: now.0,
                expire_timestamp: expires,
                topic_id: *topic_id,
            };
            commits.push(((topic.clone(), *partition), commit));
        }
        (answers, commits)
    }

    /// The committed offsets of `wanted`, or all of the group.
    pub(in crate::groups) fn fetch(
        &self,
        group_id: &str,
        wanted: Option<&[Place]>,
        require_stable: bool,
    ) -> Settled<Vec<TopicOffset>> {
        let held = self.groups.get(group_id);
        let after = held.map_or(self.removed_slot, |held| held.offsets_slot);
        let told = |place: &Place| self.told(group_id, place, require_stable);
        let answer = match wanted {
            Some(wanted) => wanted.iter().map(told).collect(),
            None => self.offsets.of_group(group_id).map(|(place, _)| told(place)).collect(),
        };
        Settled { answer, after }
    }

    fn told(&self, group_id: &str, place: &Place, require_stable: bool) -> TopicOffset {
        let nothing = TopicOffset {
            topic: place.0.clone(),
            partition: place.1,
            offset: -1,
            leader_epoch: -1,
            metadata: String::new(),
            refusal: None,
        };
        if require_stable && self.offsets.is_pending(group_id, place) {
            return TopicOffset { refusal: Some(Refusal::UnstableOffsetCommit), ..nothing };
        }
        match self.offsets.get(group_id, place) {
            None => nothing,
            Some(Committed { commit, .. }) => TopicOffset {
                offset: commit.offset,
                leader_epoch: commit.leader_epoch,
                metadata: commit.metadata.clone(),
                ..nothing
            },
        }
    }

    /// Deletes committed offsets.
    pub(in crate::groups) fn delete_offsets(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        places: &[Place],
    ) -> Settled<Result<EachOffset, Refusal>> {
        let after = self.metadata_slot(group_id);
        let Some(held) = self.groups.get(group_id) else {
            return Settled { answer: Err(Refusal::GroupIdNotFound), after };
        };
        if !held.group.may_delete_offsets() {
            return Settled { answer: Err(Refusal::NonEmptyGroup), after };
        }
        let answer: EachOffset = places
            .iter()
            .map(|(topic, _)| {
                held.group.is_subscribed_to(topic).then_some(Refusal::SubscribedToTopic)
            })
            .collect();
        let there = |place: &Place| {
            self.offsets.get(group_id, place).is_some() || self.offsets.is_pending(group_id, place)
        };
        let gone =
            places.iter().zip(&answer).filter(|(place, refusal)| refusal.is_none() && there(place));
        let gone: Vec<(String, Place)> =
            gone.map(|(place, _)| (group_id.to_owned(), place.clone())).collect();
        let deleted = self.bury_offsets(turn, &gone);
        let before = self.groups.get(group_id).and_then(Held::newest_slot);
        Settled { answer: Ok(answer), after: deleted.max(before) }
    }

    /// Writes tombstones of offsets, and forgets them.
    pub(super) fn bury_offsets(
        &mut self,
        turn: &mut Turn<'_>,
        gone: &[(String, Place)],
    ) -> Option<SlotId> {
        /// Tombstones in one batch.
        const BATCH_RECORDS_MAX: usize = 1000;
        let mut slot = None;
        for gone in gone.chunks(BATCH_RECORDS_MAX) {
            let records = gone.iter().map(|(group, (topic, partition))| StateRecord {
                key: offset_commit_key(group, topic, *partition),
                value: None,
            });
            let Ok(written) = turn.append(&records.collect::<Vec<_>>()) else { return slot };
            slot = Some(written.slot);
            for (group, place) in gone {
                self.offsets.remove(group, place);
                if let Some(held) = self.groups.get_mut(group) {
                    held.offsets_slot = slot;
                }
            }
        }
        slot
    }

    /// Deletes an empty group with its offsets.
    pub(in crate::groups) fn delete(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
    ) -> Settled<Result<(), Refusal>> {
        let after = self.metadata_slot(group_id);
        let Some(held) = self.groups.get(group_id) else {
            return Settled { answer: Err(Refusal::GroupIdNotFound), after };
        };
        if held.group.state() != crate::groups::classic::State::Empty {
            return Settled { answer: Err(Refusal::NonEmptyGroup), after };
        }
        let mut places: Vec<(String, Place)> = self
            .offsets
            .places(|_| true)
            .into_iter()
            .filter(|(group, _)| group == group_id)
            .collect();
        places.dedup();
        let offsets = self.bury_offsets(turn, &places);
        let group = self.bury_group(turn, group_id);
        Settled { answer: Ok(()), after: group.max(offsets) }
    }

    /// Writes a group's tombstone, and forgets it.
    pub(super) fn bury_group(&mut self, turn: &mut Turn<'_>, group_id: &str) -> Option<SlotId> {
        let tombstone = StateRecord { key: group_metadata_key(group_id), value: None };
        let written = turn.append(&[tombstone]).ok()?;
        self.forget(group_id, Some(written.slot));
        Some(written.slot)
    }
}
