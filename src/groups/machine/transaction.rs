//! Offsets that belong to transactions: written now, counted when the marker says so.
//!
//! Source: KIP-98, KIP-447; `GroupCoordinatorShard.commitTransactionalOffset`, `replayEndTransactionMarker`.

use super::commit::EachOffset;
use super::{GroupsMachine, Settled};
use crate::base::ids::{ProducerId, SlotId};
use crate::base::offset::Offset;
use crate::groups::offsets::{Committed, record};
use crate::groups::{Refusal, TransactionalCommit};
use crate::log::{self, Rejection};
use crate::state_topic::{StateRecord, Turn, Writer};

impl GroupsMachine {
    /// Commits offsets within a producer's transaction.
    pub(in crate::groups) fn commit_transactional(
        &mut self,
        turn: &mut Turn<'_>,
        request: &TransactionalCommit,
    ) -> Settled<Result<EachOffset, Refusal>> {
        let TransactionalCommit { producer: (producer_id, producer_epoch), commit } = request;
        let group_id = commit.group_id.as_str();
        if let Err(refusal) = self.validate_commit(commit, true) {
            return Settled { answer: Err(refusal), after: self.metadata_slot(group_id) };
        }
        let (answer, commits) = self.to_commit(commit, turn.now().wall);
        if commits.is_empty() {
            return Settled { answer: Ok(answer), after: None };
        }
        let records: Vec<StateRecord> =
            commits.iter().map(|(place, commit)| record(group_id, place, commit)).collect();
        let writer = Writer { producer_id: *producer_id, producer_epoch: *producer_epoch };
        let written = match turn.append_transactional(&records, writer) {
            Ok(written) => written,
            Err(log::Error::Rejected { rejection, after, .. }) => {
                let refusal = match rejection {
                    Rejection::StaleEpoch { .. } => Refusal::InvalidProducerEpoch,
                    _ => Refusal::InvalidTxnState,
                };
                return Settled { answer: Err(refusal), after };
            }
            Err(_) => return Settled { answer: Err(Refusal::NotCoordinator), after: None },
        };
        for (at, (place, commit)) in (written.base_offset.0..).map(Offset).zip(commits) {
            let committed = Committed { commit, record_offset: at };
            self.offsets.put_pending(*producer_id, group_id, place, committed);
        }
        self.offsets_written(group_id, written.slot);
        Settled { answer: Ok(answer), after: Some(written.slot) }
    }

    /// The marker of a transaction is in the log, in `slot`.
    pub(in crate::groups) fn end_transaction(
        &mut self,
        producer_id: ProducerId,
        commit: bool,
        slot: Option<SlotId>,
    ) {
        for group_id in self.offsets.end_transaction(producer_id, commit) {
            if let Some(held) = self.groups.get_mut(&group_id) {
                held.offsets_slot = slot.max(held.offsets_slot);
            }
        }
    }
}
