//! One scripted conversation with a broker: raw frames out, comparable answers in.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{RequestHeader, ResponseHeader},
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use serde_json::{Value, json};

use crate::{broker::Broker, normal::Symbols, settled, tree};

/// Longer than any wait that the script asks of a broker.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often [`Talk::until`] asks, and how long it waits in between: ten seconds in all.
const TRIES: usize = 500;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);
const CLIENT_ID: &str = "conformance";

/// Every recorded answer: conversation and step, then version.
pub type Answers = BTreeMap<String, BTreeMap<i16, Answer>>;

/// What came back, in its comparable form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// To what, if it is the answer to one request as it came.
    pub asked: Option<Asked>,
    pub value: Value,
}

/// What a frame asks for, as its header says: API and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    pub key: i16,
    pub version: i16,
}

impl Asked {
    fn of(frame: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(i16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?));
        Some(Self { key: number(4)?, version: number(6)? })
    }
}

/// What came back for one frame.
#[derive(Debug)]
pub enum Outcome {
    /// A whole response: correlation id first.
    Answer(Bytes),
    /// The broker ended the connection.
    Closed,
    /// Nothing within [`PATIENCE`].
    Silent,
}

impl Outcome {
    /// How it ended, whatever it says.
    pub fn shown(&self) -> Value {
        match self {
            Self::Closed => json!("connection closed"),
            Self::Silent => json!("no answer"),
            Self::Answer(_) => json!("answered"),
        }
    }
}

/// A request on its way: who sent it and what its answer will carry.
#[derive(Debug)]
#[must_use = "its answer is still to be heard"]
pub struct Sent {
    speaker: &'static str,
    version: i16,
    correlation: i32,
}

/// A client that records what it is told.
#[derive(Debug)]
pub struct Talk<'a> {
    broker: &'a Broker,
    /// Open connections, by the name of who speaks on them.
    streams: BTreeMap<&'static str, TcpStream>,
    speaker: &'static str,
    correlation: i32,
    /// What [`Self::settle`] set last.
    settled: f64,
    conversation: String,
    pub symbols: Symbols,
    pub answers: Answers,
}

impl<'a> Talk<'a> {
    pub fn new(broker: &'a Broker) -> Self {
        Self {
            broker,
            streams: BTreeMap::new(),
            speaker: "",
            correlation: 0,
            settled: 0.0,
            conversation: String::new(),
            symbols: Symbols::new(broker.base_ms, broker.first_epoch),
            answers: Answers::new(),
        }
    }

    /// Starts the next conversation: a new connection, no symbols.
    pub fn begin(&mut self, conversation: &str) {
        conversation.clone_into(&mut self.conversation);
        self.symbols = Symbols::new(self.broker.base_ms, self.broker.first_epoch);
        self.streams.clear();
        self.speaker = "";
    }

    /// What follows is said on a connection of its own, which is the same for the same name.
    pub fn as_speaker(&mut self, name: &'static str) -> &mut Self {
        self.speaker = name;
        self
    }

    /// Ends the connection of a speaker.
    pub fn hang_up(&mut self, name: &str) {
        self.streams.remove(name);
    }

    /// Sends a request that is not answered at once. Meanwhile others speak: see [`Self::as_speaker`].
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> Sent {
        let frame = self.frame(version, request);
        let address = self.broker.address;
        let stream = self.streams.entry(self.speaker).or_insert_with(|| connect(address));
        stream.write_all(&frame).expect("the connection of a speaker is open");
        Sent { speaker: self.speaker, version, correlation: self.correlation }
    }

    /// Records the answer to what was sent.
    pub fn hear<R>(&mut self, step: &str, sent: Sent) -> Option<R::Response>
    where
        R: Request,
        R::Response: Debug,
    {
        let version = sent.version;
        let (response, described) = self.read::<R>(sent);
        self.keep(step, version, Some(Asked { key: R::KEY, version }), described);
        response
    }

    /// The answer to what was sent, which is not part of the script.
    pub fn take<R>(&mut self, sent: Sent) -> Option<R::Response>
    where
        R: Request,
        R::Response: Debug,
    {
        let (response, described) = self.read::<R>(sent);
        self.symbols.normal(described);
        response
    }

    fn read<R>(&mut self, sent: Sent) -> (Option<R::Response>, Value)
    where
        R: Request,
        R::Response: Debug,
    {
        let Sent { speaker, version, correlation } = sent;
        let outcome = self.streams.remove(speaker).map_or(Outcome::Closed, |mut stream| {
            let outcome = outcome(read_frame(&mut stream));
            if matches!(outcome, Outcome::Answer(_)) {
                self.streams.insert(speaker, stream);
            }
            outcome
        });
        describe::<R>(&outcome, version, correlation)
    }

