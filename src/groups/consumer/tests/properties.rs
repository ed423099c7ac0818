//! What must hold whatever members do, in whatever order.

use proptest::prelude::*;

use super::super::member::{LEAVE_EPOCH, LEAVE_STATIC_EPOCH};
use super::*;

/// What a client does, by its number.
#[derive(Debug, Clone)]
enum Act {
    /// Says what it owns, hears the answer, and takes up what it may own; gives back only if the second is set.
    Beat(usize, bool),
    /// Its answer is lost.
    BeatUnheard(usize),
    Leave(usize),
    LeaveForNow(usize),
    /// It dies without a word.
    Die(usize),
    Subscribe(usize, u8),
    SubscribePattern(usize, bool),
    Grow(usize),
    Pass(u64),
    MatchPatterns,
    /// The coordinator moves: all that is not written is lost.
    Failover,
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..5_usize;
    prop_oneof![
        12 => (who.clone(), any::<bool>()).prop_map(|(who, gives)| Act::Beat(who, gives)),
        2 => who.clone().prop_map(Act::BeatUnheard),
        1 => who.clone().prop_map(Act::Leave),
        1 => who.clone().prop_map(Act::LeaveForNow),
        1 => who.clone().prop_map(Act::Die),
        1 => (who.clone(), 1..8_u8).prop_map(|(who, mask)| Act::Subscribe(who, mask)),
        1 => (who.clone(), any::<bool>()).prop_map(|(who, on)| Act::SubscribePattern(who, on)),
        1 => (0..3_usize).prop_map(Act::Grow),
        1 => (1..50_000_u64).prop_map(Act::Pass),
        1 => Just(Act::MatchPatterns),
        1 => Just(Act::Failover),
    ]
}

/// Clients with lives: a new life has a new id, and owns nothing.
struct Crowd {
    world: World,
    clients: Vec<Client>,
    lives: u32,
}

impl Crowd {
    fn new() -> Self {
        let clients = (0..5_usize).map(|number| {
            let id = format!("m{number}");
            let instance = (number < 2).then(|| format!("i{number}"));
            Client { instance, ..Client::new(&id, &["t1"]) }
        });
        Self { world: World::new(&[5, 3, 1]), clients: clients.collect(), lives: 0 }
    }

    fn reborn(&mut self, who: usize) {
        self.lives += 1;
        let client = &mut self.clients[who];
        client.id = format!("m{who}-{}", self.lives);
        client.epoch = 0;
        client.told.clear();
        client.owned.clear();
    }

    /// A refused client gives all up and joins anew, as clients do.
    fn refused(&mut self, who: usize, error: &Error) {
        let client = &mut self.clients[who];
        client.told.clear();
        client.owned.clear();
        client.epoch = 0;
        if matches!(error, Error::FencedInstance { .. }) {
            self.reborn(who);
        }
    }

    fn beat(&mut self, who: usize, gives: bool) {
        let request = self.clients[who].request();
        match self.world.send(&request) {
            Ok(answer) => {
                let client = &mut self.clients[who];
                client.hear(answer);
                if gives {
                    client.adopt();
                } else {
                    // It takes what is new, and holds on to what it should give back.
                    for (topic, parts) in client.told.clone() {
                        client.owned.entry(topic).or_default().extend(parts);
                    }
                }
            }
            Err(error) => self.refused(who, &error),
        }
    }

