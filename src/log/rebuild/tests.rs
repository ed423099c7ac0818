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

/// The first; others follow it.
const CHAIN: ChainId = ChainId(3);
const TP: TopicPartition = TopicPartition { topic: TopicId(Uuid::from_u128(5)), partition: 0 };

/// What happens to the partition.
#[derive(Debug, Clone, Copy)]
enum Step {
    Batch {
        producer: u8,
        records: i32,
        transactional: bool,
    },
    Marker {
        producer: u8,
        commit: bool,
        bumps_epoch: bool,
    },
    /// The last batch again: a duplicate.
    Again {
        producer: u8,
    },
    /// The producer asks for its next epoch, and begins anew.
    NextEpoch {
        producer: u8,
    },
    Checkpoint,
    NextSlot,
    /// The chain ends; another leader goes on in the next.
    NextChain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u8, 1..4_i32, any::<bool>()).prop_map(|(producer, records, transactional)| {
            Step::Batch { producer, records, transactional }
        }),
        3 => (0..4_u8, any::<bool>(), any::<bool>()).prop_map(|(producer, commit, bumps_epoch)| {
            Step::Marker { producer, commit, bumps_epoch }
        }),
        1 => (0..4_u8).prop_map(|producer| Step::Again { producer }),
        1 => (0..4_u8).prop_map(|producer| Step::NextEpoch { producer }),
        1 => Just(Step::Checkpoint),
        2 => Just(Step::NextSlot),
        1 => Just(Step::NextChain),
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
    /// What each appended last.
    last: BTreeMap<u8, BatchEntry>,
    markers: i32,
    /// Of the partition's chains and leaders.
    chains: u64,
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

    fn client(&mut self, producer: u8) -> (i16, i32) {
        // Just before sequences begin again from zero, for the even ones.
        let first = if producer.is_multiple_of(2) { i32::MAX - 4 } else { 0 };
        *self.clients.entry(producer).or_insert((0, first))
    }

    fn batch(&mut self, producer: u8, records: i32, transactional: bool) {
        let (epoch, sequence) = self.client(producer);
        let mut entry = self.entry(producer, epoch);
        entry.last_offset_delta = records - 1;
        entry.base_sequence = sequence;
        entry.attributes = if transactional { 0x10 } else { 0 };
        if self.producers.admit(&entry, Origin::Client) == Ok(Admission::New) {
            let next = i64::from(sequence) + i64::from(records);
            let next = i32::try_from(next % (1 << 31)).expect("it wraps");
            self.clients.insert(producer, (epoch, next));
            self.last.insert(producer, entry);
            self.apply(entry);
        }
    }

    /// It must change nothing, so nothing is written of it.
    fn again(&mut self, producer: u8) {
        let Some(entry) = self.last.get(&producer) else { return };
        let admitted = self.producers.admit(entry, Origin::Client);
        assert_ne!(admitted, Ok(Admission::New), "{entry:?} is taken twice");
    }

    fn next_epoch(&mut self, producer: u8) {
        let (epoch, _) = self.client(producer);
        self.clients.insert(producer, (epoch + 1, 0));
    }

    fn marker(&mut self, producer: u8, commit: bool, bumps_epoch: bool) {
        let (epoch, sequence) = self.client(producer);
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
            leader_epoch: self.leader_epoch(),
            end_offset: self.end,
            producers: self.producers.snapshot(),
            ongoing: self.producers.ongoing(),
            aborted: self.aborted.snapshot(),
        });
    }

    fn chain(&self) -> ChainId {
        ChainId(CHAIN.0 + self.chains)
    }

    fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(1 + i32::try_from(self.chains).expect("few"))
    }

    /// Closes the slot: its index as it is read back from its bytes.
    fn close(&mut self, slot: SlotId) -> SlotIndex {
        let mut index = SlotIndex::default();
        if !self.batches.is_empty() {
            index.push_run(TP, self.leader_epoch(), std::mem::take(&mut self.batches));
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
            chain: self.chain(),
            slot,
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

/// What the next leader is granted: to replay these slots.
fn lease(end: Offset, slots: &[(ChainId, SlotId, SlotIndex)]) -> Lease {
    let mut replay: Vec<ChainSpan> = Vec::new();
    for (chain, slot, _) in slots {
        match replay.last_mut().filter(|span| span.chain == *chain) {
            Some(span) => span.end = slot.next(),
            None => replay.push(ChainSpan { chain: *chain, from: *slot, end: slot.next() }),
        }
    }
    Lease {
        tp: TP,
        topic: "t".to_owned(),
        leader_epoch: LeaderEpoch(1000),
        start: end,
        log_start: Offset::ZERO,
        epochs: [].into(),
        replay,
    }
}

fn rebuilt(end: Offset, slots: &[(ChainId, SlotId, SlotIndex)]) -> Rebuilt {
    let mut rebuilder = Rebuilder::new(vec![lease(end, slots)]);
    for (chain, slot, index) in slots {
        rebuilder.apply(*chain, *slot, index);
    }
    rebuilder.partitions.remove(&TP).expect("the lease's partition")
}

proptest! {
    #[test]
    fn rebuilt_is_live_at_every_cut(steps in proptest::collection::vec(step(), 1..120)) {
        let mut live = Live::default();
        let mut slots: Vec<(ChainId, SlotId, SlotIndex)> = Vec::new();
        for step in steps.into_iter().chain([Step::NextSlot]) {
            match step {
                Step::Batch { producer, records, transactional } => {
                    live.batch(producer, records, transactional);
                }
                Step::Marker { producer, commit, bumps_epoch } => {
                    live.marker(producer, commit, bumps_epoch);
                }
                Step::Again { producer } => live.again(producer),
                Step::NextEpoch { producer } => live.next_epoch(producer),
                Step::Checkpoint => live.checkpoint(),
                Step::NextSlot | Step::NextChain => {
                    let chain = live.chain();
                    let of_chain = slots.iter().filter(|(of, ..)| *of == chain).count();
                    let slot = SlotId(of_chain as u64);
                    let index = live.close(slot);
                    slots.push((chain, slot, index));
                    // From the first slot on, and from the last that holds a checkpoint.
                    let newest = slots.iter().rposition(|(.., slot)| !slot.checkpoint.is_empty());
                    for from in [0, newest.unwrap_or(0)] {
                        let rebuilt = rebuilt(live.end, &slots[from..]);
                        prop_assert!(rebuilt.is_whole());
                        prop_assert_eq!(seen(&rebuilt.producers, &rebuilt.aborted), live.seen());
                    }
                    if matches!(step, Step::NextChain) {
                        live.chains += 1;
                    }
                }
            }
        }
    }
}
