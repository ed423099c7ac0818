//! What the program's command line shows of groups and transactions, against a broker whose clients are raw requests.
//!
//! Each test takes a second: one broker on a memory store.

use std::process::{Command, Output};

use kafka_protocol::messages::{AddPartitionsToTxnRequest, DeleteTopicsRequest, ProduceRequest};
use serde_json::{Value, json};

use crate::batch::numbered;
use crate::broker::Broker;
use crate::cases::consumer_groups::{Member, commit};
use crate::cases::groups::{await_coordinator, group};
use crate::cases::transactions::{Me, add, batch, begin, end, make_the_inner_topic, send};
use crate::cases::{append, create_topic, topic};
use crate::talk::Talk;

fn call(broker: &Broker, args: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    let program = program.args(args).args(["--broker", &broker.address.to_string()]);
    program.output().expect("the program starts")
}

/// What the program prints with these arguments; it must succeed.
fn run(broker: &Broker, args: &[&str]) -> String {
    let output = call(broker, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

/// What the program says that does not do it.
fn refusal(broker: &Broker, args: &[&str]) -> String {
    let output = call(broker, args);
    assert!(!output.status.success(), "{args:?} was done");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn run_json(broker: &Broker, args: &[&str]) -> Value {
    let printed = run(broker, &[args, &["--json"]].concat());
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// A group of the newer protocol: one member has all partitions and is to give half of them to another.
#[test]
fn groups_of_the_newer_protocol_are_listed_and_described() {
    let broker = Broker::thalweg(&["group.consumer.assignment.interval.ms=0"]);
    let mut talk = Talk::new(&broker);
    await_coordinator(&mut talk);
    create_topic(&mut talk, "shared", 4, &[]);
    let records = numbered(talk.base_ms(), 0, 8);
    append(&mut talk, "shared", 0, &records);
    let name = group("shown", 0);
    let (mut a, mut b) = (Member::new(&name, "a"), Member::new(&name, "b"));
    for member in [&mut a, &mut b] {
        let joined = talk.quiet(1, &member.join());
        member.hear(joined);
    }
    // The offset of partition 0 is 5 from now on.
    let taken = talk.quiet(9, &commit(&a, a.epoch)).expect("OffsetCommit is answered");
    assert_eq!(taken.topics[0].partitions[0].error_code, 0, "{taken:?}");

    let listed = run_json(&broker, &["group", "list"]);
    let ours = json!({
        "group": "shown-0", "state": "Reconciling", "type": "consumer", "protocol_type": "consumer",
    });
    assert_eq!(listed, json!([ours]));
    let shown = run_json(&broker, &["group", "describe", "shown-0"]);
    assert_eq!(
        (&shown["state"], &shown["protocol"], &shown["lag"]),
        (&json!("Reconciling"), &json!("uniform"), &json!(3)),
        "{shown}"
    );
    assert_eq!((&shown["epoch"], &shown["assignment_epoch"]), (&json!(3), &json!(3)), "{shown}");
    let members = shown["members"].as_array().expect("members");
    let counts = |member: &Value| {
        (member["epoch"].clone(), member["assigned"].clone(), member["target"].clone())
    };
    let counts: Vec<_> = members.iter().map(counts).collect();
    let row =
        |epoch: i32, assigned: i32, target: i32| (json!(epoch), json!(assigned), json!(target));
    assert_eq!(counts, [row(2, 4, 2), row(3, 0, 2)], "{shown}");
    let text = run(&broker, &["group", "describe", "shown-0"]);
    assert!(text.contains("epoch     3, its assignment 3"), "{text}");
    for what in [&["reset-offsets", "shown-0", "--to-earliest"][..], &["delete", "shown-0"]] {
        let said = refusal(&broker, &[&["group"], what, &["--execute"]].concat());
        assert!(said.contains("has 2 members"), "{what:?}: {said}");
    }
    for member in [&a, &b] {
        talk.quiet(1, &member.at(-1));
    }
    let reset = ["group", "reset-offsets", "shown-0", "--to-earliest"];
    let moved = |executed: bool| json!([{ "topic": "shared", "partition": 0, "before": 5, "after": 0, "executed": executed }]);
    assert_eq!(run_json(&broker, &reset), moved(false));
    assert_eq!(run_json(&broker, &[&reset[..], &["--execute"]].concat()), moved(true));
    let delete = ["group", "delete", "shown-0"];
    let deleted = |done: bool| json!([{ "group": "shown-0", "offsets": 1, "deleted": done }]);
    assert_eq!(run_json(&broker, &delete), deleted(false));
    assert_eq!(run_json(&broker, &["group", "list"])[0]["state"], json!("Empty"), "still there");
    assert_eq!(run_json(&broker, &[&delete[..], &["--execute"]].concat()), deleted(true));
    assert_eq!(run_json(&broker, &["group", "list"]), json!([]));
    let said = refusal(&broker, &delete);
    assert!(said.contains("there is no group shown-0"), "{said}");
}

/// A transaction of one batch, open in a partition behind three records.
fn open_transaction<'a>(talk: &mut Talk, id: &'a str) -> Me<'a> {
    make_the_inner_topic(talk);
    create_topic(talk, "marked", 1, &[]);
    let records = numbered(talk.base_ms(), 0, 3);
    append(talk, "marked", 0, &records);
    let me = begin(talk, id);
    talk.quiet::<AddPartitionsToTxnRequest>(3, &add(me, 3, &[("marked", &[0])]));
    let first = send("marked", me, &batch(talk, me, 0, 2));
    let sent = talk.quiet::<ProduceRequest>(11, &first).expect("Produce is answered");
    assert_eq!(sent.responses[0].partition_responses[0].error_code, 0, "{sent:?}");
    me
}

/// The coordinator's state is gone, and nobody will ever end the transaction.
#[test]
fn a_transaction_that_nobody_will_end_hangs_and_is_aborted() {
    let broker = Broker::thalweg(&[]);
    let mut talk = Talk::new(&broker);
    let me = open_transaction(&mut talk, "forgotten");
    let delete = DeleteTopicsRequest::default()
        .with_topic_names(vec![topic("__transaction_state")])
        .with_timeout_ms(5_000);
    talk.quiet(5, &delete).expect("DeleteTopics is answered");
    let hanging = ["transaction", "find-hanging", "--older-than", "0"];
    let found = run_json(&broker, &hanging);
    let shown = |name: &str| found[0][name].clone();
    let expected = (json!("marked"), json!(0), json!(3), json!(me.producer));
    let shown = (shown("topic"), shown("partition"), shown("start_offset"), shown("producer_id"));
    assert_eq!(shown, expected, "{found}");
    let abort = ["transaction", "abort", "marked", "-p", "0", "-s", "3", "--execute"];
    assert_eq!(run_json(&broker, &abort)["aborted"], json!(true));
    assert_eq!(run_json(&broker, &hanging), json!([]));
}

#[test]
fn an_open_transaction_is_aborted_in_its_partition_and_none_that_is_coordinated_hangs() {
    let broker = Broker::thalweg(&[]);
    let mut talk = Talk::new(&broker);
    let me = open_transaction(&mut talk, "open");
    let hanging = ["transaction", "find-hanging", "--older-than", "0"];
    assert_eq!(run_json(&broker, &hanging), json!([]), "its coordinator knows of it");
    let abort = ["transaction", "abort", "marked", "-p", "0", "-s", "3"];
    let shown = run_json(&broker, &abort);
    assert_eq!((&shown["producer_id"], &shown["aborted"]), (&json!(me.producer), &json!(false)));
    assert_eq!(run_json(&broker, &abort)["aborted"], json!(false), "nothing was done by that");
    let done = run_json(&broker, &[&abort[..], &["--execute"]].concat());
    assert_eq!(done["aborted"], json!(true));
    let said = refusal(&broker, &abort);
    assert!(said.contains("no open transaction"), "{said}");
    // The coordinator's own end finds the transaction over in the partition, and is content.
    let ended = talk.quiet(4, &end(me, false)).expect("EndTxn is answered");
    assert_eq!(ended.error_code, 0, "{ended:?}");
}
