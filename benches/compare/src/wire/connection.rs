//! Frames over a blocking socket.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, ensure};

use super::{Reader, Writer};

/// Longer answers are an error of the broker's.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// One connection with one request in flight.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    correlation: i32,
}

/// A request as it goes out: length, header version 1, body.
pub fn frame(api: i16, version: i16, correlation: i32, body: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.i32(0).i16(api).i16(version).i32(correlation).string(Some("compare"));
    writer.0.extend_from_slice(body);
    let length =
        i32::try_from(writer.0.len() - 4).expect("requests of the harness are far below 2 GiB");
    writer.0[..4].copy_from_slice(&length.to_be_bytes());
    writer.0
}

/// Reads one answer into `buffer`; gives its correlation id. The body begins at byte 4.
pub fn answers(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<i32> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).context("the broker closed the connection")?;
    let length = usize::try_from(i32::from_be_bytes(length)).context("negative length")?;
    ensure!((4..=ANSWER_BYTES_MAX).contains(&length), "an answer of {length} bytes");
    buffer.resize(length, 0);
    stream.read_exact(buffer).context("the answer broke off")?;
    Ok(i32::from_be_bytes(buffer[..4].try_into().expect("four bytes")))
}

impl Connection {
    /// Connects.
    pub fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .with_context(|| format!("could not connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(Self { stream, correlation: 0 })
    }

    /// Asks, and waits for the answer's body.
    pub fn ask(&mut self, api: i16, version: i16, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.correlation += 1;
        self.exchange(&frame(api, version, self.correlation, body))
    }

    /// Asks in a flexible version: header version 2, and 1 of the answer.
    pub fn ask_flexible(&mut self, api: i16, version: i16, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.correlation += 1;
        let tagged = [&[0], body].concat();
        let answer = self.exchange(&frame(api, version, self.correlation, &tagged))?;
        let mut reader = Reader(&answer);
        reader.skip_tags()?;
        Ok(reader.0.to_vec())
    }

    fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.stream.write_all(request)?;
        let mut buffer = Vec::new();
        let correlation = answers(&mut self.stream, &mut buffer)?;
        ensure!(
            correlation == self.correlation,
            "answer {correlation} to request {}",
            self.correlation
        );
        Ok(buffer.split_off(4))
    }

    /// The socket, for loads that pipeline.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}
