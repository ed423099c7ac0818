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
    /// `INVALID_TXN_STATE`: the batch belongs to a transaction that nobody is known to have begun.
    #[error("producer {producer_id} has no open transaction here")]
    NoTransaction {
        /// The producer.
        producer_id: ProducerId,
    },
    /// `INVALID_TXN_STATE`: a batch outside of a transaction while the producer has one open.
    #[error("producer {producer_id} has an open transaction here, the batch belongs to none")]
    OutsideTransaction {
        /// The producer.
        producer_id: ProducerId,
    },
    /// `TRANSACTION_COORDINATOR_FENCED`: the marker comes from a coordinator that was replaced.
    #[error(
        "coordinator epoch {given} of producer {producer_id} is smaller than the last seen epoch {current}"
    )]
    StaleCoordinator {
        /// The producer.
        producer_id: ProducerId,
        /// The marker's coordinator epoch.
        given: i32,
        /// The newest coordinator epoch.
        current: i32,
    },
}

/// The end of a transaction, as its coordinator has it written into each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndMarker {
    /// Whose transaction.
    pub producer_id: ProducerId,
    /// The epoch that the partition is to know the producer by from here on.
    pub producer_epoch: i16,
    /// The term of the coordinator.
    pub coordinator_epoch: i32,
    /// Commit, or abort.
    pub commit: bool,
    /// The epoch is above that of the transaction which ends (KIP-890): a marker whose epoch is known already ended
    /// its transaction before, and must not end the next.
    pub bumps_epoch: bool,
}

/// What admission says of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkerAdmission {
    /// It is to be written.
    New,
    /// It is in the log already, or on its way.
    Written,
}

/// A transaction that a marker ended, and that had records here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CompletedTxn {
    pub(super) producer_id: ProducerId,
    pub(super) first_offset: Offset,
    /// The marker's offset.
    pub(super) last_offset: Offset,
    pub(super) aborted: bool,
}

/// Who appends, which decides what admission checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client: epoch, sequence, and that a transaction is open or verified.
    Client,
    /// A coordinator of this broker: the epoch alone, its batches have no sequence (`AppendOrigin.COORDINATOR`).
    Coordinator,
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
    fn check_epoch(&self, producer_id: ProducerId, given: i16) -> Result<(), Rejection> {
        if given < self.epoch {
            return Err(Rejection::StaleEpoch { producer_id, given, current: self.epoch });
        }
        Ok(())
    }

    fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }
}

/// The producers of one partition, in id order.
#[derive(Debug, Clone, Default)]
pub struct ProducerStates {
    producers: BTreeMap<ProducerId, Producer>,
    /// The open transactions by their first offsets.
    open: BTreeMap<Offset, ProducerId>,
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
    pub fn admit(&self, batch: &BatchEntry, origin: Origin) -> Result<Admission, Rejection> {
        let producer_id = batch.producer_id;
        let Some(producer) = self.producers.get(&producer_id) else {
            // Nothing is known: any sequence starts a new history (KIP-360).
            return Ok(Admission::New);
        };
        if origin == Origin::Coordinator {
            producer.check_epoch(producer_id, batch.producer_epoch)?;
            return Ok(Admission::New);
        }
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
        producer.check_epoch(producer_id, batch.producer_epoch)?;
        let last = producer.last_sequence();
        let fits = if batch.producer_epoch > producer.epoch {
            batch.base_sequence == 0
        } else {
            batch.base_sequence == sequence_after(last, 1)
        };
        if !fits {
            let given = batch.base_sequence;
            return Err(Rejection::OutOfOrderSequence { producer_id, given, last });
        }
        if producer.txn_first.is_some() && !Attributes(batch.attributes).is_transactional() {
            return Err(Rejection::OutsideTransaction { producer_id });
        }
        Ok(Admission::New)
    }

    /// Whether a marker may be written. Changes nothing.
    ///
    /// # Errors
    /// A [`Rejection`]: a replaced coordinator, or a producer that has gone on to a newer epoch.
    ///
    /// Source: `ProducerAppendInfo.appendEndTxnMarker`; KIP-890, KIP-1228.
    pub(super) fn admit_marker(&self, marker: &EndMarker) -> Result<MarkerAdmission, Rejection> {
        let producer_id = marker.producer_id;
        let Some(producer) = self.producers.get(&producer_id) else {
            return Ok(MarkerAdmission::New);
        };
        producer.check_epoch(producer_id, marker.producer_epoch)?;
        if marker.coordinator_epoch < producer.coordinator_epoch {
            return Err(Rejection::StaleCoordinator {
                producer_id,
                given: marker.coordinator_epoch,
                current: producer.coordinator_epoch,
            });
        }
        if marker.bumps_epoch && marker.producer_epoch == producer.epoch {
            return match producer.txn_first {
                None => Ok(MarkerAdmission::Written),
                Some(_) => Err(Rejection::StaleEpoch {
                    producer_id,
                    given: marker.producer_epoch,
                    current: producer.epoch,
                }),
            };
        }
        Ok(MarkerAdmission::New)
    }

    /// Takes up a batch that is in the log (or in the open slot `slot`), a marker included. Gives the transaction that a
    /// marker ended, if it had records here.
    pub(super) fn apply(
        &mut self,
        batch: &BatchEntry,
        slot: Option<SlotId>,
    ) -> Option<CompletedTxn> {
        if batch.producer_id == ProducerId::NONE {
            return None;
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
                let first_offset = producer.txn_first.take()?;
                self.open.remove(&first_offset);
                Some(CompletedTxn {
                    producer_id: batch.producer_id,
                    first_offset,
                    last_offset,
                    aborted: batch.control == ControlType::Abort,
                })
            }
            ControlType::Other => None,
            ControlType::None => {
                if Attributes(batch.attributes).is_transactional() && producer.txn_first.is_none() {
                    producer.txn_first = Some(batch.base_offset);
                    self.open.insert(batch.base_offset, batch.producer_id);
                }
                if batch.base_sequence < 0 {
                    // A coordinator's own batch: there is no sequence to recognise it by.
                    return None;
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
                None
            }
        }
    }

    /// Whether the producer has a transaction open here in this epoch.
    pub(super) fn has_open(&self, producer_id: ProducerId, epoch: i16) -> bool {
        let producer = self.producers.get(&producer_id);
        producer.is_some_and(|known| known.epoch == epoch && known.txn_first.is_some())
    }

    /// The first offset of the earliest open transaction.
    #[must_use]
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        self.open.first_key_value().map(|(first, _)| *first)
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

    /// Of a partition that no producer with an id has written to.
    #[must_use]
    pub const fn new() -> Self {
        Self { producers: BTreeMap::new(), open: BTreeMap::new() }
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
        let open = snapshots.iter().filter_map(|snapshot| {
            Some((snapshot.current_txn_first_offset?, snapshot.producer_id))
        });
        Self { producers: producers.collect(), open: open.collect() }
    }
}

#[cfg(test)]
mod tests;
