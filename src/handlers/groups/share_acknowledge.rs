//! ShareAcknowledge, and the acknowledgements that come with a ShareFetch.
//!
//! Source: KIP-932; `KafkaApis.handleShareAcknowledgeRequest`, `validateAcknowledgementBatches` in Apache Kafka 4.3.1.

use std::collections::BTreeMap;

use kafka_protocol::messages::share_acknowledge_response as answered;
use kafka_protocol::messages::{
    BrokerId, GroupId, ShareAcknowledgeRequest, ShareAcknowledgeResponse,
};

use super::share::is_member_id;
use crate::base::ids::{TopicId, TopicPartition};
use crate::base::offset::Offset;
use crate::cluster::image::Image;
use crate::handlers::leaders::Leaders;
use crate::handlers::scope::Refused;
use crate::handlers::{Session, error_code};
use crate::protocol::hot::TopicRef;
use crate::protocol::{ErrorCode, StrBytes};
use crate::share::partition::Acknowledgement;
use crate::share::sessions::{FINAL_EPOCH, MemberKey};

/// What a member says, by partition.
pub(super) type Said = BTreeMap<TopicPartition, Vec<Acknowledgement>>;

/// What became of it.
pub(super) type Heard = BTreeMap<TopicPartition, Refused>;

pub(super) async fn acknowledge(
    session: &Session,
    request: ShareAcknowledgeRequest,
) -> ShareAcknowledgeResponse {
    let response = ShareAcknowledgeResponse::default();
    let refused = |refused: Refused| {
        ShareAcknowledgeResponse::default().with_error_code(refused.error.code())
    };
    let key = match member_of(request.group_id.as_ref(), request.member_id.as_ref()) {
        Ok(key) => key,
        Err(error) => return refused(error),
    };
    let epoch = request.share_session_epoch;
    let share = &session.context.share;
    if let Err(error) = share.acknowledge_session(&key, epoch) {
        return refused(Refused::from(error));
    }
    let mut said = Said::new();
    for topic in request.topics {
        let partitions = topic.partitions.into_iter();
        // Of which nothing is said nothing is told.
        for partition in partitions.filter(|one| !one.acknowledgement_batches.is_empty()) {
            let tp = TopicPartition {
                topic: TopicId(topic.topic_id),
                partition: partition.partition_index,
            };
            let batches = partition.acknowledgement_batches.into_iter().map(|batch| {
                let (first, last) = (Offset(batch.first_offset), Offset(batch.last_offset));
                Acknowledgement { first, last, types: batch.acknowledge_types }
            });
            said.insert(tp, batches.collect());
        }
    }
    let heard = hear(session, &key, said).await;
    if epoch == FINAL_EPOCH {
        share.close_session(&key).await;
    }
    let image = session.context.image();
    let mut leaders = Leaders::new(&image, &session.listener);
    let mut topics: Vec<answered::ShareAcknowledgeTopicResponse> = Vec::new();
    for (tp, refused) in heard {
        let mut partition = answered::PartitionData::default()
            .with_partition_index(tp.partition)
            .with_error_code(refused.error.code())
            .with_error_message(refused.message());
        let topic = TopicRef::Id(tp.topic);
        if let Some(told) = leaders.told(&topic, tp.partition, refused.error) {
            partition.current_leader = answered::LeaderIdAndEpoch::default()
                .with_leader_id(told.leader.0)
                .with_leader_epoch(told.epoch.0);
        }
        match topics.last_mut().filter(|topic| topic.topic_id == tp.topic.0) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(
                answered::ShareAcknowledgeTopicResponse::default()
                    .with_topic_id(tp.topic.0)
                    .with_partitions(vec![partition]),
            ),
        }
    }
    let endpoints = leaders.endpoints().into_iter().map(|endpoint| {
        answered::NodeEndpoint::default()
            .with_node_id(BrokerId(endpoint.node.0))
            .with_host(endpoint.host)
            .with_port(i32::from(endpoint.port))
            .with_rack(endpoint.rack)
    });
    let endpoints = endpoints.collect();
    response.with_responses(topics).with_node_endpoints(endpoints)
}

