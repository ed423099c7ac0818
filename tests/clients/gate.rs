//! Stands between clients and a broker, and tells when a request of one kind has gone to it.
//!
//! From then on no answer passes until the gate is opened again, so that who kills the broker meanwhile kills it in the
//! middle of that request: it may have been carried out, and nobody knows.

use std::io::{self, Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A frame that is longer is no request of ours.
const FRAME_BYTES_MAX: u32 = 16 << 20;

/// The way to a broker.
pub(crate) struct Gate {
    pub(crate) address: String,
    watch: Arc<Watch>,
}

struct Watch {
    broker: String,
    awaited: Mutex<Option<Awaited>>,
    is_shut: AtomicBool,
    is_over: AtomicBool,
}

/// A request that somebody waits for.
struct Awaited {
    /// Is it this one? It is shown frames without their length.
    is_it: fn(&[u8]) -> bool,
    /// So many of them are passed over.
    skipped: usize,
    waiter: SyncSender<()>,
}

impl Gate {
    /// Listens on a port of its own; `broker` need not listen yet.
    pub(crate) fn new(broker: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let watch = Arc::new(Watch {
            broker: broker.to_owned(),
            awaited: Mutex::new(None),
            is_shut: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let its = Arc::clone(&watch);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if its.is_over.load(Ordering::SeqCst) {
                    break;
                }
                // Where no broker listens the client hears of it by a closed connection.
                if let Ok(broker) = TcpStream::connect(&its.broker) {
                    let _ = its.join(client, broker);
                }
            }
        });
        Ok(Self { address, watch })
    }

    /// Tells of a request that `is_it` knows, after so many others, once it has gone to the broker; the gate is shut then.
    pub(crate) fn await_request(&self, is_it: fn(&[u8]) -> bool, skipped: usize) -> Receiver<()> {
        let (waiter, receiver) = mpsc::sync_channel(1);
        let awaited = Awaited { is_it, skipped, waiter };
        *self.watch.awaited.lock().unwrap_or_else(PoisonError::into_inner) = Some(awaited);
        receiver
    }

    /// Lets answers pass.
    pub(crate) fn open(&self) {
        self.watch.is_shut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.watch.is_over.store(true, Ordering::SeqCst);
        // Wakes the listener, which then ends.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Watch {
    fn join(self: &Arc<Self>, client: TcpStream, broker: TcpStream) -> io::Result<()> {
        for end in [&client, &broker] {
            end.set_nodelay(true)?;
        }
        let (from, to, its) = (client.try_clone()?, broker.try_clone()?, Arc::clone(self));
        thread::spawn(move || {
            let _ = its.pass_requests(&from, &to);
            hang_up(&from, &to);
        });
        let its = Arc::clone(self);
        thread::spawn(move || {
            let _ = its.pass_answers(&broker, &client);
            hang_up(&broker, &client);
        });
        Ok(())
    }

    fn pass_requests(&self, mut client: &TcpStream, mut broker: &TcpStream) -> io::Result<()> {
        loop {
            let mut length = [0; 4];
            client.read_exact(&mut length)?;
            let bytes = u32::from_be_bytes(length);
            if !(2..=FRAME_BYTES_MAX).contains(&bytes) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut frame = vec![0; 4 + bytes as usize];
            frame[..4].copy_from_slice(&length);
            client.read_exact(&mut frame[4..])?;
            let waiter = self.waiter(&frame[4..]);
            if waiter.is_some() {
                self.is_shut.store(true, Ordering::SeqCst);
            }
            broker.write_all(&frame)?;
            if let Some(waiter) = waiter {
                // Nobody may be waiting any more.
                let _ = waiter.try_send(());
            }
        }
    }

    fn waiter(&self, frame: &[u8]) -> Option<SyncSender<()>> {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        let found = awaited.as_mut().filter(|awaited| (awaited.is_it)(frame))?;
        if found.skipped > 0 {
            found.skipped -= 1;
            return None;
        }
        awaited.take().map(|awaited| awaited.waiter)
    }

    fn pass_answers(&self, mut broker: &TcpStream, mut client: &TcpStream) -> io::Result<()> {
        let mut answers = vec![0; 64 << 10];
        loop {
            let bytes = broker.read(&mut answers)?;
            if bytes == 0 {
                return Ok(());
            }
            // Shut, an answer is lost; its connection ends with the broker.
            if !self.is_shut.load(Ordering::SeqCst) {
                client.write_all(&answers[..bytes])?;
            }
        }
    }
}

fn hang_up(one: &TcpStream, other: &TcpStream) {
    // Either may be gone already.
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}
