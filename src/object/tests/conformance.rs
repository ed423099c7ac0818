//! One suite for every kind of store: memory, a local directory, a test's disk, and S3 where `THALWEG_TEST_S3` names one.

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion,
};

use super::super::faults::Faults;
use super::*;
use crate::base::rng::Rng;

/// A store to test, empty below its names.
struct Subject {
    store: Store,
    /// Kept until the test is over.
    _dir: Option<tempfile::TempDir>,
}

async fn subjects() -> Vec<Subject> {
    let dir = tempfile::tempdir().unwrap();
    let on_disk = build::directory(dir.path()).unwrap();
    let mut subjects = vec![
        Subject { store: build::memory(clock()), _dir: None },
        Subject { store: on_disk, _dir: Some(dir) },
        Subject { store: build::test_disk(&TestDisk::new(clock())).unwrap(), _dir: None },
        Subject {
            store: build::memory(clock()).wrapped(|raw| Faults::new(Rng::from_seed(1)).wrap(raw)),
            _dir: None,
        },
    ];
    if let Some(store) = s3::store().await {
        subjects.push(Subject { store, _dir: None });
    }
    subjects
}

#[tokio::test]
async fn a_name_is_taken_once_and_keeps_its_bytes() {
    for Subject { store, _dir } in subjects().await {
        let key = Key::new("a/b/1");
        let pieces = Payload(vec![
            Bytes::from_static(b"hello "),
            Bytes::new(),
            Bytes::from_static(b"world"),
        ]);
        store.prepare_dir("a/b").await.unwrap();
        store.put_if_absent(&key, pieces).await.unwrap();
        let again = store.put_if_absent(&key, payload("other")).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{store}: {again:?}");
        assert_eq!(store.get(&key).await.unwrap(), "hello world", "{store}");
        store.make_durable(&key).await.unwrap();
    }
}

