//! The machine as its shard drives it: replay, timers, copying forward.

use std::ops::Bound;
use std::time::Duration;

use super::held::Group;
use super::{GroupsMachine, Key};
use crate::base::offset::Offset;
use crate::groups::classic::Outbox;
use crate::state_topic::{Live, Machine, Replayed, ReplayedMarker, StateRecord, Turn};

impl Machine for GroupsMachine {
    fn replay(&mut self, record: &Replayed<'_>) {
        if let Err(error) = self.replay_record(record) {
            tracing::warn!(offset = %record.offset, %error, "record of a group could not be read");
        }
    }

    fn replay_marker(&mut self, marker: &ReplayedMarker) {
        let (producer_id, _) = marker.producer;
        self.end_transaction(producer_id, marker.commit, marker.slot);
    }

    fn loaded(&mut self, turn: &mut Turn<'_>) {
        self.timers.set(Key::Expiry, turn.now().elapsed + self.settings.retention_check);
        for group_id in self.group_ids() {
            let mut out = Outbox::default();
            let limits = self.settings.limits;
            if let Some(group) = self.classic_mut(&group_id) {
                group.loaded(limits, turn.now().wall, &mut out);
            }
            self.settle(turn, &group_id, out);
            match self.groups.get(&group_id).map(|held| &held.group) {
                Some(Group::Share(_)) => self.share_loaded(turn, &group_id),
                _ => self.consumer_loaded(turn, &group_id),
            }
            self.count(&group_id);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        self.timers.next()
    }

    fn on_time(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now();
        while let Some(key) = self.timers.pop(now.elapsed) {
            match key {
                Key::Expiry => {
                    self.timers.set(Key::Expiry, now.elapsed + self.settings.retention_check);
                    self.expire(turn);
                }
                Key::Group(group_id, timer) => {
                    let mut out = Outbox::default();
                    let limits = self.settings.limits;
                    if let Some(group) = self.classic_mut(&group_id) {
                        group.on_timer(timer, limits, now.wall, &mut out);
                    }
                    self.settle(turn, &group_id, out);
                }
                Key::Members(group_id) => {
                    match self.groups.get(&group_id).map(|held| &held.group) {
                        Some(Group::Share(_)) => self.share_deadline(turn, &group_id),
                        _ => self.consumer_deadline(turn, &group_id),
                    }
                }
            }
        }
    }

    fn live_bytes(&self) -> u64 {
        self.offsets.bytes() + self.written_bytes
    }

    fn live(&self, from: Option<&[u8]>, bytes_max: usize) -> Live {
        let from = from.and_then(|from| std::str::from_utf8(from).ok());
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        let mut live = Live::default();
        let mut bytes = 0;
        for (group_id, held) in self.groups.range::<str, _>((from, Bound::Unbounded)) {
            if bytes >= bytes_max {
                live.next = Some(group_id.clone().into_bytes());
                break;
            }
            let mut records = held.live(group_id);
            records.extend(self.offsets.live(group_id));
            let size =
                |record: &StateRecord| record.key.len() + record.value.as_ref().map_or(0, Vec::len);
            bytes += records.iter().map(size).sum::<usize>();
            live.records.extend(records);
        }
        live
    }

    fn oldest_needed(&self) -> Option<Offset> {
        self.offsets.oldest_pending()
    }
}
