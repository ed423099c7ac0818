//! ElectLeaders, AlterPartitionReassignments and ListPartitionReassignments on a single broker.

use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, ElectLeadersRequest,
    ListPartitionReassignmentsRequest,
    alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
    elect_leaders_request::TopicPartitions,
    list_partition_reassignments_request::ListPartitionReassignmentsTopics,
};

use super::{create_topic, topic, versions};
use crate::talk::Talk;

pub fn script(talk: &mut Talk) {
    talk.begin("set-up");
    create_topic(talk, "elect", 2, &[]);
    for version in versions::<ElectLeadersRequest>() {
        elect(talk, version);
    }
    for version in versions::<AlterPartitionReassignmentsRequest>() {
        reassign(talk, version);
    }
    list(talk);
}

fn elect(talk: &mut Talk, version: i16) {
    talk.begin("elect");
    let of = |name: &str, partitions: &[i32]| {
        let one =
            TopicPartitions::default().with_topic(topic(name)).with_partitions(partitions.to_vec());
        ElectLeadersRequest::default().with_topic_partitions(Some(vec![one])).with_timeout_ms(5_000)
    };
    talk.ask("preferred", version, &of("elect", &[0, 1]));
    talk.ask("an unknown partition", version, &of("elect", &[9]));
    talk.ask("an unknown topic", version, &of("unknown", &[0]));
    talk.ask("known and unknown", version, &of("elect", &[1, 8]));
    talk.ask("no partitions", version, &of("elect", &[]));
    talk.ask(
        "nothing",
        version,
        &ElectLeadersRequest::default().with_topic_partitions(Some(vec![])).with_timeout_ms(5_000),
    );
    talk.ask(
        "all",
        version,
        &ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(5_000),
    );
    if version >= 1 {
        talk.ask("unclean", version, &of("elect", &[0]).with_election_type(1));
        talk.ask("an unknown type", version, &of("elect", &[0]).with_election_type(5));
    }
}

fn reassign(talk: &mut Talk, version: i16) {
    talk.begin("reassign");
    let to = |name: &str, partition: i32, brokers: Option<&[i32]>| {
        let replicas = brokers.map(|brokers| brokers.iter().map(|id| BrokerId(*id)).collect());
        let partition = ReassignablePartition::default()
            .with_partition_index(partition)
            .with_replicas(replicas);
        let one =
            ReassignableTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
        AlterPartitionReassignmentsRequest::default().with_topics(vec![one]).with_timeout_ms(5_000)
    };
    talk.ask("to where it is", version, &to("elect", 0, Some(&[1])));
    talk.ask("cancel", version, &to("elect", 0, None));
    talk.ask("to an unknown broker", version, &to("elect", 0, Some(&[9])));
    talk.ask("to nobody", version, &to("elect", 0, Some(&[])));
    talk.ask("to a broker twice", version, &to("elect", 0, Some(&[1, 1])));
    talk.ask("to a negative broker", version, &to("elect", 0, Some(&[-3])));
    talk.ask("an unknown partition", version, &to("elect", 9, Some(&[1])));
    talk.ask("an unknown topic", version, &to("unknown", 0, Some(&[1])));
    talk.ask("cancel for an unknown topic", version, &to("unknown", 0, None));
    talk.ask(
        "nothing",
        version,
        &AlterPartitionReassignmentsRequest::default().with_timeout_ms(5_000),
    );
    if version >= 1 {
        let fixed = to("elect", 0, Some(&[1])).with_allow_replication_factor_change(false);
        talk.ask("without a change of factor", version, &fixed);
    }
}

fn list(talk: &mut Talk) {
    talk.begin("reassignments");
    let of = |name: &str, partitions: &[i32]| {
        let one = ListPartitionReassignmentsTopics::default()
            .with_name(topic(name))
            .with_partition_indexes(partitions.to_vec());
        ListPartitionReassignmentsRequest::default()
            .with_topics(Some(vec![one]))
            .with_timeout_ms(5_000)
    };
    let all = ListPartitionReassignmentsRequest::default().with_topics(None).with_timeout_ms(5_000);
    talk.ask("all", 0, &all);
    talk.ask("one", 0, &of("elect", &[0]));
    talk.ask("an unknown topic", 0, &of("unknown", &[0]));
    talk.ask("an unknown partition", 0, &of("elect", &[9]));
    talk.ask("nothing", 0, &all.with_topics(Some(vec![])));
}