    /// Asks aside, again and again, until the answer is the one that is waited for.
    ///
    /// # Panics
    /// When that does not come within [`TRIES`].
    pub fn until<R>(
        &mut self,
        version: i16,
        request: &R,
        is_it: impl Fn(&R::Response) -> bool,
    ) -> R::Response
    where
        R: Request + Debug,
        R::Response: Debug,
    {
        for _ in 0..TRIES {
            if let Some(answer) = self.quiet(version, request).filter(|answer| is_it(answer)) {
                return answer;
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
        panic!("{}: {request:?} is never answered as it should", self.conversation);
    }

    /// What the script's record timestamps count from.
    pub fn base_ms(&self) -> i64 {
        self.broker.base_ms
    }

    /// Where the broker listens, for whoever asks aside.
    pub fn address(&self) -> SocketAddr {
        self.broker.address
    }

    /// Whether the answers are to become fixtures.
    pub fn is_kafka(&self) -> bool {
        self.broker.is_kafka()
    }

    /// Waits until a broker that applies metadata after it answered has caught up. Ours never needs it.
    ///
    /// Kafka applies changes in the order of its metadata log, a batch at a time, and shows a batch before its logs, its
    /// coordinators and its configs have it (`BrokerMetadataPublisher`). So a change of ours that is seen does not say
    /// that all before it is applied; a second one does, for it is shown only when the first one's batch is done with.
    pub fn settle(&mut self) {
        if !self.broker.is_kafka() {
            return;
        }
        // Others may be waiting for their answers.
        let speaker = std::mem::replace(&mut self.speaker, "settles");
        for _ in 0..2 {
            self.settled += 1.0;
            let rate = self.settled;
            let answer = self.quiet(1, &settled::set(rate));
            assert!(answer.is_some_and(|answer| settled::is_set(&answer)), "a quota can be set");
            self.until(1, &settled::ask(), |answer| settled::is(answer, rate));
        }
        self.speaker = speaker;
    }

    /// Sends a request and records the answer under `step`.
    pub fn ask<R>(&mut self, step: &str, version: i16, request: &R) -> Option<R::Response>
    where
        R: Request,
        R::Response: Debug,
    {
        let frame = self.frame(version, request);
        self.ask_frame::<R>(step, version, &frame)
    }

    /// Sends a frame, which may be anything, and records what comes back, read as an answer to `R`.
    pub fn ask_frame<R>(&mut self, step: &str, version: i16, frame: &[u8]) -> Option<R::Response>
    where
        R: Request,
        R::Response: Debug,
    {
        self.ask_frame_as::<R>(step, (version, version), frame)
    }

    /// The same, recorded under the first version and read as the second.
    pub fn ask_frame_as<R>(
        &mut self,
        step: &str,
        versions: (i16, i16),
        frame: &[u8],
    ) -> Option<R::Response>
    where
        R: Request,
        R::Response: Debug,
    {
        let outcome = self.exchange(frame);
        let (response, described) = describe::<R>(&outcome, versions.1, self.correlation);
        self.keep(step, versions.0, Asked::of(frame), described);
        response
    }

    /// Sends a request whose answer is not part of the script.
    pub fn quiet<R>(&mut self, version: i16, request: &R) -> Option<R::Response>
    where
        R: Request,
        R::Response: Debug,
    {
        let frame = self.frame(version, request);
        let outcome = self.exchange(&frame);
        let (response, described) = describe::<R>(&outcome, version, self.correlation);
        self.symbols.normal(described);
        response
    }

    /// Sends a request that should not be answered, then one that must be, and records which of the two was.
    pub fn ask_nothing<R: Request>(&mut self, step: &str, version: i16, request: &R) {
        let first = self.frame(version, request);
        let asked = Asked::of(&first);
        let silent = self.correlation;
        let ping = kafka_protocol::messages::ApiVersionsRequest::default();
        let both = [first, self.frame(0, &ping)].concat();
        let described = match self.exchange(&both) {
            Outcome::Closed => json!("connection closed"),
            Outcome::Silent => json!("neither it nor the next request was answered"),
            Outcome::Answer(bytes) if bytes[..4] == silent.to_be_bytes() => {
                self.streams.remove(self.speaker);
                json!("answered")
            }
            Outcome::Answer(_) => json!("no answer"),
        };
        self.keep(step, version, asked, described);
    }

    /// Sends a request that is malformed, and records how that ended.
    pub fn ask_badly(&mut self, step: &str, version: i16, frame: &[u8]) {
        let described = self.exchange(frame).shown();
        self.keep(step, version, Asked::of(frame), described);
    }

    /// Adds what a step showed to the record.
    pub fn record(&mut self, step: &str, version: i16, described: Value) {
        self.keep(step, version, None, described);
    }

    fn keep(&mut self, step: &str, version: i16, asked: Option<Asked>, described: Value) {
        let mut value = self.symbols.normal(described);
        unversion(version, &mut value);
        let step = format!("{}: {step}", self.conversation);
        let answer = Answer { asked, value };
        let earlier = self.answers.entry(step.clone()).or_default().insert(version, answer);
        assert!(earlier.is_none(), "{step} was already asked at version {version}");
    }

    /// A request with its header and length, under a new correlation id.
    pub fn frame<R: Request>(&mut self, version: i16, request: &R) -> Vec<u8> {
        self.correlation += 1;
        let mut body = BytesMut::new();
        request.encode(&mut body, version).expect("the script sets only fields of this version");
        self.frame_of(R::KEY, version, R::header_version(version), &body)
    }

    /// A frame of any key, version, header version and body.
    pub fn frame_of(&self, key: i16, version: i16, header_version: i16, body: &[u8]) -> Vec<u8> {
        let header = RequestHeader::default()
            .with_request_api_key(key)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
        let mut bytes = BytesMut::new();
        header.encode(&mut bytes, header_version).expect("a header always encodes");
        let length = i32::try_from(bytes.len() + body.len()).expect("a small frame");
        [&length.to_be_bytes()[..], &bytes, body].concat()
    }

    /// Sends bytes on the open connection, or on a new one, and reads one frame.
    pub fn exchange(&mut self, frame: &[u8]) -> Outcome {
        let address = self.broker.address;
        let mut stream = self.streams.remove(self.speaker).unwrap_or_else(|| connect(address));
        let sent = stream.write_all(frame);
        let outcome = outcome(sent.and_then(|()| read_frame(&mut stream)));
        if matches!(outcome, Outcome::Answer(_)) {
            self.streams.insert(self.speaker, stream);
        }
        outcome
    }
}

fn outcome(read: std::io::Result<Bytes>) -> Outcome {
    match read {
        Ok(answer) => Outcome::Answer(answer),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Outcome::Silent
        }
        Err(_) => Outcome::Closed,
    }
}

/// A connection to a broker under test.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the broker under test accepts connections");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out above zero");
    stream.set_nodelay(true).expect("a TCP socket has this option");
    stream
}

