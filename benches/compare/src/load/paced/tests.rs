//! Where records go.

use super::*;

fn load(topics: usize, producers: usize) -> Paced {
    Paced {
        topics: (0..topics).map(|number| number.to_string()).collect(),
        partitions: 2,
        value_bytes: payload::STAMP_BYTES,
        rate: 1,
        warm_up: Duration::ZERO,
        duration: Duration::ZERO,
        patience: Duration::ZERO,
        producer: Settings::new(),
        consumer: Settings::new(),
        clients: Clients { producers, ..Clients::ONE },
        behind: 0,
        keep_places: false,
    }
}

#[test]
fn every_record_reaches_its_topic_through_a_producer_that_has_it() {
    for (topics, producers) in [(1, 1), (1, 4), (5, 1), (5, 2), (5, 5), (5, 20)] {
        let load = load(topics, producers);
        let mut used = vec![0; producers];
        for record in 0..40 {
            let (producer, topic, _) = load.place(record);
            let name = &load.share(producer, producers)[topic];
            assert_eq!(*name, (record as usize % topics).to_string());
            used[producer] += 1;
        }
        assert!(used.iter().all(|records| *records > 0), "{producers} on {topics}: {used:?}");
    }
}
