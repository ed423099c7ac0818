//! A classic group of 1,000 members: all join anew, the leader assigns, and everybody syncs.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use thalweg::base::clock::sleep;
use thalweg::groups::{Assigned, JoinAnswer, JoinRequest, MemberProtocol, Refusal, SyncRequest};

use crate::case::{Bench, Case, Work};
use crate::fixture::Node;

const MEMBERS: usize = 1_000;
const GROUP: &str = "group";

/// The cases.
pub fn cases() -> Vec<Case> {
    vec![Case {
        name: "groups/classic-rebalance-of-1000-members",
        work: Work::Items(MEMBERS as u64),
        runs: 3,
        prepare: rebalance,
    }]
}

fn rebalance() -> Bench {
    let node = Node::new(1);
    let groups = &node.broker.context().groups;
    node.runtime.block_on(async {
        let leader = groups.coordinator_of(GROUP).await.expect("the topic is created");
        assert!(leader.is_some(), "it is led as soon as it exists");
        while groups.describe(GROUP).await == Err(Refusal::Loading) {
            sleep(Duration::from_millis(1)).await;
        }
    });
    let mut members = round(&node, vec![String::new(); MEMBERS], 0);
    let mut number = 0;
    Bench::new(move || {
        number += 1;
        members = round(&node, std::mem::take(&mut members), number);
    })
}

/// One rebalance; the members' ids.
fn round(node: &Node, members: Vec<String>, number: u32) -> Vec<String> {
    let groups = &node.broker.context().groups;
    let joins = members.into_iter().map(|member_id| groups.join(join(member_id, number)));
    let joined = node.stable(join_all(joins));
    let leader = joined.iter().find(|answer| !answer.members.is_empty()).expect("one leads");
    assert_eq!(leader.members.len(), MEMBERS);
    let everybody = || joined.iter().map(|answer| answer.member_id.clone());
    let share = |member_id| Assigned { member_id, assignment: Bytes::from_static(&[0; 100]) };
    let assignments: Vec<Assigned> = everybody().map(share).collect();
    let leader = leader.member_id.clone();
    let syncs = joined.iter().map(|answer| {
        let leads = answer.member_id == leader;
        let assignments = if leads { assignments.clone() } else { Vec::new() };
        groups.sync(sync(answer, assignments))
    });
    let synced = node.stable(join_all(syncs));
    assert!(synced.iter().all(|answer| answer.refusal.is_none()), "a member is refused");
    everybody().collect()
}

fn join(member_id: String, number: u32) -> JoinRequest {
    // Other metadata than before: who has none to offer does not begin a rebalance.
    let metadata = Bytes::copy_from_slice(&number.to_be_bytes());
    JoinRequest {
        group_id: GROUP.to_owned(),
        member_id,
        group_instance_id: None,
        client_id: "micro".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout: Duration::from_secs(1_800),
        rebalance_timeout: Duration::from_secs(1_800),
        protocol_type: "consumer".to_owned(),
        protocols: vec![MemberProtocol { name: "range".to_owned(), metadata }],
        takes_member_id: false,
        skips_assignment: false,
    }
}

fn sync(joined: &JoinAnswer, assignments: Vec<Assigned>) -> SyncRequest {
    SyncRequest {
        group_id: GROUP.to_owned(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        group_instance_id: None,
        protocol_type: None,
        protocol_name: None,
        assignments,
    }
}
