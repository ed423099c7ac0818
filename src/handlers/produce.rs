//! Produce: admits every batch at once and in order, then answers when all of them are stable.
//!
//! Source: KIP-98, KIP-467 (record_errors), KIP-951; `KafkaApis.handleProduceRequest`, `ReplicaManager.appendRecords`.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::join_all;
use tokio::time::Instant;

use super::answers::Growing;
use super::leaders::Leaders;
use super::patience::PROOF_WITHIN;
use super::session::closed;
use super::{Answering, CloseReason, Outcome, Session, Step, error_code, patience};
use crate::base::clock::Timestamp;
use crate::base::ids::TopicPartition;
use crate::base::offset::Offset;
use crate::base::task;
use crate::cluster::image::{Image, TopicImage};
use crate::log::{self, Appended, PartitionHandle, Terms, TopicSettings, VerificationGuard};
use crate::protocol::header::RequestHeader;
use crate::protocol::hot::{NodeEndpoint, TopicRef};
use crate::protocol::produce::{
    PartitionProduce, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduce,
    TopicProduceResponse,
};
use crate::protocol::{ErrorCode, StrBytes};
use crate::record::validate::{RecordValidator, Rules, validate, validate_schemas};
use crate::record::{self, ValidBatch};
use crate::transactions::{Admission, Denied, Producer, Transactions};
use crate::wal;

/// The most that a batch may unpack to where its records must be looked at.
const UNPACKED_BYTES_MAX: usize = 256 << 20;
/// Frames below this size may wait for their answers.
const SMALL_FRAME_MAX: usize = 16 << 10;
/// Frames up to this size are kept for what the log takes of them.
const SHARED_FRAME_MAX: usize = 2 << 20;

/// The first version whose transactions have epochs of their own, and take up partitions with their first batch (KIP-890).
const OWN_EPOCH_SINCE: i16 = 12;

/// One partition's way to its answer.
enum Part {
    Done(PartitionProduceResponse),
    /// On its way into the log.
    Appended {
        index: i32,
        appended: Appended,
    },
    /// Refused by state that may not be stable, or may be superseded (laws 5 and 9).
    Rejected {
        index: i32,
        partition: PartitionHandle,
        error: log::Error,
        by: RejectedBy,
    },
    /// Not admitted by its transaction's coordinator.
    Denied(Box<DeniedPart>),
    /// Of no schema that is known here, where another process may know more (law 9).
    Unfit(Box<UnfitPart>),
}

/// What rejected a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RejectedBy {
    /// What is looked at before it is tried: as in Kafka the answer does not say where the log starts.
    Verification,
    /// The log.
    Log,
}

struct DeniedPart {
    index: i32,
    produce_version: i16,
    transactions: Transactions,
    denied: Denied,
}

struct UnfitPart {
    validator: Arc<dyn RecordValidator>,
    refused: PartitionProduceResponse,
}

struct TopicParts {
    topic: TopicRef,
    parts: Vec<Part>,
}

/// Admits the request's batches, in order, before it returns; the answer follows when they are stable.
pub(super) fn begin(session: &Arc<Session>, header: &RequestHeader, body: &Bytes) -> Step {
    let request = match ProduceRequest::read(body, header.version) {
        Ok(request) => request,
        Err(error) => return closed(error.into()),
    };
    let admitter = Admitter::new(session, header, (&request, body));
    let topics = admitter.admit(&request.topics);
    admitter.count_what_is_kept();
    let growing = admitter.growing.into_inner();
    let works = topics.iter().flat_map(|topic| &topic.parts).any(Part::works);
    let head = header.response();
    let acks = request.acks;
    // With acks=0 nobody waits for an answer, only the requests behind this one.
    let deadline = (acks != 0).then(|| patience::deadline(request.timeout_ms));
    let session = Arc::clone(session);
    let answering = async move {
        let mut topics =
            if works { together(topics, deadline).await } else { in_turn(topics, deadline).await };
        let mut parts = topics.iter().flat_map(|topic| &topic.partitions);
        let failed = parts.any(|part| part.error != ErrorCode::None);
        match acks {
            0 if failed => Outcome::Close(CloseReason::SilentProduceFailed),
            0 => Outcome::Silent,
            _ => {
                let node_endpoints = tell_leaders(&session, head.version, &mut topics);
                let response =
                    ProduceResponse { topics, node_endpoints, ..ProduceResponse::default() };
                let answer = response.frame(head);
                match growing {
                    None => Outcome::Answer(answer),
                    Some(growing) => {
                        let room = growing.made(answer.bytes());
                        Outcome::Held(answer, room)
                    }
                }
            }
        }
    };
    let answering = answering.boxed();
    Step::Pipelined(if works { aside(answering) } else { answering })
}

