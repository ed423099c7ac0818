//! The service over a topic that loses answers: ids are never given twice, and a restart answers the same.

use std::collections::BTreeMap;

use super::memory::{Fate, MemoryLog};
use super::*;
use crate::base::task::assert_no_panics;
use crate::schema_registry::state::Filter;

fn registration(subject: &str, text: &str) -> Registration {
    Registration {
        subject: Subject::parse(subject),
        content: Content {
            schema_type: "AVRO".to_owned(),
            schema: text.to_owned(),
            ..Content::default()
        },
        id: None,
        version: 0,
        normalize: false,
        force: true,
    }
}

fn fixed(size: usize) -> String {
    format!(r#"{{"type":"fixed","name":"F","size":{size}}}"#)
}

async fn register(service: &Service, subject: &str, text: &str) -> Result<(i32, i32), Error> {
    let command = Command::Register(Box::new(registration(subject, text)));
    match service.change(command).await? {
        Answer::Registered(done) => Ok((done.id, done.version)),
        other => panic!("{other:?}"),
    }
}

/// What every id means, as far as the service knows.
fn meanings(service: &Service) -> BTreeMap<i32, String> {
    let state = service.state();
    let all = state.all_of(None).map(|stored| (stored.id, stored.content.schema.clone()));
    all.collect()
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_writes_ids_mean_one_schema() {
    let log = Arc::new(MemoryLog::default());
    let service = Service::start(Arc::clone(&log) as Arc<dyn TopicLog>);
    log.fates([Fate::LostUnknown, Fate::WrittenUnknown, Fate::Refused, Fate::WrittenUnknown]);
    let mut given = BTreeMap::new();
    for round in 0..4 {
        let texts: Vec<String> = (0..10).map(|n| fixed(10 * round + n + 1)).collect();
        let asked = texts.iter().map(|text| register(&service, "a", text));
        for (text, answer) in texts.iter().zip(futures::future::join_all(asked).await) {
            let (id, _) = answer.expect("it is registered in the end");
            assert_eq!(given.insert(id, text.clone()), None, "id {id} was given twice");
        }
    }
    assert_eq!(meanings(&service), given);
    let again = Service::start(log);
    again.caught_up().await.expect("the topic is read");
    assert_eq!(meanings(&again), given);
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_there_after_all_is_not_written_again() {
    let log = Arc::new(MemoryLog::default());
    let service = Service::start(Arc::clone(&log) as Arc<dyn TopicLog>);
    log.fates([Fate::WrittenUnknown]);
    assert_eq!(register(&service, "a", &fixed(1)).await, Ok((1, 1)));
    assert_eq!(log.records().len(), 1);
    log.fates([Fate::WrittenUnknown]);
    let delete = Command::DeleteSubject { subject: Subject::parse("a"), permanent: false };
    assert_eq!(service.change(delete).await, Ok(Answer::Versions(vec![1])));
    assert_eq!(log.records().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_others_write_is_taken_up() {
    let log = Arc::new(MemoryLog::default());
    let service = Service::start(Arc::clone(&log) as Arc<dyn TopicLog>);
    assert_eq!(register(&service, "a", &fixed(1)).await, Ok((1, 1)));
    let other = Arc::new(MemoryLog::default());
    let elsewhere = Service::start(Arc::clone(&other) as Arc<dyn TopicLog>);
    for size in 2..=6 {
        register(&elsewhere, "b", &fixed(size)).await.expect("it is registered");
    }
    // The first of them has the id of ours, and is nobody's.
    log.put(other.records());
    service.caught_up().await.expect("the topic is read");
    assert_eq!(meanings(&service)[&1], fixed(1));
    assert_eq!(service.state().versions(&Subject::parse("b"), Filter::Live).count(), 4);
    assert_eq!(register(&service, "c", &fixed(9)).await, Ok((6, 1)));
}

#[tokio::test(start_paused = true)]
async fn another_topic_of_that_name_is_another_registry() {
    let log = Arc::new(MemoryLog::default());
    let service = Service::start(Arc::clone(&log) as Arc<dyn TopicLog>);
    register(&service, "a", &fixed(1)).await.expect("it is registered");
    log.replace();
    assert_eq!(register(&service, "b", &fixed(2)).await, Ok((1, 1)));
    assert!(!service.state().has(Some(&Subject::parse("a")), Filter::All));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_stays_away_is_an_error_in_time() {
    let log = Arc::new(MemoryLog::default());
    let service = Service::start(Arc::clone(&log) as Arc<dyn TopicLog>);
    log.fates([Fate::Refused; TRIES_MAX]);
    let refused = register(&service, "a", &fixed(1)).await.expect_err("nothing is written");
    assert_eq!((refused.code(), log.records().len()), (50001, 0));
    assert_eq!(register(&service, "a", &fixed(1)).await, Ok((1, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_no_record_holds_is_too_large() {
    let log = Arc::new(MemoryLog::default());
    let service = Service::start(Arc::clone(&log) as Arc<dyn TopicLog>);
    let doc = "x".repeat(2 << 20);
    let text = format!(r#"{{"type":"fixed","name":"F","size":1,"doc":"{doc}"}}"#);
    let refused = register(&service, "a", &text).await.expect_err("it does not fit");
    assert_eq!(refused, Error::TooLarge);
}
