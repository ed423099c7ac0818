//! Slots enter the manifest: committed by their chain's owner, or submitted by a recoverer after it was fenced.

use super::event::Alarm;
use super::machine::Machine;
use crate::base::ids::{ChainId, SlotId, TopicId};
use crate::manifest::chain::Phase;
use crate::manifest::client::ROWS_MAX;
use crate::manifest::edit::Edit;
use crate::manifest::row::SlotRow;
use crate::manifest::{Error, Violation, invariants};

impl Machine {
    /// Rows of an open chain. From any other they are refused: that is what fencing means.
    pub(super) fn commit(&mut self, chain: ChainId, rows: Vec<SlotRow>) -> Result<(), Error> {
        let phase = self.state.chains.get(&chain).map(|chain| chain.phase);
        if phase != Some(Phase::Open) {
            return Err(Error::Fenced { chain });
        }
        self.add_rows(chain, rows)
    }

    /// Rows that a recoverer found.
    pub(super) fn recovered(&mut self, chain: ChainId, rows: Vec<SlotRow>) -> Result<(), Error> {
        match self.state.chains.get(&chain).map(|chain| chain.phase) {
            None => Err(Error::Fenced { chain }),
            Some(Phase::Open) => Err(Error::StillOpen { chain }),
            Some(Phase::Fencing) => self.add_rows(chain, rows),
            // A slower recoverer: what it found below the end is there already, and there is nothing above.
            Some(Phase::Sealed(end)) => match rows.iter().all(|row| row.slot < end) {
                true => Ok(()),
                false => Err(Error::AlreadySealed { chain, sealed_at: end }),
            },
        }
    }

    fn add_rows(&mut self, chain: ChainId, rows: Vec<SlotRow>) -> Result<(), Error> {
        let expected = self.state.chains.get(&chain).map_or(SlotId(0), |chain| chain.committed_end);
        consecutive(chain, expected, &rows)?;
        for row in rows.into_iter().skip_while(|row| row.slot < expected) {
            self.add_row(chain, row)?;
        }
        Ok(())
    }

    fn add_row(&mut self, chain: ChainId, row: SlotRow) -> Result<(), Error> {
        let slot = row.slot;
        if let Err(violation) = invariants::admit(&self.state, chain, &row) {
            let error = Error::Refused { chain, slot, violation };
            self.alarm(Alarm::Refused { error: error.clone() });
            return Err(error);
        }
        let released: Vec<TopicId> = row.releases.iter().map(|release| release.tp.topic).collect();
        let runs: Vec<_> = row.runs.iter().map(|run| run.tp).collect();
        let online = |tp: &_| self.state.partition(tp).is_some_and(|p| p.offline.is_none());
        let watched: Vec<_> = runs.into_iter().filter(online).collect();
        self.state.apply(Edit::Slot { chain, row });
        for tp in watched {
            if self.state.partition(&tp).is_some_and(|partition| partition.offline.is_some()) {
                self.alarm(Alarm::Offline { tp, chain, slot });
            }
        }
        if !released.is_empty() {
            self.finish_deletions();
        }
        Ok(())
    }
}

/// One part, in order, that continues the chain or lies in it.
fn consecutive(chain: ChainId, expected: SlotId, rows: &[SlotRow]) -> Result<(), Error> {
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let slot = first.slot;
    if rows.len() > ROWS_MAX {
        return Err(Error::Refused {
            chain,
            slot,
            violation: Violation::TooMany { rows: rows.len() },
        });
    }
    for pair in rows.windows(2) {
        let (previous, next) = (pair[0].slot, pair[1].slot);
        if next != previous.next() {
            let violation = Violation::OutOfOrder { previous, next };
            return Err(Error::Refused { chain, slot: next, violation });
        }
    }
    if slot > expected {
        return Err(Error::Gap { chain, expected, given: slot });
    }
    Ok(())
}
