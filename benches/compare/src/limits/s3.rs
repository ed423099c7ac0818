//! PUT and GET as fast as a socket allows: one HTTP/1.1 connection a thread, signature version 4, payload unsigned.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, ensure};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

const OBJECT_BYTES: usize = 8 << 20;
const OBJECTS: usize = 48;
const THREADS: usize = 2;
const BUCKET: &str = "bench";
const ACCESS_KEY: &str = "emulator";
const SECRET_KEY: &str = "emulator-secret";

/// MB/s of PUTs and of GETs.
pub(super) fn rates(address: &str) -> anyhow::Result<(f64, f64)> {
    let put = timed(address, |stream, address, key, body| {
        stream.write_all(&signed("PUT", address, key, body.len()))?;
        stream.write_all(body)?;
        answer(stream).map(|_| ())
    })?;
    let get = timed(address, |stream, address, key, _| {
        stream.write_all(&signed("GET", address, key, 0))?;
        let bytes = answer(stream)?;
        ensure!(bytes == OBJECT_BYTES, "{bytes} bytes instead of {OBJECT_BYTES}");
        Ok(())
    })?;
    Ok((put, get))
}

/// Makes the bucket of the emulator's name in another store with the same credentials.
pub fn make_bucket(address: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(&signed("PUT", address, "", 0))?;
    answer(&mut stream).map(|_| ())
}

fn timed(
    address: &str,
    one: impl Fn(&mut TcpStream, &str, &str, &[u8]) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<f64> {
    let began = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let one = &one;
                scope.spawn(move || -> anyhow::Result<()> {
                    let mut stream = TcpStream::connect(address)?;
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                    let body = vec![9u8; OBJECT_BYTES];
                    (0..OBJECTS / THREADS).try_for_each(|number| {
                        one(&mut stream, address, &format!("limit/{thread}/{number}"), &body)
                    })
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("the client does not panic"))
    })?;
    Ok((OBJECTS * OBJECT_BYTES) as f64 / 1e6 / began.elapsed().as_secs_f64())
}

/// Reads one answer to its end; gives its body's length.
fn answer(stream: &mut TcpStream) -> anyhow::Result<usize> {
    let mut buffer = vec![0u8; 256 << 10];
    let mut filled = 0;
    let head = loop {
        let read = stream.read(&mut buffer[filled..])?;
        ensure!(read > 0, "the store closed the connection");
        filled += read;
        if let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    ensure!(
        text.starts_with("http/1.1 200"),
        "the store answered {}",
        text.lines().next().unwrap_or("")
    );
    let length: usize = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(Ok(0), |value| value.trim().parse())
        .context("a content-length that is no number")?;
    let mut left = length.saturating_sub(filled - head);
    while left > 0 {
        let read = stream.read(&mut buffer)?;
        ensure!(read > 0, "the store closed the connection");
        left = left.saturating_sub(read);
    }
    Ok(length)
}

/// A signed request's head.
fn signed(method: &str, host: &str, key: &str, length: usize) -> Vec<u8> {
    let seconds =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (date, time) = stamp(seconds);
    let stamp = format!("{date}T{time}Z");
    let headers =
        format!("host:{host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{stamp}\n");
    let names = "host;x-amz-content-sha256;x-amz-date";
    let canonical = format!("{method}\n/{BUCKET}/{key}\n\n{headers}\n{names}\nUNSIGNED-PAYLOAD");
    let scope = format!("{date}/us-east-1/s3/aws4_request");
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(&canonical)));
    let signing_key = ["us-east-1", "s3", "aws4_request"]
        .iter()
        .fold(mac(format!("AWS4{SECRET_KEY}").as_bytes(), &date), |secret, part| {
            mac(&secret, part)
        });
    let signature = hex(&mac(&signing_key, &to_sign));
    format!(
        "{method} /{BUCKET}/{key} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\
         x-amz-date: {stamp}\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope},SignedHeaders={names},Signature={signature}\r\n\r\n"
    )
    .into_bytes()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length serves");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `YYYYMMDD` and `HHMMSS` of a Unix time (Hinnant's civil_from_days).
pub fn stamp(seconds: u64) -> (String, String) {
    let (days, rest) = ((seconds / 86_400) as i64, seconds % 86_400);
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (
        format!("{year:04}{month:02}{day:02}"),
        format!("{:02}{:02}{:02}", rest / 3_600, rest / 60 % 60, rest % 60),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_the_calendar_s() {
        assert_eq!(stamp(0), ("19700101".to_owned(), "000000".to_owned()));
        assert_eq!(stamp(951_868_799), ("20000229".to_owned(), "235959".to_owned()));
        assert_eq!(stamp(1_795_420_800), ("20261123".to_owned(), "080000".to_owned()));
    }
}
