//! Topics as the coordinator makes them, grows them, refuses them and lets them go.

use std::time::Duration;

use futures::FutureExt as _;

use super::tests::{
    NODE, create, join, new_topic, of, open, refused, registration, request, store,
};
use crate::base::clock::Timestamp;
use crate::base::ids::{BrokerId, LeaderEpoch, SlotId, TopicId};
use crate::cluster::ClusterClient as _;
use crate::cluster::client::{CreateTopics, MorePartitions, NewTopic, TopicRef};
use crate::cluster::error::{AssignmentFault, PartitionsFault, Refusal, RequestFault};
use crate::manifest::ManifestClient as _;
use crate::manifest::client::RetentionDefaults;
use crate::manifest::row::{ReleaseRow, RunRow};
use crate::manifest::tests::{run, slot};

#[tokio::test(start_paused = true)]
async fn topics_are_refused_as_kafka_refuses_them() {
    let coordinator = open(&store(), 7).await;
    assert_eq!(
        refused(&coordinator, new_topic("early", 1)).await,
        Refusal::InvalidReplicationFactor
    );
    join(&coordinator, 7).await;
    create(&coordinator, "a.b", 1).await;
    assert!(matches!(
        refused(&coordinator, new_topic("a b", 1)).await,
        Refusal::InvalidTopicName(_)
    ));
    assert!(matches!(
        refused(&coordinator, new_topic("a_b", 1)).await,
        Refusal::InvalidTopicName(_)
    ));
    assert!(matches!(
        refused(&coordinator, new_topic("a.b", 1)).await,
        Refusal::TopicExists { .. }
    ));
    let none = Refusal::InvalidPartitions(PartitionsFault::NotPositive);
    assert_eq!(refused(&coordinator, new_topic("x", 0)).await, none);
    let factor = NewTopic { replication_factor: Some(0), ..new_topic("x", 1) };
    assert_eq!(refused(&coordinator, factor).await, Refusal::InvalidReplicationFactor);
    let manual = |partition: i32, replicas: &[i32]| NewTopic {
        partitions: None,
        assignments: [(partition, replicas.iter().copied().map(BrokerId).collect())].into(),
        ..new_topic("x", 1)
    };
    let assignment = |fault| Refusal::InvalidReplicaAssignment(fault);
    let unknown = AssignmentFault::UnknownBroker { broker: BrokerId(9) };
    assert_eq!(refused(&coordinator, manual(0, &[9])).await, assignment(unknown));
    let twice = AssignmentFault::Duplicate { broker: NODE };
    assert_eq!(refused(&coordinator, manual(0, &[1, 1])).await, assignment(twice));
    assert_eq!(
        refused(&coordinator, manual(1, &[1])).await,
        assignment(AssignmentFault::NotConsecutive)
    );
    let both = NewTopic { partitions: Some(1), ..manual(0, &[1]) };
    assert_eq!(
        refused(&coordinator, both).await,
        Refusal::InvalidRequest(RequestFault::CountBesideAssignment)
    );
}

#[tokio::test(start_paused = true)]
async fn factor_three_on_one_broker_shows_it_three_times() {
    let coordinator = open(&store(), 7).await;
    let chain = join(&coordinator, 7).await;
    let topic = NewTopic { replication_factor: Some(3), ..new_topic("t", 2) };
    let only_checked = CreateTopics { validate_only: true, ..request(vec![topic.clone()]) };
    let checked = coordinator.create_topics(only_checked).await.expect("an answer");
    assert!(checked.value[0].is_ok() && coordinator.image().borrow().topic("t").is_none());
    coordinator.create_topics(request(vec![topic])).await.expect("an answer");
    let image = coordinator.image().borrow().clone();
    let topic = image.topic("t").expect("created");
    assert_eq!(topic.replication_factor, 3);
    assert_eq!(topic.partitions[1].replicas[..], [NODE; 3]);
    assert_eq!((topic.partitions[1].chain, topic.partitions[1].leader), (Some(chain), Some(NODE)));
}

