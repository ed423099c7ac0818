//! OffsetCommit, OffsetFetch, OffsetDelete, DeleteGroups.

use super::held::Group;
use super::{GroupsMachine, Held, Settled};
use crate::base::clock::Timestamp;
use crate::base::ids::{SlotId, TopicId};
use crate::base::offset::Offset;
use crate::groups::classic::Outbox;
use crate::groups::consumer::ConsumerGroup;
use crate::groups::consumer::commit::{Allowed, CommitError, Committer};
use crate::groups::offsets::{Committed, Place, record};
use crate::groups::{CommitRequest, Fetcher, OffsetToCommit, Refusal, TopicOffset};
use crate::protocol::records::offsets::{OffsetCommit, offset_commit_key};
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
        if let Some(group) = self.groups.get(group_id).and_then(Held::classic) {
            let mut out = Outbox::default();
            group.committed(&request.member_id, &mut out);
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
        let held = self.groups.entry(group_id.to_owned()).or_insert_with(Held::simple);
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
        match &held.group {
            Group::Classic(group) => {
                let member = (request.generation_id, request.member_id.as_str());
                let instance = request.group_instance_id.as_deref();
                group.validate_commit(member, instance, transactional)
            }
            Group::Consumer(group) => validate_consumer_commit(group, request, transactional),
            // It keeps its offsets elsewhere.
            Group::Share(_) => Err(Refusal::GroupIdNotFound),
        }
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
        fetcher: Fetcher<'_>,
        wanted: Option<&[Place]>,
        require_stable: bool,
    ) -> Settled<Result<Vec<TopicOffset>, Refusal>> {
        let held = self.groups.get(group_id);
        if let Some(group) = held.and_then(Held::consumer)
            && let Err(error) = group.check_fetch(fetcher.member_id, fetcher.member_epoch)
        {
            let after = self.metadata_slot(group_id);
            return Settled { answer: Err(refusal_of(&error)), after };
        }
        let after = held.map_or(self.removed_slot, |held| held.offsets_slot);
        let told = |place: &Place| self.told(group_id, place, require_stable);
        let answer = match wanted {
            Some(wanted) => wanted.iter().map(told).collect(),
            None => self.offsets.of_group(group_id).map(|(place, _)| told(place)).collect(),
        };
        Settled { answer: Ok(answer), after }
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
        let held = self.groups.get(group_id).filter(|held| held.share().is_none());
        let Some(held) = held else {
            return Settled { answer: Err(Refusal::GroupIdNotFound), after };
        };
        if !held.may_delete_offsets() {
            return Settled { answer: Err(Refusal::NonEmptyGroup), after };
        }
        let answer: EachOffset = places
            .iter()
            .map(|(topic, _)| held.is_subscribed_to(topic).then_some(Refusal::SubscribedToTopic))
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
        if !held.is_empty() {
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

    /// Writes a group's tombstones, and forgets it.
    pub(super) fn bury_group(&mut self, turn: &mut Turn<'_>, group_id: &str) -> Option<SlotId> {
        let tombstones = self.groups.get(group_id)?.tombstones(group_id);
        self.write_group(turn, group_id, tombstones);
        let slot = self.metadata_slot(group_id);
        self.forget(group_id, slot);
        slot
    }
}

/// Whether a consumer group takes the commit: all of its partitions, or none.
///
/// Source: `OffsetMetadataManager.validateOffsetCommit`, `validateTransactionalOffsetCommit` in Apache Kafka 4.3.1.
fn validate_consumer_commit(
    group: &ConsumerGroup,
    request: &CommitRequest,
    transactional: bool,
) -> Result<(), Refusal> {
    let committer = Committer {
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_deref(),
        epoch: request.generation_id,
        transactional,
        carries_epochs: transactional || request.knows_group_id_not_found,
    };
    let each = |allowed: Allowed<'_>| {
        let mut offsets = request.offsets.iter();
        offsets.try_for_each(|offset| allowed.check(TopicId(offset.topic_id), offset.partition))
    };
    group.check_commit(committer).and_then(each).map_err(|error| match refusal_of(&error) {
        // TxnOffsetCommit speaks of generations only.
        Refusal::StaleMemberEpoch if transactional => Refusal::IllegalGeneration,
        refusal => refusal,
    })
}

fn refusal_of(error: &CommitError) -> Refusal {
    match error {
        CommitError::Member(_) => Refusal::UnknownMemberId,
        CommitError::Version => Refusal::UnsupportedVersion,
        CommitError::StaleEpoch { .. } => Refusal::StaleMemberEpoch,
        CommitError::IllegalGeneration { .. } => Refusal::IllegalGeneration,
    }
}
