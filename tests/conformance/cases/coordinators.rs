//! FindCoordinator, in both its forms.

use kafka_protocol::messages::FindCoordinatorRequest;

use super::{text, versions};
use crate::talk::Talk;

pub fn script(talk: &mut Talk) {
    make_inner_topics(talk);
    for version in versions::<FindCoordinatorRequest>() {
        talk.begin("find");
        let of = |kind: i8, keys: &[&str]| {
            let request = FindCoordinatorRequest::default().with_key_type(kind);
            if version < 4 {
                return request.with_key(text(keys[0]));
            }
            request.with_coordinator_keys(keys.iter().map(|key| text(key)).collect())
        };
        if version >= 1 {
            talk.ask("an unknown type", version, &of(9, &["k"]));
            talk.ask("a negative type", version, &of(-1, &["k"]));
            talk.ask("an empty transactional id", version, &of(1, &[""]));
        }
        if version >= 4 {
            talk.ask("no keys", version, &of(0, &[]));
        }
        talk.ask("an empty group", version, &of(0, &[""]));
        if version >= 6 {
            talk.ask("a share key without colons", version, &of(2, &["plain"]));
            talk.ask("a share key of bad parts", version, &of(2, &["g:not-an-id:x"]));
            talk.ask("an empty share key", version, &of(2, &[""]));
        }
    }
    for version in 4..=5 {
        talk.begin("find");
        let share = FindCoordinatorRequest::default()
            .with_key_type(2)
            .with_coordinator_keys(vec![text("g:x:0")]);
        talk.ask("a share key before version 6", version, &share);
    }
}

/// Kafka makes the topics behind its coordinators at the first question, and answers that they are not there until then.
fn make_inner_topics(talk: &mut Talk) {
    talk.begin("set-up");
    for kind in [0, 1] {
        let request = FindCoordinatorRequest::default().with_key_type(kind).with_key(text("first"));
        let is_kafka = talk.is_kafka();
        talk.until(3, &request, |answer| answer.error_code == 0 || !is_kafka);
    }
}
