//! One connection: requests in order, responses in order, one task.
//!
//! Consecutive Produce requests are admitted one after the other without waiting for each other's durability; any other
//! request waits for all earlier answers, and holds back all later ones, as behind Kafka's muted channel (law 5).
//! A process that may have been superseded tells those whose appends failed, and closes: nothing else is answered.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures::FutureExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use super::allowance::Allowance;
use super::budget::{FREE_BYTES, Granted, RequestBudget};
use super::buffers::FrameBuffers;
use super::frames::{Frame, FrameError, FrameReader};
use super::idle::Idle;
use super::metrics::Metrics;
use super::voice::{Voice, silenced};
use crate::base::watch;
use crate::handlers::{self, Answering, Outcome, Request, Room, Session, Step};

/// A client that takes nothing of its responses for so long is closed where memory for them is short.
const TAKES_WITHIN: Duration = Duration::from_secs(30);
/// Of a process that is silenced: how long clients may take to hear that their appends failed.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Slices handed to one write.
const SLICES_MAX: usize = 64;

/// What connections of one listener share.
#[derive(Debug, Clone)]
pub(super) struct ConnectionSettings {
    pub(super) request_bytes_max: usize,
    pub(super) idle_max: Option<Duration>,
    pub(super) budget: RequestBudget,
    pub(super) buffers: FrameBuffers,
    pub(super) metrics: Metrics,
    pub(super) voice: watch::Receiver<Voice>,
}

pub(super) struct Connection {
    session: Arc<Session>,
    frames: FrameReader,
    writer: OwnedWriteHalf,
    /// What is owed, in order. The first alone is polled: see [`Step::Pipelined`].
    answers: VecDeque<Answering>,
    allowance: Allowance,
    settings: ConnectionSettings,
}

/// What happened next.
enum Event {
    Answer(Outcome),
    Frame(Result<Frame, FrameError>),
    Idle,
    Stop,
    Silence,
}

/// Why a connection is closed by us.
#[derive(Debug, thiserror::Error)]
pub(super) enum Closed {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Refused(handlers::CloseReason),
    #[error("no memory for a request that decodes to {bytes} bytes")]
    NoMemory { bytes: usize },
    #[error("client does not take its responses: {0}")]
    Write(io::Error),
    #[error("idle")]
    Idle,
    #[error("the broker stops")]
    Stop,
    #[error("another process may have taken over")]
    Silenced,
}

impl Connection {
    pub(super) fn new(session: Session, socket: TcpStream, settings: ConnectionSettings) -> Self {
        let (reader, writer) = socket.into_split();
        let (budget, buffers) = (settings.budget.clone(), settings.buffers.clone());
        let frames = FrameReader::new(reader, settings.request_bytes_max, budget, buffers);
        Self {
            session: Arc::new(session),
            frames,
            writer,
            answers: VecDeque::new(),
            allowance: Allowance::new(),
            settings,
        }
    }

