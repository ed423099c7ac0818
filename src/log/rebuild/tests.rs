//! RecoverTotal: what is rebuilt from slot indexes is what was lost, wherever the chain is cut.

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::{Incarnation, LeaderEpoch, ProducerId, TopicId};
use crate::log::producer_state::{Admission, EndMarker, MarkerAdmission, Origin};
use crate::record::ControlType;
use crate::record::crc::crc32c;
use crate::segment::{
    AbortedTxn, Kind, Known, ProducerSnapshot, SlotBody, SlotHeader, decode_slot, encode_slot,
};

const CHAIN: ChainId = ChainId(3);
const TP: TopicPartition = TopicPartition { topic: TopicId(Uuid::from_u128(5)), partition: 0 };

/// What happens to the partition.
#[derive(Debug, Clone, Copy)]
enum Step {
    Batch { producer: u8, records: i32, transactional: bool },
    Marker { producer: u8, commit: bool, bumps_epoch: bool },
    Checkpoint,
    NextSlot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u8, 1..4_i32, any::<bool>()).prop_map(|(producer, records, transactional)| {
            Step::Batch { producer, records, transactional }
        }),
        3 => (0..4_u8, any::<bool>(), any::<bool>()).prop_map(|(producer, commit, bumps_epoch)| {
            Step::Marker { producer, commit, bumps_epoch }
        }),
        1 => Just(Step::Checkpoint),
        2 => Just(Step::NextSlot),
    ]
}

/// The partition as its leader has it.
#[derive(Debug, Default)]
struct Live {
    producers: ProducerStates,
    aborted: TransactionIndex,
    end: Offset,
    /// Epoch and next sequence of each producer.
    clients: BTreeMap<u8, (i16, i32)>,
    markers: i32,
    /// The batches and checkpoints of the open slot.
    batches: Vec<BatchEntry>,
    checkpoints: Vec<PartitionCheckpoint>,
}

/// What a reader and a producer can tell of a partition.
type Seen = (Vec<ProducerSnapshot>, Option<Offset>, Vec<AbortedTxn>);

impl Live {
    fn apply(&mut self, entry: BatchEntry) {
        if let Some(completed) = self.producers.apply(&entry, Some(SlotId(0))) {
            self.aborted.complete(&completed, &self.producers);
        }
        self.end = entry.end_offset();
        self.batches.push(entry);
    }

    fn entry(&self, producer: u8, epoch: i16) -> BatchEntry {
        BatchEntry {
            base_offset: self.end,
            last_offset_delta: 0,
            position: 0,
            bytes: 100,
            producer_id: ProducerId(i64::from(producer)),
            producer_epoch: epoch,
            base_sequence: -1,
            attributes: 0,
            max_timestamp: Timestamp(1000 + self.end.0),
            control: ControlType::None,
            coordinator_epoch: -1,
        }
    }

    fn batch(&mut self, producer: u8, records: i32, transactional: bool) {
        let (epoch, sequence) = *self.clients.entry(producer).or_insert((0, 0));
        let mut entry = self.entry(producer, epoch);
        entry.last_offset_delta = records - 1;
        entry.base_sequence = sequence;
        entry.attributes = if transactional { 0x10 } else { 0 };
        if self.producers.admit(&entry, Origin::Client) == Ok(Admission::New) {
            self.clients.insert(producer, (epoch, sequence + records));
            self.apply(entry);
        }
    }

    fn marker(&mut self, producer: u8, commit: bool, bumps_epoch: bool) {
        let (epoch, sequence) = *self.clients.entry(producer).or_insert((0, 0));
        let (epoch, sequence) = if bumps_epoch { (epoch + 1, 0) } else { (epoch, sequence) };
        let marker = EndMarker {
            producer_id: ProducerId(i64::from(producer)),
            producer_epoch: epoch,
            coordinator_epoch: self.markers / 3,
            commit,
            bumps_epoch,
        };
        if self.producers.admit_marker(&marker) != Ok(MarkerAdmission::New) {
            return;
        }
        self.markers += 1;
        self.clients.insert(producer, (epoch, sequence));
        let mut entry = self.entry(producer, epoch);
        entry.attributes = 0x30;
        entry.control = if commit { ControlType::Commit } else { ControlType::Abort };
        entry.coordinator_epoch = marker.coordinator_epoch;
        self.apply(entry);
    }

