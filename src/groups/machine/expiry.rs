//! Offsets past their retention, and those of topics that are gone: tombstones, then the group itself.
//!
//! Source: KIP-211; `GroupCoordinatorShard.cleanupGroupMetadata`, `OffsetMetadataManager.cleanupExpiredOffsets`.

use super::GroupsMachine;
use crate::base::clock::Timestamp;
use crate::groups::offsets::{Committed, Place};
use crate::state_topic::Turn;

impl GroupsMachine {
    /// Lets go of what has expired.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now().wall;
        for group_id in self.group_ids() {
            let (expired, all) = self.expired(&group_id, now);
            self.bury_offsets(turn, &expired);
            let deserted = self.groups.get(&group_id).is_some_and(|held| held.is_deserted());
            if all && deserted && !self.offsets.has_transactions(&group_id) {
                self.bury_group(turn, &group_id);
            }
        }
    }

    /// The group's offsets whose time has come, and whether those are all.
    fn expired(&self, group_id: &str, now: Timestamp) -> (Vec<(String, Place)>, bool) {
        let Some(held) = self.groups.get(group_id) else { return (Vec::new(), false) };
        let retention_ms = i64::try_from(self.settings.retention.as_millis()).unwrap_or(i64::MAX);
        let mut all = true;
        let mut expired = Vec::new();
        for (place, Committed { commit, .. }) in self.offsets.of_group(group_id) {
            let due = match (
                commit.expire_timestamp,
                held.retention_from(Timestamp(commit.commit_timestamp)),
            ) {
                (_, None) => false,
                (Some(at), Some(_)) => now.0 >= at,
                (None, Some(from)) => now.0.saturating_sub(from.0) >= retention_ms,
            };
            let held_back =
                held.is_subscribed_to(&place.0) || self.offsets.is_pending(group_id, place);
            if due && !held_back {
                expired.push((group_id.to_owned(), place.clone()));
            } else {
                all = false;
            }
        }
        (expired, all)
    }

    /// The topics are gone: so are their offsets.
    pub(in crate::groups) fn topics_deleted(
        &mut self,
        turn: &mut Turn<'_>,
        gone: impl Fn(&str) -> bool,
    ) {
        let places = self.offsets.places(|(topic, _)| gone(topic));
        self.bury_offsets(turn, &places);
    }
}
