//! The state over whole topics: what each kind of record does, in any order that a compacted topic may have.

use super::*;
use crate::schema_registry::settings::Level;

/// A topic as text: key and value of each record; no value is a tombstone.
fn replay(records: &[(&str, Option<&str>)]) -> State {
    let mut state = State::default();
    for (at, (key, value)) in records.iter().enumerate() {
        let key = Key::decode(key.as_bytes()).expect("a key");
        let value = value.map(|text| Value::decode(&key, text.as_bytes()).expect("a value"));
        let now = i64::try_from(at).expect("few records");
        // What is ignored is part of what a topic may hold.
        let _ = state.apply(&Update::of(&key, value, now));
    }
    state
}

fn key(subject: &str, version: i32) -> String {
    format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":{version},"magic":1}}"#)
}

fn value(subject: &str, version: i32, id: i32, schema: &str, deleted: bool) -> String {
    format!(
        r#"{{"subject":"{subject}","version":{version},"id":{id},"schema":"{schema}","deleted":{deleted}}}"#
    )
}

fn register(state: &mut State, subject: &str, version: i32, id: i32, schema: &str) {
    let key = Key::decode(key(subject, version).as_bytes()).expect("a key");
    let value = value(subject, version, id, schema, false);
    let value = Value::decode(&key, value.as_bytes()).expect("a value");
    state.apply(&Update::of(&key, Some(value), 0)).expect("it is taken up");
}

fn live(state: &State, subject: &str) -> Vec<i32> {
    let subject = Subject::parse(subject);
    state.versions(&subject, Filter::Live).map(|stored| stored.version).collect()
}

