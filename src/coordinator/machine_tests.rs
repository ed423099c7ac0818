//! The state machine under any sequence of events: invariants hold, and the rows make the same state again.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::event::{Effect, Event, Reply};
use super::machine::Machine;
use crate::base::clock::Timestamp;
use crate::base::ids::{BrokerId, ChainId, LeaderEpoch, SlotId, TopicId, TopicPartition};
use crate::base::offset::Offset;
use crate::cluster::client::{
    ConfigChange, ConfigEdit, CreateTopics, MorePartitions, NewTopic, TopicRef,
};
use crate::cluster::config::{AcceptAll, ConfigOp, ConfigResource};
use crate::manifest::chain::Phase;
use crate::manifest::client::{Deletion, Registration, RetentionDefaults};
use crate::manifest::edit::Term;
use crate::manifest::invariants;
use crate::manifest::row::{CheckpointRow, ReleaseRow, RunRow, SlotRow};
use crate::manifest::state::State;
use crate::manifest::tests::{Rows, incarnation, run, slot};

const NODE: BrokerId = BrokerId(1);

/// A machine, the rows that a store would hold, and what the process beside it knows.
struct World {
    machine: Machine,
    rows: Rows,
    process: u128,
    asked: u64,
    answered: Vec<u64>,
    topics: u128,
    clock: i64,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            machine: machine(State::default(), 1),
            rows: Rows::default(),
            process: 1,
            asked: 0,
            answered: Vec::new(),
            topics: 0,
            clock: 0,
        };
        world.register(None);
        world
    }

    fn ask(&mut self, event: Event) -> Option<Reply> {
        let ticket = self.asked;
        self.asked += 1;
        let mut own = None;
        for effect in self.machine.apply(ticket, event) {
            if let Effect::Answer(answered, reply) = effect {
                self.answered.push(answered);
                own = (answered == ticket).then_some(reply).or(own);
            }
        }
        own
    }

    fn register(&mut self, ended: Option<ChainId>) {
        let (listeners, rack) = (BTreeMap::new(), None);
        let incarnation = incarnation(self.process);
        let registration = Registration { broker: NODE, incarnation, ended, listeners, rack };
        let reply = self.ask(Event::Register(registration));
        assert!(matches!(reply, Some(Reply::Registered(Ok(_)))), "{reply:?}");
    }

    fn chain(&self) -> ChainId {
        self.machine.state.brokers[&NODE].chain
    }

    fn fencing(&self) -> Option<ChainId> {
        let mut chains = self.machine.state.chains.iter();
        chains.find(|(_, chain)| chain.phase == Phase::Fencing).map(|(id, _)| *id)
    }

    /// A row that continues `chain`, with runs, a checkpoint and a release of some of what it leads.
    fn row(&self, chain: ChainId, bits: u64) -> SlotRow {
        let mut row = slot(self.machine.state.chains[&chain].committed_end.0, Vec::new());
        for (n, tp) in self.machine.state.led_by(chain).into_iter().enumerate() {
            let Some(partition) = self.machine.state.partition(&tp) else { continue };
            let draw = (bits >> (n % 12 * 5)) & 31;
            let (epoch, base) = (partition.leader_epoch, partition.end.0);
            let gap = i64::from(draw == 31);
            if draw & 1 == 1 {
                let new = run(tp, epoch.0, base + gap..base + gap + 1 + (draw.cast_signed() & 3));
                row.runs.push(RunRow { max_timestamp: Timestamp(self.clock), ..new });
            }
            if draw & 6 == 6 {
                row.checkpoints.push(CheckpointRow { tp, leader_epoch: epoch });
            }
            if draw == 24 {
                row.releases.push(ReleaseRow { tp, leader_epoch: epoch });
            }
        }
        row
    }

    fn any_partition(&self, draw: u64) -> Option<TopicPartition> {
        let all: Vec<TopicPartition> =
            self.machine.state.live_partitions().map(|(tp, ..)| tp).collect();
        (!all.is_empty()).then(|| all[usize::try_from(draw).expect("64 bits") % all.len()])
    }

    fn any_topic(&self, draw: u64) -> Option<(TopicId, String)> {
        let all = &self.machine.state.topics;
        let nth = usize::try_from(draw).expect("64 bits").checked_rem(all.len())?;
        all.iter().nth(nth).map(|(id, topic)| (*id, topic.name.clone()))
    }

    fn step(&mut self, kind: u8, draw: u64) {
        self.clock += 7;
        match kind {
            0..=5 => self.commit(draw),
            6 => self.restart(draw),
            7 | 8 => self.recover(draw),
            9 => drop(self.ask(Event::Acquire { chain: self.chain() })),
            10 | 11 => self.create(draw),
            12 => self.delete(draw),
            13 => self.release(draw),
            14 => self.grow(draw),
            15 => self.log_start(draw),
            16 => {
                let limit = RetentionDefaults {
                    retention_ms: Some(draw.cast_signed() & 127),
                    retention_bytes: None,
                    delete: true,
                };
                self.ask(Event::Retain { as_of: Timestamp(self.clock), defaults: limit });
            }
            17 | 18 => {
                drop(self.ask(Event::Trim { as_of: Timestamp(self.clock), slots_max: draw % 9 }))
            }
            19 => self.sweep(draw),
            20 => self.configure(draw),
            _ => drop(self.ask(Event::AllocateProducerIds)),
        }
    }

    fn commit(&mut self, draw: u64) {
        let chain = self.chain();
        let rows = vec![self.row(chain, draw)];
        let reply = self.ask(Event::Commit { chain, rows: rows.clone() });
        assert_eq!(reply, Some(Reply::Done(Ok(()))));
        if draw.is_multiple_of(3) {
            assert_eq!(self.ask(Event::Commit { chain, rows }), Some(Reply::Done(Ok(()))));
        }
    }

    /// A new chain for this process, or a new process.
    fn restart(&mut self, draw: u64) {
        let ended = if draw.is_multiple_of(2) { Some(self.chain()) } else { None };
        self.process += u128::from(ended.is_none());
        self.register(ended);
    }

    fn recover(&mut self, draw: u64) {
        let Some(chain) = self.fencing() else { return };
        if draw.is_multiple_of(2) {
            let rows = vec![self.row(chain, draw >> 1)];
            assert_eq!(self.ask(Event::Recovered { chain, rows }), Some(Reply::Done(Ok(()))));
        } else {
            let sealed_at = self.machine.state.chains[&chain].committed_end;
            assert_eq!(self.ask(Event::Seal { chain, sealed_at }), Some(Reply::Done(Ok(()))));
        }
    }

    fn create(&mut self, draw: u64) {
        self.topics += 1;
        let topic = NewTopic {
            name: format!("t{}", draw % 4),
            partitions: Some(1 + i32::try_from(draw % 3).expect("small")),
            replication_factor: None,
            assignments: BTreeMap::new(),
            configs: BTreeMap::new(),
        };
        let request = CreateTopics {
            topics: vec![topic],
            validate_only: false,
            default_partitions: 1,
            default_replication_factor: 1,
        };
        let ids = vec![TopicId(uuid::Uuid::from_u128(self.topics))];
        self.ask(Event::CreateTopics { request, ids });
    }

    fn delete(&mut self, draw: u64) {
        if let Some((id, _)) = self.any_topic(draw) {
            self.ask(Event::DeleteTopics { topics: vec![TopicRef::Id(id)] });
        }
    }

    fn release(&mut self, draw: u64) {
        let chain = if draw.is_multiple_of(2) { Some(self.chain()) } else { self.fencing() };
        let Some(chain) = chain else { return };
        let partitions = self.machine.state.led_by(chain);
        assert_eq!(self.ask(Event::Released { chain, partitions }), Some(Reply::Done(Ok(()))));
    }

    fn grow(&mut self, draw: u64) {
        if let Some((_, topic)) = self.any_topic(draw) {
            let count = i32::try_from(draw % 6).expect("small");
            let parts = vec![MorePartitions { topic, count, assignments: None }];
            self.ask(Event::CreatePartitions { parts, validate_only: false });
        }
    }

    fn log_start(&mut self, draw: u64) {
        if let Some(tp) = self.any_partition(draw >> 8) {
            // Past the end too: the manifest hears of slots late.
            let to = self.machine.state.partition(&tp).map_or(0, |p| p.log_start.0);
            let to = Offset(to + (draw & 7).cast_signed());
            self.ask(Event::AdvanceLogStart { tp, to });
        }
    }

    fn sweep(&mut self, draw: u64) {
        let due = Event::Deletions { queued_by: Timestamp(self.clock), ranges_max: 2 };
        let Some(Reply::Deletions(due)) = self.ask(due) else { panic!("deletions") };
        let part = |d: Deletion| Deletion {
            end: SlotId(d.end.0 - (draw & 1).min(d.end.0 - d.from.0 - 1)),
            ..d
        };
        self.ask(Event::Deleted { done: due.into_iter().map(part).collect() });
    }

    fn configure(&mut self, draw: u64) {
        let key = format!("k{}", draw & 1);
        let op = if draw & 2 == 0 { ConfigOp::Set(draw.to_string()) } else { ConfigOp::Delete };
        let resource = match self.any_topic(draw >> 4) {
            Some((_, name)) if draw & 4 == 0 => ConfigResource::Topic(name),
            _ => ConfigResource::Group("g".to_owned()),
        };
        let change = ConfigEdit::Incremental(vec![(key, op)]);
        self.ask(Event::AlterConfigs {
            parts: vec![ConfigChange { resource, change }],
            validate_only: false,
        });
    }

    /// What a durable write, and a restart from it, must hold to.
    fn check(&mut self) {
        let (version, changed) =
            (self.machine.image().version, !self.machine.state.changes.topics.is_empty());
        self.rows.write_kept(&self.machine.state);
        let (_, image) = self.machine.take_changes();
        assert!(image.version >= version + u64::from(changed));
        assert_eq!(invariants::check(&self.machine.state), Ok(()));
        assert_eq!(self.rows.load(), self.machine.state);
        let fresh = machine(self.machine.state.clone(), self.machine.state.term.term + 1);
        assert_eq!(fresh.image().topics, image.topics);
        assert_eq!((&fresh.image().names, &fresh.image().configs), (&image.names, &image.configs));
    }
}

