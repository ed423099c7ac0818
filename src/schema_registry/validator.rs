//! Holds records against schemas as they are produced: from what is known, at once.
//!
//! Source: the wire format of Confluent's serializers: a zero byte and the id in front of the bytes, or, in a header, a
//! one and the guid; `RecordSchemaValidator` of Confluent Server.

use std::sync::Arc;

use serde_json::Value as Json;
use uuid::Uuid;

use super::service::Service;
use super::state::{State, Stored};
use super::subject::{DEFAULT_CONTEXT, Subject};
use crate::client::{RecordPart, RecordValidator, SchemaFault, SubjectNames};

/// What an id in front of the bytes begins with.
const MAGIC_ID: u8 = 0;
/// What a guid in a header begins with.
const MAGIC_GUID: u8 = 1;

impl RecordValidator for Service {
    fn check(&self, part: &RecordPart<'_>) -> Result<(), SchemaFault> {
        let (found, payload) = self.schema_of(part);
        let stored = found.map_err(|why| match self.is_caught_up() {
            true => SchemaFault::Refused(why),
            // What is not known here may have been registered.
            false => SchemaFault::NotReady,
        })?;
        if !part.payload {
            return Ok(());
        }
        let refused = |why: String| SchemaFault::Refused(format!("id {}: {why}", stored.id));
        let schema = self.compiled(&stored).map_err(|error| refused(error.to_string()))?;
        schema.validate_payload(payload).map_err(|error| refused(error.message))
    }
}

impl Service {
    /// The schema that a key or value says it has, if that is registered where it must be; and the bytes that are of it.
    fn schema_of<'a>(&self, part: &RecordPart<'a>) -> (Result<Arc<Stored>, String>, &'a [u8]) {
        let state = self.state();
        match (part.header, part.bytes) {
            (Some([MAGIC_GUID, guid @ ..]), bytes) => {
                let id =
                    Uuid::from_slice(guid).ok().and_then(|guid| state.id_of(DEFAULT_CONTEXT, guid));
                let found =
                    id.ok_or_else(|| "its header names no schema that is registered".to_owned());
                (found.and_then(|id| registered(&state, part, id)), bytes)
            }
            (_, [MAGIC_ID, a, b, c, d, rest @ ..]) => {
                (registered(&state, part, i32::from_be_bytes([*a, *b, *c, *d])), rest)
            }
            (_, bytes) => (Err("it does not begin with a schema's id".to_owned()), bytes),
        }
    }
}

/// The version with that id under the subject that the topic's strategy names.
fn registered(state: &State, part: &RecordPart<'_>, id: i32) -> Result<Arc<Stored>, String> {
    let Some(holder) = state.holder(DEFAULT_CONTEXT, id) else {
        return Err(format!("no schema has the id {id}"));
    };
    let end = if part.is_key { "key" } else { "value" };
    let name = match part.names {
        SubjectNames::Topic => format!("{}-{end}", part.topic),
        SubjectNames::Record => record_name(holder),
        SubjectNames::TopicRecord => format!("{}-{}", part.topic, record_name(holder)),
    };
    let subject = Subject::parse(&name);
    let stored = state.holder_in(&subject, id).filter(|stored| !stored.deleted);
    stored.cloned().ok_or_else(|| format!("id {id} is not registered under {subject}"))
}

/// The full name of an Avro record, or the title of a JSON Schema.
fn record_name(stored: &Stored) -> String {
    let text: Json = serde_json::from_str(&stored.content.schema).unwrap_or_default();
    let word = |name: &str| text[name].as_str().unwrap_or_default().to_owned();
    match (word("name"), word("namespace"), word("title")) {
        (name, _, title) if name.is_empty() => title,
        (name, namespace, _) if namespace.is_empty() || name.contains('.') => name,
        (name, namespace, _) => format!("{namespace}.{name}"),
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

    async fn with(subjects: &[&str]) -> Service {
        let service = Service::start(Arc::new(MemoryLog::default()) as Arc<dyn TopicLog>);
        for subject in subjects {
            let content = Content {
                schema_type: "AVRO".to_owned(),
                schema: USER.to_owned(),
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

    #[tokio::test(start_paused = true)]
    async fn an_id_must_be_registered_where_the_strategy_says() {
        let names = [SubjectNames::Topic, SubjectNames::Record, SubjectNames::TopicRecord];
        let subjects = ["orders-value", "shop.User", "orders-shop.User"];
        for (names, subject) in names.into_iter().zip(subjects) {
            let service = with(&[subject]).await;
            let check = |names, bytes: &[u8]| service.check(&part(names, false, bytes));
            assert_eq!(check(names, &[0, 0, 0, 0, 1, 9]), Ok(()), "{subject}");
            for other in [SubjectNames::Topic, SubjectNames::Record, SubjectNames::TopicRecord] {
                assert_eq!(check(other, &[0, 0, 0, 0, 1]).is_ok(), other == names, "{subject}");
            }
            for bad in [&[][..], &[0, 0, 0, 1], &[1, 0, 0, 0, 1], &[0, 0, 0, 0, 2], b"{}"] {
                assert!(matches!(check(names, bad), Err(SchemaFault::Refused(_))), "{bad:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_held_against_the_schema_when_they_count() {
        let service = with(&["orders-value"]).await;
        let check = |bytes: &[u8]| service.check(&part(SubjectNames::Topic, true, bytes));
        assert_eq!(check(&[0, 0, 0, 0, 1, 8]), Ok(()));
        for bad in [&[0, 0, 0, 0, 1][..], &[0, 0, 0, 0, 1, 8, 8], &[0, 0, 0, 0, 1, 0x80]] {
            assert!(matches!(check(bad), Err(SchemaFault::Refused(_))), "{bad:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_guid_in_a_header_names_a_schema_too() {
        let service = with(&["orders-value"]).await;
        let guid = service.state().holder(".", 1).expect("registered").guid;
        let header = [&[1][..], guid.as_bytes()].concat();
        let asked = RecordPart { header: Some(&header), ..part(SubjectNames::Topic, true, &[8]) };
        assert_eq!(service.check(&asked), Ok(()));
        let unknown = [1; 17];
        let asked = RecordPart { header: Some(&unknown), ..asked };
        assert!(matches!(service.check(&asked), Err(SchemaFault::Refused(_))));
    }
}
