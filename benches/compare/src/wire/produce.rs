//! Produce version 8.

use anyhow::ensure;

use super::{Batch, Reader, Writer};

/// Builds the body of a Produce request.
pub struct ProduceRequest<'a> {
    /// The topic.
    pub topic: &'a str,
    /// -1, 0 or 1.
    pub acks: i16,
    /// A batch for each of these partitions.
    pub partitions: std::ops::Range<i32>,
    /// The batch.
    pub batch: &'a Batch,
}

impl ProduceRequest<'_> {
    /// The API's key.
    pub const API: i16 = 0;
    /// The version spoken.
    pub const VERSION: i16 = 8;

    /// The body.
    pub fn body(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.string(None).i16(self.acks).i32(30_000).length(1).string(Some(self.topic));
        writer.length(self.partitions.len());
        for partition in self.partitions.clone() {
            writer.i32(partition).length(self.batch.bytes.len());
            writer.0.extend_from_slice(&self.batch.bytes);
        }
        writer.0
    }
}

/// Reads an answer's error codes; an error names the first.
pub fn check_produced(answer: &[u8]) -> anyhow::Result<()> {
    let mut reader = Reader(answer);
    for _ in 0..reader.count()? {
        reader.string()?;
        for _ in 0..reader.count()? {
            let partition = reader.i32()?;
            let code = reader.i16()?;
            // base_offset, log_append_time and log_start_offset
            reader.take(24)?;
            for _ in 0..reader.count()? {
                reader.i32()?;
                reader.string()?;
            }
            let message = reader.string()?;
            ensure!(
                code == 0,
                "produce to partition {partition} failed with code {code} {message}"
            );
        }
    }
    Ok(())
}
