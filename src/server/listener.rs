//! Binds listeners, accepts connections up to a limit, and stops accepting on shutdown.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::Semaphore;

use super::budget::RequestBudget;
use super::buffers::FrameBuffers;
use super::connection::{Connection, ConnectionSettings};
use super::metrics::Metrics;
use super::voice::{self, Voice};
use crate::base::clock::sleep;
use crate::base::task;
use crate::base::watch;
use crate::config::{Address, Listener};
use crate::handlers::{Context, Session};

/// After a failed accept (out of file descriptors): connections that end make room.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait to be accepted, as far as the system allows it. All clients of a broker come at once after a restart,
/// and one that finds no room tries again only after a second.
const BACKLOG: u32 = 4096;

/// What the server is told.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// `socket.request.max.bytes`.
    pub request_bytes_max: usize,
    /// `max.connections`.
    pub connections_max: usize,
    /// `connections.max.idle.ms`.
    pub idle_max: Option<Duration>,
    /// Memory of requests on their way in.
    pub budget: RequestBudget,
    /// Memory of large frames, used again.
    pub buffers: FrameBuffers,
    /// Figures.
    pub metrics: Metrics,
    /// Whether clients may be answered.
    pub voice: watch::Receiver<Voice>,
}

/// A listener with its sockets: `localhost` has one on IPv4 and one on IPv6.
#[derive(Debug)]
pub struct Bound {
    /// The listener's name.
    pub name: String,
    /// The first socket's address, with the port that the system chose for port 0.
    pub address: SocketAddr,
    sockets: Vec<TcpListener>,
}

impl Bound {
    /// Binds every address that the listener's host stands for, all on one port.
    ///
    /// # Errors
    /// The host does not resolve, one of its addresses is another's, or none can be bound.
    pub async fn bind(listener: &Listener) -> io::Result<Self> {
        let Address { host, port } = &listener.address;
        let addresses = addresses(&listener.address, resolved(&listener.address)).await?;
        let mut tries = if *port == 0 { FREE_PORT_TRIES } else { 1 };
        let sockets = loop {
            tries -= 1;
            match bind_all(host, &addresses, *port) {
                // The port that was free on one address is not on the other: another port may be.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
                bound => break bound?,
            }
        };
        let first = sockets.first().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let address = first.local_addr()?;
        Ok(Self { name: listener.name.clone(), address, sockets })
    }
}

/// How often a port that is free on every address is looked for.
const FREE_PORT_TRIES: usize = 16;

fn bind_all(host: &str, addresses: &[SocketAddr], mut port: u16) -> io::Result<Vec<TcpListener>> {
    let mut sockets: Vec<TcpListener> = Vec::new();
    let mut failed = None;
    for address in addresses {
        match listen(SocketAddr::new(address.ip(), port)) {
            Ok(socket) => {
                port = socket.local_addr()?.port();
                sockets.push(socket);
            }
            // Half of `localhost` would be somebody else's: clients that are told it try either.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && asked(host, address) => {
                return Err(error);
            }
            // A host without IPv6 still serves localhost on IPv4.
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted broker takes its port again while connections of the one before are still being closed.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether `host` stands for this address; `127.0.0.1` is given `::1` only where that is free.
fn asked(host: &str, address: &SocketAddr) -> bool {
    host != "127.0.0.1" || address.is_ipv4()
}

async fn resolved(address: &Address) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host((address.host.as_str(), address.port)).await?.collect())
}

/// Clients that are told `localhost` try either family: both are served, IPv4 first. A resolver may know neither, or give
/// an address that other machines reach.
async fn addresses(
    address: &Address,
    resolved: impl Future<Output = io::Result<Vec<SocketAddr>>>,
) -> io::Result<Vec<SocketAddr>> {
    if let Some(both) = address.localhost() {
        return Ok(both.to_vec());
    }
    let mut found = resolved.await?;
    if address.host == "127.0.0.1" {
        found.push(SocketAddr::from((Ipv6Addr::LOCALHOST, address.port)));
    }
    found.sort_by_key(|address| (address.is_ipv6(), *address));
    found.dedup();
    Ok(found)
}

/// The running listeners.
#[derive(Debug)]
pub struct Listeners {
    stop: watch::Sender<bool>,
    open: Arc<Semaphore>,
    connections_max: u32,
}

impl Listeners {
    /// Starts to accept on every bound socket.
    #[must_use]
    pub fn start(bound: Vec<Bound>, context: &Arc<Context>, settings: &ServerSettings) -> Self {
        let (stop, stopped) = watch::channel(false);
        settings.buffers.start_trimming();
        let connections_max =
            u32::try_from(settings.connections_max).unwrap_or(u32::MAX).min(1 << 28);
        let open = Arc::new(Semaphore::new(connections_max as usize));
        for Bound { name, sockets, .. } in bound {
            for socket in sockets {
                let acceptor = Acceptor {
                    socket,
                    listener: Arc::from(name.as_str()),
                    context: Arc::clone(context),
                    settings: settings.clone(),
                    open: Arc::clone(&open),
                    stopped: stopped.clone(),
                };
                task::spawn("server-accept", acceptor.run());
            }
        }
        Self { stop, open, connections_max }
    }

