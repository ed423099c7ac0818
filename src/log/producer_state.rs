//! What a partition knows of its producers: epochs, the last five batches of each, open transactions. Pure.
//!
//! Source: KIP-98, KIP-360; `ProducerStateManager`, `ProducerAppendInfo` in Apache Kafka. Rebuilt from a checkpoint plus
//! the batch entries of slot indexes, never from batch bodies (RecoverTotal).

use std::collections::{BTreeMap, VecDeque};

use crate::base::clock::Timestamp;
use crate::base::ids::{ProducerId, SlotId};
use crate::base::offset::Offset;
use crate::record::{Attributes, ControlType};
use crate::segment::{BatchEntry, OngoingTxn, ProducerBatch, ProducerSnapshot};

/// Batches remembered for each producer: as many as a client may have in flight.
const BATCHES_KEPT: usize = 5;

/// Why an idempotent batch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    #[error("out of order sequence number for producer {producer_id}: {given} after {last}")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: ProducerId,
        /// The batch's first sequence.
        given: i32,
        /// The last sequence that is in the log; -1 without one.
        last: i32,
    },
    /// `INVALID_PRODUCER_EPOCH`.
    #[error(
        "epoch {given} of producer {producer_id} is smaller than the last seen epoch {current}"
    )]
    StaleEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// The batch's epoch.
        given: i16,
        /// The newest epoch.
        current: i16,
    },
    /// `INVALID_TXN_STATE`: the batch belongs to a transaction that nobody began.
    #[error("producer {producer_id} has no open transaction here")]
    NoTransaction {
        /// The producer.
        producer_id: ProducerId,
    },
}

/// What admission says of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is new: append it.
    New,
    /// It is in the log already, or on its way in `slot`.
    Duplicate {
        /// Where its first record is.
        base_offset: Offset,
        /// The original's timestamp.
        timestamp: Timestamp,
        /// The slot that holds it; none when it was stable before this process led.
        slot: Option<SlotId>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Batch {
    base_sequence: i32,
    last_sequence: i32,
    base_offset: Offset,
    last_offset: Offset,
    timestamp: Timestamp,
    slot: Option<SlotId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    coordinator_epoch: i32,
    last_timestamp: Timestamp,
    batches: VecDeque<Batch>,
    txn_first: Option<Offset>,
}

impl Producer {
    fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }
}

/// The producers of one partition, in id order.
#[derive(Debug, Clone, Default)]
pub struct ProducerStates {
    producers: BTreeMap<ProducerId, Producer>,
}

/// The sequence `steps` after `sequence`: it wraps from 2^31-1 to 0 (`DefaultRecordBatch.incrementSequence`).
#[must_use]
fn sequence_after(sequence: i32, steps: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(steps);
    i32::try_from(sum & 0x7fff_ffff).expect("31 bits fit")
}

impl ProducerStates {
    /// Whether a batch that a client sends may be appended. Changes nothing.
    ///
    /// # Errors
    /// A [`Rejection`]: the batch must not be appended.
    pub fn admit(&self, batch: &BatchEntry) -> Result<Admission, Rejection> {
        let producer_id = batch.producer_id;
        let Some(producer) = self.producers.get(&producer_id) else {
            // Nothing is known: any sequence starts a new history (KIP-360).
            return Ok(Admission::New);
        };
        let last_sequence = sequence_after(batch.base_sequence, batch.last_offset_delta);
        if batch.producer_epoch == producer.epoch
            && let Some(original) = producer.batches.iter().find(|kept| {
                kept.base_sequence == batch.base_sequence && kept.last_sequence == last_sequence
            })
        {
            return Ok(Admission::Duplicate {
                base_offset: original.base_offset,
                timestamp: original.timestamp,
                slot: original.slot,
            });
        }
        if batch.producer_epoch < producer.epoch {
            return Err(Rejection::StaleEpoch {
                producer_id,
                given: batch.producer_epoch,
                current: producer.epoch,
            });
        }
        let last = producer.last_sequence();
        let fits = if batch.producer_epoch > producer.epoch {
            batch.base_sequence == 0
        } else {
            batch.base_sequence == sequence_after(last, 1)
        };
        if fits {
            Ok(Admission::New)
        } else {
            Err(Rejection::OutOfOrderSequence { producer_id, given: batch.base_sequence, last })
        }
    }

