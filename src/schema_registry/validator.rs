//! Holds records against schemas as they are produced: from what is known, at once.
//!
//! Source: the wire format of Confluent's serializers: a zero byte and the id in front of the bytes or in a header, or, in
//! a header alone, a one and the guid; `RecordSchemaValidator` of Confluent Server.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::service::Service;
use super::state::Stored;
use super::subject::{DEFAULT_CONTEXT, Subject};
use crate::client::{RecordPart, RecordValidator, SchemaFault, SubjectNames};

/// What an id in front of the bytes begins with.
const MAGIC_ID: u8 = 0;
/// What a guid in a header begins with.
const MAGIC_GUID: u8 = 1;

#[async_trait]
impl RecordValidator for Service {
    fn check(&self, part: &RecordPart<'_>) -> Result<(), SchemaFault> {
        let found = self.schema_of(part);
        let found = found.map_err(|why| match self.is_caught_up() {
            true => SchemaFault::Refused(why),
            // What is not known here may have been registered.
            false => SchemaFault::NotReady,
        })?;
        let refused = |why: String| SchemaFault::Refused(format!("id {}: {why}", found.stored.id));
        if !part.payload {
            return Ok(());
        }
        let schema = self.compiled(&found.stored).map_err(|error| refused(error.to_string()))?;
        let payload = schema.payload(found.header, found.bytes);
        payload
            .and_then(|payload| schema.validate(&payload))
            .map_err(|error| refused(error.message))
    }

    async fn confirm(&self) -> Result<(), SchemaFault> {
        self.prove().await.map_err(|_| SchemaFault::NotReady)
    }
}

/// What a key or value says of its schema.
struct Said<'a> {
    stored: Arc<Stored>,
    /// What follows the id in a header.
    header: Option<&'a [u8]>,
    /// What follows the id in front of the bytes, or all of them.
    bytes: &'a [u8],
}

/// The bytes of a number and a guid.
const ID_BYTES: usize = 4;
const GUID_BYTES: usize = 16;

