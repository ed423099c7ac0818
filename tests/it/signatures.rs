//! What guards an object's bytes on their way to an S3: the signature, or TLS and a checksum.

use anyhow::ensure;

use crate::credentials::serves;
use crate::front::{Front, Head, Speaks};
use crate::minio::Minio;
use crate::parts;
use crate::place::Place;

/// The puts of a broker that starts and writes records.
async fn puts(speaks: Speaks, set: &[(&str, &str)]) -> anyhow::Result<Vec<Head>> {
    let folder = tempfile::Builder::new().prefix("thalweg-it-").tempdir()?;
    let front = Front::start(speaks).await?;
    let mut settings = front.before(Place::Minio.settings(folder.path())?);
    for (key, value) in set {
        settings = settings.set(key, value);
    }
    serves(&settings).await?;
    let mut puts = front.heads();
    puts.retain(|head| head.method == "PUT");
    // Each has a client of its own: slots and the manifest's files.
    for folder in ["/w/", "/meta/"] {
        let found = puts.iter().any(|put| put.path.contains(folder));
        ensure!(found, "no put below {folder}: {puts:?}");
    }
    Ok(puts)
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_go_unsigned_over_tls_only_and_always_with_a_checksum() -> anyhow::Result<()> {
    if let Some(reason) = Minio::missing().filter(|_| !parts::are_demanded()) {
        println!("skipped: MinIO: {reason}");
        return Ok(());
    }
    let asked = ("store.unsigned.payload", "false");
    for (speaks, set, unsigned) in [
        (Speaks::Tls, &[][..], true),
        (Speaks::Tls, &[asked][..], false),
        (Speaks::Plain, &[][..], false),
    ] {
        for put in puts(speaks, set).await? {
            let hash = put.header("x-amz-content-sha256").unwrap_or_default();
            // MinIO holds a hash against the body.
            let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            let fits = if unsigned { hash == "UNSIGNED-PAYLOAD" } else { is_hash };
            ensure!(fits, "{speaks:?} {set:?}: the body's hash is {hash:?} in {put:?}");
            let checksum = put.header("x-amz-checksum-crc64nvme").unwrap_or_default();
            // Eight bytes in base 64.
            ensure!(checksum.len() == 12, "{speaks:?} {set:?}: no checksum in {put:?}");
            let signed = put.header("authorization").unwrap_or_default();
            ensure!(signed.contains("x-amz-checksum-crc64nvme"), "it is not signed: {put:?}");
        }
    }
    Ok(())
}
