//! A consumer group that was a classic one, or becomes one.
//!
//! Source: `ConsumerGroup.fromClassicGroup`, `GroupMetadataManager.validateOnlineDowngrade*` in Apache Kafka 4.3.1.

use std::sync::Arc;

use bytes::Bytes;

use super::assignment::{Assignment, Held, assignment_to_record, without_epochs};
use super::group::{ConsumerGroup, session_timeout};
use super::hash::group_hash;
use super::leave::millis;
use super::member::{Member, MemberState};
use super::outcome::{Now, View};
use super::timers::Timer;
use crate::cluster::image::Image;
use crate::groups::{MemberProtocol, Migrant};
use crate::protocol;
use crate::protocol::embedded::{self, NamedPartitions, Subscription};
use crate::protocol::records::consumer::{
    ClassicMember, ClassicProtocol, GroupValue, Record, TargetValue,
};

/// The group is to become a classic one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToClassic {
    /// Members that go with the protocol.
    pub without: Vec<String>,
    /// The others have their assignments and go on; else all join again.
    pub settled: bool,
}

impl ConsumerGroup {
    /// The group that a classic one becomes, with the records that tell of it. Its members stay as they are, each with what
    /// its leader gave it, until they hear that they are to join again.
    ///
    /// # Errors
    /// [`protocol::Error`]: what a member says is not in the words of Kafka's consumers.
    pub fn of_migrants(
        id: &str,
        generation_id: i32,
        migrants: Vec<Migrant>,
        (now, view): (Now, View<'_>),
    ) -> Result<(Self, Vec<Record>), protocol::Error> {
        let members = migrants.into_iter().map(|one| member(one, generation_id, view.image));
        let members = members.collect::<Result<Vec<Member>, _>>()?;
        let mut group = Self::new(id);
        let mut records = Vec::new();
        let id = || id.to_owned();
        for member in &members {
            let value = Some(member.to_value());
            group.write(&mut records, Record::Member(id(), member.id.clone(), value));
        }
        let metadata_hash = group_hash(group.subscriptions.names(), view.image);
        let value = GroupValue { epoch: generation_id, metadata_hash };
        group.write(&mut records, Record::Group(id(), Some(value)));
        for member in &members {
            let target = assignment_to_record(&without_epochs(&member.assigned));
            group.write(&mut records, Record::TargetMember(id(), member.id.clone(), Some(target)));
        }
        // Of no time: the next target may be computed at once.
        let value = TargetValue { epoch: generation_id, timestamp: 0 };
        group.write(&mut records, Record::Target(id(), Some(value)));
        for member in &members {
            let value = Some(member.to_current());
            group.write(&mut records, Record::Current(id(), member.id.clone(), value));
            let at = now.elapsed + session_timeout(member, view.settings);
            group.timers.set(Timer::Session, &member.id, at);
        }
        Ok((group, records))
    }

    /// Whether only members of the classic protocol are left when these go, and may be a classic group.
    pub(super) fn leaves_classic(&self, view: View<'_>, leaving: &[String]) -> bool {
        let Some(max) = view.settings.downgrade_max else { return false };
        let is_modern = |id: &String| self.members.get(id).is_some_and(|one| one.classic.is_none());
        let staying = self.members.len().saturating_sub(leaving.len());
        (1..=max).contains(&staying)
            && leaving.iter().any(is_modern)
            && self.members.keys().all(|id| !is_modern(id) || leaving.contains(id))
    }

    /// Its members as a classic group takes them over, each with what it shall have.
    #[must_use]
    pub fn migrants(&self, without: &[String], image: &Image) -> Vec<Migrant> {
        let staying = self.members.values().filter(|member| !without.contains(&member.id));
        staying.filter_map(|member| self.migrant(member, image)).collect()
    }

    fn migrant(&self, member: &Member, image: &Image) -> Option<Migrant> {
        let classic = member.classic.as_deref()?;
        let protocols = classic.protocols.iter().map(|protocol| MemberProtocol {
            name: protocol.name.clone(),
            metadata: protocol.metadata.clone(),
        });
        Some(Migrant {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            session_timeout: millis(classic.session_timeout_ms),
            rebalance_timeout: millis(member.rebalance_timeout_ms),
            protocols: protocols.collect(),
            assignment: embedded_assignment(member, &self.target(&member.id), image),
        })
    }
}

/// What is assigned, in the words and the version of a member of the classic protocol.
pub(super) fn embedded_assignment(member: &Member, assigned: &Assignment, image: &Image) -> Bytes {
    let classic = member.classic.as_deref();
    let offered = classic.and_then(|classic| classic.protocols.first());
    let version = offered.and_then(|offered| Subscription::read(&offered.metadata).ok());
    let version = version.map_or(0, |subscription| subscription.version);
    let topics = assigned.iter().filter_map(|(id, partitions)| {
        let topic = image.topic_by_id(*id)?.name.clone();
        Some(NamedPartitions { topic, partitions: partitions.iter().copied().collect() })
    });
    Bytes::from(embedded::write_assignment(version, &topics.collect::<Vec<_>>()))
}

/// Partitions by the ids of their topics. Topics that are gone are left out.
pub(super) fn by_id(named: &[NamedPartitions], image: &Image) -> Assignment {
    let mut assignment = Assignment::new();
    for NamedPartitions { topic, partitions } in named {
        if let Some(topic) = image.topic(topic) {
            assignment.entry(topic.id).or_default().extend(partitions);
        }
    }
    assignment
}

/// What a member of the classic protocol brings, as it is kept.
pub(super) fn classic_member(
    session_timeout_ms: i32,
    protocols: &[MemberProtocol],
) -> ClassicMember {
    let protocols = protocols.iter().map(|protocol| ClassicProtocol {
        name: protocol.name.clone(),
        metadata: protocol.metadata.clone(),
    });
    ClassicMember { session_timeout_ms, protocols: protocols.collect() }
}

/// A time as a request has it.
pub(super) fn to_millis(time: std::time::Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

fn member(migrant: Migrant, epoch: i32, image: &Image) -> Result<Member, protocol::Error> {
    let offered = migrant.protocols.first().map(|offered| offered.metadata.as_ref());
    let subscription = Subscription::read(offered.unwrap_or_default())?;
    let assigned = by_id(&embedded::read_assignment(&migrant.assignment)?, image);
    let held: Held = assigned
        .into_iter()
        .map(|(topic, partitions)| (topic, partitions.into_iter().map(|at| (at, epoch)).collect()))
        .collect();
    let classic = classic_member(to_millis(migrant.session_timeout), &migrant.protocols);
    Ok(Member {
        epoch,
        previous_epoch: epoch,
        state: MemberState::Stable,
        instance_id: migrant.group_instance_id,
        rack_id: subscription.rack_id,
        rebalance_timeout_ms: to_millis(migrant.rebalance_timeout),
        client_id: migrant.client_id,
        client_host: migrant.client_host,
        topic_names: Arc::new(subscription.topics.into_iter().collect()),
        classic: Some(Arc::new(classic)),
        assigned: Arc::new(held),
        ..Member::new(&migrant.member_id)
    })
}