    /// Takes up a batch that is in the log (or in the open slot `slot`), a marker included.
    pub fn apply(&mut self, batch: &BatchEntry, slot: Option<SlotId>) {
        if batch.producer_id == ProducerId::NONE {
            return;
        }
        let producer = self.producers.entry(batch.producer_id).or_insert_with(|| Producer {
            epoch: batch.producer_epoch,
            coordinator_epoch: -1,
            last_timestamp: batch.max_timestamp,
            batches: VecDeque::new(),
            txn_first: None,
        });
        if batch.producer_epoch != producer.epoch {
            producer.epoch = batch.producer_epoch;
            producer.batches.clear();
        }
        producer.last_timestamp = batch.max_timestamp;
        let last_offset = batch.end_offset() + -1;
        match batch.control {
            ControlType::Commit | ControlType::Abort => {
                producer.coordinator_epoch = batch.coordinator_epoch;
                producer.txn_first = None;
            }
            ControlType::Other => {}
            ControlType::None => {
                if Attributes(batch.attributes).is_transactional() {
                    producer.txn_first.get_or_insert(batch.base_offset);
                }
                if producer.batches.len() == BATCHES_KEPT {
                    producer.batches.pop_front();
                }
                producer.batches.push_back(Batch {
                    base_sequence: batch.base_sequence,
                    last_sequence: sequence_after(batch.base_sequence, batch.last_offset_delta),
                    base_offset: batch.base_offset,
                    last_offset,
                    timestamp: batch.max_timestamp,
                    slot,
                });
            }
        }
    }

    /// Where the open transaction of a producer began.
    #[must_use]
    pub fn txn_first(&self, producer_id: ProducerId) -> Option<Offset> {
        self.producers.get(&producer_id)?.txn_first
    }

    /// The first offset of the earliest open transaction.
    #[must_use]
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        self.producers.values().filter_map(|producer| producer.txn_first).min()
    }

    /// The open transactions, in producer order.
    #[must_use]
    pub fn ongoing(&self) -> Vec<OngoingTxn> {
        let open = self.producers.iter().filter_map(|(&producer_id, producer)| {
            Some(OngoingTxn { producer_id, first_offset: producer.txn_first? })
        });
        open.collect()
    }

    /// Forgets producers that wrote nothing since `before` and have no open transaction.
    pub fn expire(&mut self, before: Timestamp) {
        self.producers.retain(|_, producer| {
            producer.txn_first.is_some() || producer.last_timestamp >= before
        });
    }

    /// Whether no producer is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// The state as it is stored and shown, in id order.
    #[must_use]
    pub fn snapshot(&self) -> Vec<ProducerSnapshot> {
        self.producers
            .iter()
            .map(|(&producer_id, producer)| ProducerSnapshot {
                producer_id,
                producer_epoch: producer.epoch,
                coordinator_epoch: producer.coordinator_epoch,
                last_timestamp: producer.last_timestamp,
                batches: producer
                    .batches
                    .iter()
                    .map(|batch| ProducerBatch {
                        base_sequence: batch.base_sequence,
                        last_sequence: batch.last_sequence,
                        base_offset: batch.base_offset,
                        last_offset: batch.last_offset,
                        timestamp: batch.timestamp,
                    })
                    .collect(),
                current_txn_first_offset: producer.txn_first,
            })
            .collect()
    }

    /// The state that a snapshot shows. What it names is stable.
    #[must_use]
    pub fn restore(snapshots: &[ProducerSnapshot]) -> Self {
        let producers = snapshots.iter().map(|snapshot| {
            let batches = snapshot.batches.iter().map(|batch| Batch {
                base_sequence: batch.base_sequence,
                last_sequence: batch.last_sequence,
                base_offset: batch.base_offset,
                last_offset: batch.last_offset,
                timestamp: batch.timestamp,
                slot: None,
            });
            let producer = Producer {
                epoch: snapshot.producer_epoch,
                coordinator_epoch: snapshot.coordinator_epoch,
                last_timestamp: snapshot.last_timestamp,
                batches: batches.collect(),
                txn_first: snapshot.current_txn_first_offset,
            };
            (snapshot.producer_id, producer)
        });
        Self { producers: producers.collect() }
    }
}

#[cfg(test)]
mod tests;