    /// Serves until the client leaves or has to, or until `stop` turns true; what was admitted until then is still answered.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Closed {
        // All wait once for as long as the connection lives: none is set up anew for each request.
        let mut stopped = pin!(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        });
        let mut silence = pin!(silenced(self.settings.voice.clone()));
        let mut idle = Idle::new(self.settings.idle_max);
        loop {
            let event = self.next(stopped.as_mut(), silence.as_mut(), &mut idle).await;
            let step = match event {
                Event::Answer(outcome) => self.answer(outcome).await,
                Event::Frame(Ok(frame)) => self.begin(frame, silence.as_mut()).await,
                Event::Frame(Err(error)) => {
                    // A client may send its last requests and shut its side down: it still gets their answers.
                    let answered = self.answer_all().await;
                    return answered.err().unwrap_or(Closed::Frame(error));
                }
                Event::Idle => return Closed::Idle,
                Event::Stop => return self.answer_all().await.err().unwrap_or(Closed::Stop),
                Event::Silence => Err(Closed::Silenced),
            };
            match step {
                Ok(()) => {}
                Err(Closed::Silenced) => {
                    self.last_words().await;
                    return Closed::Silenced;
                }
                Err(closed) => return closed,
            }
            idle.busy();
        }
    }

    async fn next(
        &mut self,
        stopped: Pin<&mut impl Future<Output = ()>>,
        silence: Pin<&mut impl Future<Output = ()>>,
        idle: &mut Idle,
    ) -> Event {
        let is_idle = self.answers.is_empty();
        let may_read = self.allowance.admits(self.answers.len(), &self.settings.budget);
        let read = async {
            self.session.admitted().await;
            self.frames.next().await
        };
        tokio::select! {
            biased;
            outcome = first(&mut self.answers), if !is_idle => Event::Answer(outcome),
            () = silence => Event::Silence,
            frame = read, if may_read => Event::Frame(frame),
            () = idle, if is_idle => Event::Idle,
            () = stopped => Event::Stop,
        }
    }

    /// Whether nothing may be answered. Looks at the chain, too: its appends fail before anybody has heard why.
    fn is_silenced(&self) -> bool {
        *self.settings.voice.borrow() != Voice::Free || self.session.is_fenced()
    }

    /// The appends that were admitted are all decided by now: those that failed are told so.
    async fn last_words(&mut self) {
        let _ = tokio::time::timeout(LAST_WORDS, self.answer_all()).await;
    }

    async fn begin(
        &mut self,
        frame: Frame,
        silence: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), Closed> {
        if self.is_silenced() {
            return Err(Closed::Silenced);
        }
        let Frame { bytes, mut granted } = frame;
        self.settings.metrics.requests.inc();
        self.settings.metrics.request_bytes.inc_by(bytes.len() as u64);
        let request = match Request::read(bytes) {
            Ok(request) => request,
            Err(reason) => {
                self.answer_all().await?;
                return Err(Closed::Refused(reason));
            }
        };
        self.reserve(&mut granted, request.heap_bytes()).await?;
        match Session::begin(&self.session, request) {
            Step::Pipelined(answering) => self.answers.push_back(answering),
            Step::Alone(request) => {
                self.answer_all().await?;
                let outcome = tokio::select! {
                    biased;
                    () = silence => return Err(Closed::Silenced),
                    outcome = request => outcome,
                };
                if self.is_silenced() {
                    return Err(Closed::Silenced);
                }
                self.answer(outcome).await?;
            }
        }
        // From here the log accounts for what a produce keeps of the frame.
        drop(granted);
        Ok(())
    }

    /// Reserves what a request decodes to. While there is no memory the earlier answers go out, and then this waits.
    async fn reserve(&mut self, granted: &mut Granted, bytes: usize) -> Result<(), Closed> {
        let budget = self.settings.budget.clone();
        if bytes <= FREE_BYTES || budget.try_decode(granted, bytes) {
            return Ok(());
        }
        self.answer_all().await?;
        if budget.decode(granted, bytes).await { Ok(()) } else { Err(Closed::NoMemory { bytes }) }
    }

    /// Waits for every answer that is owed.
    async fn answer_all(&mut self) -> Result<(), Closed> {
        while !self.answers.is_empty() {
            let outcome = first(&mut self.answers).await;
            self.answer(outcome).await?;
        }
        Ok(())
    }

    /// Writes one answer, and whatever else is ready behind it, with as few writes as possible.
    async fn answer(&mut self, outcome: Outcome) -> Result<(), Closed> {
        let mut pieces = Pieces::default();
        let mut next = Some(outcome);
        while let Some(outcome) = next {
            match outcome {
                Outcome::Answer(answer) => pieces.extend(answer.pieces),
                Outcome::Held(answer, room) => {
                    pieces.extend(answer.pieces);
                    pieces.rooms.push(room);
                }
                Outcome::Silent => {}
                Outcome::Close(reason) => {
                    self.write(pieces).await?;
                    return Err(Closed::Refused(reason));
                }
            }
            next = match self.answers.is_empty() {
                true => None,
                false => first(&mut self.answers).now_or_never(),
            };
        }
        self.write(pieces).await
    }

    async fn write(&mut self, mut pieces: Pieces) -> Result<(), Closed> {
        self.settings.metrics.response_bytes.inc_by(pieces.bytes as u64);
        while pieces.bytes > 0 {
            match pieces.write(&self.writer) {
                Ok(()) => {}
                // Only a client that does not take its responses is waited for, and timed.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.taken().await?,
                Err(error) => return Err(Closed::Write(error)),
            }
        }
        Ok(())
    }

    /// Waits until the client takes something: as long as it may be idle, or not so long where others need the memory.
    async fn taken(&mut self) -> Result<(), Closed> {
        let mut left = self.settings.idle_max.unwrap_or(Duration::MAX);
        while !left.is_zero() {
            let look = left.min(TAKES_WITHIN);
            match tokio::time::timeout(look, self.writer.writable()).await {
                Ok(writable) => return writable.map_err(Closed::Write),
                Err(_) if self.session.is_short() => break,
                Err(_) => left -= look,
            }
        }
        Err(Closed::Write(io::ErrorKind::TimedOut.into()))
    }
}

/// Waits for the first answer, of which there is one, and takes it out. Cancel-safe.
async fn first(answers: &mut VecDeque<Answering>) -> Outcome {
    let outcome = answers.front_mut().expect("the caller looked").await;
    answers.pop_front();
    outcome
}

/// Slices to write, in order.
#[derive(Debug, Default)]
struct Pieces {
    slices: VecDeque<Bytes>,
    bytes: usize,
    /// Of the answers that have records: given back when all is written.
    rooms: Vec<Room>,
}

impl Pieces {
    fn extend(&mut self, slices: Vec<Bytes>) {
        for slice in slices.into_iter().filter(|slice| !slice.is_empty()) {
            self.bytes += slice.len();
            self.slices.push_back(slice);
        }
    }

    /// Writes as much as the socket takes at once.
    fn write(&mut self, socket: &OwnedWriteHalf) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        for (place, slice) in slices.iter_mut().zip(&self.slices) {
            *place = IoSlice::new(slice);
        }
        let count = self.slices.len().min(SLICES_MAX);
        match socket.try_write_vectored(&slices[..count])? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => {
                self.advance(written);
                Ok(())
            }
        }
    }

    fn advance(&mut self, mut bytes: usize) {
        self.bytes -= bytes;
        while let Some(front) = self.slices.front_mut() {
            if bytes < front.len() {
                front.advance(bytes);
                return;
            }
            bytes -= front.len();
            self.slices.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of<F>(_: fn(Connection, watch::Receiver<bool>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_a_small_task() {
        let (task, state) = (bytes_of(Connection::run), size_of::<Connection>());
        assert!(task < 4096, "{task} bytes, {state} of them the connection");
    }
}
