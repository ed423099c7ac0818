//! Makes answers of two brokers comparable: what differs by nature gets a symbolic name, what has no order is sorted.

use std::collections::BTreeMap;

use kafka_protocol::{error::ParseResponseErrorCode, messages::ApiKey};
use serde_json::{Map, Value};

use crate::batch;

/// Ids that a test sends though no broker issued them; they stay as they are.
pub const FOREIGN_TOPIC_ID: &str = "00000000-dead-beef-0000-00000000abcd";
const NIL: &str = "00000000-0000-0000-0000-000000000000";
/// Record timestamps of the script lie in this many milliseconds after its base.
const SCRIPT_SPAN_MS: i64 = 1_000_000;

/// Lists whose items are looked up by name.
const NAMED_LISTS: [&str; 4] = ["api_keys", "configs", "supported_features", "finalized_features"];

/// The symbolic names that a conversation has met so far.
#[derive(Debug)]
pub struct Symbols {
    /// What the script's record timestamps count from: an hour ago.
    pub base_ms: i64,
    /// The epoch of the coordinators of a broker that is talked to, which counts its lives before.
    first_epoch: i32,
    /// By how much a restart of the broker raises leader epochs; they are told in lives of the broker.
    pub epochs_a_life: i32,
    /// Topic, partition and config lists are sorted unless the order itself is asked for.
    pub keep_order: bool,
    texts: BTreeMap<String, String>,
    producers: BTreeMap<i64, usize>,
    sessions: BTreeMap<i64, usize>,
}

impl Symbols {
    pub fn new(base_ms: i64, first_epoch: i32) -> Self {
        Self {
            base_ms,
            first_epoch,
            epochs_a_life: 1,
            keep_order: false,
            texts: BTreeMap::new(),
            producers: BTreeMap::new(),
            sessions: BTreeMap::new(),
        }
    }

    /// Renames the topics met so far: what comes under their names next is another topic.
    pub fn forget_topics(&mut self) {
        for name in self.texts.values_mut() {
            *name = name.replace("<id of", "<former id of");
        }
    }

    /// The comparable form of a decoded answer.
    pub fn normal(&mut self, mut answer: Value) -> Value {
        self.learn(&answer);
        self.rename(None, &mut answer);
        self.arrange(&mut answer);
        answer
    }

    /// Gives every id in `answer` its name before any is replaced.
    fn learn(&mut self, answer: &Value) {
        match answer {
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Object(fields) => {
                self.learn_topic(fields);
                self.learn_member(fields);
                fields.values().for_each(|field| self.learn(field));
            }
            _ => {}
        }
    }

