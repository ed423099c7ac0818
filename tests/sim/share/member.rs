//! A member of the share group.

use std::time::Duration;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::share_acknowledge_request as said;
use kafka_protocol::messages::share_fetch_request as asked;
use kafka_protocol::messages::share_fetch_response as told;
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, GroupId,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, MetadataRequest,
    MetadataResponse, ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest,
    ShareFetchResponse, ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse, TopicName,
    incremental_alter_configs_request as altered,
};
use kafka_protocol::protocol::StrBytes;
use thalweg::base::clock::sleep;
use thalweg::base::rng::Rng;
use thalweg::node::Broker;
use tokio::time::Instant;
use uuid::Uuid;

use super::super::client::{Client, PARTITIONS, TOPIC};
use super::ledger::{IN_TIME, Moment, Place, Say, Who};
use super::{LOCK, SharedLedger, lock};

const GROUP: &str = "share";
const BEAT: i16 = 1;
const SHARE: i16 = 1;
const METADATA: i16 = 12;
const ALTER: i16 = 1;
const FIND: i16 = 3;
const INVALID_RECORD_STATE: i16 = 121;

const RETRY_AFTER: Duration = Duration::from_millis(60);
const MAX_WAIT_MS: i32 = 100;
/// So many fetches in a row that give nothing, each of [`MAX_WAIT_MS`]: longer than a lock.
const NOTHING_LEFT: u32 = 25;

/// What drives a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// It says anything or nothing, at any time, for ever.
    Fickle,
    /// It accepts all that there is, and ends.
    Steady,
}

/// What came of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    Records,
    Nothing,
    /// Of some partition it is not known whether there is anything.
    Refused,
}

/// One member, with a connection to one broker.
pub(super) struct Member {
    client: Client,
    who: Who,
    ledger: SharedLedger,
    rng: Rng,
    topic: Uuid,
    member_epoch: i32,
    /// Of the next request of its session.
    epoch: i32,
    /// What it was given, and has said nothing of.
    held: Vec<Place>,
}

/// What was said and not answered yet.
type Saying = Vec<(Place, Say, Moment)>;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

impl Member {
    pub(super) fn new(broker: &Broker, who: Who, ledger: SharedLedger, rng: Rng) -> Self {
        let (topic, held) = (Uuid::nil(), Vec::new());
        let client = Client::new(broker);
        Self { client, who, ledger, rng, topic, member_epoch: 0, epoch: 0, held }
    }

    /// Joins.
    pub(super) async fn begin(&mut self) {
        while !self.find_topic().await || !self.begin_at_the_start().await || !self.join().await {
            sleep(RETRY_AFTER).await;
        }
    }