#[tokio::test(start_paused = true)]
async fn partitions_are_only_added() {
    let coordinator = open(&store(), 7).await;
    join(&coordinator, 7).await;
    create(&coordinator, "t", 2).await;
    let more = |count, assignments| {
        let part = MorePartitions { topic: "t".to_owned(), count, assignments };
        coordinator
            .create_partitions(vec![part], false)
            .map(|answer| answer.expect("an answer").value.remove(0))
    };
    let refusal = |fault| Err(Refusal::InvalidPartitions(fault));
    assert_eq!(more(2, None).await, refusal(PartitionsFault::Same { current: 2 }));
    let less = PartitionsFault::NotMore { topic: "t".to_owned(), current: 2, given: 1 };
    assert_eq!(more(1, None).await, refusal(less));
    let wrong = AssignmentFault::WrongCount { given: 1, added: 2 };
    assert_eq!(
        more(4, Some(vec![vec![NODE]])).await,
        Err(Refusal::InvalidReplicaAssignment(wrong))
    );
    assert_eq!(more(4, None).await, Ok(4));
    let image = coordinator.image().borrow().clone();
    assert!(image.topic("t").expect("there").partitions.iter().all(|p| p.leader == Some(NODE)));
}

#[tokio::test(start_paused = true)]
async fn a_request_makes_a_bounded_number_of_partitions() {
    let coordinator = open(&store(), 7).await;
    join(&coordinator, 7).await;
    let checked = async |counts: &[Option<i32>]| {
        let topic = |(n, count): (usize, &Option<i32>)| NewTopic {
            partitions: *count,
            ..new_topic(&format!("t{n}"), 1)
        };
        let topics = counts.iter().enumerate().map(topic).collect();
        let request =
            CreateTopics { validate_only: true, default_partitions: 2, ..request(topics) };
        let answers = coordinator.create_topics(request).await.expect("an answer").value;
        answers.into_iter().map(|one| one.map(|topic| topic.partitions)).collect::<Vec<_>>()
    };
    assert_eq!(checked(&[Some(9_998), None]).await, [Ok(9_998), Ok(2)]);
    let many: [&[Option<i32>]; 4] = [
        &[Some(10_001)],
        &[Some(9_999), None],
        &[Some(0), Some(6_000), Some(-5), Some(4_001)],
        &[Some(i32::MAX), Some(i32::MAX), Some(2)],
    ];
    for counts in many {
        let all = vec![Err(Refusal::TooManyPartitions); counts.len()];
        assert_eq!(checked(counts).await, all, "{counts:?}");
    }
    for name in ["a", "b", "c"] {
        create(&coordinator, name, 1).await;
    }
    let more =
        |topic: &str, count| MorePartitions { topic: topic.to_owned(), count, assignments: None };
    let parts = vec![more("a", 6_001), more("b", 4_002), more("c", 4_001)];
    let grown = coordinator.create_partitions(parts, true).await.expect("an answer").value;
    assert_eq!(grown, [Ok(6_001), Err(Refusal::TooManyPartitions), Ok(4_001)]);
    let limit = PartitionsFault::TooMany { given: 10_001, limit: 10_000 };
    let grown = coordinator.create_partitions(vec![more("a", 10_001)], true).await;
    assert_eq!(grown.expect("an answer").value, [Err(Refusal::InvalidPartitions(limit))]);
}

/// Each replica takes a place in the metadata of each partition.
#[tokio::test(start_paused = true)]
async fn replicas_beyond_the_brokers_are_bounded() {
    let coordinator = open(&store(), 7).await;
    join(&coordinator, 7).await;
    let of = |factor| NewTopic { replication_factor: Some(factor), ..new_topic("t", 1) };
    let large = Refusal::ReplicationFactorTooLarge { given: 101, brokers: 1 };
    assert_eq!(refused(&coordinator, of(101)).await, large);
    let answer = coordinator.create_topics(request(vec![of(100)])).await.expect("an answer");
    assert_eq!(answer.value[0].as_ref().map(|topic| topic.replication_factor), Ok(100));
}

