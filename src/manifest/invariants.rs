//! What holds of the manifest, each invariant once: checked when a state is loaded, in tests and by the simulator; and what
//! a slot's row must satisfy before it is added.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::{Phase, Place};
use super::error::Violation;
use super::row::SlotRow;
use super::state::State;
use crate::base::ids::{ChainId, LeaderEpoch, TopicPartition};

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}

type Check = fn(&State) -> Result<(), String>;

/// Every invariant, by name.
pub(crate) const ALL: [(&str, Check); 11] = [
    ("NamesMatchTopics", names_match_topics),
    ("ChainIdsNeverReused", chain_ids_never_reused),
    ("OneOpenChainPerBroker", one_open_chain_per_broker),
    ("SealedAtCommitted", sealed_at_committed),
    ("LeaseOnUnsealedChain", lease_on_unsealed_chain),
    ("RunsContiguous", runs_contiguous),
    ("RunsAboveLogStart", runs_above_log_start),
    ("EpochsAscend", epochs_ascend),
    ("SlotReferencesCounted", slot_references_counted),
    ("StateNotTrimmed", state_not_trimmed),
    ("DeletionsTrimmed", deletions_trimmed),
];

/// Checks them all.
pub(crate) fn check(state: &State) -> Result<(), Broken> {
    ALL.iter()
        .try_for_each(|(invariant, check)| check(state).map_err(|what| Broken { invariant, what }))
}

fn holds(condition: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(what()) }
}

/// Every topic is found by its name, and nothing else is.
fn names_match_topics(state: &State) -> Result<(), String> {
    holds(state.names.len() == state.topics.len(), || {
        "names and topics differ in number".to_owned()
    })?;
    state.topics.iter().try_for_each(|(id, topic)| {
        holds(state.names.get(&topic.name) == Some(id), || {
            format!("{} is not found by name", topic.name)
        })
    })
}

/// A chain id is issued once: all that exist are below the next.
fn chain_ids_never_reused(state: &State) -> Result<(), String> {
    let highest = state.chains.last_key_value().map(|(chain, _)| *chain);
    holds(highest < Some(state.next_chain), || {
        format!("{highest:?} is not below {}", state.next_chain)
    })
}

/// A broker's identity writes one chain at a time, and it is the one that it is registered with.
fn one_open_chain_per_broker(state: &State) -> Result<(), String> {
    state.chains.iter().filter(|(_, chain)| chain.phase == Phase::Open).try_for_each(
        |(id, chain)| {
            let registered = state.brokers.get(&chain.broker).map(|broker| broker.chain);
            holds(registered == Some(*id), || {
                format!("chain {id} of broker {} is open too", chain.broker)
            })
        },
    )
}

/// A sealed chain is committed to its end.
fn sealed_at_committed(state: &State) -> Result<(), String> {
    state.chains.iter().try_for_each(|(id, chain)| {
        let sealed = chain.sealed_at().is_none_or(|end| end == chain.committed_end);
        holds(sealed, || format!("chain {id} ends at {:?}", chain.phase))
    })
}

/// Who leads a partition is a chain that was not sealed.
fn lease_on_unsealed_chain(state: &State) -> Result<(), String> {
    let partitions = state.topics.values().flat_map(|topic| &topic.partitions);
    partitions.filter_map(|partition| partition.lease).try_for_each(|lease| {
        let unsealed = state.chains.get(&lease).is_some_and(|chain| chain.sealed_at().is_none());
        holds(unsealed, || format!("chain {lease} leads a partition"))
    })
}

/// Each run starts where the one before it ended, and the last one ends at the committed end.
fn runs_contiguous(state: &State) -> Result<(), String> {
    state.live_partitions().try_for_each(|(tp, _, partition)| {
        let mut runs = partition.runs.iter().zip(partition.runs.from(1));
        let bytes: u64 = partition.runs.iter().map(|run| run.bytes).sum();
        let ends = partition.runs.back().is_none_or(|run| run.end_offset == partition.end);
        holds(runs.all(|(run, next)| run.end_offset == next.base_offset), || {
            format!("{tp} has a gap")
        })?;
        holds(ends, || format!("the last run of {tp} does not end at {}", partition.end))?;
        holds(bytes == partition.bytes, || {
            format!("{tp} has {bytes} bytes, not {}", partition.bytes)
        })
    })
}

/// No run without a record that is kept.
fn runs_above_log_start(state: &State) -> Result<(), String> {
    state.live_partitions().try_for_each(|(tp, _, partition)| {
        let kept = partition.runs.front().is_none_or(|run| run.end_offset > partition.log_start);
        holds(kept, || format!("{tp} keeps a run below {}", partition.log_start))
    })
}

