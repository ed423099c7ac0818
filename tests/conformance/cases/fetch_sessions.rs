//! Fetch sessions: made, carried on, changed, closed, and asked for wrongly.

use kafka_protocol::messages::{
    FetchRequest,
    fetch_request::{FetchPartition, ForgottenTopic},
};
use uuid::Uuid;

use super::{append, create_topic, fetch, foreign_id, from, topic};
use crate::{batch::numbered, talk::Talk};

pub fn script(talk: &mut Talk) {
    for version in 7..=18 {
        carry_on(talk, version);
        forget(talk, version);
        wrong(talk, version);
    }
    topic_comes_and_goes(talk);
}

struct Session {
    version: i16,
    name: String,
    topic_id: Uuid,
    id: i32,
}

impl Session {
    fn new(talk: &mut Talk, kind: &str, version: i16) -> Self {
        talk.begin(kind);
        let name = format!("{}-{version}", kind.replace(' ', "-"));
        let topic_id = create_topic(talk, &name, 3, &[]);
        append(talk, &name, 0, &numbered(talk.base_ms(), 0, 3));
        Self { version, name, topic_id, id: 0 }
    }

    fn request(&self, epoch: i32, partitions: Vec<FetchPartition>) -> FetchRequest {
        let mut request = fetch(self.version, &self.name, self.topic_id, partitions);
        request.session_id = self.id;
        request.session_epoch = epoch;
        if request.topics[0].partitions.is_empty() {
            request.topics.clear();
        }
        request
    }

    fn ask(&mut self, talk: &mut Talk, step: &str, epoch: i32, partitions: Vec<FetchPartition>) {
        let request = self.request(epoch, partitions);
        let answer = talk.ask(step, self.version, &request);
        if let Some(answer) = answer.filter(|_| epoch == 0) {
            self.id = answer.session_id;
        }
    }

    fn forgotten(&self, partitions: &[i32]) -> ForgottenTopic {
        let one = ForgottenTopic::default().with_partitions(partitions.to_vec());
        if self.version < 13 {
            one.with_topic(topic(&self.name))
        } else {
            one.with_topic_id(self.topic_id)
        }
    }
}

fn carry_on(talk: &mut Talk, version: i16) {
    let mut session = Session::new(talk, "carry on", version);
    let base = talk.base_ms();
    session.ask(talk, "full", 0, vec![from(0, 0), from(1, 0)]);
    session.ask(talk, "nothing changed, same offsets", 1, vec![]);
    session.ask(talk, "moved on", 2, vec![from(0, 3)]);
    session.ask(talk, "nothing new", 3, vec![]);
    append(talk, &session.name, 1, &numbered(base, 0, 1));
    session.ask(talk, "something new in partition 1", 4, vec![]);
    session.ask(talk, "a partition more", 5, vec![from(2, 0)]);
    session.ask(talk, "an offset out of range", 6, vec![from(0, 99)]);
    session.ask(talk, "still out of range", 7, vec![]);
    session.ask(talk, "back in range", 8, vec![from(0, 3)]);
    session.ask(talk, "an unknown partition", 9, vec![from(9, 0)]);
    let empty = session.request(10, vec![]).with_max_wait_ms(50).with_min_bytes(1);
    talk.ask("waits with an error in the session", version, &empty);
    session.ask(talk, "closed", -1, vec![]);
    session.ask(talk, "after the close", 11, vec![]);
}

fn forget(talk: &mut Talk, version: i16) {
    let mut session = Session::new(talk, "forget", version);
    session.ask(talk, "full", 0, vec![from(0, 0), from(1, 0), from(2, 0)]);
    let request =
        session.request(1, vec![]).with_forgotten_topics_data(vec![session.forgotten(&[0])]);
    talk.ask("partition 0 forgotten", version, &request);
    session.ask(talk, "after that", 2, vec![]);
    let request =
        session.request(3, vec![]).with_forgotten_topics_data(vec![session.forgotten(&[0, 7])]);
    talk.ask("partitions forgotten that are not there", version, &request);
    let both = session
        .request(4, vec![from(1, 0)])
        .with_forgotten_topics_data(vec![session.forgotten(&[1])]);
    talk.ask("asked for and forgotten at once", version, &both);
    let rest =
        session.request(5, vec![]).with_forgotten_topics_data(vec![session.forgotten(&[1, 2])]);
    talk.ask("all forgotten", version, &rest);
    session.ask(talk, "an empty session", 6, vec![]);
}

fn wrong(talk: &mut Talk, version: i16) {
    let mut session = Session::new(talk, "wrong sessions", version);
    session.id = 123_456;
    session.ask(talk, "an unknown session", 1, vec![from(0, 0)]);
    session.ask(talk, "close of an unknown session", -1, vec![]);
    session.id = 0;
    session.ask(talk, "no session, epoch 1", 1, vec![from(0, 0)]);
    session.ask(talk, "full", 0, vec![from(0, 0)]);
    session.ask(talk, "a skipped epoch", 3, vec![]);
    session.ask(talk, "the right epoch after it", 1, vec![]);
    session.ask(talk, "an old epoch", 1, vec![from(1, 0)]);
    session.ask(talk, "a negative epoch", -2, vec![]);
    let first = session.id;
    session.ask(talk, "full again, in place of the old", 0, vec![from(0, 1)]);
    let second = std::mem::replace(&mut session.id, first);
    session.ask(talk, "the replaced session", 2, vec![]);
    session.id = second;
    session.ask(talk, "the new session", 1, vec![]);
    session.ask(talk, "full without partitions", 0, vec![]);
    if version >= 13 {
        session.id = 0;
        let mut strange = session.request(0, vec![from(0, 0)]);
        strange.topics[0].topic_id = foreign_id();
        let answer = talk.ask("full of an unknown id", version, &strange);
        session.id = answer.map_or(0, |answer| answer.session_id);
        session.ask(talk, "after an unknown id", 1, vec![]);
    }
}

/// A topic that a session names is deleted and made anew.
fn topic_comes_and_goes(talk: &mut Talk) {
    use kafka_protocol::messages::DeleteTopicsRequest;
    for version in [12, 13, 18] {
        let mut session = Session::new(talk, "comes and goes", version);
        session.ask(talk, "full", 0, vec![from(0, 3)]);
        let delete = DeleteTopicsRequest::default()
            .with_topic_names(vec![topic(&session.name)])
            .with_timeout_ms(5_000);
        talk.quiet(5, &delete);
        talk.settle();
        session.ask(talk, "deleted", 1, vec![]);
        talk.symbols.forget_topics();
        create_topic(talk, &session.name, 3, &[]);
        session.ask(talk, "made anew", 2, vec![]);
    }
}
