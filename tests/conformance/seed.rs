//! Producers of ours that have come to a late epoch, as a broker's data directory: a broker that is started on it replays them.
//!
//! A client comes there by tens of thousands of requests, which Kafka is sent when it is asked anew.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use thalweg::{
    base::{
        clock::{SharedClock, SystemClock},
        ids::TopicPartition,
        rng::Rng,
    },
    config::Config,
    log::Terms,
    manifest::client::Endpoint,
    node::{Broker, Surroundings},
    protocol::records::transaction_log::{TransactionLogValue, key},
    record::{Compression, build::BatchBuilder},
    telemetry,
};

/// Writes producers of these transactional ids, each with a producer id of its own, as the coordinator keeps them.
pub fn producers(data_dir: &Path, settings: &[&str], ids: &[&str], epoch: i16) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let data_dir = data_dir.to_str().expect("a temporary folder's name is text");
        let own = [("data.dir", data_dir), ("broker.id", "1")];
        let settings = settings.iter().filter_map(|setting| setting.split_once('='));
        let config = Config::with(own.into_iter().chain(settings)).expect("valid settings");
        let clock: SharedClock = Arc::new(SystemClock);
        let now = clock.now();
        let surroundings = Surroundings { clock, rng: Rng::from_os(), store: None };
        let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port: 9092 };
        let endpoints = BTreeMap::from([("PLAINTEXT".to_owned(), endpoint)]);
        let metrics = telemetry::Registry::new();
        let starting = Broker::start(Arc::new(config), surroundings, endpoints, &metrics);
        let broker = Box::pin(starting).await.expect("an empty directory");
        let context = Arc::clone(broker.context());
        context.transactions.leader_of(ids[0]).await.expect("the topic is made");
        let mut batch = BatchBuilder::new(Compression::None);
        for id in ids {
            let producer = context.transactions.fresh_id().await.expect("a producer id");
            let value = TransactionLogValue {
                producer_id: producer.0,
                previous_producer_id: producer.0,
                next_producer_id: -1,
                producer_epoch: epoch,
                timeout_ms: 60_000,
                status: 0,
                partitions: None,
                last_update_ms: now.0,
                start_ms: -1,
                client_transaction_version: 0,
            };
            batch.push_value(now, Some(&key(id)), Some(&value.encode(true)));
        }
        let topic = context.image().topic("__transaction_state").expect("it was made").id;
        let tp = TopicPartition { topic, partition: 0 };
        let partition = broker.registry().partition(&tp).expect("it is led here");
        let appended = partition.append(&batch.build(), Terms::coordinator(now));
        let stable = appended.expect("an open chain").stable.expect("it is new");
        stable.wait().await.expect("a directory that can be written");
        drop(context);
        broker.shutdown(Duration::from_secs(10)).await.expect("it stops in order");
    });
}
