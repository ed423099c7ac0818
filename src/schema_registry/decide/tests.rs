//! Changes over small states: ids, versions, look-ups, deletes, settings, and every refusal.

use super::*;
use crate::schema_registry::entity::{Metadata, Reference};
use crate::schema_registry::settings::Level;
use crate::schema_registry::state::{Filter, Update};

struct World {
    state: State,
    catalog: Catalog,
}

fn avro(text: &str) -> Content {
    Content { schema_type: "AVRO".to_owned(), schema: text.to_owned(), ..Content::default() }
}

fn registration(subject: &str, text: &str) -> Registration {
    Registration {
        subject: Subject::parse(subject),
        content: avro(text),
        id: None,
        version: 0,
        normalize: false,
        force: false,
    }
}

const INT: &str = "\"int\"";
const LONG: &str = "\"long\"";

impl World {
    fn new() -> Self {
        Self { state: State::default(), catalog: Catalog::default() }
    }

    /// Decides the change and takes up what it writes.
    fn change(&mut self, command: Command) -> Result<Answer, Error> {
        let plan = decide(&self.state, &self.catalog, &command)?;
        for (key, value) in plan.writes {
            self.state.apply(&Update::of(&key, value, 0)).expect("decisions fit the state");
        }
        Ok(plan.answer)
    }

    fn register(&mut self, registration: Registration) -> Result<(i32, i32), Error> {
        match self.change(Command::Register(Box::new(registration)))? {
            Answer::Registered(done) => Ok((done.id, done.version)),
            other => panic!("{other:?}"),
        }
    }

    fn simply(&mut self, subject: &str, text: &str) -> (i32, i32) {
        self.register(registration(subject, text)).expect("it is registered")
    }

    fn delete(&mut self, subject: &str, version: i32, permanent: bool) -> Result<Answer, Error> {
        self.change(Command::DeleteVersion { subject: Subject::parse(subject), version, permanent })
    }

    fn delete_all(&mut self, subject: &str, permanent: bool) -> Result<Answer, Error> {
        self.change(Command::DeleteSubject { subject: Subject::parse(subject), permanent })
    }

    fn level(&mut self, subject: &str, level: &str) {
        let fields = [("compatibility".to_owned(), level.into())].into_iter().collect();
        let command = Command::SetConfig { subject: Subject::parse(subject), fields };
        self.change(command).expect("a level");
    }

    fn mode(&mut self, subject: &str, mode: Mode) -> Result<Answer, Error> {
        let subject = Subject::parse(subject);
        self.change(Command::SetMode { subject, mode: Some(mode), force: false })
    }
}

#[test]
fn the_same_schema_has_one_id_in_a_context() {
    let mut world = World::new();
    assert_eq!(world.simply("a", INT), (1, 1));
    assert_eq!(world.simply("b", LONG), (2, 1));
    assert_eq!(world.simply("b", LONG), (2, 1));
    assert_eq!(world.simply("c", INT), (1, 1));
    // Another context counts from its own start.
    assert_eq!(world.simply(":.eu:a", LONG), (1, 1));
    assert!(world.state.knows_context(".eu"));
    // An int can be read as a long, not the other way.
    assert_eq!(world.simply("a", LONG), (2, 2));
}

#[test]
fn what_does_not_fit_is_refused_with_what_and_where() {
    let mut world = World::new();
    world.simply("a", LONG);
    let refused = world.register(registration("a", INT)).expect_err("an int does not read longs");
    assert_eq!((refused.code(), refused.status()), (409, 409));
    let said = refused.to_string();
    for part in ["for subject \"a\"", "oldSchemaVersion: 1", "compatibility: 'BACKWARD'"] {
        assert!(said.contains(part), "{said}");
    }
    let force = Registration { force: true, ..registration("a", INT) };
    assert_eq!(world.register(force), Ok((2, 2)));
    world.level("b", "forward");
    world.simply("b", LONG);
    assert_eq!(world.register(registration("b", INT)), Ok((2, 2)));
    world.level("c", "none");
    world.simply("c", LONG);
    assert_eq!(world.simply("c", "\"string\""), (3, 2));
}

#[test]
fn levels_look_at_the_last_or_at_all() {
    let mut world = World::new();
    world.level("a", "NONE");
    world.simply("a", "\"string\"");
    world.simply("a", LONG);
    world.level("a", "BACKWARD");
    assert_eq!(world.simply("a", "\"float\""), (3, 3));
    world.level("a", "BACKWARD_TRANSITIVE");
    let refused = world.register(registration("a", "\"double\"")).expect_err("not all are read");
    assert!(refused.to_string().contains("oldSchemaVersion: 1"), "{refused}");
}

#[test]
fn deleted_versions_come_back_with_their_id() {
    let mut world = World::new();
    world.simply("a", INT);
    world.simply("a", LONG);
    assert_eq!(world.delete("a", 2, false), Ok(Answer::Version(2)));
    assert_eq!(world.delete("a", 2, false).map_err(|error| error.code()), Err(40406));
    assert_eq!(world.simply("a", LONG), (2, 3));
    assert_eq!(world.delete("a", 2, true).map_err(|error| error.code()), Err(40402));
    assert_eq!(world.delete("a", 3, true).map_err(|error| error.code()), Err(40407));
    assert_eq!(world.delete("x", 1, false).map_err(|error| error.code()), Err(40401));
}

