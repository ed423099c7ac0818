//! What is kept of share partitions, on a whole broker: who may write, what a restart reads.

use std::time::Duration;

use super::World;
use super::consumer::create;
use crate::base::clock::sleep;
use crate::base::ids::{TopicId, TopicPartition};
use crate::base::offset::Offset;
use crate::base::task::assert_no_panics;
use crate::protocol::records::share_state::StateBatch;
use crate::share::partition::{Acknowledgement, Change, Fetched, Limits, Loaded, SharePartition};
use crate::share::persister::{Error, Persister};

fn persister(world: &World) -> &Persister {
    &world.broker().context().persister
}

fn of(topic: TopicId) -> TopicPartition {
    TopicPartition { topic, partition: 0 }
}

/// Waits while the shard is being replayed.
async fn read(world: &World, topic: TopicId, leader_epoch: i32) -> Result<Loaded, Error> {
    loop {
        match persister(world).read("s", of(topic), leader_epoch).await {
            Err(Error::Loading) => {
                sleep(Duration::from_millis(10)).await;
            }
            read => return read,
        }
    }
}

async fn write(
    world: &World,
    topic: TopicId,
    epochs: (i32, i32),
    change: &Change,
) -> Result<(), Error> {
    persister(world).begin_write("s", of(topic), epochs, change).await?.stable().await
}

fn partition(loaded: &Loaded) -> SharePartition {
    let lock = Duration::from_secs(30);
    let limits = Limits { lock, delivery_count_limit: 5, record_locks_max: 2000 };
    SharePartition::new(loaded.clone(), limits)
}

/// A member takes `first..=last` and says `kind` of it.
fn taken(partition: &mut SharePartition, first: i64, last: i64, kind: i8) -> Change {
    let (first, last) = (Offset(first), Offset(last));
    let fetched = Fetched { from: first, batches: &[(first, last)] };
    partition.acquire(Duration::ZERO, "m", fetched, (500, 500));
    let said = Acknowledgement { first, last, types: vec![kind] };
    partition.acknowledge("m", &[said]).expect("it has them")
}

#[tokio::test(start_paused = true)]
async fn epochs_fence_who_came_before() {
    let world = World::new().await;
    let topic = create(&world, "t", 1).await;
    let nothing = read(&world, topic, 3).await;
    assert_eq!(nothing, Err(Error::NotInitialized));
    persister(&world).initialize("s", topic, 0, (4, 0)).await.expect("led here");
    let loaded = read(&world, topic, 3).await.expect("initialised");
    assert_eq!(loaded, Loaded { start_offset: Offset(0), batches: Vec::new(), state_epoch: 4 });
    let change = taken(&mut partition(&loaded), 0, 4, 1);
    let cases = [
        ((2, 4), Err(Error::FencedLeader { received: 2, known: 3 })),
        ((3, 3), Err(Error::Fenced { received: 3, known: 4 })),
        ((3, 4), Ok(())),
        ((-1, -1), Ok(())),
    ];
    for (epochs, expected) in cases {
        assert_eq!(write(&world, topic, epochs, &change).await, expected, "{epochs:?}");
    }
    // Another leader reads; the one before may not go on.
    let fenced = Err(Error::FencedLeader { received: 2, known: 3 });
    assert_eq!(read(&world, topic, 2).await, fenced);
    let loaded = read(&world, topic, 5).await.expect("a new leader");
    let batch =
        StateBatch { first_offset: 0, last_offset: 4, delivery_state: 2, delivery_count: 1 };
    assert_eq!(loaded.batches, [batch]);
    let fenced = Err(Error::FencedLeader { received: 3, known: 5 });
    assert_eq!(write(&world, topic, (3, 4), &change).await, fenced);
    persister(&world).delete("s", topic, 0).await.expect("led here");
    assert_eq!(write(&world, topic, (5, 4), &change).await, Err(Error::NotInitialized));
    assert_no_panics();
}

#[tokio::test(start_paused = true)]
async fn changes_outlive_the_broker_in_whatever_order_they_came() {
    // More changes than go between two snapshots.
    const CHANGES: i64 = 505;
    let mut world = World::new().await;
    let topic = create(&world, "t", 1).await;
    persister(&world).initialize("s", topic, 0, (1, 0)).await.expect("led here");
    let loaded = read(&world, topic, 0).await.expect("initialised");
    let mut live = partition(&loaded);
    let (mut late, mut complete) = (None, 0);
    for at in 0..CHANGES {
        let change = taken(&mut live, at * 2, at * 2 + 1, if at % 7 == 3 { 2 } else { 1 });
        live.written(change.ticket);
        complete = change.delivery_complete_count;
        if at == 1 {
            late = Some(change);
            continue;
        }
        write(&world, topic, (0, 1), &change).await.expect("led here");
        if at == 3 {
            // Behind what was released, so that the start moves on.
            live.log_start_moved(Offset(8));
        }
    }
    let late = late.expect("it was held back");
    write(&world, topic, (0, 1), &late).await.expect("led here");
    let summary = persister(&world).read_summary("s", topic, 0).await.expect("led here");
    assert_eq!(summary.delivery_complete_count, complete);
    let kept = read(&world, topic, 0).await.expect("initialised");
    assert!(kept.start_offset > late.start_offset, "a late change moved the start back");
    assert_eq!(partition(&kept).start_offset(), live.start_offset());
    assert_eq!(partition(&kept).next_fetch_offset(), live.next_fetch_offset());
    for orderly in [true, false] {
        world.succeed(orderly).await;
        assert_eq!(read(&world, topic, 0).await, Ok(kept.clone()));
        let again = persister(&world).read_summary("s", topic, 0).await.expect("led here");
        assert_eq!(again, summary);
    }
    assert_no_panics();
}