/// Which member of which group a request is of.
pub(super) fn member_of(
    group: Option<&GroupId>,
    member: Option<&StrBytes>,
) -> Result<MemberKey, Refused> {
    let wrong = |what| Refused::new(ErrorCode::InvalidRequest, what);
    let group = group.ok_or_else(|| wrong("Invalid group id in the request."))?;
    let member = member.filter(|member| is_member_id(member));
    let member = member.ok_or_else(|| wrong("Invalid member id in the request."))?;
    Ok(MemberKey { group: group.as_str().to_owned(), member: member.as_str().to_owned() })
}

/// Takes what a member says, and tells what became of it when that is kept.
pub(super) async fn hear(session: &Session, key: &MemberKey, said: Said) -> Heard {
    let image = session.context.image();
    let each = said.into_iter().map(|(tp, batches)| {
        let image = &image;
        async move {
            let heard = hear_one(session, image, key, (tp, &batches)).await;
            (tp, heard.err().unwrap_or(Refused { error: ErrorCode::None, message: None }))
        }
    });
    futures::future::join_all(each).await.into_iter().collect()
}

async fn hear_one(
    session: &Session,
    image: &Image,
    key: &MemberKey,
    (tp, batches): (TopicPartition, &[Acknowledgement]),
) -> Result<(), Refused> {
    exists(image, tp)?;
    if !are_sound(batches) {
        return Err(Refused { error: ErrorCode::InvalidRequest, message: None });
    }
    if batches.is_empty() {
        return Ok(());
    }
    session.context.share.acknowledge(key, tp, batches).await.map_err(Refused::from)
}

/// Whether there is such a partition.
pub(super) fn exists(image: &Image, tp: TopicPartition) -> Result<(), Refused> {
    let missing = |error| Refused { error, message: None };
    image.topic_by_id(tp.topic).ok_or_else(|| missing(ErrorCode::UnknownTopicId))?;
    image.partition(&tp).ok_or_else(|| missing(ErrorCode::UnknownTopicOrPartition))?;
    Ok(())
}

/// Whether batches can be meant: ascending, with one type for all of a batch's records or one for each.
fn are_sound(batches: &[Acknowledgement]) -> bool {
    /// A gap, accepted, released, rejected. To renew came with version 2.
    const TYPES: std::ops::RangeInclusive<i8> = 0..=3;
    let mut before = Offset(-1);
    batches.iter().all(|Acknowledgement { first, last, types }| {
        let sound = first <= last
            && *first >= before
            && !types.is_empty()
            && (types.len() == 1 || u64::try_from(types.len() - 1) == Ok(last.0.abs_diff(first.0)))
            && types.iter().all(|number| TYPES.contains(number));
        before = *last;
        sound
    })
}

/// A share partition's refusal, with what is said beside the code.
impl From<crate::share::Error> for Refused {
    fn from(error: crate::share::Error) -> Self {
        Self::new(error_code::of_share(&error), error.to_string())
    }
}

/// A share session's refusal.
impl From<crate::share::sessions::Error> for Refused {
    fn from(error: crate::share::sessions::Error) -> Self {
        Self::standard(error_code::of_share_session(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_that_cannot_be_meant_are_told_from_others() {
        let one = |first, last, types: &[i8]| Acknowledgement {
            first: Offset(first),
            last: Offset(last),
            types: types.to_vec(),
        };
        for (batches, expected) in [
            (vec![], true),
            (vec![one(0, 9, &[1])], true),
            (vec![one(0, 2, &[0, 1, 3]), one(3, 3, &[2])], true),
            (vec![one(5, 4, &[1])], false),
            (vec![one(-2, 4, &[1])], false),
            (vec![one(0, 4, &[])], false),
            (vec![one(0, 4, &[1, 1])], false),
            (vec![one(0, 0, &[4])], false),
            (vec![one(0, 0, &[-1])], false),
            (vec![one(4, 6, &[1]), one(2, 3, &[1])], false),
            (vec![one(0, i64::MAX, &[1, 1])], false),
        ] {
            assert_eq!(are_sound(&batches), expected, "{batches:?}");
        }
    }
}