#[test]
fn versions_come_go_and_come_back() {
    let (one, two) = (key("a", 1), key("a", 2));
    let delete = r#"{"keytype":"DELETE_SUBJECT","subject":"a","magic":0}"#;
    let mut records = vec![
        (one.as_str(), Some(value("a", 1, 1, "x", false))),
        (two.as_str(), Some(value("a", 2, 2, "y", false))),
        (delete, Some(r#"{"subject":"a","version":2}"#.to_owned())),
    ];
    let state = |records: &[(&str, Option<String>)]| {
        let records: Vec<_> = records.iter().map(|(key, value)| (*key, value.as_deref())).collect();
        replay(&records)
    };
    let deleted = state(&records);
    assert_eq!(live(&deleted, "a"), [0; 0]);
    assert_eq!(deleted.versions(&Subject::parse("a"), Filter::All).count(), 2);
    assert_eq!(deleted.next_version(&Subject::parse("a")), 3);
    assert_eq!(deleted.holder(".", 2).map(|stored| stored.version), Some(2));

    let three = key("a", 3);
    records.push((two.as_str(), None));
    records.push((three.as_str(), Some(value("a", 3, 2, "y", false))));
    let back = state(&records);
    assert_eq!(live(&back, "a"), [3]);
    assert_eq!(back.holder(".", 2).map(|stored| stored.version), Some(3));
    assert_eq!(back.holder(".", 1).map(|stored| stored.deleted), Some(true));
}

#[test]
fn a_permanent_delete_frees_the_id_s_place_but_not_its_number() {
    let mut state = State::default();
    register(&mut state, "a", 1, 5, "x");
    let guid = state.version(&Subject::parse("a"), 1).expect("there").guid;
    assert_eq!(state.id_of(".", guid, "AVRO"), Some(5));
    let key = Key::Schema { subject: "a".to_owned(), version: 1 };
    state.apply(&Update::of(&key, None, 0)).expect("a tombstone");
    assert_eq!((state.id_of(".", guid, "AVRO"), state.holder(".", 5)), (None, None));
    assert_eq!(state.max_id("."), 5);
    assert!(!state.has(None, Filter::All));
}

#[test]
fn an_id_keeps_its_text() {
    let mut state = State::default();
    register(&mut state, "a", 1, 1, "x");
    let key = Key::Schema { subject: "b".to_owned(), version: 1 };
    let other = value("b", 1, 1, "y", false);
    let other = Value::decode(&key, other.as_bytes()).expect("a value");
    assert_eq!(state.apply(&Update::of(&key, Some(other), 0)), Err(Ignored::IdTaken { id: 1 }));
    assert_eq!(live(&state, "b"), [0; 0]);
    register(&mut state, "b", 1, 1, "x");
    register(&mut state, ":.eu:b", 1, 1, "y");
    let holders = |context| {
        state.holders(context, 1, Filter::Live).map(|s| s.subject.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        (holders("."), holders(".eu")),
        (vec!["a".into(), "b".into()], vec![":.eu:b".into()])
    );
}

#[test]
fn settings_are_taken_from_what_is_around() {
    let config = |subject: &str, level: &str| {
        let key = match subject {
            "" => r#"{"keytype":"CONFIG","magic":0}"#.to_owned(),
            _ => format!(r#"{{"keytype":"CONFIG","subject":"{subject}","magic":0}}"#),
        };
        (key, format!(r#"{{"compatibilityLevel":"{level}"}}"#))
    };
    let records = [config("", "FULL"), config("a", "NONE"), config(":.eu:", "FORWARD")];
    let records: Vec<_> =
        records.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))).collect();
    let state = replay(&records);
    let level = |subject: &str| {
        state.config_in_scope(&Subject::parse(subject)).compatibility_level.expect("a level")
    };
    assert_eq!(level("a"), Level::None);
    assert_eq!(level("b"), Level::Full);
    assert_eq!(level(":.eu:a"), Level::Forward);
    assert_eq!(level(":.us:a"), Level::Backward);
}

#[test]
fn modes_are_taken_from_what_is_around() {
    let state = replay(&[
        (r#"{"keytype":"MODE","subject":":.__GLOBAL:","magic":0}"#, Some(r#"{"mode":"READONLY"}"#)),
        (r#"{"keytype":"MODE","subject":"a","magic":0}"#, Some(r#"{"mode":"IMPORT"}"#)),
        (r#"{"keytype":"MODE","subject":":.eu:","magic":0}"#, Some(r#"{"mode":"READWRITE"}"#)),
    ]);
    let mode = |subject: &str| state.mode_in_scope(&Subject::parse(subject));
    assert_eq!(mode("a"), Mode::Import);
    assert_eq!(mode("b"), Mode::ReadOnly);
    assert_eq!(mode(":.eu:b"), Mode::ReadWrite);
}

#[test]
fn who_refers_to_whom() {
    let mut state = State::default();
    register(&mut state, "base", 1, 1, "x");
    let key = Key::Schema { subject: "user".to_owned(), version: 1 };
    let text = r#"{"subject":"user","version":1,"id":2,"references":[{"name":"n","subject":"base","version":1}],"schema":"y","deleted":false}"#;
    let value = Value::decode(&key, text.as_bytes()).expect("a value");
    state.apply(&Update::of(&key, Some(value), 0)).expect("it is taken up");
    let base = Arc::clone(state.version(&Subject::parse("base"), 1).expect("there"));
    assert_eq!(state.referrers(&base, Filter::Live), [(".".to_owned(), 2)]);
    let delete = Key::DeleteSubject { subject: "user".to_owned() };
    state.apply(&Update::of(&delete, Some(Value::DeleteSubject(1)), 0)).expect("it is taken up");
    assert!(state.referrers(&base, Filter::Live).is_empty());
    assert_eq!(state.referrers(&base, Filter::All), [(".".to_owned(), 2)]);
    state.apply(&Update::of(&key, None, 0)).expect("a tombstone");
    assert!(state.referrers(&base, Filter::All).is_empty());
}

#[test]
fn prefixes_know_contexts() {
    let mut state = State::default();
    for (id, subject) in [(1, "ab"), (2, "b"), (3, ":.eu:ab"), (4, ":.europe:c")] {
        register(&mut state, subject, 1, id, subject);
    }
    let found = |prefix: &str| {
        state.with_prefix(prefix).map(|(subject, _)| subject.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(":*:"), ["ab", "b", ":.eu:ab", ":.europe:c"]);
    assert_eq!(found(":*:a"), ["ab", ":.eu:ab"]);
    assert_eq!(found(""), ["ab", "b"]);
    assert_eq!(found("a"), ["ab"]);
    assert_eq!(found(":.eu:"), [":.eu:ab"]);
    assert_eq!(found(":.eu"), [":.eu:ab", ":.europe:c"]);
}

#[test]
fn clearing_forgets_what_was_deleted() {
    let mut state = State::default();
    for (id, subject) in [(1, "a"), (2, "b"), (3, ":.eu:a")] {
        register(&mut state, subject, 1, id, subject);
    }
    for subject in ["a", ":.eu:a"] {
        let delete = Key::DeleteSubject { subject: subject.to_owned() };
        state
            .apply(&Update::of(&delete, Some(Value::DeleteSubject(1)), 0))
            .expect("it is taken up");
    }
    let clear = |state: &mut State, subject: Option<&str>| {
        let key = Key::ClearSubject { subject: subject.map(str::to_owned) };
        state.apply(&Update::of(&key, Some(Value::ClearSubject), 0)).expect("it is taken up");
        state.with_prefix(":*:").count()
    };
    assert_eq!(clear(&mut state, Some(":.eu:")), 2);
    assert_eq!(clear(&mut state, Some("b")), 2);
    assert_eq!(clear(&mut state, None), 1);
}