fn machine(state: State, term: u64) -> Machine {
    let term = Term { term, broker: NODE, incarnation: incarnation(1) };
    Machine::start("c", state, term, Arc::new(AcceptAll))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_keeps_the_invariants_and_survives_a_restart(
        steps in prop::collection::vec((0_u8..22, any::<u64>()), 1..120),
    ) {
        let mut world = World::new();
        for (n, (kind, draw)) in steps.into_iter().enumerate() {
            world.step(kind, draw);
            if n % 5 == 4 {
                world.check();
            }
        }
        // Sealing what is left brings every lease of a deleted topic back: everybody is answered.
        world.restart(1);
        while let Some(chain) = world.fencing() {
            let sealed_at = world.machine.state.chains[&chain].committed_end;
            world.ask(Event::Seal { chain, sealed_at });
        }
        world.check();
        world.answered.sort_unstable();
        prop_assert_eq!(&world.answered, &(0..world.asked).collect::<Vec<u64>>());
        prop_assert!(world.machine.state.topics.values().all(|topic| !topic.deleting));
    }
}

#[test]
fn the_same_events_give_the_same_effects() {
    let run = || {
        let mut world = World::new();
        let mut answers = Vec::new();
        for n in 0..400_u64 {
            let draw = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            world.step(u8::try_from(draw >> 40 & 0xff).expect("a byte") % 22, draw);
            answers.push(world.answered.len());
        }
        world.check();
        (answers, world.machine.state)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_topic_of_another_epoch_is_no_business_of_an_old_chain() {
    let mut world = World::new();
    world.create(0);
    let old = world.chain();
    let tp = world.any_partition(0).expect("created");
    world.process += 1;
    world.register(None);
    world.ask(Event::Seal { chain: old, sealed_at: SlotId(0) });
    let partition = world.machine.state.partition(&tp).expect("there").clone();
    assert_eq!((partition.lease, partition.leader_epoch), (Some(world.chain()), LeaderEpoch(1)));
    assert_eq!(partition.start, Offset(0));
}
