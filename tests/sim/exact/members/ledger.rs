//! What the members of one group hold and what they committed, as they were told, and what must not be in it.
//!
//! - *OneOwner*: nobody is given a partition while another member, who is one still, has not given it back.
//! - *FencedCommit*: nothing is committed to a partition by whom it was taken from.
//! - *GroupOffsetsMonotone*: no acknowledged commit is lost, or undone by one that came late.
//! - *phantom-offset*: an offset that nobody committed.
//!
//! Both protocols are held against the same: nothing here knows of epochs and generations, only of what was told when.

use std::collections::{BTreeMap, BTreeSet};

use super::Kind;

/// A membership, from its join to its end: whoever joins again is another one.
pub(super) type MemberNo = usize;

/// A place in the order in which members asked and were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

/// What was committed of a partition and acknowledged.
#[derive(Debug)]
struct Committed {
    highest: i64,
    /// When the newest was acknowledged, by the protocol of its member.
    newest: BTreeMap<Kind, Tick>,
}

/// All that members know, of all lives of the broker.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    ticks: u64,
    members: MemberNo,
    /// Since when each member holds a partition, by its own account.
    holders: BTreeMap<i32, BTreeMap<MemberNo, Tick>>,
    committed: BTreeMap<i32, Committed>,
    /// What anybody has asked to be committed.
    sent: BTreeSet<(i32, i64)>,
    acked: u64,
}

impl Ledger {
    pub(super) fn new_member(&mut self) -> MemberNo {
        self.members += 1;
        self.members
    }

    /// The next place in the order: of a request, before it is sent.
    pub(super) fn tick(&mut self) -> Tick {
        self.ticks += 1;
        Tick(self.ticks)
    }

    /// A member begins to use a partition, or goes on to: it was told to when it asked at `asked`. What the coordinator
    /// decided first was asked for first; its answers may wait until it is stable.
    pub(super) fn took(&mut self, member: MemberNo, partition: i32, asked: Tick) {
        self.holders.entry(partition).or_default().entry(member).or_insert(asked);
    }

    /// A member stops to use a partition. It does so before it tells the coordinator.
    pub(super) fn gave_back(&mut self, member: MemberNo, partition: i32) {
        self.holders.entry(partition).or_default().remove(&member);
    }

    /// A member stops to use anything.
    pub(super) fn gone(&mut self, member: MemberNo) {
        for holders in self.holders.values_mut() {
            holders.remove(&member);
        }
    }

    /// Who took the partition after `member` did, and before that time.
    fn successor(&self, member: MemberNo, partition: i32, before: Tick) -> Option<MemberNo> {
        let holders = self.holders.get(&partition)?;
        let since = holders.get(&member)?;
        let mut others = holders.iter().filter(|(other, _)| **other != member);
        others.find(|(_, taken)| *since < **taken && **taken < before).map(|(other, _)| *other)
    }

    /// The coordinator said, to what was asked at `asked`, that `member` is a member and has what it had.
    pub(super) fn confirmed(&self, member: MemberNo, asked: Tick) {
        for partition in self.holders.keys() {
            let other = self.successor(member, *partition, asked);
            assert!(
                other.is_none(),
                "OneOwner: partition {partition} is of {other:?}, and of member {member} still"
            );
        }
    }

    /// A member asks for a commit.
    pub(super) fn commits(&mut self, partition: i32, offset: i64) -> Tick {
        self.sent.insert((partition, offset));
        self.tick()
    }

    /// The commit that was asked for at `asked` was acknowledged.
    pub(super) fn committed(
        &mut self,
        (member, kind): (MemberNo, Kind),
        asked: Tick,
        (partition, offset): (i32, i64),
    ) {
        let other = self.successor(member, partition, asked);
        assert!(
            other.is_none(),
            "FencedCommit: {offset} of partition {partition} by member {member}, which is of {other:?}"
        );
        let now = self.tick();
        let fresh = Committed { highest: offset, newest: BTreeMap::new() };
        let committed = self.committed.entry(partition).or_insert(fresh);
        committed.highest = committed.highest.max(offset);
        committed.newest.insert(kind, now);
        self.acked += 1;
    }

