//! Configs are told, changed, checked.

use anyhow::ensure;
use thalweg::client::wire::{Client, ConfigSource, NewTopic};

use crate::place::{Place, on_each};
use crate::produce_fetch::topic;

const INVALID_CONFIG: i16 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn configs_change_and_go_back() {
    on_each(Place::all(), &[], async |stand| {
        let client = &stand.client;
        client.create_topic(&topic("configs", 1)).await?;
        let (stock, source) = config(client, "configs", "retention.ms").await?;
        ensure!(stock == "604800000", "a week is the default, not {stock}");
        ensure!(source != ConfigSource::Topic, "nobody said it");
        let set = ("retention.ms".to_owned(), "1000000".to_owned());
        client.alter_topic_configs("configs", &[set], &[]).await?;
        let changed = config(client, "configs", "retention.ms").await?;
        ensure!(changed == ("1000000".to_owned(), ConfigSource::Topic), "{changed:?}");
        client.alter_topic_configs("configs", &[], &["retention.ms".to_owned()]).await?;
        let (back, source) = config(client, "configs", "retention.ms").await?;
        ensure!((back, source) == (stock, source) && source != ConfigSource::Topic, "it is back");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_configs_are_refused_and_change_nothing() {
    on_each(Place::all(), &[], async |stand| {
        let client = &stand.client;
        let bad = ("retention.ms".to_owned(), "soon".to_owned());
        let new = NewTopic { configs: vec![bad.clone()], ..topic("bad", 1) };
        let code = client.create_topic(&new).await.err().and_then(|error| error.code());
        ensure!(code == Some(INVALID_CONFIG), "{code:?}");
        client.create_topic(&topic("bad", 1)).await?;
        let unknown = ("no.such.config".to_owned(), "1".to_owned());
        for set in [bad, unknown] {
            let altered = client.alter_topic_configs("bad", std::slice::from_ref(&set), &[]).await;
            let code = altered.err().and_then(|error| error.code());
            ensure!(code == Some(INVALID_CONFIG), "{set:?}: {code:?}");
        }
        Ok(())
    })
    .await;
}

async fn config(
    client: &Client,
    topic: &str,
    name: &str,
) -> anyhow::Result<(String, ConfigSource)> {
    let configs = client.topic_configs(topic).await?;
    let found = configs.into_iter().find(|one| one.name == name);
    let found = found.ok_or_else(|| anyhow::anyhow!("{name} is not told"))?;
    Ok((found.value.unwrap_or_default(), found.source))
}