    fn learn_topic(&mut self, fields: &Map<String, Value>) {
        let Some(id) = fields.get("topic_id").and_then(Value::as_str) else { return };
        if id == NIL || id == FOREIGN_TOPIC_ID || self.texts.contains_key(id) {
            return;
        }
        let name =
            ["name", "topic", "topic_name"].iter().find_map(|key| fields.get(*key)?.as_str());
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            self.texts.insert(id.to_owned(), format!("<id of {name}>"));
        }
    }

    /// Ids of members end in a UUID, or are one in Kafka's own writing.
    fn learn_member(&mut self, fields: &Map<String, Value>) {
        const UUID_CHARS: usize = 36;
        const UUID_BASE64_CHARS: usize = 22;
        let Some(id) = fields.get("member_id").and_then(Value::as_str) else { return };
        let uuid = match id.len() {
            UUID_BASE64_CHARS => Some(id),
            chars => chars.checked_sub(UUID_CHARS).and_then(|at| id.get(at..)),
        };
        let is_uuid = |id: &&str| id.len() == UUID_BASE64_CHARS || id.split('-').count() == 5;
        let Some(uuid) = uuid.filter(is_uuid) else { return };
        let members = self.texts.values().filter(|name| name.starts_with("<member")).count();
        self.texts.entry(uuid.to_owned()).or_insert_with(|| format!("<member {}>", members + 1));
    }

    fn rename(&mut self, key: Option<&str>, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename(key, item)),
            Value::Object(fields) if fields.len() == 1 && fields.contains_key("bytes") => {
                *value = self.blob(key, &fields["bytes"]);
            }
            Value::Object(fields) => {
                for (name, field) in fields.iter_mut() {
                    self.rename(Some(name), field);
                }
            }
            Value::Number(_) => {
                let number = value.as_i64().expect("protocol numbers fit");
                *value = self.number(key.unwrap_or_default(), number);
            }
            Value::String(text) => self.text(key.unwrap_or_default(), text),
            _ => {}
        }
    }

    fn blob(&mut self, key: Option<&str>, hex: &Value) -> Value {
        let hex = hex.as_str().expect("hex digits");
        if key != Some("records") {
            return Value::String(format!("0x{hex}"));
        }
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits");
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(digit).collect();
        let mut batches = batch::describe(&bytes, self.first_epoch);
        self.rename(None, &mut batches);
        batches
    }

    fn number(&mut self, key: &str, number: i64) -> Value {
        let since = number - self.base_ms;
        match key {
            _ if key.ends_with("error_code") => Value::String(error_name(number)),
            "api_key" => Value::String(api_name(number)),
            "port" if number > 0 => Value::from("<port>"),
            "producer_id" if number >= 0 => symbol(&mut self.producers, "producer", number),
            "coordinator_epoch" if number >= 0 => Value::from(number - i64::from(self.first_epoch)),
            "leader_epoch" | "partition_leader_epoch" | "epoch"
                if number > 0 && number % i64::from(self.epochs_a_life) == 0 =>
            {
                Value::from(number / i64::from(self.epochs_a_life))
            }
            "session_id" if number != 0 => symbol(&mut self.sessions, "session", number),
            "finalized_features_epoch" if number >= 0 => Value::from("<epoch>"),
            "total_bytes" | "usable_bytes" if number > 0 => Value::from("<bytes of the disk>"),
            _ if (0..SCRIPT_SPAN_MS).contains(&since) => Value::String(format!("base+{since}")),
            _ if (SCRIPT_SPAN_MS..7 * 86_400_000).contains(&since) => Value::from("<now>"),
            _ => Value::from(number),
        }
    }

    fn text(&self, key: &str, text: &mut String) {
        if matches!(key, "documentation" | "config_documentation") && !text.is_empty() {
            *text = "<documentation>".to_owned();
        } else if key == "cluster_id" && !text.is_empty() {
            *text = "<cluster>".to_owned();
        } else if key == "log_dir" && !text.is_empty() {
            *text = "<log dir>".to_owned();
        } else {
            for (id, name) in &self.texts {
                *text = text.replace(id.as_str(), name);
            }
        }
    }

    fn arrange(&self, value: &mut Value) {
        match value {
            Value::Array(items) => {
                items.iter_mut().for_each(|item| self.arrange(item));
                if !self.keep_order && items.iter().all(|item| item.is_object() && !is_batch(item))
                {
                    items.sort_by_cached_key(sort_key);
                }
            }
            Value::Object(fields) => {
                fields.values_mut().for_each(|field| self.arrange(field));
                let named = |name: &str| fields.get_mut(name).map(by_name);
                NAMED_LISTS.into_iter().filter_map(named).for_each(drop);
            }
            _ => {}
        }
    }
}

fn symbol(known: &mut BTreeMap<i64, usize>, kind: &str, number: i64) -> Value {
    let next = known.len() + 1;
    let index = known.entry(number).or_insert(next);
    Value::String(format!("<{kind} {index}>"))
}

fn error_name(code: i64) -> String {
    let short = i16::try_from(code).expect("an error code has 16 bits");
    short.err().map_or_else(|| "0".to_owned(), |error| format!("{code} {error:?}"))
}

fn api_name(key: i64) -> String {
    let known = i16::try_from(key).ok().and_then(|key| ApiKey::try_from(key).ok());
    known.map_or_else(|| key.to_string(), |api| format!("{api:?}({key})"))
}

fn is_batch(item: &Value) -> bool {
    item.get("records_crc").is_some()
}

fn sort_key(item: &Value) -> (String, i64, String) {
    let text = ["name", "topic", "topic_name", "resource_name", "topic_id", "key"];
    let number = ["partition_index", "index", "partition", "partition_id", "node_id", "broker_id"];
    let text = text.iter().find_map(|key| item.get(*key)?.as_str()).unwrap_or_default();
    let number = number.iter().find_map(|key| item.get(*key)?.as_i64()).unwrap_or_default();
    (text.to_owned(), number, item.to_string())
}

/// A list of named things as a map, so that a missing one does not shift all others.
fn by_name(list: &mut Value) {
    let Value::Array(items) = list else { return };
    let mut map = Map::new();
    for item in items {
        let Value::Object(fields) = item else { return };
        let name = fields.remove("name").or_else(|| fields.remove("api_key"));
        let Some(Value::String(name)) = name else { return };
        map.insert(name, Value::Object(fields.clone()));
    }
    *list = Value::Object(map);
}
