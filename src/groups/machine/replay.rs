//! Rebuilds the machine from records.

use bytes::Bytes;

use super::held::Group;
use super::{GroupsMachine, Held};
use crate::groups::classic::ClassicGroup;
use crate::groups::offsets::{Committed, Place};
use crate::protocol;
use crate::protocol::records::offsets::{GroupMetadata, Key, OffsetCommit};
use crate::protocol::records::{consumer, share};
use crate::state_topic::Replayed;

impl GroupsMachine {
    pub(super) fn replay_record(&mut self, record: &Replayed<'_>) -> Result<(), protocol::Error> {
        match Key::read(record.key)? {
            Key::OffsetCommit { group, topic, partition } => {
                self.replay_commit(record, &group, (topic, partition))?;
            }
            Key::GroupMetadata { group } => match record.value {
                // After a change of protocol the old one's tombstone says nothing of the new one's group.
                None if self.groups.get(&group).is_some_and(|held| held.classic().is_none()) => {}
                None => self.forget(&group, None),
                Some(value) => {
                    let restored = ClassicGroup::restore(GroupMetadata::read(value)?);
                    self.restore(group, restored, Bytes::copy_from_slice(value));
                }
            },
            Key::Other(_) => {
                // Others are of protocols that this version does not serve.
                if let Some(record) = consumer::Record::decode(record.key, record.value)? {
                    self.replay_consumer(record);
                } else if let Some(record) = share::Record::decode(record.key, record.value)? {
                    self.replay_share(record);
                }
            }
        }
        Ok(())
    }

    fn restore(&mut self, group_id: String, group: ClassicGroup, written: Bytes) {
        self.put_group(&group_id, Group::Classic(Box::new(group)));
        self.note_written(&group_id, written, None);
    }

    fn replay_commit(
        &mut self,
        record: &Replayed<'_>,
        group: &str,
        place: Place,
    ) -> Result<(), protocol::Error> {
        let Some(value) = record.value else {
            self.offsets.remove(group, &place);
            return Ok(());
        };
        let commit = OffsetCommit::read(value)?;
        let committed = Committed { commit, record_offset: record.offset };
        match record.transaction {
            None => self.offsets.put(group, place, committed),
            Some((producer, _)) => self.offsets.put_pending(producer, group, place, committed),
        }
        if !self.groups.contains_key(group) {
            self.groups.insert(group.to_owned(), Held::simple());
        }
        Ok(())
    }
}