/// An answer that takes work, begun at once: one round of proofs serves it and those behind it.
fn aside(answering: Answering) -> Answering {
    let task = task::spawn("produce-refusal", answering);
    task.map(|done| done.ok().flatten().unwrap_or(Outcome::Close(CloseReason::GivenUp))).boxed()
}

/// Settles parts that only wait: one after the other they take no longer than the last.
async fn in_turn(topics: Vec<TopicParts>, deadline: Option<Instant>) -> Vec<TopicProduceResponse> {
    let mut settled = Vec::with_capacity(topics.len());
    for TopicParts { topic, parts } in topics {
        let mut partitions = Vec::with_capacity(parts.len());
        for part in parts {
            partitions.push(part.settle_by(deadline).await);
        }
        settled.push(TopicProduceResponse { topic, partitions });
    }
    settled
}

/// Settles parts side by side: a round of proofs serves all of a request.
async fn together(topics: Vec<TopicParts>, deadline: Option<Instant>) -> Vec<TopicProduceResponse> {
    let mut settling = Vec::new();
    let mut counts = Vec::with_capacity(topics.len());
    for TopicParts { topic, parts } in topics {
        counts.push((topic, parts.len()));
        settling.extend(parts.into_iter().map(|part| part.settle_by(deadline)));
    }
    let mut settled = join_all(settling).await.into_iter();
    let topics = counts.into_iter().map(|(topic, count)| {
        let partitions = settled.by_ref().take(count).collect();
        TopicProduceResponse { topic, partitions }
    });
    topics.collect()
}

/// The first version that names leaders.
const LEADERS_SINCE: i16 = 10;

/// Says beside errors that say "not here" who leads, and gives where they listen.
///
/// Source: KIP-951.
fn tell_leaders(
    session: &Session,
    version: i16,
    topics: &mut [TopicProduceResponse],
) -> Vec<NodeEndpoint> {
    let mut parts = topics.iter().flat_map(|topic| &topic.partitions);
    if version < LEADERS_SINCE || !parts.any(|part| Leaders::are_told_with(part.error)) {
        return Vec::new();
    }
    let image = session.context.image();
    let mut leaders = Leaders::new(&image, &session.listener);
    for TopicProduceResponse { topic, partitions } in topics {
        for part in partitions {
            part.current_leader = leaders.told(topic, part.index, part.error);
        }
    }
    leaders.endpoints()
}

/// Admits one request.
struct Admitter<'a> {
    session: &'a Session,
    image: Arc<Image>,
    now: Timestamp,
    produce_version: i16,
    /// The transactional id that the request names.
    transactional_id: Option<&'a str>,
    /// The request as a whole cannot be served.
    refusal: Option<ErrorCode>,
    /// The frame that the batches are slices of.
    body: &'a Bytes,
    /// Bytes of its slices that the log keeps.
    kept: Cell<usize>,
    /// What is said of records that are refused.
    growing: RefCell<Option<Growing>>,
}

impl<'a> Admitter<'a> {
    fn new(
        session: &'a Session,
        header: &RequestHeader,
        (request, body): (&'a ProduceRequest, &'a Bytes),
    ) -> Self {
        let acks_known = matches!(request.acks, -1..=1);
        Self {
            session,
            image: session.context.image(),
            now: session.context.now(),
            produce_version: header.version,
            transactional_id: request.transactional_id.as_deref(),
            refusal: (!acks_known).then_some(ErrorCode::InvalidRequiredAcks),
            body,
            kept: Cell::new(0),
            growing: RefCell::default(),
        }
    }