/// Epochs and their starts ascend, grants too, and the last of each is the partition's epoch.
fn epochs_ascend(state: &State) -> Result<(), String> {
    state.live_partitions().try_for_each(|(tp, _, partition)| {
        let epochs =
            partition.epochs.windows(2).all(|w| w[0].epoch < w[1].epoch && w[0].start < w[1].start);
        let grants = partition.grants.iter().is_sorted_by(|one, next| one.epoch < next.epoch);
        let last =
            |epoch: Option<LeaderEpoch>| epoch.is_none_or(|epoch| epoch == partition.leader_epoch);
        let epoch = last(partition.epochs.last().map(|epoch| epoch.epoch));
        let grant = last(partition.grants.back().map(|grant| grant.epoch));
        holds(epochs && grants && epoch && grant, || format!("the epochs of {tp} do not ascend"))
    })
}

/// A slot counts exactly the runs that are read from it or pinned in it.
fn slot_references_counted(state: &State) -> Result<(), String> {
    let mut counted: BTreeMap<Place, u32> = BTreeMap::new();
    for partition in state.topics.values().flat_map(|topic| &topic.partitions) {
        let pinned = partition.offline.iter().flat_map(|offline| &offline.pinned).copied();
        for place in partition.runs.iter().map(|run| run.place).chain(pinned) {
            *counted.entry(place).or_default() += 1;
        }
    }
    for (id, chain) in &state.chains {
        let slots = (chain.trimmed_end.0..chain.committed_end.0).count();
        holds(slots == chain.live.len(), || {
            format!("chain {id} counts {} slots", chain.live.len())
        })?;
        for (live, slot) in chain.live.iter().zip(chain.trimmed_end.0..) {
            let place = Place { chain: *id, slot: crate::base::ids::SlotId(slot) };
            let found = counted.remove(&place).unwrap_or(0);
            holds(found == *live, || {
                format!("slot {slot} of chain {id} counts {live} runs, has {found}")
            })?;
        }
    }
    holds(counted.is_empty(), || format!("runs without a slot: {counted:?}"))
}

/// From where a partition's state is rebuilt is still there, and so is everything after it.
fn state_not_trimmed(state: &State) -> Result<(), String> {
    state.live_partitions().try_for_each(|(tp, _, partition)| {
        let trimmed = |place: Place| {
            state.chains.get(&place.chain).is_none_or(|chain| place.slot < chain.trimmed_end)
        };
        let lost = partition.state_at().is_some_and(trimmed);
        holds(!lost, || format!("the state of {tp} was trimmed"))
    })
}

/// Only trimmed slots are deleted, none at or above a fence, and no slot is queued twice.
fn deletions_trimmed(state: &State) -> Result<(), String> {
    let mut before: Option<(ChainId, u64)> = None;
    state.deletions.iter().try_for_each(|((id, from), queued)| {
        let trimmed = state.chains.get(id).is_some_and(|chain| queued.end <= chain.trimmed_end);
        let apart = before.is_none_or(|(chain, end)| chain != *id || end <= from.0);
        before = Some((*id, queued.end.0));
        holds(trimmed && apart && *from < queued.end, || {
            format!("slots {from}.. of chain {id} are queued")
        })
    })
}

/// Whether the row may be added to the chain as its next slot.
///
/// # Errors
/// What is wrong with it. A run that does not start at the previous end is admitted: it takes its partition offline.
pub(crate) fn admit(state: &State, chain: ChainId, row: &SlotRow) -> Result<(), Violation> {
    let mut seen = BTreeSet::new();
    for run in &row.runs {
        let (tp, base, end) = (run.tp, run.base_offset, run.end_offset);
        if base >= end || base.0 < 0 {
            return Err(Violation::EmptyRun { tp, base, end });
        }
        if !seen.insert(tp) {
            return Err(Violation::Twice { tp });
        }
        led(state, chain, tp, run.leader_epoch)?;
    }
    let marks = row.checkpoints.iter().map(|row| (row.tp, row.leader_epoch));
    let releases = row.releases.iter().map(|row| (row.tp, row.leader_epoch));
    marks.chain(releases).try_for_each(|(tp, epoch)| led(state, chain, tp, epoch))
}

/// The chain leads the partition in that epoch, or its topic is gone or going: then nothing of it counts any more.
fn led(
    state: &State,
    chain: ChainId,
    tp: TopicPartition,
    epoch: LeaderEpoch,
) -> Result<(), Violation> {
    if state.gone.contains_key(&tp.topic)
        || state.topics.get(&tp.topic).is_some_and(|topic| topic.deleting)
    {
        return Ok(());
    }
    let partition = state.partition(&tp).ok_or(Violation::UnknownPartition { tp })?;
    if partition.lease == Some(chain) && partition.leader_epoch == epoch {
        return Ok(());
    }
    Err(Violation::NotGranted { tp, epoch })
}