/// Reads one length-prefixed frame.
pub fn read_frame(stream: &mut TcpStream) -> std::io::Result<Bytes> {
    let mut length = [0u8; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).expect("answers have a length");
    let mut frame = vec![0u8; length];
    stream.read_exact(&mut frame)?;
    Ok(Bytes::from(frame))
}

/// Topics made for one version end in it; without that, answers of several versions read the same.
fn unversion(version: i16, value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| unversion(version, item)),
        Value::Object(fields) => fields.values_mut().for_each(|field| unversion(version, field)),
        Value::String(text) => {
            let ending = regex::Regex::new(&format!(r"([a-z])-{version}(?-u:\b)"))
                .expect("a regular expression");
            *text = ending.replace_all(text, "${1}-<version>").into_owned();
        }
        _ => {}
    }
}

fn describe<R>(outcome: &Outcome, version: i16, correlation: i32) -> (Option<R::Response>, Value)
where
    R: Request,
    R::Response: Debug,
{
    let mut bytes = match outcome {
        Outcome::Answer(bytes) => bytes.clone(),
        Outcome::Closed => return (None, json!("connection closed")),
        Outcome::Silent => return (None, json!("no answer")),
    };
    let header = ResponseHeader::decode(&mut bytes, R::Response::header_version(version));
    match header {
        Err(error) => return (None, json!(format!("the header does not decode: {error}"))),
        Ok(header) if header.correlation_id != correlation => {
            return (None, json!("the answer carries another correlation id"));
        }
        Ok(_) => {}
    }
    match R::Response::decode(&mut bytes, version) {
        Err(error) => (None, json!(format!("the body does not decode: {error}"))),
        Ok(_) if !bytes.is_empty() => {
            (None, json!(format!("{} bytes follow the body", bytes.len())))
        }
        Ok(response) => {
            let described = tree::of(&response);
            (Some(response), described)
        }
    }
}
