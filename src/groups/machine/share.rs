//! Share groups in their shard: heartbeats, deadlines, and the state of their partitions.
//!
//! Source: `GroupMetadataManager.getOrMaybeCreateShareGroup`, `GroupCoordinatorShard.initiateDeleteShareGroupOffsets` in Apache
//! Kafka 4.3.1.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::held::{Group, Held};
use super::{GroupsMachine, Settled};
use crate::base::ids::TopicId;
use crate::cluster::group_config::ShareSettings;
use crate::cluster::image::Image;
use crate::groups::Refusal;
use crate::groups::share::describe::Description;
use crate::groups::share::member::JOIN_EPOCH;
use crate::groups::share::offsets::{Altering, Deleting};
use crate::groups::share::outcome::Initialize;
use crate::groups::share::requests::AlterTopic;
use crate::groups::share::{
    Error, Heartbeat, HeartbeatAnswer, Outcome, Partitions, Settings, ShareGroup, View,
};
use crate::protocol::records::share::Record;
use crate::state_topic::{StateRecord, Turn};

/// What comes of a heartbeat.
pub(in crate::groups) type ShareBeat = (HeartbeatAnswer, Option<Initialize>);

impl GroupsMachine {
    fn share_settings(&self, image: &Image, group_id: &str) -> Settings {
        let broker = &self.settings.shares;
        Settings {
            group: ShareSettings::of(broker, image, group_id),
            max_size: broker.max_size,
            initialize_retry: broker.initialize_retry,
        }
    }

    /// The image, and the group's settings by it.
    fn share_view(&self, group_id: &str) -> (Arc<Image>, Settings) {
        let (image, _) = self.topics.now();
        let settings = self.share_settings(&image, group_id);
        (image, settings)
    }

    /// The group, or a new one.
    fn share_or_new(&self, group_id: &str) -> Result<Option<ShareGroup>, Error> {
        match self.groups.get(group_id).map(Held::share) {
            None => Ok(Some(ShareGroup::new(group_id))),
            Some(Some(_)) => Ok(None),
            Some(None) => Err(Error::OfAnotherKind(group_id.to_owned())),
        }
    }

    fn share_mut(&mut self, group_id: &str) -> Result<&mut ShareGroup, Error> {
        match self.groups.get_mut(group_id).map(Held::share_mut) {
            None => Err(Error::NotFound(group_id.to_owned())),
            Some(None) => Err(Error::OfAnotherKind(group_id.to_owned())),
            Some(Some(group)) => Ok(group),
        }
    }

    /// Takes a step of a share group that is there, and writes what comes of it.
    fn share_step<T>(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        step: impl FnOnce(&mut ShareGroup) -> Result<(Vec<Record>, T), Error>,
    ) -> Settled<Result<T, Error>> {
        let answer = match self.share_mut(group_id).and_then(step) {
            Ok((records, answer)) => {
                self.settle_share(turn, group_id, records);
                Ok(answer)
            }
            Err(error) => Err(error),
        };
        Settled { answer, after: self.metadata_slot(group_id) }
    }

    fn settle_share(&mut self, turn: &mut Turn<'_>, group_id: &str, records: Vec<Record>) {
        self.settle_members(turn, group_id, records.into_iter().map(StateRecord::from).collect());
    }