    fn admit(&self, topics: &[TopicProduce]) -> Vec<TopicParts> {
        let parts = topics.iter().map(|topic| {
            let found = match &topic.topic {
                TopicRef::Name(name) => self.image.topic(name.as_str()),
                TopicRef::Id(id) => self.image.topic_by_id(*id),
            };
            let parts =
                topic.partitions.iter().map(|part| self.admit_partition(&topic.topic, found, part));
            // It waits for its answer, and a large frame, of which nothing may have been taken, does not wait with it.
            let named = match self.body.len() {
                SMALL_FRAME_MAX.. => topic.topic.detached(),
                _ => topic.topic.clone(),
            };
            TopicParts { topic: named, parts: parts.collect() }
        });
        parts.collect()
    }

    fn admit_partition(
        &self,
        asked: &TopicRef,
        found: Option<&Arc<TopicImage>>,
        part: &PartitionProduce,
    ) -> Part {
        let refused = |error| Part::Done(PartitionProduceResponse::refused(part.index, error));
        if let Some(error) = self.refusal {
            return refused(error);
        }
        let Some(topic) = found else {
            return refused(match asked {
                TopicRef::Name(_) => ErrorCode::UnknownTopicOrPartition,
                TopicRef::Id(_) => ErrorCode::UnknownTopicId,
            });
        };
        if topic.internal {
            // What stands there is the state of coordinators, who alone write it.
            return refused(ErrorCode::InvalidTopicException);
        }
        let tp = TopicPartition { topic: topic.id, partition: part.index };
        let Some(partition) = self.session.context.log.partition(&tp) else {
            let exists =
                usize::try_from(part.index).is_ok_and(|index| index < topic.partitions.len());
            return refused(if exists {
                ErrorCode::NotLeaderOrFollower
            } else {
                ErrorCode::UnknownTopicOrPartition
            });
        };
        self.append(&topic.name, &partition, part)
    }

    fn append(&self, topic: &str, partition: &PartitionHandle, part: &PartitionProduce) -> Part {
        let index = part.index;
        let settings = partition.settings();
        let refused = |error: &record::Error| {
            let log_start = partition.offsets().map_or(Offset(-1), |offsets| offsets.log_start);
            let mut growing = self.growing.borrow_mut();
            let growing = growing.get_or_insert_with(|| self.session.context.answers.growing());
            error_code::refused_batch(topic, index, error, log_start, growing)
        };
        let valid = validate(part.records.clone().unwrap_or_default(), &self.rules(&settings));
        let batch = match valid {
            Ok(batch) => self.detached(batch),
            Err(error) => return Part::Done(refused(&error)),
        };
        match self.check_schemas(topic, &settings, &batch) {
            Ok(()) => {}
            Err(error @ record::Error::Rejected(_)) => {
                let validator = Arc::clone(&self.session.context.validator);
                return Part::Unfit(Box::new(UnfitPart { validator, refused: refused(&error) }));
            }
            Err(error) => return Part::Done(refused(&error)),
        }
        let mut terms = Terms::client(self.now);
        if batch.header.attributes.is_transactional() {
            match self.verify(topic, partition, index, &batch) {
                Ok(guard) => terms.guard = guard,
                Err(part) => return part,
            }
        }
        match partition.append(&batch, terms) {
            Ok(appended) => {
                if appended.is_new && self.is_slice(&batch) {
                    self.kept.set(self.kept.get() + batch.total_bytes());
                }
                Part::Appended { index, appended }
            }
            Err(error) => Part::not_appended((index, partition), error, RejectedBy::Log),
        }
    }

    /// The batch, out of the frame where it is the smaller part of a large one, which it would keep.
    fn detached(&self, batch: ValidBatch) -> ValidBatch {
        let is_small_part = batch.total_bytes() < self.body.len() / 2;
        if self.body.len() > SHARED_FRAME_MAX && is_small_part && self.is_slice(&batch) {
            return ValidBatch { bytes: Bytes::copy_from_slice(&batch.bytes), ..batch };
        }
        batch
    }

