//! Reads request frames: a 4-byte length, then so many bytes. Nothing is copied but the first few KiB of a large frame.
//!
//! An idle connection holds no buffer. Until 16 KiB of a frame have arrived, which may be all of it, it needs no part of the
//! request budget, and so a claimed length costs nothing by itself; from then on it does (`server::budget`).

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Instant, sleep_until};

use super::budget::{Granted, ORDINARY_BYTES, RequestBudget};
use super::buffers::{Buffer, FrameBuffers};
use crate::protocol;
use crate::protocol::frame::{self, PREFIX_BYTES};

/// What one read of small frames asks for, at most.
const READ_BYTES: usize = 16 << 10;
/// And at first. Blocks of 16 KiB lie on few places of a processor's caches.
const FIRST_READ_BYTES: usize = 2 << 10;
/// A frame that does not bring 2 MiB, or what is missing, within this while it is read is given up where others wait for its
/// memory: it may be one that never ends.
const ARRIVES_WITHIN: Duration = Duration::from_secs(3);

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("client closed the connection")]
    Closed,
    #[error("client closed the connection inside a frame")]
    Truncated,
    #[error(transparent)]
    Length(#[from] protocol::Error),
    #[error("no memory for a frame of {length} bytes")]
    NoMemory { length: usize },
    #[error("{arrived} of a frame's {length} bytes came in time, and others wait for its memory")]
    Late { arrived: usize, length: usize },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A frame and the memory that it holds.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) bytes: Bytes,
    pub(super) granted: Granted,
}

/// What the first bytes say.
enum Begun {
    /// A frame that has wholly arrived.
    Frame(Frame),
    /// A part of one that takes a buffer and memory of its own.
    Part { length: usize },
    /// More is to be read.
    Not,
}

/// A frame with a buffer of its own, on its way in.
#[derive(Debug)]
struct Partial {
    length: usize,
    buffer: Buffer,
    granted: Granted,
}

/// Reads frames from one socket. Dropping a call between polls loses nothing.
#[derive(Debug)]
pub(super) struct FrameReader {
    socket: OwnedReadHalf,
    bytes_max: usize,
    budget: RequestBudget,
    buffers: FrameBuffers,
    small: BytesMut,
    /// What the next read of small frames asks for.
    read_bytes: usize,
    partial: Option<Partial>,
}

impl FrameReader {
    pub(super) fn new(
        socket: OwnedReadHalf,
        bytes_max: usize,
        budget: RequestBudget,
        buffers: FrameBuffers,
    ) -> Self {
        let (small, read_bytes) = (BytesMut::new(), FIRST_READ_BYTES);
        Self { socket, bytes_max, budget, buffers, small, read_bytes, partial: None }
    }

    /// The next frame. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Frame, FrameError> {
        loop {
            if self.partial.is_some() {
                return self.finish_partial().await;
            }
            match self.take_small()? {
                Begun::Frame(frame) => return Ok(frame),
                Begun::Part { length } => self.begin_partial(length).await?,
                Begun::Not => poll_fn(|context| self.fill_small(context)).await?,
            }
        }
    }

    /// Takes a frame that has wholly arrived.
    fn take_small(&mut self) -> Result<Begun, FrameError> {
        let Some(prefix) = self.small.first_chunk::<PREFIX_BYTES>() else { return Ok(Begun::Not) };
        let length = frame::length(*prefix, self.bytes_max)?;
        let whole = PREFIX_BYTES + length;
        if self.small.len() >= whole {
            self.small.advance(PREFIX_BYTES);
            let bytes = self.small.split_to(length).freeze();
            return Ok(Begun::Frame(Frame { bytes, granted: Granted::default() }));
        }
        let (arrived, shared) = (self.small.len(), whole.min(READ_BYTES));
        if arrived >= shared {
            return Ok(Begun::Part { length });
        }
        self.small.reserve((shared - arrived).max(self.read_bytes));
        Ok(Begun::Not)
    }

    /// Gives a frame memory, and what has arrived of it a buffer.
    async fn begin_partial(&mut self, length: usize) -> Result<(), FrameError> {
        let granted = self.budget.begin(length).await.ok_or(FrameError::NoMemory { length })?;
        self.read_bytes = FIRST_READ_BYTES;
        self.small.advance(PREFIX_BYTES);
        let mut buffer = self.buffers.take(length.min(ORDINARY_BYTES));
        buffer.bytes_mut().extend_from_slice(&self.small);
        self.small = BytesMut::new();
        self.partial = Some(Partial { length, buffer, granted });
        Ok(())
    }

    /// Reads once into the buffer for small frames. It is there only from when there is something to read.
    ///
    /// After a read that does not fill the buffer tokio waits for the socket, where `try_read` would ask it again in vain.
    fn fill_small(&mut self, context: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        if self.small.is_empty() {
            self.small = BytesMut::new();
            ready!(self.socket.as_ref().poll_read_ready(context))?;
        }
        if self.small.len() == self.small.capacity() {
            self.small.reserve(self.read_bytes);
        }
        let read = pin!(self.socket.read_buf(&mut self.small)).poll(context);
        if self.small.len() == self.small.capacity() {
            // There are many of them, or large ones.
            self.read_bytes = READ_BYTES;
        }
        if read.is_pending() && self.small.is_empty() {
            self.small = BytesMut::new();
        }
        match ready!(read)? {
            0 if self.small.is_empty() => Poll::Ready(Err(FrameError::Closed)),
            0 => Poll::Ready(Err(FrameError::Truncated)),
            _ => Poll::Ready(Ok(())),
        }
    }

    async fn finish_partial(&mut self) -> Result<Frame, FrameError> {
        let partial = self.partial.as_mut().expect("the caller looked");
        let length = partial.length;
        let buffer = partial.buffer.bytes_mut();
        let granted = buffer.capacity().min(length) - buffer.len();
        let mut late = pin!(sleep_until(due(granted)));
        while buffer.len() < length {
            let missing = length - buffer.len();
            if buffer.capacity() == buffer.len() {
                // What has arrived doubles: a claim of 100 MiB costs 2 MiB until 2 MiB are here.
                let more = missing.min(buffer.len());
                if !self.budget.grow(&mut partial.granted, more).await {
                    return Err(FrameError::NoMemory { length });
                }
                buffer.reserve_exact(more);
                late.as_mut().reset(due(more));
            }
            let mut limited = (&mut self.socket).take(missing as u64);
            tokio::select! {
                biased;
                read = limited.read_buf(buffer) => {
                    if read? == 0 {
                        return Err(FrameError::Truncated);
                    }
                }
                () = late.as_mut() => {
                    if self.budget.is_wanted(length) {
                        return Err(FrameError::Late { arrived: buffer.len(), length });
                    }
                    late.as_mut().reset(Instant::now() + ARRIVES_WITHIN);
                }
            }
        }
        let Partial { buffer, mut granted, .. } = self.partial.take().expect("it was there");
        granted.arrived();
        Ok(Frame { bytes: buffer.freeze(), granted })
    }
}

/// When so many bytes, for which there is memory, are late.
fn due(bytes: usize) -> Instant {
    let steps = u32::try_from(bytes.div_ceil(ORDINARY_BYTES)).unwrap_or(u32::MAX);
    Instant::now() + ARRIVES_WITHIN * steps.max(1)
}