    /// What a fetch that is asked for now must at least find.
    pub(super) fn known(&self, partition: i32) -> i64 {
        self.committed.get(&partition).map_or(-1, |committed| committed.highest)
    }

    /// An offset was fetched; `known` when it was asked for.
    pub(super) fn fetched(&self, partition: i32, known: i64, offset: i64) {
        assert!(
            offset >= known,
            "GroupOffsetsMonotone: partition {partition} is at {offset} after {known} was committed"
        );
        assert!(
            offset == -1 || self.sent.contains(&(partition, offset)),
            "phantom-offset: partition {partition} is at {offset}, which nobody committed"
        );
    }

    /// Whether a member of that protocol has committed to the partition since then.
    pub(super) fn is_served(&self, partition: i32, kind: Kind, since: Tick) -> bool {
        let newest = |committed: &Committed| committed.newest.get(&kind).copied();
        self.committed.get(&partition).and_then(newest).is_some_and(|newest| newest > since)
    }

    /// How many commits were acknowledged.
    pub(super) fn acked(&self) -> u64 {
        self.acked
    }
}

/// Claims about the checks themselves: each anomaly is noticed, by its name.
mod tests {
    use super::*;

    fn verdict(tell: impl FnOnce(&mut Ledger)) -> String {
        let check = std::panic::AssertUnwindSafe(|| tell(&mut Ledger::default()));
        let Err(panic) = std::panic::catch_unwind(check) else { return "sound".to_owned() };
        panic.downcast_ref::<String>().cloned().expect("a message with values")
    }

    /// Two members; the first holds partition 0, and then the second does too.
    fn taken_over(ledger: &mut Ledger) -> (MemberNo, MemberNo) {
        let (first, second) = (ledger.new_member(), ledger.new_member());
        for member in [first, second] {
            let asked = ledger.tick();
            ledger.took(member, 0, asked);
        }
        (first, second)
    }

    #[test]
    fn an_anomaly_of_a_group_has_a_name() {
        let one_owner = verdict(|ledger| {
            let (first, _) = taken_over(ledger);
            let asked = ledger.tick();
            ledger.confirmed(first, asked);
        });
        assert!(one_owner.contains("OneOwner"), "{one_owner}");
        let fenced = verdict(|ledger| {
            let (first, _) = taken_over(ledger);
            let asked = ledger.commits(0, 1);
            ledger.committed((first, Kind::Modern), asked, (0, 1));
        });
        assert!(fenced.contains("FencedCommit"), "{fenced}");
        let rewound = verdict(|ledger| {
            let (_, second) = taken_over(ledger);
            let asked = ledger.commits(0, 1);
            ledger.committed((second, Kind::Classic), asked, (0, 1));
            ledger.fetched(0, ledger.known(0), -1);
        });
        assert!(rewound.contains("GroupOffsetsMonotone"), "{rewound}");
        let phantom = verdict(|ledger| ledger.fetched(0, -1, 7));
        assert!(phantom.contains("phantom-offset"), "{phantom}");
    }

    #[test]
    fn no_anomaly_has_a_name_in_a_sound_history() {
        let sound = verdict(|ledger| {
            let (first, second) = taken_over(ledger);
            let asked = ledger.commits(0, 1);
            // Who was there before says nothing of who is there now, and who gave back nothing of anybody.
            ledger.confirmed(second, asked);
            ledger.committed((second, Kind::Modern), asked, (0, 1));
            ledger.gave_back(first, 0);
            ledger.confirmed(first, asked);
            ledger.fetched(0, ledger.known(0), 1);
        });
        assert_eq!(sound, "sound");
    }
}