    /// A member is alive, joins, or leaves.
    pub(in crate::groups) fn share_heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        request: &Heartbeat,
    ) -> Settled<Result<ShareBeat, Error>> {
        let (image, settings) = self.share_view(group_id);
        let view = View { image: &image, settings: &settings };
        let now = turn.now();
        let there = self.groups.contains_key(group_id);
        let new = match self.share_or_new(group_id) {
            Ok(Some(_)) if request.epoch > JOIN_EPOCH => {
                Err(Error::NoShareGroup(group_id.to_owned()))
            }
            Ok(Some(_)) if request.epoch < JOIN_EPOCH => Err(Error::NotFound(group_id.to_owned())),
            other => other,
        };
        let beaten = new.and_then(|mut new| {
            let outcome = match &mut new {
                Some(group) => group.heartbeat(now, view, request),
                None => self.share_mut(group_id)?.heartbeat(now, view, request),
            };
            outcome.map(|outcome| (new, outcome))
        });
        match beaten {
            Err(error) => Settled { answer: Err(error), after: self.metadata_slot(group_id) },
            Ok((new, Outcome { records, answer, initialize })) => {
                if let Some(group) = new.filter(|_| !there) {
                    self.put_group(group_id, Group::Share(Box::new(group)));
                }
                self.settle_share(turn, group_id, records);
                Settled { answer: Ok((answer, initialize)), after: self.metadata_slot(group_id) }
            }
        }
    }

    /// The deadlines of members of a share group have come.
    pub(super) fn share_deadline(&mut self, turn: &mut Turn<'_>, group_id: &str) {
        let (image, settings) = self.share_view(group_id);
        let view = View { image: &image, settings: &settings };
        let now = turn.now();
        self.share_step(turn, group_id, |group| Ok((group.expire(now, view), ())));
    }

    /// A share group was replayed: its members have whole sessions from now on.
    pub(super) fn share_loaded(&mut self, turn: &mut Turn<'_>, group_id: &str) {
        let (_, settings) = self.share_view(group_id);
        let now = turn.now();
        self.share_step(turn, group_id, |group| {
            group.loaded(now, &settings);
            Ok((Vec::new(), ()))
        });
    }

    /// The state of partitions is there, or could not be had.
    pub(in crate::groups) fn share_initialized(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        (there, failed): (&Partitions, &Partitions),
    ) -> Settled<Result<(), Error>> {
        let (image, _) = self.topics.now();
        self.share_step(turn, group_id, |group| {
            let mut records = group.initialized(&image, there);
            records.extend(group.not_initialized(failed));
            Ok((records, ()))
        })
    }

    /// Describes a share group.
    pub(in crate::groups) fn share_describe(
        &self,
        group_id: &str,
    ) -> Settled<Result<Description, Error>> {
        let answer = match self.groups.get(group_id).map(Held::share) {
            None => Err(Error::NotFound(group_id.to_owned())),
            Some(None) => Err(Error::OfAnotherKind(group_id.to_owned())),
            Some(Some(group)) => Ok(group.describe(&self.topics.now().0)),
        };
        Settled { answer, after: self.metadata_slot(group_id) }
    }

    /// The partitions whose state is there; none of a group that is not there.
    pub(in crate::groups) fn share_partitions(&self, group_id: &str) -> Settled<Partitions> {
        let group = self.groups.get(group_id).and_then(Held::share);
        let answer = group.map(ShareGroup::initialized_partitions).unwrap_or_default();
        Settled { answer, after: self.metadata_slot(group_id) }
    }

    /// Begins to set start offsets. A group that is not there comes into being by it.
    pub(in crate::groups) fn share_alter_offsets(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        wanted: &[AlterTopic],
    ) -> Settled<Result<Altering, Error>> {
        let (image, _) = self.topics.now();
        let altered = self.share_or_new(group_id).and_then(|mut new| {
            let altering = match &mut new {
                Some(group) => group.alter_offsets(&image, wanted),
                None => self.share_mut(group_id)?.alter_offsets(&image, wanted),
            };
            altering.map(|altering| (new, altering))
        });
        let answer = altered.map(|(new, mut altering)| {
            let records = std::mem::take(&mut altering.records);
            if let Some(group) = new.filter(|_| !records.is_empty()) {
                self.put_group(group_id, Group::Share(Box::new(group)));
            }
            self.settle_share(turn, group_id, records);
            altering
        });
        Settled { answer, after: self.metadata_slot(group_id) }
    }

    /// Begins to delete the state of topics.
    pub(in crate::groups) fn share_delete_offsets(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        names: &[String],
    ) -> Settled<Result<Deleting, Error>> {
        let (image, _) = self.topics.now();
        self.share_step(turn, group_id, |group| {
            let mut deleting = group.delete_offsets(&image, names)?;
            Ok((std::mem::take(&mut deleting.records), deleting))
        })
    }

    /// The state of topics is deleted.
    pub(in crate::groups) fn share_offsets_deleted(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
        deleted: &BTreeSet<TopicId>,
    ) -> Settled<Result<(), Error>> {
        self.share_step(turn, group_id, |group| Ok((group.offsets_deleted(deleted), ())))
    }

    /// Begins to delete a group: of a share group, which state of partitions must go first.
    pub(in crate::groups) fn share_begin_deletion(
        &mut self,
        turn: &mut Turn<'_>,
        group_id: &str,
    ) -> Settled<Result<Partitions, Refusal>> {
        let is_share = self.groups.get(group_id).is_some_and(|held| held.share().is_some());
        if !is_share {
            return Settled { answer: Ok(Partitions::new()), after: None };
        }
        let (image, _) = self.topics.now();
        let begun = self.share_step(turn, group_id, |group| group.begin_deletion(&image));
        let Settled { answer, after } = begun;
        Settled { answer: answer.map_err(|_| Refusal::NonEmptyGroup), after }
    }

    /// Topics are gone: so is the state of their partitions.
    pub(in crate::groups) fn share_topics_gone(
        &mut self,
        turn: &mut Turn<'_>,
        gone: &BTreeSet<TopicId>,
    ) {
        for group_id in self.group_ids() {
            if self.groups.get(&group_id).is_some_and(|held| held.share().is_some()) {
                self.share_step(turn, &group_id, |group| Ok((group.topics_gone(gone), ())));
            }
        }
    }

    /// Takes up a record of a share group that is in the log. A tombstone of what is not there says nothing new.
    pub(super) fn replay_share(&mut self, record: Record) {
        let group_id = record.group().to_owned();
        let there = self.groups.get(&group_id).is_some_and(|held| held.share().is_some());
        if record.is_tombstone() && !there {
            return;
        }
        if matches!(record, Record::Group(_, None)) {
            return self.forget(&group_id, None);
        }
        if !there {
            self.put_group(&group_id, Group::Share(Box::new(ShareGroup::new(&group_id))));
        }
        if let Some(group) = self.groups.get_mut(&group_id).and_then(Held::share_mut) {
            group.apply(record);
        }
    }
}
