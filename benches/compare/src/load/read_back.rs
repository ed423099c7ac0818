//! Reads a topic to its end, to look for every record that was acknowledged.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    numbers::{Noted, Numbers},
    paced::Placed,
    payload,
};
use crate::librd::{Consumer, Settings};

/// What is not there after so long is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was found.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Acknowledged records that are not where they are said to be.
    pub lost: u64,
    /// Records whose number came before.
    pub twice: u64,
}

/// Reads the topic from its beginning to these ends of its partitions.
pub fn read_back(
    topic: &str,
    ends: &[i64],
    acknowledged: &[Placed],
    settings: &Settings,
) -> anyhow::Result<Found> {
    let mut wanted = HashMap::with_capacity(acknowledged.len());
    let mut lost = 0;
    for place in acknowledged {
        // Of two records that are said to be at one offset, one is not there.
        let other = wanted.insert((place.partition, place.offset), place.number);
        lost += u64::from(other.is_some());
    }
    let bound = acknowledged.iter().map(|place| place.number + 1).max().unwrap_or(0);
    let numbers = Numbers::new(bound);
    let mut consumer = Consumer::new(&[topic.to_owned()], i32::try_from(ends.len())?, settings)?;
    let mut next = vec![0; ends.len()];
    let mut twice = 0;
    let began = Instant::now();
    while next.iter().zip(ends).any(|(next, end)| next < end) && began.elapsed() < PATIENCE {
        consumer.poll(Duration::from_millis(200), |message| {
            next[message.partition as usize] = message.offset + 1;
            let Some((_, number)) = payload::stamp_of(message.value) else { return };
            let place = (message.partition, message.offset);
            if wanted.get(&place) == Some(&number) {
                wanted.remove(&place);
            }
            twice += u64::from(numbers.note(number) == Noted::Again);
        })?;
    }
    Ok(Found { lost: lost + wanted.len() as u64, twice })
}
