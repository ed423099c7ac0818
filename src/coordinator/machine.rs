//! The coordinator's decisions: the manifest's state, and what each event does to it.
//!
//! Owns the state and the image made of it. No clock, no store, no waiting: [`super::service`] writes what changed and
//! delivers the effects after that.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::event::{Alarm, Effect, Event, Reply, Size, Ticket};
use super::image;
use crate::base::ids::{ProducerId, TopicId};
use crate::cluster::Image;
use crate::cluster::client::{DeletedTopic, Each, ProducerIdBlock, Visible};
use crate::cluster::config::ConfigRules;
use crate::cluster::error::Refusal;
use crate::manifest::edit::{Edit, Term};
use crate::manifest::state::{Changes, State};

/// Producer ids are given in blocks of this many, as Kafka's are.
const PRODUCER_ID_BLOCK: i32 = 1000;

/// A DeleteTopics call that waits for leases to come back.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    pub(super) left: BTreeSet<TopicId>,
    pub(super) answer: Vec<Result<DeletedTopic, Refusal>>,
}

/// The state machine.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) state: State,
    pub(super) rules: Arc<dyn ConfigRules>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) effects: Vec<Effect>,
    image: Arc<Image>,
}

impl Machine {
    /// Starts a term over a loaded state: the term's edit is the first change.
    pub(super) fn start(
        cluster_id: &str,
        state: State,
        term: Term,
        rules: Arc<dyn ConfigRules>,
    ) -> Self {
        let image = Arc::new(image::of(cluster_id, &state, term.term));
        let (waiting, effects) = (Vec::new(), Vec::new());
        let mut machine = Self { state, rules, waiting, effects, image };
        machine.state.apply(Edit::Term(term));
        machine.finish_deletions();
        machine
    }

    /// Applies one event. Where time matters the event carries it.
    pub(super) fn apply(&mut self, ticket: Ticket, event: Event) -> Vec<Effect> {
        if let Some(reply) = self.reply(ticket, event) {
            self.effects.push(Effect::Answer(ticket, reply));
        }
        std::mem::take(&mut self.effects)
    }

    /// Has this group written even if nothing else changes: a coordinator that was superseded unnoticed answers nothing
    /// that hands out identities or leases.
    pub(super) fn prove_office(&mut self) {
        self.state.touch_meta();
    }

    fn reply(&mut self, ticket: Ticket, event: Event) -> Option<Reply> {
        let reply = match event {
            Event::Register(registration) => Reply::Registered(self.register(registration)),
            Event::Recovered { chain, rows } => Reply::Done(self.recovered(chain, rows)),
            Event::Seal { chain, sealed_at } => Reply::Done(self.seal(chain, sealed_at)),
            Event::Acquire { chain } => Reply::Leases(self.acquire(chain)),
            Event::Commit { chain, rows } => Reply::Done(self.commit(chain, rows)),
            Event::Released { chain, partitions } => Reply::Done(self.released(chain, &partitions)),
            Event::Plan { tp, from, runs_max } => Reply::Plan(self.plan(tp, from, runs_max)),
            Event::PlanTimestamp { tp, at } => Reply::Run(self.plan_timestamp(tp, at)),
            Event::PlanMaxTimestamp { tp } => Reply::Run(self.plan_max_timestamp(tp)),
            Event::Extents { partitions } => Reply::Extents(self.extents(&partitions)),
            Event::AdvanceLogStart { tp, to } => Reply::LogStart(self.advance_log_start(tp, to)),
            Event::Retain { as_of, defaults } => Reply::Retained(self.retain(as_of, defaults)),
            Event::Trim { as_of, slots_max } => Reply::Trimmed(self.trim(as_of, slots_max)),
            Event::Deletions { queued_by, ranges_max } => {
                Reply::Deletions(self.deletions(queued_by, ranges_max))
            }
            Event::SealedChains { after, chains_max } => {
                Reply::SealedChains(self.sealed_chains(after, chains_max))
            }
            Event::Deleted { done } => Reply::Done(self.deleted(&done)),
            Event::CreateTopics { request, ids } => {
                Reply::Created(self.create_topics(request, ids))
            }
            Event::DeleteTopics { topics } => return self.delete_topics(ticket, topics),
            Event::CreatePartitions { parts, validate_only } => {
                Reply::Partitions(self.create_partitions(parts, validate_only))
            }
            Event::AlterConfigs { parts, validate_only } => {
                Reply::Configs(self.alter_configs(parts, validate_only))
            }
            Event::AllocateProducerIds => Reply::ProducerIds(self.allocate_producer_ids()),
            Event::Size => Reply::Size(self.size()),
        };
        Some(reply)
    }

    /// What must be durable before the effects since the last call are delivered, and the image that then holds.
    pub(super) fn take_changes(&mut self) -> (Changes, Arc<Image>) {
        let changes = self.state.take_changes();
        if !changes.topics.is_empty() || changes.cluster {
            let next = Arc::make_mut(&mut self.image);
            next.version += 1;
            image::update(next, &self.state, &changes);
        }
        (changes, Arc::clone(&self.image))
    }

    /// The image as of the last [`Self::take_changes`].
    pub(super) fn image(&self) -> &Arc<Image> {
        &self.image
    }

    /// An answer, visible with everything that was decided so far.
    pub(super) fn visible<T>(&self, value: Vec<Result<T, Refusal>>) -> Each<T> {
        let changed = !self.state.changes.topics.is_empty() || self.state.changes.cluster;
        Visible { value, version: self.image.version + u64::from(changed) }
    }

    pub(super) fn alarm(&mut self, alarm: Alarm) {
        self.effects.push(Effect::Alarm(alarm));
    }

    fn allocate_producer_ids(&mut self) -> ProducerIdBlock {
        let first = self.state.next_producer;
        self.state
            .apply(Edit::ProducerIds { next: ProducerId(first.0 + i64::from(PRODUCER_ID_BLOCK)) });
        ProducerIdBlock { first, count: PRODUCER_ID_BLOCK }
    }

    fn size(&self) -> Size {
        let partitions = || self.state.topics.values().flat_map(|topic| &topic.partitions);
        Size {
            chains: self.state.chains.len(),
            slots: self.state.chains.values().map(|chain| chain.live.len()).sum(),
            runs: partitions().map(|partition| partition.runs.len()).sum(),
            partitions: partitions().count(),
            deletions: self.state.deletions.len(),
        }
    }
}
