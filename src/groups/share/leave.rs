//! How members go: by themselves, or because they were silent for too long.
//!
//! Source: `GroupMetadataManager.shareGroupLeave`, `shareGroupFenceMember` in Apache Kafka 4.3.1.

use super::error::Error;
use super::group::ShareGroup;
use super::outcome::{Now, View};
use crate::groups::consumer::hash::group_hash;
use crate::groups::consumer::timers::Timer;
use crate::protocol::records::share::{GroupValue, Record};

impl ShareGroup {
    /// A member leaves.
    ///
    /// # Errors
    /// [`Error::UnknownMember`].
    pub fn leave(&mut self, view: View<'_>, member: &str) -> Result<Vec<Record>, Error> {
        let id = self.member(member)?.id.clone();
        Ok(self.fence(view, &[id]))
    }

    /// Removes whoever was silent for too long.
    pub fn expire(&mut self, now: Now, view: View<'_>) -> Vec<Record> {
        let mut fenced = Vec::new();
        while let Some((_, member)) = self.timers.pop(now.elapsed) {
            if self.members.contains_key(&member) {
                tracing::info!(group = self.id, member, "member fenced from its share group");
                fenced.push(member);
            }
        }
        self.fence(view, &fenced)
    }

    /// Removes members, who must be there, and bumps the epoch: their partitions are given to others.
    fn fence(&mut self, view: View<'_>, members: &[String]) -> Vec<Record> {
        let mut records = Vec::new();
        if members.is_empty() {
            return records;
        }
        for member in members {
            let (group, id) = (self.id.clone(), member.clone());
            self.write(&mut records, Record::Current(group.clone(), id.clone(), None));
            self.write(&mut records, Record::TargetMember(group.clone(), id.clone(), None));
            self.write(&mut records, Record::Member(group, id, None));
            self.timers.cancel(Timer::Session, member);
        }
        let metadata_hash = group_hash(self.names.keys(), view.image);
        let value = GroupValue { epoch: self.epoch + 1, metadata_hash };
        self.write(&mut records, Record::Group(self.id.clone(), Some(value)));
        records
    }
}