    /// Takes what it is given, for so long, and says nothing. It keeps what it had.
    pub(super) async fn take_for(&mut self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            if self.fetch(Saying::new()).await == Came::Refused {
                sleep(RETRY_AFTER).await;
            }
        }
    }

    /// Takes until it has so many records, which there are, and says nothing.
    pub(super) async fn take(&mut self, records: usize) {
        while self.held.len() < records {
            self.fetch(Saying::new()).await;
        }
    }

    /// Says of each record that it has what `word` says, and is answered. It keeps that of which there is no word.
    pub(super) async fn say(&mut self, mut word: impl FnMut() -> Option<Say>) {
        let mut saying = Saying::new();
        self.held.sort_unstable();
        self.held.dedup();
        self.held.retain(|place| {
            let Some(say) = word() else { return true };
            let sent = lock(&self.ledger).says(*place, self.who, say);
            saying.push((*place, say, sent));
            false
        });
        self.acknowledge(saying).await;
    }

    /// What it was given and has said nothing of, in order.
    pub(super) fn held(&mut self) -> &[Place] {
        self.held.sort_unstable();
        &self.held
    }

    pub(super) fn who(&self) -> Who {
        self.who
    }

    /// Joins, and reads.
    pub(super) async fn run(mut self, mood: Mood) {
        self.begin().await;
        let mut in_vain = 0;
        while in_vain < NOTHING_LEFT {
            match self.turn(mood).await {
                Came::Nothing if mood == Mood::Steady => in_vain += 1,
                Came::Refused => sleep(RETRY_AFTER).await,
                Came::Records | Came::Nothing => in_vain = 0,
            }
            self.beat().await;
        }
        self.close().await;
    }

    async fn find_topic(&mut self) -> bool {
        let one = MetadataRequestTopic::default().with_name(Some(TopicName(text(TOPIC))));
        let request = MetadataRequest::default().with_topics(Some(vec![one]));
        let answer: Option<MetadataResponse> =
            self.client.call(ApiKey::Metadata, METADATA, &request).await;
        let found = answer.and_then(|answer| answer.topics.into_iter().next());
        self.topic = found.map_or(Uuid::nil(), |topic| topic.topic_id);
        !self.topic.is_nil()
    }

    /// The group reads from the start.
    async fn begin_at_the_start(&self) -> bool {
        /// Of resources.
        const OF_A_GROUP: i8 = 32;
        let earliest = altered::AlterableConfig::default()
            .with_name(text("share.auto.offset.reset"))
            .with_value(Some(text("earliest")));
        let resource = altered::AlterConfigsResource::default()
            .with_resource_type(OF_A_GROUP)
            .with_resource_name(text(GROUP))
            .with_configs(vec![earliest]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer: Option<IncrementalAlterConfigsResponse> =
            self.client.call(ApiKey::IncrementalAlterConfigs, ALTER, &request).await;
        answer.is_some_and(|answer| answer.responses.iter().all(|one| one.error_code == 0))
    }

    /// Whether the group has state of something to read.
    async fn join(&mut self) -> bool {
        // The topic of groups is made when it is first asked for.
        let find = FindCoordinatorRequest::default().with_key(text(GROUP));
        let _: Option<FindCoordinatorResponse> =
            self.client.call(ApiKey::FindCoordinator, FIND, &find).await;
        self.member_epoch = 0;
        self.beat().await.is_some_and(|answer| {
            let assigned = answer.assignment;
            assigned.is_some_and(|assigned| !assigned.topic_partitions.is_empty())
        })
    }

    async fn beat(&mut self) -> Option<ShareGroupHeartbeatResponse> {
        let names = (self.member_epoch == 0).then(|| vec![TopicName(text(TOPIC))]);
        let request = ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_member_id(text(self.who.0))
            .with_member_epoch(self.member_epoch)
            .with_rack_id(None)
            .with_subscribed_topic_names(names);
        let answer: Option<ShareGroupHeartbeatResponse> =
            self.client.call(ApiKey::ShareGroupHeartbeat, BEAT, &request).await;
        let known = answer.as_ref().is_some_and(|answer| answer.error_code == 0);
        self.member_epoch = answer.as_ref().filter(|_| known).map_or(0, |of| of.member_epoch);
        answer.filter(|_| known)
    }

    /// Says something of what it has and is given more, in one of several ways.
    async fn turn(&mut self, mood: Mood) -> Came {
        let fickle = mood == Mood::Fickle;
        if fickle {
            let pause = match self.rng.below(12) {
                // Too late: others have what it has.
                0 => LOCK + IN_TIME,
                1 => LOCK - IN_TIME,
                _ => Duration::from_millis(self.rng.below(150)),
            };
            sleep(pause).await;
            match self.rng.below(24) {
                0 => self.close().await,
                1 => self.lose_the_connection(),
                _ => {}
            }
        }
        let saying = self.decide(fickle);
        // What opens a session says nothing.
        if self.epoch != 0 && self.rng.below(2) == 0 {
            self.acknowledge(saying).await;
            return self.fetch(Saying::new()).await;
        }
        self.fetch(saying).await
    }

    /// What to say of what it has. What nothing is said of is left to time.
    fn decide(&mut self, fickle: bool) -> Saying {
        if self.epoch == 0 {
            self.held.clear();
        }
        let mut saying = Saying::new();
        for place in std::mem::take(&mut self.held) {
            let say = match self.rng.below(if fickle { 10 } else { 1 }) {
                0..6 => Say::Accept,
                6..8 => Say::Release,
                8 => Say::Reject,
                _ => continue,
            };
            let sent = lock(&self.ledger).says(place, self.who, say);
            saying.push((place, say, sent));
        }
        saying.sort_unstable_by_key(|(place, ..)| *place);
        saying.dedup_by_key(|(place, ..)| *place);
        saying
    }

    async fn acknowledge(&mut self, saying: Saying) {
        let partitions = by_partition(&saying).map(|(partition, saying)| {
            let batches = saying.map(|(place, say, _)| {
                said::AcknowledgementBatch::default()
                    .with_first_offset(place.1)
                    .with_last_offset(place.1)
                    .with_acknowledge_types(vec![say.number()])
            });
            said::AcknowledgePartition::default()
                .with_partition_index(partition)
                .with_acknowledgement_batches(batches.collect())
        });
        let topic = said::AcknowledgeTopic::default()
            .with_topic_id(self.topic)
            .with_partitions(partitions.collect());
        let request = ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(text(GROUP))))
            .with_member_id(Some(text(self.who.0)))
            .with_share_session_epoch(self.epoch)
            .with_topics(vec![topic]);
        let answer: Option<ShareAcknowledgeResponse> =
            self.client.call(ApiKey::ShareAcknowledge, SHARE, &request).await;
        let Some(answer) = answer.filter(|answer| answer.error_code == 0) else {
            return self.begins_anew();
        };
        self.epoch += 1;
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        let codes: Vec<_> = partitions.map(|one| (one.partition_index, one.error_code)).collect();
        self.hear(&saying, &codes);
    }

    async fn fetch(&mut self, saying: Saying) -> Came {
        let partitions = (0..PARTITIONS).map(|partition| {
            let saying = saying.iter().filter(|(place, ..)| place.0 == partition);
            let batches = saying.map(|(place, say, _)| {
                asked::AcknowledgementBatch::default()
                    .with_first_offset(place.1)
                    .with_last_offset(place.1)
                    .with_acknowledge_types(vec![say.number()])
            });
            asked::FetchPartition::default()
                .with_partition_index(partition)
                .with_acknowledgement_batches(batches.collect())
        });
        let topic = asked::FetchTopic::default()
            .with_topic_id(self.topic)
            .with_partitions(partitions.collect());
        let most = 1 + i32::try_from(self.rng.below(8)).expect("few");
        let request = ShareFetchRequest::default()
            .with_group_id(Some(GroupId(text(GROUP))))
            .with_member_id(Some(text(self.who.0)))
            .with_share_session_epoch(self.epoch)
            .with_max_wait_ms(MAX_WAIT_MS)
            .with_min_bytes(1)
            .with_max_bytes(1 << 20)
            .with_max_records(most)
            .with_batch_size(most)
            .with_topics(vec![topic]);
        let sent = lock(&self.ledger).fetch_sent();
        let answer: Option<ShareFetchResponse> =
            self.client.call(ApiKey::ShareFetch, SHARE, &request).await;
        let span = lock(&self.ledger).fetch_heard(sent, answer.is_some());
        let Some(answer) = answer.filter(|answer| answer.error_code == 0) else {
            self.begins_anew();
            return Came::Refused;
        };
        self.epoch += 1;
        let partitions: Vec<&told::PartitionData> =
            answer.responses.iter().flat_map(|topic| &topic.partitions).collect();
        let codes = partitions.iter().map(|one| (one.partition_index, one.acknowledge_error_code));
        self.hear(&saying, &codes.collect::<Vec<_>>());
        let refused = partitions.iter().any(|one| one.error_code != 0);
        let before = self.held.len();
        for one in partitions {
            for range in &one.acquired_records {
                for offset in range.first_offset..=range.last_offset {
                    let place = (one.partition_index, offset);
                    lock(&self.ledger).given(place, self.who, span, range.delivery_count);
                    self.held.push(place);
                }
            }
        }
        match self.held.len() > before {
            true => Came::Records,
            false if refused => Came::Refused,
            false => Came::Nothing,
        }
    }

    /// What became of what it said, by partition. One of which something was said is always named.
    fn hear(&self, saying: &Saying, codes: &[(i32, i16)]) {
        for (place, say, sent) in saying {
            let code = codes.iter().find(|(partition, _)| *partition == place.0);
            match code.map(|(_, code)| *code) {
                Some(0) => lock(&self.ledger).taken(*place, (self.who, *say), *sent),
                Some(INVALID_RECORD_STATE) => {
                    lock(&self.ledger).refused(*place, (self.who, *say));
                }
                Some(_) | None => {}
            }
        }
    }

    /// The session is not what it was.
    fn begins_anew(&mut self) {
        lock(&self.ledger).lets_go(self.who, None);
        self.epoch = 0;
        self.held.clear();
    }

    async fn close(&mut self) {
        if self.epoch == 0 {
            return;
        }
        self.begins_anew();
        let request = ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(text(GROUP))))
            .with_member_id(Some(text(self.who.0)))
            .with_share_session_epoch(-1);
        let _: Option<ShareAcknowledgeResponse> =
            self.client.call(ApiKey::ShareAcknowledge, SHARE, &request).await;
    }

    fn lose_the_connection(&mut self) {
        self.begins_anew();
        self.client = self.client.another();
    }
}

/// What is said, partition by partition.
fn by_partition(
    saying: &Saying,
) -> impl Iterator<Item = (i32, impl Iterator<Item = &(Place, Say, Moment)>)> {
    (0..PARTITIONS).map(move |partition| {
        (partition, saying.iter().filter(move |(place, ..)| place.0 == partition))
    })
}
