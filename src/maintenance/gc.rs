//! How far a chain may be trimmed: pure.
//!
//! A slot is trimmed only when no run in it is referenced, no partition's state is rebuilt from it or from a slot below it,
//! and every slot below it is trimmed. Fences lie at or above a chain's end and are never reached.

use crate::base::ids::{SlotId, TopicPartition};

/// What a trim leaves of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// One past the last slot to trim; the first slot that is there when nothing is to be trimmed.
    pub end: SlotId,
    /// Partitions whose state alone holds back the trim of slots that nothing else references.
    pub checkpoint_anew: Vec<TopicPartition>,
}

/// Decides for a chain whose first untrimmed slot is `from` and whose slots from there on have `live` referenced runs each.
///
/// `pins` are the slots of this chain from which partitions' states are rebuilt, ascending.
pub fn trim(
    from: SlotId,
    live: impl Iterator<Item = u32>,
    pins: &[(SlotId, TopicPartition)],
    slots_max: u64,
) -> Decision {
    let unreferenced = live.take_while(|runs| *runs == 0).count();
    let free_end = SlotId(from.0 + u64::try_from(unreferenced).unwrap_or(u64::MAX));
    let pinned = pins.first().map_or(free_end, |(slot, _)| *slot);
    let end = free_end.min(pinned).min(SlotId(from.0.saturating_add(slots_max)));
    let holding = pins.iter().take_while(|(slot, _)| *slot < free_end);
    Decision { end: end.max(from), checkpoint_anew: holding.map(|(_, tp)| *tp).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TopicId;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition { topic: TopicId(uuid::Uuid::nil()), partition }
    }

    fn check(live: &[u32], pins: &[(u64, i32)], end: u64, anew: &[i32]) {
        let pins: Vec<_> = pins.iter().map(|(slot, p)| (SlotId(*slot), tp(*p))).collect();
        let decision = trim(SlotId(100), live.iter().copied(), &pins, 3);
        let checkpoint_anew = anew.iter().map(|p| tp(*p)).collect();
        assert_eq!(decision, Decision { end: SlotId(end), checkpoint_anew }, "{live:?} {pins:?}");
    }

    #[test]
    fn the_unreferenced_prefix_goes() {
        check(&[], &[], 100, &[]);
        check(&[1, 0, 0], &[], 100, &[]);
        check(&[0, 0, 1, 0], &[], 102, &[]);
        check(&[0, 0, 0, 0, 0], &[], 103, &[]);
    }

    #[test]
    fn a_state_holds_its_slot_and_all_above_it() {
        check(&[0, 0, 1], &[(101, 7)], 101, &[7]);
        check(&[0, 0, 1], &[(100, 7), (101, 8), (102, 9)], 100, &[7, 8]);
        check(&[0, 1], &[(101, 7)], 101, &[]);
    }
}