    /// Whether the log would keep the frame for it.
    fn is_slice(&self, batch: &ValidBatch) -> bool {
        let lies_within = self.body.as_ptr_range().contains(&batch.bytes.as_ptr());
        lies_within && wal::is_shared(batch.total_bytes())
    }

    /// Has the log count what its batches keep of the frame beside themselves: batches that were refused, or what is none.
    fn count_what_is_kept(&self) {
        let (kept, idle) = (self.kept.get(), self.body.len() - self.kept.get());
        if kept > 0
            && idle > kept / 4
            && let Some(wal) = self.session.context.log.wal()
        {
            wal.pin(idle);
        }
    }

    /// Whether the batch's records are of schemas that the topic takes.
    fn check_schemas(
        &self,
        topic: &str,
        settings: &TopicSettings,
        batch: &ValidBatch,
    ) -> Result<(), record::Error> {
        let Some(checks) = settings.schemas else { return Ok(()) };
        let validator = &*self.session.context.validator;
        validate_schemas(batch, topic, checks, validator, UNPACKED_BYTES_MAX)
    }

    /// Has the transaction's coordinator admit a batch that would open a transaction in its partition. The guard is taken
    /// before it is asked: a marker that comes in between withdraws it.
    fn verify(
        &self,
        topic: &str,
        partition: &PartitionHandle,
        index: i32,
        batch: &ValidBatch,
    ) -> Result<Option<VerificationGuard>, Part> {
        let Some(id) = self.transactional_id else {
            let error = ErrorCode::TransactionalIdAuthorizationFailed;
            return Err(Part::Done(PartitionProduceResponse::refused(index, error)));
        };
        let header = &batch.header;
        let own_epoch = self.produce_version >= OWN_EPOCH_SINCE;
        let lowest_sequence = if own_epoch { 0 } else { header.base_sequence };
        let guard =
            partition.start_verification(batch, lowest_sequence, self.now).map_err(|error| {
                Part::not_appended((index, partition), error, RejectedBy::Verification)
            })?;
        let config = &self.session.context.config.transactions;
        if guard.is_none() || !(own_epoch || config.partition_verification) {
            return Ok(guard);
        }
        let admission = if own_epoch { Admission::Add } else { Admission::Verify };
        let producer = Producer { id: header.producer_id, epoch: header.producer_epoch };
        let transactions = &self.session.context.transactions;
        match transactions.admit(id, producer, (topic, index), admission) {
            Ok(()) => Ok(guard),
            Err(denied) => Err(Part::Denied(Box::new(DeniedPart {
                index,
                produce_version: self.produce_version,
                transactions: transactions.clone(),
                denied,
            }))),
        }
    }

    fn rules(&self, settings: &TopicSettings) -> Rules {
        Rules {
            produce_version: self.produce_version,
            max_message_bytes: settings.max_message_bytes.as_usize(),
            timestamp_type: settings.timestamp_type,
            timestamp_before_max_ms: settings.timestamp_before_max_ms,
            timestamp_after_max_ms: settings.timestamp_after_max_ms,
            keys_required: settings.compacted,
            compression: settings.compression,
            unpacked_bytes_max: UNPACKED_BYTES_MAX,
            now: self.now,
        }
    }
}

impl Part {
    /// A rejection is said once what it rests on is certain.
    fn not_appended(
        (index, partition): (i32, &PartitionHandle),
        error: log::Error,
        by: RejectedBy,
    ) -> Self {
        match error {
            log::Error::Rejected { .. } => {
                Self::Rejected { index, partition: Arc::clone(partition), error, by }
            }
            _ => Self::Done(failed(index, &error)),
        }
    }

    fn index(&self) -> i32 {
        match self {
            Self::Done(done) => done.index,
            Self::Appended { index, .. } | Self::Rejected { index, .. } => *index,
            Self::Denied(part) => part.index,
            Self::Unfit(part) => part.refused.index,
        }
    }