    /// Stops accepting and closes idle connections; waits at most `grace` for answers that are owed.
    pub async fn shutdown(&self, grace: Duration) {
        self.stop.send_replace(true);
        self.closed(grace).await;
    }

    /// Waits until no connection is open, at most `within`; for when none is accepted any more.
    pub async fn closed(&self, within: Duration) {
        let all_closed = self.open.acquire_many(self.connections_max);
        let _ = tokio::time::timeout(within, all_closed).await;
    }
}

struct Acceptor {
    socket: TcpListener,
    listener: Arc<str>,
    context: Arc<Context>,
    settings: ServerSettings,
    open: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

impl Acceptor {
    async fn run(mut self) {
        let mut voice = self.settings.voice.clone();
        loop {
            let now = *voice.borrow_and_update();
            if now == Voice::Lost {
                return;
            }
            let accepted = tokio::select! {
                biased;
                _ = self.stopped.wait_for(|stopped| *stopped) => return,
                () = voice::changed(&mut voice) => continue,
                accepted = self.socket.accept(), if now == Voice::Free => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.serve(socket, peer),
                Err(error) => {
                    tracing::warn!(%error, "connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(&self, socket: TcpStream, peer: SocketAddr) {
        let metrics = self.settings.metrics.clone();
        let Ok(place) = Arc::clone(&self.open).try_acquire_owned() else {
            metrics.refused.inc();
            tracing::debug!(%peer, "connection refused at max.connections");
            return;
        };
        // Answers are written whole, so waiting to fill a packet only delays them.
        let _ = socket.set_nodelay(true);
        metrics.accepted.inc();
        metrics.connections.inc();
        let session = Session::new(Arc::clone(&self.context), Arc::clone(&self.listener));
        let session = session.from(peer.ip());
        let settings = ConnectionSettings {
            request_bytes_max: self.settings.request_bytes_max,
            idle_max: self.settings.idle_max,
            budget: self.settings.budget.clone(),
            buffers: self.settings.buffers.clone(),
            metrics: metrics.clone(),
            voice: self.settings.voice.clone(),
        };
        let connection = Connection::new(session, socket, settings);
        // Not an async block around it: the task of an idle connection would be twice as large.
        let served = connection.run(self.stopped.clone()).map(move |closed| {
            tracing::debug!(%peer, %closed, "connection closed");
            metrics.connections.dec();
            drop(place);
        });
        task::spawn("server-connection", served);
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn listener(host: &str, port: u16) -> Listener {
        let address = Address { host: host.to_owned(), port };
        Listener { name: "PLAINTEXT".to_owned(), address }
    }

    /// Three times as many as a socket lets wait that nobody asked to let more wait. Linux allows 4096 unless it is told otherwise.
    #[tokio::test]
    async fn connections_wait_to_be_accepted() {
        let bound = Bound::bind(&listener("127.0.0.1", 0)).await.unwrap();
        let mut waiting = Vec::new();
        for number in 0..384 {
            let connected = TcpStream::connect(bound.address);
            // One that finds no room is heard again after a second.
            let connected = tokio::time::timeout(Duration::from_millis(900), connected).await;
            waiting.push(connected.unwrap_or_else(|_| panic!("no room for {number}")).unwrap());
        }
    }

    #[tokio::test]
    async fn localhost_is_on_loopback_whatever_a_resolver_says() {
        let of = async |host: &str, resolved: io::Result<Vec<SocketAddr>>| {
            let address = Address { host: host.to_owned(), port: 7 };
            let found = addresses(&address, ready(resolved)).await.ok()?;
            Some(found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let both = ["127.0.0.1:7", "[::1]:7"].map(str::to_owned).to_vec();
        let unknown = || Err(io::ErrorKind::NotFound.into());
        for host in ["localhost", "LocalHost"] {
            assert_eq!(of(host, Ok(vec![([10, 9, 8, 7], 7).into()])).await, Some(both.clone()));
            assert_eq!(of(host, unknown()).await, Some(both.clone()));
        }
        assert_eq!(of("127.0.0.1", Ok(vec![([127, 0, 0, 1], 7).into()])).await, Some(both));
        let named = Some(vec!["10.9.8.7:7".to_owned()]);
        assert_eq!(of("broker.example", Ok(vec![([10, 9, 8, 7], 7).into()])).await, named);
        assert_eq!(of("broker.example", unknown()).await, None);
    }

    /// Its clients would talk to somebody else on the other half.
    #[tokio::test]
    async fn localhost_is_not_bound_by_half() {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = other.local_addr().unwrap().port();
        let error = Bound::bind(&listener("localhost", port)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let bound = Bound::bind(&listener("localhost", 0)).await.unwrap();
        let port = bound.address.port();
        assert!(bound.address.is_ipv4() && port != 0, "{}", bound.address);
        assert!(bound.sockets.iter().all(|one| one.local_addr().unwrap().port() == port));
    }
}
