//! The slot protocol as an exhaustive model: every interleaving of a pipelined, hedging writer, two recoverers, the stop
//! fence, the collector and proofs of leadership over a few slots. The protocol is safe; each mutation of a law is caught.
//!
//! Checked in every state: nothing acknowledged lies at or above a seal (AckedDurable, FencePermanent), two recoverers
//! compute the same end (IdempotentRecovery), and no proof of leadership that began after a seal succeeds (law 9).

use std::collections::{HashSet, VecDeque};

/// Most slots in any run.
const SLOTS_MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Cell {
    Free,
    Data,
    Fence,
}

/// How a proof of leadership is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Not modelled.
    None,
    /// Every name from the first not known stored to the first never sent.
    Range,
    /// The next name, and only when nothing is in flight.
    NextWhenIdle,
    /// Mutation: the first name that is not known stored, alone.
    FirstUnknown,
    /// Mutation: the next name, even with puts in flight.
    NextAlways,
}

/// The protocol, or a mutation of it.
#[derive(Debug, Clone, Copy)]
struct Rules {
    slots: usize,
    proof: Proof,
    /// Puts of data never overwrite (law 2).
    put_if_absent: bool,
    /// Acks go in slot order (law 3).
    acks_in_order: bool,
    /// A recoverer fences the first free name (law 7), else it trusts what it saw.
    fence_the_end: bool,
    /// Fences stay (law 7).
    fences_stay: bool,
    /// Data below a seal may be collected once both recoverers are done.
    collect: bool,
    /// The end is the first fence below which every name holds data; else any fence is taken for it.
    end_needs_all_below: bool,
}