/// Their partitions are where their coordinators look: more of them would hide what is there.
#[tokio::test(start_paused = true)]
async fn internal_topics_are_told_by_their_names_and_keep_their_partitions() {
    let coordinator = open(&store(), 7).await;
    let chain = join(&coordinator, 7).await;
    for name in ["__consumer_offsets", "__transaction_state", "__share_group_state"] {
        let topic = create(&coordinator, name, 2).await;
        let image = coordinator.image().borrow().clone();
        assert!(image.topic(name).expect("created").internal, "{name}");
        let part = MorePartitions { topic: name.to_owned(), count: 3, assignments: None };
        let fixed = PartitionsFault::Fixed { topic: name.to_owned() };
        for validate_only in [true, false] {
            let more = coordinator.create_partitions(vec![part.clone()], validate_only).await;
            let refusal = Refusal::InvalidPartitions(fixed.clone());
            assert_eq!(more.expect("an answer").value, [Err(refusal)]);
        }
        let image = coordinator.image().borrow().clone();
        assert_eq!(image.topic_by_id(topic).expect("there").partitions.len(), 2);
    }
    create(&coordinator, "__schemas", 1).await;
    let image = coordinator.image().borrow().clone();
    assert!(!image.topic("__schemas").expect("created").internal);
    // What a coordinator keeps there grows no older, however its topic was created.
    let offsets = image.topic("__consumer_offsets").expect("created").id;
    let old = RunRow { max_timestamp: Timestamp(0), ..run(of(offsets, 0), 0, 0..9) };
    coordinator.commit(chain, vec![slot(0, vec![old])]).await.expect("committed");
    let defaults = RetentionDefaults { retention_ms: Some(1), retention_bytes: None, delete: true };
    assert_eq!(coordinator.retain(Timestamp(9_000), defaults).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_s_name_is_free_only_when_its_leases_are_back() {
    let store = store();
    let coordinator = open(&store, 7).await;
    let chain = join(&coordinator, 7).await;
    let topic = create(&coordinator, "t", 2).await;
    coordinator
        .commit(chain, vec![slot(0, vec![run(of(topic, 0), 0, 0..5)])])
        .await
        .expect("committed");
    let name = || TopicRef::Name("t".to_owned());
    let mut deletion =
        Box::pin(coordinator.delete_topics(vec![name(), TopicRef::Id(TopicId(uuid::Uuid::nil()))]));
    assert!(tokio::time::timeout(Duration::from_secs(9), &mut deletion).await.is_err());
    let image = coordinator.image().borrow().clone();
    assert!(image.topic("t").is_none() && image.topics[&topic].deleting);
    assert!(matches!(refused(&coordinator, new_topic("t", 1)).await, Refusal::TopicExists { .. }));
    // One lease comes back in a slot, the other by a call; a slot with a run of it may follow.
    let mut row = slot(1, vec![run(of(topic, 0), 0, 5..6)]);
    row.releases.push(ReleaseRow { tp: of(topic, 0), leader_epoch: LeaderEpoch(0) });
    coordinator.commit(chain, vec![row]).await.expect("committed");
    coordinator.released(chain, vec![of(topic, 1)]).await.expect("released");
    let answer = deletion.await.expect("an answer");
    assert_eq!(answer.value[0].as_ref().expect("deleted").id, topic);
    assert!(matches!(answer.value[1], Err(Refusal::UnknownTopicId { .. })));
    coordinator
        .commit(chain, vec![slot(2, vec![run(of(topic, 1), 0, 0..3)])])
        .await
        .expect("ignored");
    let again = create(&coordinator, "t", 1).await;
    assert_ne!(again, topic);
    // The data of the old one is unreferenced at once.
    let trimmed = coordinator.trim(Timestamp(5), 100).await.expect("trimmed");
    assert_eq!(trimmed.slots, 3);
}

#[tokio::test(start_paused = true)]
async fn sealing_the_chain_ends_a_deletion_too() {
    let coordinator = open(&store(), 7).await;
    let chain = join(&coordinator, 7).await;
    create(&coordinator, "t", 1).await;
    let topics = vec![TopicRef::Name("t".to_owned())];
    let (deleted, ()) = tokio::join!(coordinator.delete_topics(topics), async {
        let next = coordinator.register(registration(7, Some(chain.0))).await.expect("registered");
        coordinator.seal(chain, SlotId(0)).await.expect("sealed");
        assert_eq!(coordinator.acquire(next.chain).await, Ok(vec![]));
    });
    assert!(deleted.expect("an answer").value[0].is_ok());
}
