//! Claims about the local directory: what survives a crash of the machine, and what a failed fsync means.

use crate::base::rng::Rng;
use crate::config::StoreConfig;

use super::*;

fn on(disk: &TestDisk) -> Store {
    build::test_disk(disk).unwrap()
}

#[tokio::test]
async fn a_put_that_was_answered_survives_a_crash() {
    for seed in 0..50 {
        let (disk, rng) = (TestDisk::new(clock()), Rng::from_seed(seed));
        let key = Key::new("w/00/7/1");
        let store = on(&disk);
        store.prepare_dir(key.dir()).await.unwrap();
        store.put_if_absent(&key, payload("data")).await.unwrap();
        disk.crash(Some(&rng));
        assert_eq!(on(&disk).get(&key).await.unwrap(), "data");
    }
    let disk = TestDisk::new(clock());
    let (store, key) = (on(&disk), Key::new("deep/in/new/dirs"));
    store.put_if_absent(&key, payload("data")).await.unwrap();
    disk.crash(None);
    assert_eq!(on(&disk).get(&key).await.unwrap(), "data");
}

/// Fails the put's every sync in turn, then crashes: the name is there whole or not at all, and never after a "no".
#[tokio::test]
async fn a_put_cut_off_anywhere_is_whole_or_absent() {
    for seed in 0..50 {
        for cut in 0..8 {
            let (disk, rng) = (TestDisk::new(clock()), Rng::from_seed(seed));
            let key = Key::new("w/1");
            let store = on(&disk);
            disk.fail_sync(cut);
            let put = store.put_if_absent(&key, payload("data")).await;
            disk.crash(Some(&rng));
            disk.fail_sync(1000);
            match on(&disk).get(&key).await {
                Ok(bytes) => assert_eq!(bytes, "data", "cut at {cut}"),
                Err(error) => {
                    assert!(matches!(error, Error::NotFound { .. }), "{error}");
                    assert!(put.is_err(), "acknowledged and lost: cut at {cut}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_seen_is_durable_only_after_make_durable() {
    let (disk, key) = (TestDisk::new(clock()), Key::new("w/1"));
    // The put's last sync, of the directory, fails: the name is visible.
    let store = on(&disk);
    store.prepare_dir("w").await.unwrap();
    disk.fail_sync(1);
    assert!(store.put_if_absent(&key, payload("data")).await.is_err());
    assert_eq!(store.get(&key).await.unwrap(), "data");
    drop(store);

    let crashed = |durable: bool| {
        let disk = TestDisk::new(clock());
        let key = key.clone();
        async move {
            let store = on(&disk);
            store.prepare_dir("w").await.unwrap();
            disk.fail_sync(1);
            drop(store.put_if_absent(&key, payload("data")).await);
            disk.fail_sync(1000);
            if durable {
                on(&disk).make_durable(&key).await.unwrap();
            }
            disk.crash(None);
            on(&disk).get(&key).await
        }
    };
    assert!(matches!(crashed(false).await, Err(Error::NotFound { .. })));
    assert_eq!(crashed(true).await.unwrap(), "data");
}

#[tokio::test]
async fn a_start_makes_what_is_visible_durable_and_removes_staging_files() {
    let (disk, key) = (TestDisk::new(clock()), Key::new("w/1"));
    let store = on(&disk);
    store.prepare_dir("w").await.unwrap();
    disk.fail_sync(1);
    assert!(store.put_if_absent(&key, payload("data")).await.is_err());
    disk.fail_sync(1000);
    // The process dies, the machine does not; then the machine dies too.
    drop(on(&disk));
    disk.crash(None);
    assert_eq!(on(&disk).get(&key).await.unwrap(), "data");

    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("w/00")).unwrap();
    for name in ["w/00/1#12", "w/00/2", "w/00/odd#name", "3#1"] {
        std::fs::write(dir.path().join(name), "x").unwrap();
    }
    let store = build::directory(dir.path()).unwrap();
    let names: Vec<_> =
        store.list("").await.unwrap().into_iter().map(|l| l.key.to_string()).collect();
    assert!(!dir.path().join("w/00/1#12").exists() && !dir.path().join("3#1").exists());
    assert!(
        names.contains(&"w/00/2".to_owned()) && !names.contains(&"LOCK".to_owned()),
        "{names:?}"
    );
}

#[tokio::test]
async fn after_a_failed_fsync_nothing_is_written_any_more() {
    let disk = TestDisk::new(clock());
    let store = on(&disk);
    let health = store.health();
    store.prepare_dir("w").await.unwrap();
    disk.fail_sync(0);
    let lost = store.put_if_absent(&Key::new("w/1"), payload("x")).await.unwrap_err();
    assert!(matches!(lost, Error::DurabilityLost { .. }), "{lost}");
    let verdict = health.borrow().verdict().unwrap_err();
    assert!(verdict.contains("fsync of /w/1#") && verdict.contains("check the disk"), "{verdict}");
    // The disk seems well again: a second fsync would lie.
    disk.fail_sync(1000);
    let after = store.put_if_absent(&Key::new("w/2"), payload("x")).await.unwrap_err();
    assert!(matches!(after, Error::DurabilityLost { .. }), "{after}");
    let path = object_store::path::Path::from("meta/1");
    assert!(object_store::ObjectStoreExt::put(&store.raw(), &path, "x".into()).await.is_err());
    assert_eq!(store.make_durable(&Key::new("w/1")).await.unwrap_err().fate(), Fate::MaybeWritten);
}

#[tokio::test]
async fn a_full_disk_and_missing_permission_name_the_path_and_what_to_do() {
    let disk = TestDisk::new(clock());
    let store = on(&disk);
    store.prepare_dir("w").await.unwrap();
    disk.set_full(true);
    let full = store.put_if_absent(&Key::new("w/1"), payload("x")).await.unwrap_err();
    assert!(matches!(full, Error::Full { .. }) && full.is_retriable(), "{full}");
    assert!(full.to_string().contains("/w/1#"), "{full}");
    assert!(full.to_string().contains("free space on this disk"), "{full}");
    disk.set_full(false);
    store.put_if_absent(&Key::new("w/1"), payload("x")).await.unwrap();

    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let denied = super::super::directory::fault(std::path::Path::new("/data/w/1"), denied);
    let denied = Error::from_raw(&Key::new("w/1"), denied.into());
    assert!(matches!(denied, Error::Denied { .. }), "{denied}");
    assert!(denied.to_string().contains("/data/w/1: "), "{denied}");
    assert!(denied.to_string().contains("read and write permission"), "{denied}");
}

#[tokio::test]
async fn an_inspector_reads_beside_the_holder_and_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let holder = build::directory(dir.path()).unwrap();
    holder.put_if_absent(&Key::new("w/1"), payload("x")).await.unwrap();
    std::fs::write(dir.path().join("w/2#1"), "in progress").unwrap();
    let config = StoreConfig { data_dir: dir.path().to_owned(), ..s3::config("") };
    let config = StoreConfig { url: None, ..config };
    let looking = build::open(&config, build::Purpose::Inspect, clock()).await.unwrap();
    assert_eq!(looking.get(&Key::new("w/1")).await.unwrap(), "x");
    let refused = looking.put_if_absent(&Key::new("w/3"), payload("x")).await.unwrap_err();
    assert!(refused.to_string().contains("opened for reading only"), "{refused}");
    assert!(looking.delete(&Key::new("w/1")).await.is_err());
    assert!(dir.path().join("w/2#1").exists());
}

#[tokio::test(start_paused = true)]
async fn a_second_process_is_refused_with_the_path_and_the_holder() {
    let dir = tempfile::tempdir().unwrap();
    let holder = build::directory(dir.path()).unwrap();
    let url = format!("file://{}", dir.path().display());
    let refused = build::open(&s3::config(&url), build::Purpose::Serve, clock())
        .await
        .unwrap_err()
        .to_string();
    let lock = dir.path().join("LOCK").display().to_string();
    assert!(
        refused.starts_with(&format!("{lock} is held by process {}", std::process::id())),
        "{refused}"
    );
    assert!(refused.contains("--data-dir"), "{refused}");
    drop(holder);
    build::open(&s3::config(&url), build::Purpose::Serve, clock()).await.unwrap();
}
