//! Where a broker on a bucket finds its credentials: a profile of a file, and a program that gives ones that expire.
//!
//! The environment's are what every other test of this suite on MinIO uses.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use thalweg::client::wire::Acks;
use thalweg::record::Compression;

use crate::broker::Settings;
use crate::minio::Minio;
use crate::parts;
use crate::place::{Place, client};
use crate::produce_fetch::record;

/// A broker on MinIO whose only credentials are those of `profile` in files of this folder. None where there is no MinIO.
pub(crate) fn settings(folder: &Path, profile: &str) -> anyhow::Result<Option<Settings>> {
    if let Some(reason) = Minio::missing().filter(|_| !parts::are_demanded()) {
        println!("skipped: MinIO: {reason}");
        return Ok(None);
    }
    let mut settings = Place::Minio.settings(folder)?;
    let file = |name: &str| folder.join(name).display().to_string();
    settings.env = [
        ("AWS_PROFILE", profile.to_owned()),
        ("AWS_CONFIG_FILE", file("config")),
        ("AWS_SHARED_CREDENTIALS_FILE", file("credentials")),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    fs::write(folder.join("config"), format!("[profile {profile}]\nregion = us-east-1\n"))?;
    fs::write(folder.join("credentials"), "")?;
    Ok(Some(settings))
}

/// The key and the secret of MinIO's one user.
pub(crate) fn user() -> anyhow::Result<(String, String)> {
    let env = Minio::shared()?.env();
    let value =
        |name: &str| env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    Ok((
        value("AWS_ACCESS_KEY_ID").unwrap_or_default(),
        value("AWS_SECRET_ACCESS_KEY").unwrap_or_default(),
    ))
}

pub(crate) async fn serves(settings: &Settings) -> anyhow::Result<()> {
    let broker = settings.start()?;
    let client = client(&broker.address).await?;
    for number in 0..3 {
        let how = (Compression::None, Acks::All);
        let base = client.produce("signed", 0, &[record("once")], how).await?;
        ensure!(base.0 == number, "record {number} is at {base}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_s_keys_are_used() -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("thalweg-it-").tempdir()?;
    let Some(settings) = settings(folder.path(), "written")? else { return Ok(()) };
    let (key, secret) = user()?;
    let keys = format!("[written]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    fs::write(folder.path().join("credentials"), keys)?;
    serves(&settings).await
}

/// A program that gives the user's keys for `seconds`, and notes each call in the file that this returns.
fn program(folder: &Path, seconds: u32) -> anyhow::Result<PathBuf> {
    let (key, secret) = user()?;
    let (script, calls) = (folder.join("give-keys"), folder.join("calls"));
    let text = format!(
        "#!/bin/sh\necho called >> {}\nuntil=$(date -u -d \"+{seconds} seconds\" +%Y-%m-%dT%H:%M:%SZ)\n\
         printf '{{\"Version\":1,\"AccessKeyId\":\"{key}\",\"SecretAccessKey\":\"{secret}\",\"Expiration\":\"%s\"}}' $until\n",
        calls.display()
    );
    fs::write(&script, text)?;
    let profile = format!(
        "[profile given]\nregion = us-east-1\ncredential_process = /bin/sh {}\n",
        script.display()
    );
    fs::write(folder.join("config"), profile)?;
    Ok(calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_expire_soon_are_asked_for_anew_while_they_still_work() -> anyhow::Result<()> {
    // Within five minutes of their end new ones are fetched.
    for (seconds, renewed) in [(3600, false), (200, true)] {
        let folder = tempfile::Builder::new().prefix("thalweg-it-").tempdir()?;
        let Some(settings) = settings(folder.path(), "given")? else { return Ok(()) };
        let calls = program(folder.path(), seconds)?;
        serves(&settings).await?;
        let called = fs::read_to_string(calls)?.lines().count();
        ensure!(called >= 1 && (called > 2) == renewed, "{called} calls for {seconds} s");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_credentials_says_where_they_are_looked_for() -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("thalweg-it-").tempdir()?;
    let Some(settings) = settings(folder.path(), "empty")? else { return Ok(()) };
    let refused = settings.start().expect_err("there are no credentials");
    let said = format!("{refused:#}");
    ensure!(said.contains("AWS_ACCESS_KEY_ID") && said.contains("AWS_PROFILE"), "{said}");
    Ok(())
}
