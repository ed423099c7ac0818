//! What a member says became of records that it has.

use super::runs::{Kind, State, Transition};
use super::{Change, SharePartition};
use crate::base::offset::Offset;

/// What a member says became of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The first record.
    pub first: Offset,
    /// The last record.
    pub last: Offset,
    /// 0: no such record, 1: accepted, 2: released, 3: rejected. One for all, or one for each.
    pub types: Vec<i8>,
}

/// Why nothing was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// `INVALID_RECORD_STATE`.
    #[error("the record is not acquired by the member")]
    InvalidRecordState,
    /// `INVALID_REQUEST`.
    #[error("the acknowledgement is malformed or of records that were never given out")]
    InvalidRequest,
}

/// What a member may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Gap,
    Accept,
    Release,
    Reject,
}

impl Verdict {
    fn from_type(number: i8) -> Result<Self, AckError> {
        match number {
            0 => Ok(Self::Gap),
            1 => Ok(Self::Accept),
            2 => Ok(Self::Release),
            3 => Ok(Self::Reject),
            _ => Err(AckError::InvalidRequest),
        }
    }
}

impl Acknowledgement {
    /// First and last offset of records of which the same is said.
    fn spans(&self) -> Result<Vec<(i64, i64, Verdict)>, AckError> {
        let (Offset(first), Offset(last)) = (self.first, self.last);
        let records = last.checked_sub(first).and_then(|more| usize::try_from(more).ok());
        let records =
            records.and_then(|more| more.checked_add(1)).ok_or(AckError::InvalidRequest)?;
        let verdicts: Vec<Verdict> = self
            .types
            .iter()
            .map(|number| Verdict::from_type(*number))
            .collect::<Result<_, _>>()?;
        match verdicts.as_slice() {
            [verdict] => Ok(vec![(first, last, *verdict)]),
            each if each.len() == records => {
                let mut spans: Vec<(i64, i64, Verdict)> = Vec::new();
                for (offset, verdict) in (first..=last).zip(each) {
                    match spans.last_mut() {
                        Some((_, last, before)) if before == verdict => *last = offset,
                        _ => spans.push((offset, offset, *verdict)),
                    }
                }
                Ok(spans)
            }
            _ => Err(AckError::InvalidRequest),
        }
    }
}

impl SharePartition {
    /// Takes what `member` says of records that it has: all of it or, with an error, nothing. `batches` are ascending. Of
    /// records before the start nothing more need be said, and nothing is checked.
    ///
    /// The change has no batches if there is nothing to keep; the ticket is to be settled all the same.
    ///
    /// # Errors
    /// [`AckError`].
    pub fn acknowledge(
        &mut self,
        member: &str,
        batches: &[Acknowledgement],
    ) -> Result<Change, AckError> {
        let mut planned = Vec::new();
        let mut before = None;
        for batch in batches {
            let spans = batch.spans()?;
            // What was said of it already leaves it to nobody.
            if before.is_some_and(|before| batch.first <= before) {
                return Err(AckError::InvalidRecordState);
            }
            before = Some(batch.last);
            if batch.last < self.start_offset() {
                continue;
            }
            if self.runs.start() == self.runs.end() {
                return Err(AckError::InvalidRecordState);
            }
            if batch.last >= self.end_offset() {
                return Err(AckError::InvalidRequest);
            }
            for (first, last, verdict) in spans {
                self.plan(member, (first, last, verdict), &mut planned)?;
            }
        }
        Ok(self.begin_transitions(planned))
    }

    /// What becomes of the records of a span.
    fn plan(
        &self,
        member: &str,
        (first, last, verdict): (i64, i64, Verdict),
        planned: &mut Vec<(i64, i64, Kind, i16)>,
    ) -> Result<(), AckError> {
        for (first, last, run) in self.runs.within(first.max(self.runs.start()), last) {
            // Between record batches that were given out together.
            if run.state == State::Missing {
                continue;
            }
            if !run.is_acquired(|owner, _| owner == member) {
                return Err(AckError::InvalidRecordState);
            }
            let to = match verdict {
                Verdict::Accept => Kind::Acknowledged,
                Verdict::Release => self.given_back(run.count),
                Verdict::Gap | Verdict::Reject => Kind::Archived,
            };
            planned.push((first, last, to, run.count));
        }
        Ok(())
    }

    /// The records are in transition until the change is settled.
    pub(super) fn begin_transitions(&mut self, planned: Vec<(i64, i64, Kind, i16)>) -> Change {
        let ticket = self.ticket();
        for &(first, last, to, count) in &planned {
            let transition = Transition { ticket, to, count };
            self.runs.change(first, last, |run| run.transition = Some(transition));
        }
        self.change(ticket, planned)
    }
}