    fn checkpoint(&mut self) {
        self.checkpoints.push(PartitionCheckpoint {
            tp: TP,
            leader_epoch: LeaderEpoch(1),
            end_offset: self.end,
            producers: self.producers.snapshot(),
            ongoing: self.producers.ongoing(),
            aborted: self.aborted.snapshot(),
        });
    }

    /// Closes the slot: its index as it is read back from its bytes.
    fn close(&mut self, slot: u64) -> SlotIndex {
        let mut index = SlotIndex::default();
        if !self.batches.is_empty() {
            index.push_run(TP, LeaderEpoch(1), std::mem::take(&mut self.batches));
        }
        index.checkpoint = std::mem::take(&mut self.checkpoints);
        let body = vec![0; usize::try_from(index.body_bytes()).expect("small")];
        let body = SlotBody {
            bytes: index.body_bytes(),
            crc: crc32c(&body),
            pieces: vec![Bytes::from(body)],
        };
        let header = SlotHeader {
            kind: Kind::Data,
            chain: CHAIN,
            slot: SlotId(slot),
            incarnation: Incarnation(Uuid::nil()),
            created: Timestamp(1000),
        };
        let encoded = encode_slot(&header, body, &index, &Known::default());
        let bytes: Vec<u8> = encoded.payload.iter().flat_map(|piece| piece.to_vec()).collect();
        decode_slot(&Bytes::from(bytes)).expect("what was written is read").index
    }

    fn seen(&self) -> Seen {
        seen(&self.producers, &self.aborted)
    }
}

fn seen(producers: &ProducerStates, aborted: &TransactionIndex) -> Seen {
    (producers.snapshot(), producers.first_unstable_offset(), aborted.snapshot())
}

fn lease(end: Offset, slots: u64) -> Lease {
    Lease {
        tp: TP,
        topic: "t".to_owned(),
        leader_epoch: LeaderEpoch(2),
        start: end,
        log_start: Offset::ZERO,
        epochs: [].into(),
        replay: vec![ChainSpan { chain: CHAIN, from: SlotId(0), end: SlotId(slots) }],
    }
}

proptest! {
    #[test]
    fn rebuilt_is_live_at_every_cut(steps in proptest::collection::vec(step(), 1..120)) {
        let mut live = Live::default();
        let mut slots: Vec<SlotIndex> = Vec::new();
        for step in steps.into_iter().chain([Step::NextSlot]) {
            match step {
                Step::Batch { producer, records, transactional } => {
                    live.batch(producer, records, transactional);
                }
                Step::Marker { producer, commit, bumps_epoch } => {
                    live.marker(producer, commit, bumps_epoch);
                }
                Step::Checkpoint => live.checkpoint(),
                Step::NextSlot => {
                    slots.push(live.close(slots.len() as u64));
                    let count = slots.len() as u64;
                    // From the first slot on, and from the last that holds a checkpoint.
                    let newest = slots.iter().rposition(|slot| !slot.checkpoint.is_empty());
                    for from in [0, newest.unwrap_or(0)] {
                        let mut rebuilder = Rebuilder::new(vec![lease(live.end, count)]);
                        for (slot, index) in (0..).zip(&slots).skip(from) {
                            rebuilder.apply(CHAIN, SlotId(slot), index);
                        }
                        let rebuilt = &rebuilder.partitions[&TP];
                        prop_assert!(rebuilt.is_whole());
                        prop_assert_eq!(seen(&rebuilt.producers, &rebuilt.aborted), live.seen());
                    }
                }
            }
        }
    }
}
