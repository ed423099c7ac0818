//! Sockets and requests.

use std::collections::BTreeSet;
use std::time::Duration;

use super::faults::Faults;
use super::key::Kind::{self, Bool, Bytes, Int, Listeners, Millis};
use super::key::{Key, Section, int_bytes, int_from};
use super::listener::{Address, Listener};
use super::load::Values;
use super::schema_registry;
use crate::base::units::ByteSize;

/// Settings of listeners, connections and requests.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where the Kafka protocol is spoken; names differ. `localhost` stands for 127.0.0.1 and ::1.
    pub listeners: Vec<Listener>,
    /// What clients are told, one for each listener, in the same order; port 0 stands for the port that was bound.
    pub advertised_listeners: Vec<Listener>,
    /// Where operators' HTTP is served.
    pub http_listen: Address,
    /// The largest request frame.
    pub socket_request_max_bytes: ByteSize,
    /// The most connections at a time, over all listeners.
    pub max_connections: usize,
    /// How long a silent connection is kept; none: for ever.
    pub connections_max_idle: Option<Duration>,
    /// The most memory for requests above 2 MiB, until they are answered; smaller ones have half as much again.
    pub queued_max_request_bytes: ByteSize,
    /// The most memory for records that were read and not yet taken by their clients.
    pub queued_max_response_bytes: ByteSize,
    /// The most fetch sessions that are remembered.
    pub fetch_session_slots: usize,
    /// The most bytes in one answer to Fetch.
    pub fetch_max_bytes: ByteSize,
    /// How long a stopping broker waits for what is under way.
    pub shutdown_grace: Duration,
}

const fn ours(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::ours(Section::Server, name, kind, default, doc)
}

const fn kafkas(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::kafkas(Section::Server, name, kind, default, doc)
}

pub(super) const KEYS: &[Key] = &[
    kafkas(
        "listeners",
        Listeners,
        "PLAINTEXT://localhost:9092",
        "Where the Kafka protocol is spoken. `localhost` listens on 127.0.0.1 and ::1; an empty host on every interface; \
         port 0 takes any free port. An address that is not loopback needs `insecure`.",
    ),
    kafkas(
        "advertised.listeners",
        Listeners,
        "",
        "What clients are told to connect to, by listener name; empty: the same as `listeners`. Must be said for a listener \
         on every interface.",
    ),
    kafkas(
        "listener.security.protocol.map",
        Kind::Text,
        "",
        "Each listener's protocol, `NAME:PROTOCOL` with commas between. Only PLAINTEXT exists, and is what a listener speaks \
         when nothing is said.",
    ),
    ours(
        "http.listen",
        Kind::Address,
        "127.0.0.1:9644",
        "Where `/metrics`, `/healthz` and `/readyz` are served; port 0 takes any free port.",
    ),
    ours(
        "insecure",
        Bool,
        "false",
        "Listen on addresses that other machines reach, although nothing authenticates or encrypts yet.",
    ),
    kafkas(
        "socket.request.max.bytes",
        int_bytes(1024),
        "104857600",
        "The largest request. A frame that claims more closes its connection.",
    ),
    kafkas(
        "max.connections",
        int_from(1),
        "20000",
        "The most connections at a time, over all listeners; one more is closed at once.",
    ),
    kafkas(
        "connections.max.idle.ms",
        Millis { min: -1, max: i64::MAX },
        "600000",
        "A connection that was silent for so long is closed.",
    ),
    kafkas(
        "queued.max.request.bytes",
        Bytes { min: 1 << 20, max: 1 << 40 },
        "268435456",
        "The most memory for requests above 2 MiB, from their arrival until they are answered or the log has them; a larger one is refused. Half as much again, at least 2 MiB, is for smaller ones while they arrive, and for what requests decode to. One that brings less than 2 MiB in 3 s is closed while others wait for its memory. At the bounds, sockets are not read: clients wait. Requests below 16 KiB, and what decodes to no more, need none of it.",
    ),
    ours(
        "queued.max.response.bytes",
        Bytes { min: 1 << 20, max: 1 << 40 },
        "268435456",
        "The most memory for records that were read and that clients have not taken, beyond 64 KiB or one batch of each. Answers to Fetch and ShareFetch are as large as there is room for; while less than half is free, a client that takes nothing for 30 s is closed. Half as much again, at least 16 MiB, is for other answers: one that finds no memory ends its connection.",
    ),
    kafkas(
        "max.incremental.fetch.session.cache.slots",
        Int { min: 0, max: 1_000_000 },
        "1000",
        "The most fetch sessions that are remembered, with a thousand partitions each on average; fetches beyond are answered without a session.",
    ),
    kafkas(
        "fetch.max.bytes",
        int_bytes(1024),
        "57671680",
        "The most record bytes in one answer to Fetch, whatever the client asks for; one batch is always sent whole.",
    ),
    ours(
        "shutdown.grace.ms",
        Millis { min: 0, max: 3_600_000 },
        "30000",
        "How long a stopping broker waits for requests and uploads under way.",
    ),
];