#[tokio::test]
async fn of_sixteen_racing_puts_one_wins() {
    for Subject { store, _dir } in subjects().await {
        let key = Key::new("race/1");
        let puts = (0..16u8).map(|n| {
            let (store, key) = (store.clone(), key.clone());
            async move {
                loop {
                    match store.put_if_absent(&key, Bytes::from(vec![n; 100]).into()).await {
                        Ok(()) => return Some(n),
                        Err(Error::AlreadyExists { .. }) if store.get(&key).await.is_err() => {}
                        Err(Error::AlreadyExists { .. }) => return None,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
        let winners: Vec<u8> =
            futures::future::join_all(puts).await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "{store}");
        assert_eq!(store.get(&key).await.unwrap(), vec![winners[0]; 100], "{store}");
    }
}

#[tokio::test]
async fn ranges_and_suffixes_are_cut_at_the_end() {
    for Subject { store, _dir } in subjects().await {
        let key = Key::new("ranges/1");
        let pieces = ["0123", "456", "789"].map(|piece| Bytes::from_static(piece.as_bytes()));
        store.put_if_absent(&key, Payload(pieces.to_vec())).await.unwrap();
        for (range, expected) in
            [(0..4, "0123"), (2..6, "2345"), (4..7, "456"), (7..10, "789"), (5..99, "56789")]
        {
            assert_eq!(store.get_range(&key, range).await.unwrap(), expected, "{store}");
        }
        let past = store.get_range(&key, 10..12).await;
        assert!(matches!(past, Err(Error::OutOfRange { .. })), "{store}: {past:?}");
        for (asked, expected) in [(1, "9"), (10, "0123456789"), (99, "0123456789")] {
            let suffix = store.get_suffix(&key, asked).await.unwrap();
            assert_eq!((suffix.bytes, suffix.object_bytes), (Bytes::from(expected), 10), "{store}");
        }
    }
}

#[tokio::test]
async fn an_empty_object_is_an_object() {
    for Subject { store, _dir } in subjects().await {
        let key = Key::new("empty/1");
        store.put_if_absent(&key, Payload::default()).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap(), "", "{store}");
        let header = store.get_range(&key, 0..64).await;
        assert!(matches!(header, Err(Error::OutOfRange { .. })), "{store}: {header:?}");
        let again = store.put_if_absent(&key, payload("x")).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{store}: {again:?}");
    }
}

#[tokio::test]
async fn what_is_absent_is_not_found_and_deleted_already() {
    for Subject { store, _dir } in subjects().await {
        let key = Key::new("absent/a/b");
        for read in [
            store.get(&key).await.map(drop),
            store.get_range(&key, 0..64).await.map(drop),
            store.get_suffix(&key, 8).await.map(drop),
        ] {
            assert!(matches!(read, Err(Error::NotFound { .. })), "{store}: {read:?}");
        }
        store.delete(&key).await.unwrap();
        store.put_if_absent(&key, payload("x")).await.unwrap();
        store.delete(&key).await.unwrap();
        store.delete(&key).await.unwrap();
        assert!(matches!(store.get(&key).await, Err(Error::NotFound { .. })), "{store}");
    }
}

#[tokio::test]
async fn a_listing_has_whole_parts_of_names_in_order() {
    for Subject { store, _dir } in subjects().await {
        for name in ["l/b/2", "l/b/10", "l/b/1", "l/a/9", "l/bb/1", "lb/1"] {
            store.put_if_absent(&Key::new(name), payload("x")).await.unwrap();
        }
        let names = |prefix: &'static str| {
            let store = store.clone();
            async move {
                let listed = store.list(prefix).await.unwrap();
                listed.into_iter().map(|listed| listed.key.to_string()).collect::<Vec<_>>()
            }
        };
        assert_eq!(names("l/b").await, ["l/b/1", "l/b/10", "l/b/2"], "{store}");
        assert_eq!(names("l").await, ["l/a/9", "l/b/1", "l/b/10", "l/b/2", "l/bb/1"], "{store}");
        assert!(names("l/none").await.is_empty(), "{store}");
    }
}

#[tokio::test]
async fn the_driver_does_what_the_metadata_store_needs() {
    for Subject { store, _dir } in subjects().await {
        let raw = store.raw();
        let at = |name: &str| Path::from(format!("raw/{name}"));
        let text = |text: &'static str| PutPayload::from_static(text.as_bytes());
        raw.put(&at("a"), text("one")).await.unwrap();
        let put = raw.put(&at("a"), text("two")).await.unwrap();
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let taken = raw.put_opts(&at("a"), text("three"), create).await;
        assert!(matches!(taken, Err(object_store::Error::AlreadyExists { .. })), "{store}");
        let head = raw.head(&at("a")).await.unwrap();
        assert_eq!((head.size, head.e_tag.clone()), (3, put.e_tag.clone()), "{store}");
        let matching = GetOptions { if_match: head.e_tag.clone(), ..GetOptions::default() };
        assert_eq!(raw.get_opts(&at("a"), matching).await.unwrap().bytes().await.unwrap(), "two");
        let other = GetOptions { if_match: Some("\"other\"".to_owned()), ..GetOptions::default() };
        let refused = raw.get_opts(&at("a"), other).await.map(drop);
        assert!(matches!(refused, Err(object_store::Error::Precondition { .. })), "{store}");
        let rest = GetOptions { range: Some(GetRange::Offset(1)), ..GetOptions::default() };
        assert_eq!(raw.get_opts(&at("a"), rest).await.unwrap().bytes().await.unwrap(), "wo");
        raw.copy(&at("a"), &at("b/c")).await.unwrap();
        let level = raw.list_with_delimiter(Some(&Path::from("raw"))).await.unwrap();
        assert_eq!(level.common_prefixes, [Path::from("raw/b")], "{store}");
        assert_eq!(level.objects.len(), 1, "{store}");
        let after: Vec<_> =
            raw.list_with_offset(Some(&Path::from("raw")), &at("a")).try_collect().await.unwrap();
        assert_eq!(
            after.into_iter().map(|meta| meta.location).collect::<Vec<_>>(),
            [at("b/c")],
            "{store}"
        );
        let gone = futures::stream::iter([Ok(at("a")), Ok(at("b/c"))]).boxed();
        raw.delete_stream(gone).try_collect::<Vec<_>>().await.unwrap();
        assert!(raw.list(Some(&Path::from("raw"))).next().await.is_none(), "{store}");
    }
}

#[tokio::test]
async fn an_upload_in_parts_appears_whole() {
    for Subject { store, _dir } in subjects().await {
        let (raw, path) = (store.raw(), Path::from("multi/1"));
        let mut upload = raw.put_multipart(&path).await.unwrap();
        // S3 wants 5 MiB in all but the last part.
        let parts = [vec![1u8; 5 << 20], vec![2u8; 10]];
        let sent: Vec<_> = parts.iter().map(|part| upload.put_part(part.clone().into())).collect();
        assert!(raw.head(&path).await.is_err(), "{store}");
        futures::future::try_join_all(sent).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(raw.get(&path).await.unwrap().bytes().await.unwrap(), parts.concat(), "{store}");
        raw.put_multipart(&Path::from("multi/2")).await.unwrap().abort().await.unwrap();
        assert_eq!(store.list("multi").await.unwrap().len(), 1, "{store}");
    }
}

#[tokio::test]
async fn the_probe_finds_every_store_fit_and_leaves_nothing() {
    for Subject { store, _dir } in subjects().await {
        let abilities = probe::probe(&store, &Rng::from_os()).await.unwrap();
        assert_eq!(abilities.if_match, store.locality() != Locality::Directory, "{store}");
        assert!(store.list("probe").await.unwrap().is_empty(), "{store}");
    }
}

#[tokio::test]
async fn an_update_needs_the_current_version_where_updates_exist() {
    for Subject { store, _dir } in subjects().await {
        let (raw, path) = (store.raw(), Path::from("update/1"));
        let put = raw.put(&path, PutPayload::from_static(b"one")).await.unwrap();
        let mode = PutMode::Update(UpdateVersion { e_tag: put.e_tag, version: put.version });
        let update = || raw.put_opts(&path, PutPayload::from_static(b"two"), mode.clone().into());
        match store.locality() {
            Locality::Directory => {
                let refused = update().await;
                assert!(
                    matches!(refused, Err(object_store::Error::NotImplemented { .. })),
                    "{store}"
                );
            }
            Locality::Memory | Locality::Bucket => {
                update().await.unwrap();
                let stale = update().await;
                assert!(matches!(stale, Err(object_store::Error::Precondition { .. })), "{store}");
            }
        }
    }
}
