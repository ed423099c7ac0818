//! A consumer group (KIP-848) of 1,000 members on 10,000 partitions: a rebalance of it, and its heartbeats.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use thalweg::base::ids::{BrokerId, LeaderEpoch, TopicId};
use thalweg::base::offset::Offset;
use thalweg::cluster::image::{Image, PartitionImage, TopicImage};
use thalweg::groups::consumer::assignment::{Assignment, without_epochs};
use thalweg::groups::consumer::{ConsumerGroup, Heartbeat, Now, Settings, View};
use uuid::Uuid;

use crate::case::{Bench, Case, Work};
use crate::fixture::now;

const MEMBERS: usize = 1_000;
const TOPICS: u128 = 10;
const PARTITIONS: usize = 1_000;

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "groups/one-joins-1000-members-and-leaves",
            work: Work::Items(2),
            runs: 3,
            prepare: rebalances,
        },
        Case {
            name: "groups/heartbeats-of-1000-members",
            work: Work::Items(MEMBERS as u64),
            runs: 10,
            prepare: heartbeats,
        },
    ]
}

/// A member, as its client sees it.
struct Client {
    id: String,
    epoch: i32,
    owned: Assignment,
}

struct World {
    group: ConsumerGroup,
    image: Image,
    settings: Settings,
    now: Now,
    clients: Vec<Client>,
}

impl World {
    /// Everybody has its share and has said so.
    fn settled() -> Self {
        let mut world = Self {
            group: ConsumerGroup::new("group"),
            image: image(),
            settings: Settings::default(),
            now: Now { wall: now(), elapsed: Duration::ZERO },
            clients: (0..MEMBERS).map(|number| client(&format!("member-{number:04}"))).collect(),
        };
        world.round();
        // What joined within one assignment interval is given its share after it; from then on every change at once.
        world.now.elapsed += world.settings.assignment_interval;
        world.now.wall.0 += 1_000;
        world.settings.assignment_interval = Duration::ZERO;
        while world.round() {}
        world
    }

    /// Sends what `client` has to say, and takes in the answer.
    fn beat(&mut self, client: &mut Client, joins: bool) -> bool {
        let request = Heartbeat {
            member_id: client.id.clone(),
            epoch: client.epoch,
            rebalance_timeout_ms: if joins { 60_000 } else { -1 },
            topic_names: joins.then(|| (0..TOPICS).map(|topic| format!("topic-{topic}")).collect()),
            owned: Some(client.owned.clone()),
            client_id: "micro".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            ..Heartbeat::default()
        };
        let view = View { image: &self.image, topics_version: 0, settings: &self.settings };
        let outcome =
            self.group.heartbeat(self.now, view, &request).expect("a member in good order");
        let is_news = outcome.answer.epoch != client.epoch || outcome.answer.assignment.is_some();
        client.epoch = outcome.answer.epoch;
        if let Some(assignment) = &outcome.answer.assignment {
            client.owned = without_epochs(assignment);
        }
        black_box(outcome.records);
        is_news
    }

    /// A heartbeat of each; whether any of them was told something new.
    fn round(&mut self) -> bool {
        let mut clients = std::mem::take(&mut self.clients);
        let mut is_news = false;
        for client in &mut clients {
            let joins = client.epoch == 0;
            is_news |= self.beat(client, joins);
        }
        self.clients = clients;
        is_news
    }
}

fn rebalances() -> Bench {
    let mut world = World::settled();
    Bench::new(move || {
        let mut newcomer = client("one-more");
        world.beat(&mut newcomer, true);
        newcomer.epoch = -1;
        world.beat(&mut newcomer, false);
    })
}

fn heartbeats() -> Bench {
    let mut world = World::settled();
    Bench::new(move || assert!(!world.round(), "a settled group has no news"))
}

fn client(id: &str) -> Client {
    Client { id: id.to_owned(), epoch: 0, owned: Assignment::new() }
}

fn image() -> Image {
    let partition = PartitionImage {
        leader: Some(BrokerId(1)),
        chain: None,
        leader_epoch: LeaderEpoch(0),
        replicas: vec![BrokerId(1)].into(),
        offline: false,
        log_start: Offset::ZERO,
        start: Offset::ZERO,
        epochs: Vec::new().into(),
    };
    let mut image = Image::default();
    for number in 0..TOPICS {
        let id = TopicId(Uuid::from_u128(number + 1));
        let topic = TopicImage {
            id,
            name: format!("topic-{number}"),
            internal: false,
            deleting: false,
            configs: BTreeMap::new(),
            replication_factor: 1,
            partitions: vec![partition.clone(); PARTITIONS],
        };
        image.names.insert(topic.name.clone(), id);
        image.topics.insert(id, topic.into());
    }
    image
}