impl Service {
    /// The schema that a key or value says it has, if that is registered where it must be.
    fn schema_of<'a>(&self, part: &RecordPart<'a>) -> Result<Said<'a>, String> {
        let (in_header, said) = match part.header {
            Some(header) => (true, header),
            None => (false, part.bytes),
        };
        let place = if in_header { "its header" } else { "it" };
        let none = || format!("{place} does not begin with a schema's id");
        let (holder, rest) = {
            let state = self.state();
            match said.split_first() {
                Some((&MAGIC_ID, rest)) => {
                    let (id, rest) = rest.split_first_chunk::<ID_BYTES>().ok_or_else(none)?;
                    let id = i32::from_be_bytes(*id);
                    let holder = state.holder(DEFAULT_CONTEXT, id);
                    (holder.cloned().ok_or_else(|| format!("no schema has the id {id}"))?, rest)
                }
                Some((&MAGIC_GUID, rest)) if in_header => {
                    let (guid, rest) = rest.split_first_chunk::<GUID_BYTES>().ok_or_else(none)?;
                    let ids = state.ids_of(DEFAULT_CONTEXT, Uuid::from_bytes(*guid)).next();
                    let holder = ids.and_then(|(_, id)| state.holder(DEFAULT_CONTEXT, id));
                    let none = || "its header names no schema that is registered".to_owned();
                    (holder.cloned().ok_or_else(none)?, rest)
                }
                _ => return Err(none()),
            }
        };
        let (header, bytes) = if in_header { (Some(rest), part.bytes) } else { (None, rest) };
        let said = Said { stored: holder, header, bytes };
        let subject = self.subject(part, &said)?;
        let state = self.state();
        let registered =
            state.holder_in(&subject, said.stored.id).filter(|stored| !stored.deleted).cloned();
        let stored = registered
            .ok_or_else(|| format!("id {} is not registered under {subject}", said.stored.id))?;
        Ok(Said { stored, ..said })
    }

    /// The subject that the topic's strategy names.
    fn subject(&self, part: &RecordPart<'_>, said: &Said<'_>) -> Result<Subject, String> {
        let end = if part.is_key { "key" } else { "value" };
        let record_name = || {
            let schema = self.compiled(&said.stored).map_err(|error| error.to_string())?;
            let payload = schema.payload(said.header, said.bytes).map_err(|error| error.message)?;
            let name = schema.record_name(&payload);
            name.ok_or_else(|| format!("id {}: its schema has no name", said.stored.id))
        };
        Ok(Subject::parse(&match part.names {
            SubjectNames::Topic => format!("{}-{end}", part.topic),
            SubjectNames::Record => record_name()?,
            SubjectNames::TopicRecord => format!("{}-{}", part.topic, record_name()?),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::decide::{Command, Registration};
    use super::super::entity::Content;
    use super::super::service::memory::MemoryLog;
    use super::*;
    use crate::client::local::TopicLog;

    const USER: &str = r#"{"type":"record","name":"User","namespace":"shop","fields":[{"name":"id","type":"int"}]}"#;
    const DOCUMENT: &str = r#"{"title":"shop.User","type":"object","required":["id"]}"#;
    const MESSAGE: &str =
        "syntax = \"proto3\"; package shop; message Other {} message User { int32 id = 1; }";

    async fn with(subjects: &[&str], (schema_type, schema): (&str, &str)) -> Service {
        let service = Service::start(Arc::new(MemoryLog::default()) as Arc<dyn TopicLog>);
        for subject in subjects {
            let content = Content {
                schema_type: schema_type.to_owned(),
                schema: schema.to_owned(),
                ..Content::default()
            };
            let registration = Registration {
                subject: Subject::parse(subject),
                content,
                id: None,
                version: 0,
                normalize: false,
                force: false,
            };
            let command = Command::Register(Box::new(registration));
            service.change(command).await.expect("it is registered");
        }
        service
    }

    fn part(names: SubjectNames, payload: bool, bytes: &[u8]) -> RecordPart<'_> {
        RecordPart { topic: "orders", is_key: false, names, payload, bytes, header: None }
    }

    /// A schema of each format, and what a value of it is after the id.
    const FORMATS: [(&str, &str, &[u8]); 3] = [
        ("AVRO", USER, &[8]),
        ("JSON", DOCUMENT, b"{\"id\":4}"),
        ("PROTOBUF", MESSAGE, &[2, 2, 8, 4]),
    ];

    fn with_id(id: u8, rest: &[u8]) -> Vec<u8> {
        [&[0, 0, 0, 0, id], rest].concat()
    }

    const STRATEGIES: [(SubjectNames, &str); 3] = [
        (SubjectNames::Topic, "orders-value"),
        (SubjectNames::Record, "shop.User"),
        (SubjectNames::TopicRecord, "orders-shop.User"),
    ];

    /// A schema that is registered under one subject fits where the strategy gives that, and only there.
    async fn fits_its_strategy(registered: SubjectNames, subject: &str) {
        for (kind, schema, value) in FORMATS {
            let service = with(&[subject], (kind, schema)).await;
            let check = |names, bytes: &[u8]| service.check(&part(names, false, bytes));
            for (names, _) in STRATEGIES {
                let fits = check(names, &with_id(1, value)).is_ok();
                assert_eq!(fits, names == registered, "{kind} {subject}");
            }
            for bad in [&[][..], &[0, 0, 0, 1], &[1, 0, 0, 0, 1], &[0, 0, 0, 0, 2], b"{}"] {
                let refused = matches!(check(registered, bad), Err(SchemaFault::Refused(_)));
                assert!(refused, "{kind} {bad:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_must_be_registered_where_the_strategy_says() {
        for (names, subject) in STRATEGIES {
            fits_its_strategy(names, subject).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_held_against_the_schema_when_they_count() {
        let bad: [(&str, &[&[u8]]); 3] = [
            ("AVRO", &[&[], &[8, 8], &[0x80]]),
            ("JSON", &[b"", b"{}", b"{\"id\":4", b"4"]),
            ("PROTOBUF", &[&[], &[2, 2, 8], &[2, 4, 8, 4], &[2, 2, 10, 9, 1]]),
        ];
        for ((kind, schema, value), (_, bad)) in FORMATS.into_iter().zip(bad) {
            let service = with(&["orders-value"], (kind, schema)).await;
            let check =
                |rest: &[u8]| service.check(&part(SubjectNames::Topic, true, &with_id(1, rest)));
            assert_eq!(check(value), Ok(()), "{kind}");
            for bad in bad {
                assert!(matches!(check(bad), Err(SchemaFault::Refused(_))), "{kind} {bad:?}");
            }
        }
    }

    /// What one registry does not know another may have registered: then nothing is refused.
    #[tokio::test(start_paused = true)]
    async fn a_replaced_registry_confirms_no_refusal() {
        let log = Arc::new(MemoryLog::default());
        let service = Service::start(Arc::clone(&log) as Arc<dyn TopicLog>);
        let unknown = with_id(9, &[8]);
        let check = || service.check(&part(SubjectNames::Topic, false, &unknown));
        assert!(matches!(check(), Err(SchemaFault::Refused(_))));
        assert_eq!(service.confirm().await, Ok(()));
        log.replace_leader();
        assert!(matches!(check(), Err(SchemaFault::Refused(_))), "it is not told");
        assert_eq!(service.confirm().await, Err(SchemaFault::NotReady));
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_names_a_schema_too() {
        for (kind, schema, value) in FORMATS {
            let service = with(&["orders-value"], (kind, schema)).await;
            let guid = service.state().holder(".", 1).expect("registered").guid;
            // A serializer puts the indexes behind the guid, not in front of the message.
            let (indexes, value) = value.split_at(if kind == "PROTOBUF" { 2 } else { 0 });
            let check = |header: &[u8]| {
                let part = part(SubjectNames::Topic, true, value);
                service.check(&RecordPart { header: Some(header), ..part })
            };
            assert_eq!(check(&[&[1][..], guid.as_bytes(), indexes].concat()), Ok(()), "{kind}");
            assert_eq!(check(&[&[0, 0, 0, 0, 1][..], indexes].concat()), Ok(()), "{kind}");
            let more = [&[1][..], guid.as_bytes(), indexes, &[0]].concat();
            for bad in [&[1; 17][..], &[], &[2], &more[..9], &more] {
                assert!(matches!(check(bad), Err(SchemaFault::Refused(_))), "{kind} {bad:?}");
            }
        }
    }
}
