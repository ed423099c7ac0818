//! Conversations with one share group, as clients have them, and what must hold of any.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::member::LEAVE_EPOCH;
use super::offsets::{Altering, Deleting};
use super::outcome::Initialize;
use super::requests::{AlterTopic, Failed};
use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::{LeaderEpoch, TopicId};
use crate::base::offset::Offset;
use crate::cluster::group_config::ShareSettings;
use crate::cluster::image::{Image, PartitionImage, TopicImage};
use crate::config::Config;
use crate::protocol::records::share::Record;

/// The wall clock when a test begins.
const START: i64 = 1_700_000_000_000;

fn id(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

/// Partitions of one topic, `t1` being the first.
fn of(topic: u128, partitions: &[i32]) -> Partitions {
    Partitions::from([(id(topic), partitions.iter().copied().collect())])
}

fn put_topic(image: &mut Image, number: u128, partitions: usize) {
    let partition = PartitionImage {
        leader: None,
        chain: None,
        leader_epoch: LeaderEpoch(0),
        replicas: [].into(),
        offline: false,
        log_start: Offset::ZERO,
        start: Offset::ZERO,
        epochs: [].into(),
    };
    let topic = TopicImage {
        id: id(number),
        name: format!("t{number}"),
        internal: false,
        deleting: false,
        configs: BTreeMap::new(),
        replication_factor: 1,
        partitions: vec![partition; partitions],
    };
    image.names.insert(topic.name.clone(), topic.id);
    image.topics.insert(topic.id, topic.into());
    image.version += 1;
}

/// A group, the cluster around it, and a clock.
struct World {
    group: ShareGroup,
    image: Image,
    settings: Settings,
    millis: u64,
    log: Vec<Record>,
    /// What was asked to be initialised by the last heartbeat.
    asked: Option<Initialize>,
}

impl World {
    /// Topics `t1`, `t2`, … with so many partitions.
    fn new(partitions: &[usize]) -> Self {
        let mut image = Image::default();
        for (number, count) in (1..).zip(partitions) {
            put_topic(&mut image, number, *count);
        }
        let config = Config::with([]).expect("defaults are valid").share_groups;
        let group = ShareSettings::of(&config, &image, "g");
        let settings = Settings {
            // Every change of the group is to be seen at once.
            group: ShareSettings { assignment_interval: Duration::ZERO, ..group },
            max_size: 3,
            initialize_retry: config.initialize_retry,
        };
        let group = ShareGroup::new("g");
        Self { group, image, settings, millis: 0, log: Vec::new(), asked: None }
    }

    fn now(&self) -> Now {
        Now {
            wall: Timestamp(START + i64::try_from(self.millis).expect("short tests")),
            elapsed: Duration::from_millis(self.millis),
        }
    }

    fn beat(&mut self, request: &Heartbeat) -> Result<HeartbeatAnswer, Error> {
        let before = self.group.clone();
        let (now, settings) = (self.now(), self.settings.clone());
        let view = View { image: &self.image, settings: &settings };
        match self.group.heartbeat(now, view, request) {
            Ok(Outcome { records, answer, initialize }) => {
                self.log.extend(records);
                self.asked = initialize;
                Ok(answer)
            }
            Err(error) => {
                assert_eq!(self.group, before, "a refused request changes nothing");
                Err(error)
            }
        }
    }

    /// A heartbeat of `epoch` that names topics, or none.
    fn send(
        &mut self,
        member: &str,
        epoch: i32,
        topics: Option<&[&str]>,
    ) -> Result<HeartbeatAnswer, Error> {
        let names = topics.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        self.beat(&Heartbeat {
            member_id: member.to_owned(),
            epoch,
            topic_names: names,
            client_id: "c".to_owned(),
            client_host: "/1.2.3.4".to_owned(),
            ..Heartbeat::default()
        })
    }

    /// The epoch and the partitions that a heartbeat is answered; none: as before.
    fn told(
        &mut self,
        member: &str,
        epoch: i32,
        topics: Option<&[&str]>,
    ) -> (i32, Option<Partitions>) {
        let answer = self.send(member, epoch, topics).expect("fine");
        (answer.epoch, answer.assignment.map(|assignment| (*assignment).clone()))
    }

    /// The state that was asked for is there.
    fn initialize(&mut self) {
        let asked = self.asked.take().expect("something was asked for");
        let records = self.group.initialized(&self.image, &asked.partitions);
        self.log.extend(records);
    }

    fn wait(&mut self, time: Duration) {
        self.millis += u64::try_from(time.as_millis()).expect("short");
        let settings = self.settings.clone();
        let view = View { image: &self.image, settings: &settings };
        let records = self.group.expire(self.now(), view);
        self.log.extend(records);
    }

    /// All that is written says of the group.
    fn replayed(&self) -> ShareGroup {
        let mut group = ShareGroup::new("g");
        for record in &self.log {
            let (key, value) = record.encode();
            let read = Record::decode(&key, value.as_deref()).expect("ours").expect("of shares");
            group.apply(read);
        }
        group
    }

    fn check(&self) {
        assert_eq!(written(&self.replayed()), written(&self.group), "the log rebuilds the group");
        let mut copied = ShareGroup::new("g");
        self.group.to_records().for_each(|record| copied.apply(record));
        assert_eq!(written(&copied), written(&self.group), "its own records rebuild it");
    }
}

/// What is left of a group by what was written.
fn written(group: &ShareGroup) -> ShareGroup {
    ShareGroup {
        asked_at: BTreeMap::new(),
        checked: None,
        all_given_out: false,
        timers: crate::groups::consumer::timers::Timers::default(),
        ..group.clone()
    }
}

#[test]
fn members_share_what_is_initialised() {
    let mut world = World::new(&[2, 1]);
    // Nothing is given out before its state is there.
    assert_eq!(world.told("a", 0, Some(&["t1"])), (2, Some(Partitions::new())));
    assert_eq!(world.asked, Some(Initialize { epoch: 2, partitions: of(1, &[0, 1]) }));
    assert_eq!(world.told("a", 2, None), (2, None));
    assert_eq!(world.asked, None, "it was asked for just now");
    world.asked = Some(Initialize { epoch: 2, partitions: of(1, &[0, 1]) });
    world.initialize();
    assert_eq!(world.told("a", 2, None), (3, Some(of(1, &[0, 1]))));
    assert_eq!(world.told("a", 3, None), (3, None));
    // A second member takes its part; the first is told when it is next heard of.
    assert_eq!(world.told("b", 0, Some(&["t1"])), (4, Some(of(1, &[0]))));
    assert_eq!(world.told("a", 3, None), (4, Some(of(1, &[1]))));
    // An answer was lost: the epoch before is as good.
    assert_eq!(world.told("a", 3, None), (4, None));
    // A third reads with another.
    assert_eq!(world.told("c", 0, Some(&["t1"])).0, 5);
    assert_eq!(world.group.describe(&world.image).members.len(), 3);
    world.check();
}

#[test]
fn requests_that_do_not_fit_are_refused() {
    let mut world = World::new(&[1]);
    for member in ["a", "b", "c"] {
        world.told(member, 0, Some(&["t1"]));
    }
    let unknown =
        |member: &str| Error::UnknownMember { member: member.to_owned(), group: "g".to_owned() };
    let a = world.group.member("a").expect("there").clone();
    assert_eq!((a.epoch, a.previous_epoch), (2, 0));
    for (member, epoch, expected) in [
        ("d", 0, Error::Full(3)),
        ("d", LEAVE_EPOCH, unknown("d")),
        ("a", 3, Error::Ahead { received: 3, known: 2 }),
        ("a", 1, Error::Behind { received: 1, known: 2, previous: 0 }),
    ] {
        assert_eq!(world.send(member, epoch, None), Err(expected), "{member} {epoch}");
    }
    assert_eq!(world.told("c", LEAVE_EPOCH, None), (LEAVE_EPOCH, None));
    assert_eq!(world.send("d", 4, None), Err(unknown("d")));
    world.check();
}

#[test]
fn a_silent_member_loses_its_share() {
    let mut world = World::new(&[2]);
    world.told("a", 0, Some(&["t1"]));
    world.initialize();
    world.told("b", 0, Some(&["t1"]));
    world.wait(Duration::from_secs(30));
    let epoch = world.group.member("a").expect("there").epoch;
    world.told("a", epoch, None);
    world.wait(Duration::from_secs(20));
    assert_eq!(world.group.members().keys().collect::<Vec<_>>(), ["a"]);
    let epoch = world.group.member("a").expect("there").epoch;
    assert_eq!(world.told("a", epoch, None).1, Some(of(1, &[0, 1])));
    world.wait(Duration::from_secs(46));
    assert!(world.group.is_empty() && world.group.next_deadline().is_none());
    assert_eq!(world.group.state(), "Empty");
    world.check();
}

#[test]
fn a_subscription_that_changes_is_followed_at_once() {
    let mut world = World::new(&[1, 1]);
    world.told("a", 0, Some(&["t1", "t2", "gone"]));
    world.initialize();
    let both: Partitions = of(1, &[0]).into_iter().chain(of(2, &[0])).collect();
    assert_eq!(world.told("a", 2, None), (3, Some(both)));
    assert_eq!(world.told("a", 3, Some(&["t2"])), (4, Some(of(2, &[0]))));
    // A topic that comes, or grows, is asked for when a member is next heard of.
    assert_eq!(world.told("a", 4, Some(&["t2", "t3"])), (5, Some(of(2, &[0]))));
    put_topic(&mut world.image, 3, 1);
    assert_eq!(world.told("a", 5, None), (6, None));
    assert_eq!(world.asked, Some(Initialize { epoch: 6, partitions: of(3, &[0]) }));
    world.initialize();
    put_topic(&mut world.image, 3, 2);
    let before: Partitions = of(2, &[0]).into_iter().chain(of(3, &[0])).collect();
    assert_eq!(world.told("a", 6, None), (7, Some(before)));
    assert_eq!(world.asked, Some(Initialize { epoch: 7, partitions: of(3, &[1]) }));
    world.check();
}

#[test]
fn state_is_asked_for_again_when_it_does_not_come() {
    let mut world = World::new(&[1]);
    world.told("a", 0, Some(&["t1"]));
    assert!(world.asked.is_some());
    world.wait(Duration::from_secs(29));
    world.told("a", 2, None);
    assert_eq!(world.asked, None);
    world.wait(Duration::from_secs(1));
    world.told("a", 2, None);
    assert_eq!(world.asked, Some(Initialize { epoch: 2, partitions: of(1, &[0]) }));
    // It could not be had: the next heartbeat asks anew.
    let records = world.group.not_initialized(&of(1, &[0]));
    world.log.extend(records);
    assert!(world.group.topics().is_empty());
    world.told("a", 2, None);
    assert!(world.asked.is_some());
    world.check();
    // A new coordinator does not know when it was asked for.
    world.group = world.replayed();
    world.told("a", 2, None);
    assert!(world.asked.is_some());
}

#[test]
fn an_assignment_waits_for_its_interval() {
    let mut world = World::new(&[1]);
    world.settings.group.assignment_interval = Duration::from_secs(1);
    world.told("a", 0, Some(&["t1"]));
    world.initialize();
    world.millis += 999;
    assert_eq!(world.told("a", 2, None), (2, None));
    assert_eq!(world.told("b", 0, Some(&["t1"])), (2, Some(Partitions::new())));
    world.millis += 1;
    assert_eq!(world.told("a", 2, None), (4, Some(of(1, &[0]))));
    assert_eq!(world.told("b", 2, None), (4, Some(of(1, &[0]))));
    world.check();
}

#[test]
fn offsets_are_set_while_nobody_reads() {
    let mut world = World::new(&[2]);
    let wanted = [
        AlterTopic { name: "t1".to_owned(), partitions: vec![(1, 7), (2, 7), (-1, 7)] },
        AlterTopic { name: "gone".to_owned(), partitions: vec![(0, 7)] },
    ];
    let altering = world.group.alter_offsets(&world.image, &wanted).expect("empty");
    let Altering { records, topics, epoch, offsets } = altering;
    world.log.extend(records);
    assert_eq!(epoch, 1);
    assert_eq!(offsets, BTreeMap::from([((id(1), 1), 7)]));
    let none = Some(Failed::NoPartition);
    assert_eq!(topics[0].partitions, [(1, None), (2, none), (-1, none)]);
    assert_eq!((topics[1].id, &topics[1].partitions[..]), (None, &[(0, none)][..]));
    let records = world.group.initialized(&world.image, &of(1, &[1]));
    world.log.extend(records);
    assert_eq!(world.group.initialized_partitions(), of(1, &[1]));
    // What is set already is not initialised by a member that comes.
    world.told("a", 0, Some(&["t1"]));
    assert_eq!(world.asked.clone().map(|asked| asked.partitions), Some(of(1, &[0])));
    assert_eq!(world.group.alter_offsets(&world.image, &wanted), Err(Error::NotEmpty));
    assert_eq!(world.group.delete_offsets(&world.image, &[]), Err(Error::NotEmpty));
    assert_eq!(world.group.begin_deletion(&world.image), Err(Error::NotEmpty));
    world.check();
}

#[test]
fn state_is_deleted_in_two_steps_that_can_be_taken_again() {
    let mut world = World::new(&[2, 1]);
    world.told("a", 0, Some(&["t1", "t2"]));
    world.initialize();
    world.told("a", LEAVE_EPOCH, None);
    let names = ["t1", "gone", "t1"].map(str::to_owned);
    let Deleting { records, topics, partitions } =
        world.group.delete_offsets(&world.image, &names).expect("empty");
    world.log.extend(records);
    assert_eq!(partitions, of(1, &[0, 1]));
    let expected = [Ok(id(1)), Err(Failed::NoPartition), Ok(id(1))];
    assert_eq!(topics.iter().map(|(_, result)| *result).collect::<Vec<_>>(), expected);
    assert_eq!(world.group.initialized_partitions(), of(2, &[0]));
    let again = world.group.delete_offsets(&world.image, &["t1".to_owned()]).expect("empty");
    assert_eq!(again.partitions, of(1, &[0, 1]), "it was not said to be done");
    let records = world.group.offsets_deleted(&BTreeSet::from([id(1)]));
    world.log.extend(records);
    let nothing = world.group.delete_offsets(&world.image, &["t1".to_owned()]).expect("empty");
    assert_eq!(nothing.topics, [("t1".to_owned(), Err(Failed::NoState))]);
    let (records, partitions) = world.group.begin_deletion(&world.image).expect("empty");
    world.log.extend(records);
    assert_eq!(partitions, of(2, &[0]));
    let (_, again) = world.group.begin_deletion(&world.image).expect("empty");
    assert_eq!(again, partitions);
    world.check();
    let records = world.group.topics_gone(&BTreeSet::from([id(2)]));
    world.log.extend(records);
    assert!(world.group.topics().is_empty());
    world.check();
}

/// What somebody does, by number.
#[derive(Debug, Clone)]
enum Act {
    Beat(usize),
    Subscribe(usize, u8),
    Leave(usize),
    Initialized(bool),
    Grow(u128),
    Drop(u128),
    Pass(u64),
    Delete,
    Failover,
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..3_usize;
    prop_oneof![
        8 => who.clone().prop_map(Act::Beat),
        3 => (who.clone(), 1..8_u8).prop_map(|(who, mask)| Act::Subscribe(who, mask)),
        1 => who.prop_map(Act::Leave),
        4 => any::<bool>().prop_map(Act::Initialized),
        1 => (1..4_u128).prop_map(Act::Grow),
        1 => (1..4_u128).prop_map(Act::Drop),
        1 => (1..60_000_u64).prop_map(Act::Pass),
        1 => Just(Act::Delete),
        1 => Just(Act::Failover),
    ]
}

fn run(world: &mut World, act: Act) {
    let member = |who: usize| ["a", "b", "c"][who];
    let epoch = |world: &World, who| world.group.member(member(who)).map_or(0, |one| one.epoch);
    let all = ["t1", "t2", "t3"];
    match act {
        Act::Beat(who) if world.group.member(member(who)).is_ok() => {
            let epoch = epoch(world, who);
            world.told(member(who), epoch, None);
        }
        Act::Beat(who) => drop(world.told(member(who), 0, Some(&["t1"]))),
        Act::Subscribe(who, mask) => {
            let chosen = (0..3).filter(|bit| mask & (1 << bit) != 0).map(|bit| all[bit]);
            let epoch = epoch(world, who);
            world.told(member(who), epoch, Some(&chosen.collect::<Vec<_>>()));
        }
        Act::Leave(who) => drop(world.send(member(who), LEAVE_EPOCH, None)),
        Act::Initialized(fine) => {
            if let Some(Initialize { partitions, .. }) = world.asked.take() {
                let records = if fine {
                    world.group.initialized(&world.image, &partitions)
                } else {
                    world.group.not_initialized(&partitions)
                };
                world.log.extend(records);
            }
        }
        Act::Grow(number) => {
            let count =
                world.image.topics.get(&id(number)).map_or(0, |topic| topic.partitions.len());
            put_topic(&mut world.image, number, count + 1);
        }
        Act::Drop(number) => {
            world.image.topics.remove(&id(number));
            world.image.names.remove(&format!("t{number}"));
            world.image.version += 1;
            let records = world.group.topics_gone(&BTreeSet::from([id(number)]));
            world.log.extend(records);
        }
        Act::Pass(millis) => world.wait(Duration::from_millis(millis)),
        Act::Delete => {
            if let Ok(deleting) = world.group.delete_offsets(&world.image, &all.map(str::to_owned))
            {
                world.log.extend(deleting.records);
                let topics = deleting.partitions.keys().copied().collect();
                let records = world.group.offsets_deleted(&topics);
                world.log.extend(records);
            }
        }
        Act::Failover => {
            world.group = world.replayed();
            let settings = world.settings.clone();
            world.group.loaded(world.now(), &settings);
            world.asked = None;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever members do, the log rebuilds the group; and once they are left alone, all of what they subscribe to is given
    /// out, and nothing else.
    #[test]
    fn a_group_is_what_was_written_and_comes_to_rest(acts in prop::collection::vec(act(), 0..40)) {
        let mut world = World::new(&[2, 1]);
        for act in acts {
            run(&mut world, act);
            world.check();
        }
        for _ in 0..4 {
            let settled = world.settings.initialize_retry;
            world.millis += u64::try_from(settled.as_millis()).expect("short");
            for member in world.group.members().keys().cloned().collect::<Vec<_>>() {
                let epoch = world.group.member(&member).expect("there").epoch;
                world.told(&member, epoch, None);
                run(&mut world, Act::Initialized(true));
            }
        }
        let mut given = Partitions::new();
        let mut subscribed = Partitions::new();
        for member in world.group.members().values() {
            for (topic, partitions) in member.assigned.iter() {
                given.entry(*topic).or_default().extend(partitions);
            }
            for topic in member.topic_names.iter().filter_map(|name| world.image.topic(name)) {
                let count = i32::try_from(topic.partitions.len()).expect("small");
                subscribed.insert(topic.id, (0..count).collect());
            }
        }
        given.retain(|_, partitions| !partitions.is_empty());
        prop_assert_eq!(given, subscribed);
    }
}