#[test]
fn subjects_are_deleted_first_so_and_then_for_good() {
    let mut world = World::new();
    world.simply("a", INT);
    world.simply("a", LONG);
    world.level("a", "FULL");
    assert_eq!(world.delete_all("a", true).map_err(|error| error.code()), Err(40405));
    assert_eq!(world.delete_all("a", false), Ok(Answer::Versions(vec![1, 2])));
    assert_eq!(world.delete_all("a", false).map_err(|error| error.code()), Err(40404));
    assert_eq!(world.delete_all("a", true), Ok(Answer::Versions(vec![1, 2])));
    assert_eq!(world.delete_all("a", true).map_err(|error| error.code()), Err(40401));
    assert_eq!(world.state.config(&Subject::parse("a")), None);
    // Its ids are not given again.
    assert_eq!(world.simply("a", "\"string\""), (3, 1));
}

#[test]
fn what_others_refer_to_stays() {
    let mut world = World::new();
    let record = r#"{"type":"record","name":"Base","fields":[]}"#;
    world.simply("base", record);
    let mut user = registration(
        "user",
        r#"{"type":"record","name":"User","fields":[{"name":"base","type":"Base"}]}"#,
    );
    user.content.references =
        vec![Reference { name: "Base".to_owned(), subject: "base".to_owned(), version: 1 }];
    assert_eq!(world.register(user.clone()), Ok((2, 1)));
    assert_eq!(world.delete("base", 1, false).map_err(|error| error.code()), Err(42206));
    assert_eq!(world.delete_all("base", false).map_err(|error| error.code()), Err(42206));
    user.content.references[0].version = 2;
    user.content.schema.push(' ');
    let refused = world.register(user).expect_err("there is no version 2");
    assert_eq!(refused.code(), 42201);
    assert!(refused.to_string().contains("subject \"base\" and version 2"), "{refused}");
}

#[test]
fn modes_say_what_may_be_done() {
    let mut world = World::new();
    world.simply("a", INT);
    let code = |result: Result<_, Error>| result.map_err(|error| error.code());
    assert_eq!(code(world.mode("", Mode::Import).map(|_| ())), Err(42205));
    world.mode("a", Mode::ReadOnly).expect("a mode");
    assert_eq!(code(world.register(registration("a", LONG)).map(|_| ())), Err(42205));
    assert_eq!(code(world.delete("a", 1, false).map(|_| ())), Err(42205));
    // What is there is found under any mode.
    assert_eq!(world.simply("a", INT), (1, 1));
    let imported =
        |id, version, text| Registration { id: Some(id), version, ..registration("b", text) };
    assert_eq!(code(world.register(imported(40, 7, LONG)).map(|_| ())), Err(42205));
    world.mode("b", Mode::Import).expect("nothing is there");
    assert_eq!(world.register(imported(40, 7, LONG)), Ok((40, 7)));
    assert_eq!(world.register(imported(40, 7, LONG)), Ok((40, 7)));
    assert_eq!(code(world.register(imported(40, 8, INT)).map(|_| ())), Err(42205));
    assert_eq!(code(world.register(registration("b", INT)).map(|_| ())), Err(42205));
    assert_eq!(world.simply("c", "\"string\""), (41, 1));
}

#[test]
fn metadata_comes_from_settings_and_from_the_version_before() {
    let mut world = World::new();
    let owner = |name: &str| Metadata {
        properties: [("owner".to_owned(), name.to_owned())].into_iter().collect(),
        ..Metadata::default()
    };
    let mut first = registration("a", INT);
    first.content.metadata = Some(owner("me"));
    assert_eq!(world.register(first), Ok((1, 1)));
    assert_eq!(world.simply("a", LONG), (2, 2));
    let second = world.state.latest(&Subject::parse("a")).expect("there");
    assert_eq!(second.content.metadata, Some(owner("me")));
    // Asked for without metadata, it is what the version before gave it.
    let lookup = Lookup {
        subject: Subject::parse("a"),
        content: avro(LONG),
        normalize: false,
        filter: Filter::Live,
        latest_only: false,
    };
    let found = find(&world.state, &world.catalog, &lookup).expect("a schema").expect("found");
    assert_eq!((found.id, found.version), (2, 2));
    // The next version counts itself.
    let counted = Registration { version: -1, ..registration("a", "\"double\"") };
    assert_eq!(world.register(counted), Ok((3, 3)));
    let third = world.state.latest(&Subject::parse("a")).expect("there");
    assert_eq!(third.content.metadata.as_ref().and_then(Metadata::version), Some("3"));
}

