//! What a broker was told is there when it comes back, however it went.

use anyhow::ensure;
use thalweg::base::offset::Offset;
use thalweg::client::wire::{Acks, At, NewTopic};
use thalweg::record::Compression;

use crate::place::{Place, on_each};
use crate::produce_fetch::{CODECS, read_all, records, topic, values};

#[tokio::test(flavor = "multi_thread")]
async fn records_topics_and_configs_outlive_the_process() {
    on_each(Place::lasting(), &[], async |stand| {
        let config = ("retention.ms".to_owned(), "123456789".to_owned());
        let new = NewTopic { configs: vec![config], ..topic("lasting", 3) };
        stand.client.create_topic(&new).await?;
        let id = stand.client.topic("lasting", false).await?.id;
        let mut expected = Vec::new();
        for (start, gracefully) in (0..).zip([true, false, false, true]) {
            for partition in 0..3 {
                let codec = CODECS[usize::try_from(partition + start)? % CODECS.len()];
                let written = records(10);
                let base = stand.client.produce("lasting", partition, &written, (codec, Acks::All));
                let base = base.await?;
                ensure!(base == Offset(i64::from(start) * 10), "start {start}: {base:?}");
            }
            expected.extend((0..10).map(|index| format!("value {index}")));
            stand.stop(gracefully)?;
            stand.start().await?;
            ensure!(stand.client.topic("lasting", false).await?.id == id, "start {start}: the id");
            let read = read_all(&stand.client, "lasting").await?;
            for partition in 0..3 {
                let its: Vec<_> =
                    read.iter().filter(|one| one.partition == partition).cloned().collect();
                ensure!(values(&its) == expected, "start {start}: partition {partition}");
            }
            let configs = stand.client.topic_configs("lasting").await?;
            let kept = configs.iter().find(|one| one.name == "retention.ms");
            let kept = kept.and_then(|one| one.value.as_deref());
            ensure!(kept == Some("123456789"), "start {start}: retention.ms is {kept:?}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_stay_deleted() {
    on_each(Place::lasting(), &[], async |stand| {
        stand.client.create_topic(&topic("cut", 1)).await?;
        stand.client.produce("cut", 0, &records(10), (Compression::None, Acks::All)).await?;
        let left = stand.client.delete_records("cut", 0, Offset(4)).await?;
        ensure!(left == Offset(4), "DeleteRecords answers {left:?}");
        stand.stop(false)?;
        stand.start().await?;
        let start = stand.client.offsets("cut", &[0], At::Start).await?[&0];
        ensure!(start == Offset(4), "the log starts at {start:?}");
        ensure!(values(&read_all(&stand.client, "cut").await?).len() == 6, "six are left");
        Ok(())
    })
    .await;
}