const PROTOCOL: Rules = Rules {
    slots: 3,
    proof: Proof::None,
    put_if_absent: true,
    acks_in_order: true,
    fence_the_end: true,
    fences_stay: true,
    collect: true,
    end_needs_all_below: true,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Recoverer {
    at: u8,
    sealed: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    store: [Cell; SLOTS_MAX],
    /// Undelivered copies of each put: a retry or a hedge sends a second.
    wire: [u8; SLOTS_MAX],
    /// "Already exists" answers that wait for the classifying GET.
    unclassified: u8,
    sent: u8,
    stored: u8,
    acked: u8,
    alive: bool,
    recoverers: [Recoverer; 2],
    stop_planted: bool,
    /// Names that a proof has yet to look at.
    proof: Option<u8>,
}

fn bit(set: u8, slot: usize) -> bool {
    set >> slot & 1 == 1
}

impl State {
    fn start() -> Self {
        Self {
            store: [Cell::Free; SLOTS_MAX],
            wire: [0; SLOTS_MAX],
            unclassified: 0,
            sent: 0,
            stored: 0,
            acked: 0,
            alive: true,
            recoverers: [Recoverer { at: 0, sealed: None }; 2],
            stop_planted: false,
            proof: None,
        }
    }

    fn seals(&self) -> impl Iterator<Item = u8> + '_ {
        self.recoverers.iter().filter_map(|recoverer| recoverer.sealed)
    }

    /// What must hold in every state.
    fn violation(&self) -> Option<&'static str> {
        let [first, second] = self.recoverers;
        if let (Some(first), Some(second)) = (first.sealed, second.sealed)
            && first != second
        {
            return Some("two recoverers sealed at different slots");
        }
        if self.seals().any(|seal| self.acked >> seal != 0) {
            return Some("an acknowledged slot lies at or above the seal");
        }
        if self.proof == Some(0) {
            return Some("leadership was proven after a seal");
        }
        None
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn died(&mut self) {
        self.alive = false;
        self.unclassified = 0;
        self.proof = None;
    }

    fn successors(&self, rules: &Rules) -> Vec<Self> {
        let mut next = Vec::new();
        self.writer(rules, &mut next);
        for slot in 0..rules.slots {
            self.network(rules, slot, &mut next);
            if self.alive && bit(self.unclassified, slot) {
                next.push(self.with(|s| s.classify(slot)));
            }
        }
        self.prove(rules, &mut next);
        self.recover(rules, &mut next);
        self.collect(rules, &mut next);
        next
    }

    /// The last name is only ever fenced: it stands for all names that the writer has not reached.
    fn writer(&self, rules: &Rules, next: &mut Vec<Self>) {
        if !self.alive {
            return;
        }
        if usize::from(self.sent) < rules.slots - 1 {
            next.push(self.with(|s| {
                s.wire[usize::from(s.sent)] += 1;
                s.sent += 1;
            }));
        }
        for slot in 0..usize::from(self.sent) {
            if !bit(self.stored, slot) && self.wire[slot] < 2 {
                next.push(self.with(|s| s.wire[slot] += 1));
            }
            let below = (1_u8 << slot) - 1;
            let in_order = self.stored & below == below;
            if bit(self.stored, slot)
                && !bit(self.acked, slot)
                && (in_order || !rules.acks_in_order)
            {
                next.push(self.with(|s| s.acked |= 1 << slot));
            }
        }
    }

    /// One copy of a put is lost, or arrives with or without its answer, at any later time.
    fn network(&self, rules: &Rules, slot: usize, next: &mut Vec<Self>) {
        if self.wire[slot] == 0 {
            return;
        }
        let lost = self.with(|s| s.wire[slot] -= 1);
        next.push(lost);
        let writes = self.store[slot] == Cell::Free || !rules.put_if_absent;
        if writes {
            let applied = lost.with(|s| s.store[slot] = Cell::Data);
            next.push(applied);
            if self.alive {
                next.push(applied.with(|s| s.stored |= 1 << slot));
            }
        } else if self.alive && !bit(self.unclassified, slot) {
            next.push(lost.with(|s| s.unclassified |= 1 << slot));
        }
    }

    /// The GET that tells what "already exists" means (law 6).
    fn classify(&mut self, slot: usize) {
        self.unclassified &= !(1 << slot);
        match self.store[slot] {
            Cell::Data => self.stored |= 1 << slot,
            Cell::Fence => self.died(),
            Cell::Free => {}
        }
    }

    fn prove(&self, rules: &Rules, next: &mut Vec<Self>) {
        if !self.alive {
            return;
        }
        match self.proof {
            None if self.seals().next().is_some() => {
                if let Some(names) = self.names_to_look_at(rules.proof) {
                    next.push(self.with(|s| s.proof = Some(names)));
                }
            }
            None => {}
            Some(names) => {
                for slot in (0..rules.slots).filter(|slot| bit(names, *slot)) {
                    next.push(self.with(|s| match s.store[slot] {
                        Cell::Fence => s.died(),
                        Cell::Free | Cell::Data => s.proof = Some(names & !(1 << slot)),
                    }));
                }
            }
        }
    }

    fn names_to_look_at(&self, proof: Proof) -> Option<u8> {
        let known = u8::try_from(self.stored.trailing_ones()).expect("few slots");
        let next = 1 << self.sent;
        match proof {
            Proof::None => None,
            Proof::Range => Some((known..=self.sent).fold(0, |names, slot| names | 1 << slot)),
            Proof::NextWhenIdle => (known == self.sent).then_some(next),
            Proof::FirstUnknown => Some(1 << known),
            Proof::NextAlways => Some(next),
        }
    }

    fn recover(&self, rules: &Rules, next: &mut Vec<Self>) {
        for who in 0..2 {
            let Recoverer { at, sealed } = self.recoverers[who];
            if sealed.is_some() {
                continue;
            }
            let slot = usize::from(at);
            if who == 1 && !self.stop_planted {
                self.plant_stop(rules, slot, next);
            }
            let seal = |s: &mut Self, end: u8| s.recoverers[who].sealed = Some(end);
            if !rules.end_needs_all_below
                && let Some(fence) = self.store.iter().position(|cell| *cell == Cell::Fence)
            {
                let fence = u8::try_from(fence).expect("few slots");
                next.push(self.with(|s| seal(s, fence)));
            }
            match self.store[slot] {
                Cell::Fence => next.push(self.with(|s| seal(s, at))),
                Cell::Data if slot < rules.slots - 1 => {
                    next.push(self.with(|s| s.recoverers[who].at += 1));
                }
                Cell::Data => {}
                Cell::Free => next.push(self.with(|s| {
                    if rules.fence_the_end {
                        s.store[slot] = Cell::Fence;
                    }
                    seal(s, at);
                })),
            }
        }
    }

    /// The stop fence goes to any free name from `slot` on.
    fn plant_stop(&self, rules: &Rules, slot: usize, next: &mut Vec<Self>) {
        for stop in (slot..rules.slots).filter(|stop| self.store[*stop] == Cell::Free) {
            next.push(self.with(|s| {
                s.store[stop] = Cell::Fence;
                s.stop_planted = true;
            }));
        }
    }

    fn collect(&self, rules: &Rules, next: &mut Vec<Self>) {
        if self.seals().count() < 2 {
            return;
        }
        for slot in 0..rules.slots {
            let gone = match self.store[slot] {
                Cell::Data => rules.collect,
                Cell::Fence => !rules.fences_stay,
                Cell::Free => false,
            };
            if gone {
                next.push(self.with(|s| s.store[slot] = Cell::Free));
            }
        }
    }
}

