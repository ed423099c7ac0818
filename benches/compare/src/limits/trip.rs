//! A request of some 200 bytes and its answer over the loopback: one read and one write, and nothing decided in between.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde::Serialize;

use crate::{load::requests::Repeated, stats::Latencies, usage::thread_cpu_seconds, wire::frame};

/// As many connections as the rows have that count requests.
const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_millis(300);
const DURATION: Duration = Duration::from_millis(1_500);

/// What bare round trips take.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Trip {
    /// CPU of the side that answers, of one among 64 connections, microseconds.
    pub cpu_us: f64,
    /// Thousands a second over 64 connections with one in flight on each.
    pub rate: f64,
    /// p50 and p99 of each of these, in milliseconds.
    pub crowd_ms: [f64; 2],
    /// p50, p99 and p99.9 of one connection alone, in milliseconds.
    pub alone_ms: [f64; 3],
}

impl Trip {
    /// Takes three seconds.
    pub(super) fn measure() -> anyhow::Result<Self> {
        let mut trip = Self::default();
        trip.crowd()?;
        trip.alone()?;
        Ok(trip)
    }

    /// By the client of the rows `requests` and `group-commits`.
    fn crowd(&mut self) -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let server = thread::spawn(move || echo(&listener, CONNECTIONS));
        let load = Repeated { address, requests: vec![request(); CONNECTIONS], check: |_| Ok(()) };
        let running = load.start()?;
        thread::sleep(WARM_UP);
        running.latencies().clear();
        let (began, before) = (Instant::now(), running.answered());
        thread::sleep(DURATION);
        let answered = running.answered() - before;
        self.rate = answered as f64 / 1_000.0 / began.elapsed().as_secs_f64();
        self.crowd_ms = [0.5, 0.99].map(|quantile| running.latencies().quantile_ms(quantile));
        running.stop()?;
        self.cpu_us = server.join().expect("the server does not panic")?;
        Ok(())
    }

    fn alone(&mut self) -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let server = thread::spawn(move || echo(&listener, 1));
        let latencies = one_by_one(address)?;
        server.join().expect("the server does not panic")?;
        self.alone_ms = [0.5, 0.99, 0.999].map(|quantile| latencies.quantile_ms(quantile));
        Ok(())
    }
}

/// A frame, of which its echo is an answer's frame.
fn request() -> Vec<u8> {
    frame(0, 0, 1, &[b'x'; 180])
}

fn one_by_one(address: SocketAddr) -> anyhow::Result<Latencies> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (request, latencies) = (request(), Latencies::default());
    let mut answer = vec![0; request.len()];
    let opened = Instant::now();
    while opened.elapsed() < DURATION {
        let began = Instant::now();
        stream.write_all(&request)?;
        stream.read_exact(&mut answer)?;
        latencies.record(began.elapsed());
    }
    Ok(latencies)
}

/// Gives back what comes over so many connections until all are closed: microseconds of CPU for each answer.
fn echo(listener: &TcpListener, connections: usize) -> anyhow::Result<f64> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut streams = Vec::with_capacity(connections);
    for number in 0..connections {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        streams.push(stream);
    }
    let (mut events, mut buffer) = ([EpollEvent::empty(); CONNECTIONS], [0u8; 4_096]);
    let (mut open, mut answered) = (connections, 0u64);
    let before = thread_cpu_seconds();
    while open > 0 {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..ready] {
            let stream = &mut streams[event.data() as usize];
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                epoll.delete(&*stream)?;
                open -= 1;
            } else {
                stream.write_all(&buffer[..read])?;
                answered += 1;
            }
        }
    }
    Ok((thread_cpu_seconds() - before) * 1e6 / answered.max(1) as f64)
}
