//! A member of a group that commits outside of transactions; and readers that belong to none.

use std::collections::BTreeMap;
use std::time::Duration;

use thalweg::base::clock::sleep;
use thalweg::base::rng::Rng;

use super::group::{Membership, is_over};
use super::history::{History, Key};
use super::link::{Isolation, Link};
use super::{KEYS, SharedHistory, lock};

/// Its group.
pub(super) const GROUP: &str = "watchers";

/// Reads what it is assigned and commits how far it is, now and then too late for its session.
pub(super) async fn watch(link: Link, history: SharedHistory, rng: Rng) {
    let mut before = None;
    loop {
        let member = Membership::join(&link, (GROUP, None), before).await;
        watch_as(&member, (&link, &history, &rng)).await;
        before = Some(member);
    }
}

async fn watch_as(member: &Membership, (link, history, rng): (&Link, &SharedHistory, &Rng)) {
    let process = lock(history).new_process();
    let mut positions = BTreeMap::new();
    let known: Vec<(Key, i64)> = {
        let history = lock(history);
        member.assigned.iter().map(|key| (*key, history.offset_known(GROUP, *key))).collect()
    };
    while let Some((key, _)) = known.get(positions.len()) {
        if let Some(offsets) = member.fetch_offsets(link).await {
            for ((key, offset), (_, known)) in offsets.into_iter().zip(&known) {
                History::offset_fetched(GROUP, key, *known, offset);
                positions.insert(key, offset.max(0));
            }
            continue;
        }
        if !member.heartbeat(link).await {
            return;
        }
        tracing::trace!(?key, "offsets are not known yet");
        sleep(Duration::from_millis(60)).await;
    }
    while member.heartbeat(link).await {
        let mut offsets = Vec::new();
        for (&key, position) in &mut positions {
            let Some(fetched) = link.fetch(key, *position, Isolation::Committed).await else {
                continue;
            };
            lock(history).polled((process, None), key, false, &fetched.records);
            *position = fetched.next;
            offsets.push((key, fetched.next));
        }
        if rng.below(20) == 0 {
            sleep(Duration::from_millis(900 + rng.below(1_500))).await;
        }
        if !offsets.is_empty() {
            match member.commit(link, &offsets).await {
                Some(0) => {
                    for (key, offset) in &offsets {
                        lock(history).offset_committed(GROUP, *key, *offset);
                    }
                }
                Some(given) if is_over(given) => return,
                _ => {}
            }
        }
        if rng.below(40) == 0 {
            member.leave(link).await;
            return;
        }
        sleep(Duration::from_millis(60 + rng.below(60))).await;
    }
}

/// Reads all partitions from their beginnings on: what is committed, or all there is.
pub(super) async fn read(link: Link, history: SharedHistory, isolation: Isolation) {
    let process = lock(&history).new_process();
    let mut positions: BTreeMap<Key, i64> = KEYS.iter().map(|key| (*key, 0)).collect();
    loop {
        for (&key, position) in &mut positions {
            let Some(fetched) = link.fetch(key, *position, isolation).await else { continue };
            assert!(
                fetched.last_stable_offset <= fetched.high_watermark,
                "ReadPrefix: {key:?} is stable beyond its high watermark"
            );
            *position = fetched.next;
            let mut history = lock(&history);
            match isolation {
                Isolation::Committed => {
                    history.polled((process, None), key, false, &fetched.records);
                }
                Isolation::Uncommitted => history.read(key, &fetched.records),
            }
        }
        sleep(Duration::from_millis(70)).await;
    }
}