    fn run(&mut self, act: &Act) {
        match act {
            Act::Beat(who, gives) => self.beat(*who, *gives),
            Act::BeatUnheard(who) => {
                let _ = self.world.send(&self.clients[*who].request());
            }
            Act::Leave(who) => {
                let request = Heartbeat { epoch: LEAVE_EPOCH, ..self.clients[*who].request() };
                let _ = self.world.send(&request);
                self.reborn(*who);
            }
            Act::LeaveForNow(who) => {
                if self.clients[*who].instance.is_some() {
                    let request =
                        Heartbeat { epoch: LEAVE_STATIC_EPOCH, ..self.clients[*who].request() };
                    let _ = self.world.send(&request);
                    self.reborn(*who);
                }
            }
            Act::Die(who) => self.reborn(*who),
            Act::Subscribe(who, mask) => {
                let topics = (0..3).filter(|bit| (mask >> bit) & 1 == 1);
                self.clients[*who].names =
                    Some(topics.map(|bit| format!("t{}", bit + 1)).collect());
            }
            Act::SubscribePattern(who, on) => {
                self.clients[*who].regex =
                    Some(if *on { "t[23]".to_owned() } else { String::new() });
            }
            Act::Grow(topic) => self.grow(*topic),
            Act::Pass(millis) => {
                let _ = self.world.pass(*millis);
            }
            Act::MatchPatterns => self.world.match_patterns(),
            Act::Failover => {
                let mut group = self.world.replayed();
                group.loaded(self.world.now(), &self.world.settings);
                self.world.group = group;
                self.world.resolve = None;
            }
        }
    }

    fn grow(&mut self, topic: usize) {
        let name = format!("t{}", topic + 1);
        let Some(old) = self.world.image.topic(&name).cloned() else { return };
        if old.partitions.len() < 8 {
            let parts = vec![partition(&[1]); old.partitions.len() + 1];
            put_topic(&mut self.world.image, &name, old.id, parts);
        }
    }

    /// A partition is held once, and whoever owns it and is not fenced is its holder.
    fn check_single_owner(&self) {
        let mut held = BTreeMap::new();
        for member in self.world.group.members.values() {
            for (topic, parts) in
                [&member.assigned, &member.revoking].into_iter().flat_map(|h| h.iter())
            {
                for part in parts.keys() {
                    let other = held.insert((*topic, *part), member.id.clone());
                    assert_eq!(other, None, "{topic}-{part} is held twice: {}", member.id);
                    assert!(!self.world.group.is_free(*topic, *part));
                }
            }
        }
        for client in &self.clients {
            let Some(member) = self.world.group.members.get(&client.id) else { continue };
            // A member that the coordinator would fence, or whose last answers it never heard, owns by mistake.
            if member.epoch != client.epoch {
                continue;
            }
            for (topic, parts) in &client.owned {
                for part in parts {
                    let holder = held.get(&(*topic, *part));
                    assert!(
                        holder.is_none_or(|holder| *holder == client.id),
                        "{topic}-{part} of {} is {holder:?}'s",
                        client.id,
                    );
                }
            }
        }
    }

    /// All that subscribe share everything, evenly enough, and each has exactly its target.
    fn check_settled(&self) {
        let group = &self.world.group;
        for client in &self.clients {
            assert_eq!(*group.target(&client.id), client.owned, "{}", client.id);
        }
        let mut all = BTreeSet::new();
        for client in &self.clients {
            for (topic, parts) in &client.owned {
                for part in parts {
                    assert!(all.insert((*topic, *part)), "{topic}-{part} twice");
                }
            }
        }
        for name in group.subscriptions().names() {
            let Some(topic) = self.world.image.topic(name) else { continue };
            for part in 0..i32::try_from(topic.partitions.len()).expect("few") {
                assert!(all.contains(&(topic.id, part)), "nobody has {name}-{part}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_partition_has_one_owner_and_the_group_comes_to_rest(acts in prop::collection::vec(act(), 1..120)) {
        let mut crowd = Crowd::new();
        for act in &acts {
            crowd.run(act);
            crowd.check_single_owner();
            crowd.world.check_replay();
        }
        // Members that died are fenced in time; then all that live come to their targets.
        for _ in 0..12 {
            for who in 0..crowd.clients.len() {
                crowd.beat(who, true);
            }
            crowd.world.pass(10_001);
            crowd.world.match_patterns();
        }
        settle(&mut crowd.world, &mut crowd.clients);
        crowd.check_single_owner();
        crowd.check_settled();
    }
}
