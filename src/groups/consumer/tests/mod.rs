//! Conversations with one group, as clients have them, and what must hold of any.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::assignment::{Assignment, without_epochs};
use super::heartbeat::{Heartbeat, HeartbeatAnswer};
use super::subscription::resolve;
use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::{BrokerId, Incarnation, LeaderEpoch, TopicId};
use crate::base::offset::Offset;
use crate::cluster::image::{BrokerImage, Image, PartitionImage, TopicImage};
use crate::protocol::records::consumer::Record;

mod conversations;
mod migrations;
mod offsets;
mod properties;
mod scale;

/// Up to this size a group is compared with itself after each refused request.
const COPIED_MEMBERS_MAX: usize = 50;

/// The wall clock when a test begins.
const START: i64 = 1_700_000_000_000;

fn topic_id(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

fn broker(id: i32, rack: Option<&str>) -> BrokerImage {
    BrokerImage {
        id: BrokerId(id),
        rack: rack.map(str::to_owned),
        listeners: BTreeMap::new(),
        incarnation: Incarnation(Uuid::nil()),
    }
}

fn partition(replicas: &[i32]) -> PartitionImage {
    PartitionImage {
        leader: None,
        chain: None,
        leader_epoch: LeaderEpoch(0),
        replicas: replicas.iter().copied().map(BrokerId).collect(),
        offline: false,
        log_start: Offset::ZERO,
        start: Offset::ZERO,
        epochs: [].into(),
    }
}

fn put_topic(image: &mut Image, name: &str, id: TopicId, partitions: Vec<PartitionImage>) {
    let topic = TopicImage {
        id,
        name: name.to_owned(),
        internal: false,
        deleting: false,
        configs: BTreeMap::new(),
        replication_factor: 1,
        partitions,
    };
    image.topics.insert(id, topic.into());
    image.names.insert(name.to_owned(), id);
    image.version += 1;
}

/// A group, the cluster around it, and a clock.
struct World {
    group: ConsumerGroup,
    image: Image,
    settings: Settings,
    topics_version: i64,
    millis: u64,
    /// All that was written.
    log: Vec<Record>,
    /// What a new coordinator would make of the first `followed` records of the log.
    follower: ConsumerGroup,
    followed: usize,
    /// What was asked to be matched.
    resolve: Option<BTreeSet<String>>,
}

impl World {
    /// Topics `t1`, `t2`, … with so many partitions.
    fn new(partitions: &[usize]) -> Self {
        let mut image = Image::default();
        for (number, count) in (1..).zip(partitions) {
            let parts = vec![partition(&[1]); *count];
            put_topic(&mut image, &format!("t{number}"), topic_id(number), parts);
        }
        // Every change of the group is to be seen at once.
        let settings = Settings { assignment_interval: Duration::ZERO, ..Settings::default() };
        Self {
            group: ConsumerGroup::new("g"),
            image,
            settings,
            topics_version: 0,
            millis: 0,
            log: Vec::new(),
            follower: ConsumerGroup::new("g"),
            followed: 0,
            resolve: None,
        }
    }

    fn now(&self) -> Now {
        Now {
            wall: Timestamp(START + i64::try_from(self.millis).expect("short tests")),
            elapsed: Duration::from_millis(self.millis),
        }
    }

    fn view<'a>(image: &'a Image, settings: &'a Settings, topics_version: i64) -> View<'a> {
        View { image, topics_version, settings }
    }

    fn send(&mut self, request: &Heartbeat) -> Result<HeartbeatAnswer, Error> {
        // A copy for each request would make large groups quadratic in the test alone.
        let before = (self.group.members().len() <= COPIED_MEMBERS_MAX).then(|| self.group.clone());
        let now = self.now();
        let view = Self::view(&self.image, &self.settings, self.topics_version);
        let outcome = self.group.heartbeat(now, view, request);
        match outcome {
            Ok(outcome) => {
                self.log.extend(outcome.records);
                if outcome.resolve.is_some() {
                    self.resolve = outcome.resolve;
                }
                Ok(outcome.answer)
            }
            Err(error) => {
                let changed = before.is_some_and(|before| before != self.group);
                assert!(!changed, "a refused request changed the group");
                Err(error)
            }
        }
    }

    /// Moves the clock and lets what is due happen.
    fn pass(&mut self, millis: u64) -> Vec<String> {
        self.millis += millis;
        let now = self.now();
        let view = Self::view(&self.image, &self.settings, self.topics_version);
        let outcome = self.group.expire(now, view);
        self.log.extend(outcome.records);
        outcome.answer
    }

    /// Does what was asked for with patterns.
    fn match_patterns(&mut self) {
        let Some(regexes) = self.resolve.take() else { return };
        let resolved = resolve(&regexes, &self.image, self.now().wall.0);
        let view = Self::view(&self.image, &self.settings, self.topics_version);
        let outcome = self.group.regexes_resolved(view, resolved);
        self.log.extend(outcome.records);
    }

    /// The group as a new coordinator would find it.
    fn replayed(&self) -> ConsumerGroup {
        let mut group = ConsumerGroup::new("g");
        replay(&mut group, &self.log);
        group
    }

    /// A log as it is once copied forward.
    fn copy_forward(&mut self) {
        self.log = self.group.to_records().collect();
        (self.follower, self.followed) = (ConsumerGroup::new("g"), 0);
    }

    /// Holds the group against its records; reads each of them once, however often it is called.
    fn check_replay(&mut self) {
        replay(&mut self.follower, &self.log[self.followed..]);
        self.followed = self.log.len();
        let (live, replayed) = (&self.group, &self.follower);
        assert_eq!(replayed.members, live.members);
        assert_eq!(replayed.targets, live.targets);
        assert_eq!(replayed.subscriptions, live.subscriptions);
        assert_eq!(
            (replayed.epoch, replayed.target_epoch, replayed.metadata_hash),
            (live.epoch, live.target_epoch, live.metadata_hash),
        );
    }
}

/// Applies `records` as they are read from a log.
fn replay(group: &mut ConsumerGroup, records: &[Record]) {
    for record in records {
        let (key, value) = record.encode();
        let record = Record::decode(&key, value.as_deref()).expect("readable").expect("known");
        group.apply(record);
    }
}

/// A client: it remembers what it was told, as clients do.
#[derive(Debug, Clone)]
struct Client {
    id: String,
    instance: Option<String>,
    epoch: i32,
    /// What it was told that it may own.
    told: Assignment,
    /// What it owns: it has given back all that is not in `told` once it says so.
    owned: Assignment,
    names: Option<Vec<String>>,
    regex: Option<String>,
    assignor: Option<String>,
}

impl Client {
    fn new(id: &str, topics: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            instance: None,
            epoch: 0,
            told: Assignment::new(),
            owned: Assignment::new(),
            names: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
            regex: None,
            assignor: None,
        }
    }

    fn request(&self) -> Heartbeat {
        Heartbeat {
            member_id: self.id.clone(),
            epoch: self.epoch,
            instance_id: self.instance.clone(),
            rack_id: None,
            rebalance_timeout_ms: 60_000,
            topic_names: self.names.clone(),
            topic_regex: self.regex.clone(),
            assignor: self.assignor.clone(),
            owned: Some(self.owned.clone()),
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
        }
    }

    fn hear(&mut self, answer: HeartbeatAnswer) {
        self.epoch = answer.epoch;
        if let Some(assignment) = answer.assignment {
            self.told = without_epochs(&assignment);
        }
    }

    /// Gives back what it may not own any more, and takes what it may.
    fn adopt(&mut self) {
        self.owned = self.told.clone();
    }

    /// One heartbeat, and at once what it says.
    fn beat(&mut self, world: &mut World) -> Result<(), Error> {
        let answer = world.send(&self.request())?;
        self.hear(answer);
        self.adopt();
        Ok(())
    }

    fn partitions(&self) -> usize {
        self.owned.values().map(BTreeSet::len).sum()
    }
}

