//! Lays state batches over one another: what is kept of a partition, and what came later.
//!
//! Where two tell of the same record, the one of more deliveries is right, and of equal ones the one that is further on:
//! changes that overtook each other on their way come out the same.
//!
//! Source: `PersisterStateBatchCombiner` in Apache Kafka 4.3.1.

use std::collections::BTreeMap;

use crate::protocol::records::share_state::StateBatch;

/// `kept` and `newer` as one list: ascending, without overlap, joined where neighbours are alike, nothing before
/// `start_offset`.
pub(super) fn combined(
    kept: &[StateBatch],
    newer: &[StateBatch],
    start_offset: i64,
) -> Vec<StateBatch> {
    let cut = |batch: &StateBatch| StateBatch {
        first_offset: batch.first_offset.max(start_offset),
        ..*batch
    };
    let mut batches: Vec<StateBatch> = kept.iter().chain(newer).map(cut).collect();
    batches.retain(|batch| batch.first_offset <= batch.last_offset);
    batches.sort_by_key(|batch| (batch.delivery_count, batch.delivery_state));
    let mut painted = BTreeMap::new();
    for batch in batches {
        paint(&mut painted, batch);
    }
    let mut joined: Vec<StateBatch> = Vec::with_capacity(painted.len());
    for batch in painted.into_values() {
        match joined.last_mut() {
            Some(last) if continues(last, &batch) => last.last_offset = batch.last_offset,
            _ => joined.push(batch),
        }
    }
    joined
}

/// Lays `newer` over `kept`, which is a list as [`combined`] makes them, and stays one. What `newer` does not touch costs
/// nothing.
pub(super) fn lay_over(kept: &mut Vec<StateBatch>, newer: &[StateBatch], start_offset: i64) {
    let gone = kept.partition_point(|batch| batch.last_offset < start_offset);
    kept.drain(..gone);
    if let Some(first) = kept.first_mut() {
        first.first_offset = first.first_offset.max(start_offset);
    }
    for batch in combined(&[], newer, start_offset) {
        // Neighbours are touched: it may continue one.
        let before = batch.first_offset.saturating_sub(1);
        let behind = batch.last_offset.saturating_add(1);
        let from = kept.partition_point(|kept| kept.last_offset < before);
        let to = kept.partition_point(|kept| kept.first_offset <= behind);
        let touched = combined(&kept[from..to], &[batch], start_offset);
        kept.splice(from..to, touched);
    }
}

fn continues(before: &StateBatch, batch: &StateBatch) -> bool {
    before.last_offset.checked_add(1) == Some(batch.first_offset)
        && (before.delivery_state, before.delivery_count)
            == (batch.delivery_state, batch.delivery_count)
}

/// Lays `batch` over what is there.
fn paint(painted: &mut BTreeMap<i64, StateBatch>, batch: StateBatch) {
    let before = painted.range(..=batch.first_offset).next_back().map(|(_, before)| *before);
    if let Some(before) = before.filter(|before| before.last_offset >= batch.first_offset) {
        painted.remove(&before.first_offset);
        if before.first_offset < batch.first_offset {
            let head = StateBatch { last_offset: batch.first_offset - 1, ..before };
            painted.insert(head.first_offset, head);
        }
        put_tail(painted, before, &batch);
    }
    while let Some((&first, &inside)) = painted.range(batch.first_offset..=batch.last_offset).next()
    {
        painted.remove(&first);
        put_tail(painted, inside, &batch);
    }
    painted.insert(batch.first_offset, batch);
}

/// What of `under` comes behind `batch` stays.
fn put_tail(painted: &mut BTreeMap<i64, StateBatch>, under: StateBatch, batch: &StateBatch) {
    if under.last_offset > batch.last_offset {
        let tail = StateBatch { first_offset: batch.last_offset + 1, ..under };
        painted.insert(tail.first_offset, tail);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch((first, last): (i64, i64), state: i8, count: i16) -> StateBatch {
        StateBatch {
            first_offset: first,
            last_offset: last,
            delivery_state: state,
            delivery_count: count,
        }
    }

    #[test]
    fn what_is_further_on_lies_on_top() {
        type Batches<'a> = &'a [StateBatch];
        let cases: [(Batches<'_>, Batches<'_>, i64, Batches<'_>); 9] = [
            (&[], &[], -1, &[]),
            (&[batch((1, 5), 0, 1)], &[], -1, &[batch((1, 5), 0, 1)]),
            (&[batch((1, 5), 0, 1)], &[], 3, &[batch((3, 5), 0, 1)]),
            (&[batch((1, 5), 0, 1)], &[batch((7, 9), 0, 1)], 6, &[batch((7, 9), 0, 1)]),
            // Alike: joined.
            (&[batch((1, 5), 2, 1)], &[batch((6, 9), 2, 1)], -1, &[batch((1, 9), 2, 1)]),
            (&[batch((1, 5), 2, 1)], &[batch((3, 9), 2, 1)], -1, &[batch((1, 9), 2, 1)]),
            // More deliveries: in the middle of the old one.
            (
                &[batch((1, 9), 0, 1)],
                &[batch((4, 5), 0, 2)],
                -1,
                &[batch((1, 3), 0, 1), batch((4, 5), 0, 2), batch((6, 9), 0, 1)],
            ),
            // What came late and tells of less is hidden, but where nothing else is known.
            (
                &[batch((3, 5), 2, 2)],
                &[batch((1, 7), 4, 1)],
                -1,
                &[batch((1, 2), 4, 1), batch((3, 5), 2, 2), batch((6, 7), 4, 1)],
            ),
            // No such batch.
            (&[batch((5, 1), 2, 2)], &[], -1, &[]),
        ];
        for (kept, newer, start, expected) in cases {
            assert_eq!(combined(kept, newer, start), expected, "{kept:?} {newer:?} {start}");
        }
    }

    fn some_batches() -> impl Strategy<Value = Vec<StateBatch>> {
        let one =
            (0_i64..30, 0_i64..8, 0_usize..3, 1_i16..4).prop_map(|(first, more, state, count)| {
                batch((first, first + more), [0, 2, 4][state], count)
            });
        prop::collection::vec(one, 0..8)
    }

    fn at(batches: &[StateBatch], offset: i64) -> Option<(i16, i8)> {
        let covers =
            |batch: &&StateBatch| (batch.first_offset..=batch.last_offset).contains(&offset);
        let told = batches.iter().filter(covers);
        told.map(|batch| (batch.delivery_count, batch.delivery_state)).max()
    }

    proptest! {
        #[test]
        fn each_record_is_where_the_furthest_batch_has_it(
            kept in some_batches(), newer in some_batches(), start in -1_i64..20,
        ) {
            let all: Vec<StateBatch> = kept.iter().chain(&newer).copied().collect();
            let result = combined(&kept, &newer, start);
            for offset in 0..40 {
                let expected = at(&all, offset).filter(|_| offset >= start);
                prop_assert_eq!(at(&result, offset), expected, "at {}", offset);
            }
            for pair in result.windows(2) {
                prop_assert!(pair[0].last_offset < pair[1].first_offset && !continues(&pair[0], &pair[1]));
            }
            prop_assert_eq!(combined(&result, &[], -1), result.clone());
            prop_assert_eq!(combined(&newer, &kept, start), result.clone());
            let mut laid = combined(&[], &kept, -1);
            lay_over(&mut laid, &newer, start);
            prop_assert_eq!(laid, result);
        }
    }
}