#[test]
fn settings_change_field_by_field() {
    let mut world = World::new();
    let mut set = |text: &str| {
        let fields = serde_json::from_str(text).expect("an object");
        world.change(Command::SetConfig { subject: Subject::parse("a"), fields })
    };
    let config = |answer| match answer {
        Ok(Answer::Config(config)) => *config,
        other => panic!("{other:?}"),
    };
    let first = config(set(r#"{"compatibility":"full","alias":"b"}"#));
    assert_eq!((first.compatibility_level, first.alias.as_deref()), (Some(Level::Full), Some("b")));
    let second = config(set(r#"{"normalize":true,"alias":null,"unknown":1}"#));
    assert_eq!((second.compatibility_level, second.alias), (Some(Level::Full), None));
    assert_eq!(second.normalize, Some(true));
    assert_eq!(set(r#"{"compatibility":"sideways"}"#), Err(Error::InvalidLevel));
    assert!(matches!(set(r#"{"normalize":"x"}"#), Err(Error::BadRequest(_))));
}

#[test]
fn an_empty_text_is_the_one_before_it() {
    let mut world = World::new();
    let refused = world.register(registration("a", " ")).expect_err("there is none before");
    assert_eq!(refused, Error::InvalidSchema("Empty schema".to_owned()));
    world.simply("a", INT);
    let mut tagged = registration("a", "");
    tagged.content.metadata = Some(Metadata {
        properties: [("owner".to_owned(), "me".to_owned())].into_iter().collect(),
        ..Metadata::default()
    });
    assert_eq!(world.register(tagged), Ok((2, 2)));
    assert_eq!(world.state.latest(&Subject::parse("a")).expect("there").content.schema, INT);
}

/// `validateFields`: names that Confluent keeps for itself, and fields that metadata reserves, in every format.
#[test]
fn fields_are_validated_where_settings_ask_for_it() {
    let with = |schema_type: &str, schema: &str, reserved: Option<&str>| {
        let properties =
            reserved.map(|fields| ("confluent:reserved".to_owned(), fields.to_owned()));
        let metadata =
            Metadata { properties: properties.into_iter().collect(), ..Metadata::default() };
        let content = Content {
            schema_type: schema_type.to_owned(),
            schema: schema.to_owned(),
            metadata: Some(metadata),
            ..Content::default()
        };
        Registration { content, ..registration("a", "") }
    };
    let dollars = r#"{"type":"object","properties":{"$$a":{"type":"string"}}}"#;
    let formats = [
        ("AVRO", r#"{"type":"record","name":"R","fields":[{"name":"id","type":"int"}]}"#),
        ("JSON", r#"{"type":"object","properties":{"id":{"type":"string"}}}"#),
        ("PROTOBUF", "syntax = \"proto3\"; message M { int32 id = 1; }"),
    ];
    let set = |world: &mut World| {
        let fields = [("validateFields".to_owned(), true.into())].into_iter().collect();
        let command = Command::SetConfig { subject: Subject::parse("a"), fields };
        world.change(command).expect("a setting");
    };
    // Where nobody asks, nothing is checked.
    let mut world = World::new();
    world.register(with("JSON", dollars, Some("id"))).expect("it is registered");

    let mut world = World::new();
    set(&mut world);
    let refused = world.register(with("JSON", dollars, None)).expect_err("a name of Confluent's");
    assert_eq!(refused.code(), 42201);
    assert!(refused.to_string().contains("#/properties/$$a"), "{refused}");
    for (schema_type, schema) in formats {
        let mut world = World::new();
        set(&mut world);
        let refused =
            world.register(with(schema_type, schema, Some("x, id"))).expect_err("id is used");
        assert_eq!(refused.code(), 409, "{schema_type}");
        let said = refused.to_string();
        assert!(said.contains("conflicts with the reserved field id."), "{said}");
        assert!(said.contains("validateFields: 'true', compatibility: 'BACKWARD'"), "{said}");
        world.register(with(schema_type, schema, Some("x,y"))).expect("x and y are free");
        // Whatever the level, what is reserved stays so.
        world.level("a", "NONE");
        let refused =
            world.register(with(schema_type, schema, Some("y"))).expect_err("x is free no more");
        assert!(refused.to_string().contains("reserved field x removed"), "{refused}");
        world.mode("a", Mode::Import).expect_err("schemas are there");
        let force = Registration { force: true, ..with(schema_type, schema, Some("y")) };
        assert_eq!(world.register(force), Ok((2, 2)), "{schema_type}");
    }
    // What comes from another registry was accepted there.
    let mut world = World::new();
    set(&mut world);
    world.mode("a", Mode::Import).expect("nothing is there");
    let imported = Registration { id: Some(7), version: 1, ..with("JSON", dollars, None) };
    assert_eq!(world.register(imported), Ok((7, 1)));
}

/// `validateNewSchemas`: off, a new schema is read as one that was accepted before.
#[test]
fn new_schemas_are_held_to_weaker_rules_where_settings_say_so() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#;
    let mut world = World::new();
    let refused = world.register(registration("a", text)).expect_err("no int");
    assert_eq!(refused.code(), 42201);
    let fields = [("validateNewSchemas".to_owned(), false.into())].into_iter().collect();
    world.change(Command::SetConfig { subject: Subject::parse("a"), fields }).expect("a setting");
    assert_eq!(world.register(registration("a", text)), Ok((1, 1)));
}