/// Heartbeats of all until nothing changes; the number of rounds.
fn settle(world: &mut World, clients: &mut [Client]) -> usize {
    for round in 1..64 {
        let before: Vec<_> = clients.iter().map(|c| (c.epoch, c.owned.clone())).collect();
        for client in clients.iter_mut() {
            client.beat(world).expect("heartbeat");
        }
        world.match_patterns();
        let after: Vec<_> = clients.iter().map(|c| (c.epoch, c.owned.clone())).collect();
        if before == after && world.group.state() == group::GroupState::Stable {
            return round;
        }
    }
    panic!("the group did not come to rest: {:?}", world.group);
}

#[test]
fn hashes_are_kafkas() {
    // `Utils.computeGroupHash` of Apache Kafka 4.3.1 over the same topics.
    let mut image = Image::default();
    for (id, rack) in [(1, Some("rack-a")), (2, Some("b")), (3, None)] {
        image.brokers.insert(BrokerId(id), broker(id, rack));
    }
    let foo = TopicId(Uuid::from_u64_pair(0x0123_4567_89ab_cdef, 0x0fed_cba9_8765_4321));
    put_topic(&mut image, "foo", foo, vec![partition(&[1, 2, 3]); 3]);
    let bar = TopicId(Uuid::from_u64_pair(5, 6));
    put_topic(&mut image, "bar-longer.name", bar, vec![partition(&[3]); 12]);
    let names = ["foo".to_owned(), "bar-longer.name".to_owned(), "missing".to_owned()];
    assert_eq!(hash::group_hash(names.iter(), &image), 7_526_872_804_025_787_464);
    assert_eq!(hash::group_hash(names[..1].iter(), &image), 1_297_194_499_613_179_401);
    assert_eq!(hash::group_hash(names[2..].iter(), &image), 0);
}