impl ServerConfig {
    pub(super) fn read(values: &Values, faults: &mut Faults) -> Self {
        let listeners = values.listeners("listeners");
        let told = values.listeners("advertised.listeners");
        check_listeners(&listeners, values, faults);
        check_protocols(&listeners, values, faults);
        let advertised_listeners = advertise(&listeners, &told, values, faults);
        Self {
            listeners,
            advertised_listeners,
            http_listen: values.address("http.listen"),
            socket_request_max_bytes: values.size("socket.request.max.bytes"),
            max_connections: values.int("max.connections"),
            connections_max_idle: values.time_limit("connections.max.idle.ms"),
            queued_max_request_bytes: values.size("queued.max.request.bytes"),
            queued_max_response_bytes: values.size("queued.max.response.bytes"),
            fetch_session_slots: values.int("max.incremental.fetch.session.cache.slots"),
            fetch_max_bytes: values.size("fetch.max.bytes"),
            shutdown_grace: values.time("shutdown.grace.ms"),
        }
    }
}

fn check_listeners(listeners: &[Listener], values: &Values, faults: &mut Faults) {
    if listeners.is_empty() {
        faults.about("listeners", values, "names no listener");
    }
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for Listener { name, address } in listeners {
        if !names.insert(name) {
            faults.about("listeners", values, &format!("has two listeners called {name}"));
        }
        if address.port != 0 && !addresses.insert(address) {
            faults.about("listeners", values, &format!("has {address} twice"));
        }
    }
    if values.flag("insecure") {
        return;
    }
    let open = listeners.iter().map(|one| ("listeners", &one.address));
    let http = values.address("http.listen");
    let registry = values.address_or_none(schema_registry::LISTEN);
    let registry = registry.iter().map(|address| (schema_registry::LISTEN, address));
    for (key, address) in open.chain([("http.listen", &http)]).chain(registry) {
        if !address.is_loopback() {
            let what = format!(
                "opens {address} to other machines, and nothing authenticates or encrypts yet: say --insecure if \
                 everyone who can reach it may read and write everything, or listen on localhost"
            );
            faults.about(key, values, &what);
        }
    }
}

/// A name that is one of Kafka's protocols stands for it unless the map says otherwise, as in Kafka: nobody who asks for
/// `SSL://` gets a listener in the clear.
fn check_protocols(listeners: &[Listener], values: &Values, faults: &mut Faults) {
    const KEY: &str = "listener.security.protocol.map";
    let mut told = BTreeSet::new();
    let text = values.text(KEY);
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        match pair.split_once(':') {
            Some((name, protocol)) => {
                told.insert(name.trim().to_ascii_uppercase());
                if !protocol.trim().eq_ignore_ascii_case("PLAINTEXT") {
                    let what =
                        format!("gives {name} the protocol {protocol}; only PLAINTEXT exists");
                    faults.about(KEY, values, &what);
                }
            }
            None => faults.about(KEY, values, &format!("has `{pair}`, which is not NAME:PROTOCOL")),
        }
    }
    for name in listeners.iter().map(|listener| listener.name.to_ascii_uppercase()) {
        let means_another = matches!(name.as_str(), "SSL" | "SASL_PLAINTEXT" | "SASL_SSL");
        if means_another && !told.contains(&name) {
            let what = format!("asks for the protocol {name}; only PLAINTEXT exists");
            faults.about("listeners", values, &what);
        }
    }
}

/// What clients are told of each listener: what was said for its name, else its own address.
fn advertise(
    listeners: &[Listener],
    told: &[Listener],
    values: &Values,
    faults: &mut Faults,
) -> Vec<Listener> {
    for unknown in told.iter().filter(|one| listeners.iter().all(|l| l.name != one.name)) {
        let what = format!("names {}, which `listeners` does not", unknown.name);
        faults.about("advertised.listeners", values, &what);
    }
    let mut advertised = Vec::new();
    for listener in listeners {
        let said = told.iter().find(|one| one.name == listener.name).unwrap_or(listener);
        if said.address.is_every_interface() {
            let key =
                if std::ptr::eq(said, listener) { "listeners" } else { "advertised.listeners" };
            let what = format!(
                "gives clients no address to connect to for {}: say one, such as \
                 advertised.listeners={}://HOST:{}",
                listener.name, listener.name, listener.address.port
            );
            faults.about(key, values, &what);
        }
        advertised.push(said.clone());
    }
    advertised
}