/// Walks every reachable state. Gives their number, or what was violated first.
fn explore(rules: &Rules) -> Result<usize, &'static str> {
    let start = State::start();
    let mut seen = HashSet::from([start]);
    let mut waiting = VecDeque::from([start]);
    while let Some(state) = waiting.pop_front() {
        if let Some(violation) = state.violation() {
            return Err(violation);
        }
        for next in state.successors(rules) {
            if seen.insert(next) {
                waiting.push_back(next);
            }
        }
    }
    Ok(seen.len())
}

/// All of its states are walked: so many, or the model is not what it was.
fn safe(states: usize, rules: Rules) {
    let seen = explore(&rules).unwrap_or_else(|violation| panic!("{violation}: {rules:?}"));
    assert_eq!(seen, states, "{rules:?}");
}

fn caught(rules: Rules) {
    assert!(explore(&rules).is_err(), "no state contradicts this mutation: {rules:?}");
}

#[test]
fn hedges_two_recoverers_stop_fence_and_collector_are_safe() {
    safe(13_827, PROTOCOL);
    safe(11_883, Rules { collect: false, ..PROTOCOL });
}

#[test]
fn proof_by_every_name_up_to_the_next_is_safe() {
    safe(45_161, Rules { proof: Proof::Range, ..PROTOCOL });
    safe(1_921_208, Rules { proof: Proof::Range, slots: 4, ..PROTOCOL });
}

#[test]
fn proof_by_the_next_name_is_safe_when_idle() {
    safe(19_019, Rules { proof: Proof::NextWhenIdle, ..PROTOCOL });
}

#[test]
fn proof_by_the_first_unknown_name_alone_is_caught() {
    caught(Rules { proof: Proof::FirstUnknown, slots: 4, ..PROTOCOL });
}

#[test]
fn proof_by_the_next_name_with_puts_in_flight_is_caught() {
    caught(Rules { proof: Proof::NextAlways, slots: 4, ..PROTOCOL });
}

#[test]
fn overwriting_puts_are_caught() {
    caught(Rules { put_if_absent: false, ..PROTOCOL });
}

#[test]
fn acks_out_of_order_are_caught() {
    caught(Rules { acks_in_order: false, ..PROTOCOL });
}

#[test]
fn recovery_without_a_fence_is_caught() {
    caught(Rules { fence_the_end: false, ..PROTOCOL });
}

#[test]
fn collected_fences_are_caught() {
    caught(Rules { fences_stay: false, ..PROTOCOL });
}

#[test]
fn any_fence_taken_for_the_end_is_caught() {
    caught(Rules { end_needs_all_below: false, ..PROTOCOL });
}