    /// Whether settling it takes more than waiting.
    fn works(&self) -> bool {
        matches!(self, Self::Rejected { .. } | Self::Denied(_) | Self::Unfit(_))
    }

    async fn settle_by(self, deadline: Option<Instant>) -> PartitionProduceResponse {
        let Some(deadline) = deadline else { return self.settle().await };
        let index = self.index();
        let settled = tokio::time::timeout_at(deadline, self.settle()).await;
        // It may still be written: an idempotent producer tries again and is recognised.
        settled.unwrap_or_else(|_| {
            PartitionProduceResponse::refused(index, ErrorCode::RequestTimedOut)
        })
    }

    async fn settle(self) -> PartitionProduceResponse {
        match self {
            Self::Done(done) => done,
            Self::Appended { index, appended } => {
                let stable = match appended.stable {
                    Some(stable) => stable.wait().await,
                    None => Ok(()),
                };
                match stable {
                    Err(error) => failed(index, &error.into()),
                    Ok(()) => PartitionProduceResponse {
                        base_offset: appended.base_offset,
                        log_append_time: appended.log_append_time.unwrap_or(Timestamp::NONE),
                        log_start_offset: appended.log_start,
                        ..PartitionProduceResponse::refused(index, ErrorCode::None)
                    },
                }
            }
            Self::Denied(part) => {
                let DeniedPart { index, produce_version, transactions, denied } = *part;
                let error = transactions.confirm(denied).await;
                let code = error_code::of_denied_batch(&error, produce_version);
                let words = "Partition was not added to the transaction";
                let said = code == ErrorCode::InvalidTxnState;
                PartitionProduceResponse {
                    error_message: said.then(|| StrBytes::from_static_str(words)),
                    ..PartitionProduceResponse::refused(index, code)
                }
            }
            Self::Unfit(part) => {
                let UnfitPart { validator, refused } = *part;
                match validator.confirm().await {
                    Ok(()) => refused,
                    Err(_) => {
                        let code = error_code::SCHEMAS_NOT_READY;
                        PartitionProduceResponse::refused(refused.index, code)
                    }
                }
            }
            Self::Rejected { index, partition, error, by } => {
                let sure = partition.confirm(&error, PROOF_WITHIN).await;
                let log_start = || partition.offsets().ok().map(|offsets| offsets.log_start);
                let said = (by == RejectedBy::Log).then(log_start).flatten();
                PartitionProduceResponse {
                    log_start_offset: said.unwrap_or(Offset(-1)),
                    ..failed(index, sure.as_ref().err().unwrap_or(&error))
                }
            }
        }
    }
}

fn failed(index: i32, error: &log::Error) -> PartitionProduceResponse {
    PartitionProduceResponse::refused(index, error_code::of_log(error))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::record::validate::{RecordPart, SchemaFault};

    /// Refuses everything, and knows all there is to know or not.
    #[derive(Debug)]
    struct Refuses {
        sure: bool,
    }

    #[async_trait]
    impl RecordValidator for Refuses {
        fn check(&self, _: &RecordPart<'_>) -> Result<(), SchemaFault> {
            Err(SchemaFault::Refused("no".to_owned()))
        }

        async fn confirm(&self) -> Result<(), SchemaFault> {
            if self.sure { Ok(()) } else { Err(SchemaFault::NotReady) }
        }
    }

    /// Law 9: INVALID_RECORD is said only by a broker that is sure of its schemas.
    #[tokio::test]
    async fn records_of_unknown_schemas_are_refused_by_those_who_know_all() {
        for (sure, code) in
            [(true, ErrorCode::InvalidRecord), (false, ErrorCode::NotLeaderOrFollower)]
        {
            let refused = PartitionProduceResponse {
                error_message: Some(StrBytes::from_static_str("no")),
                ..PartitionProduceResponse::refused(3, ErrorCode::InvalidRecord)
            };
            let validator = Arc::new(Refuses { sure });
            let part = Part::Unfit(Box::new(UnfitPart { validator, refused }));
            let said = part.settle().await;
            assert_eq!((said.index, said.error, said.error_message.is_some()), (3, code, sure));
        }
    }
}
