//! One suite for every kind of store.

use bytes::Bytes;

use super::*;
use crate::base::clock::{SharedClock, SystemClock};
use std::sync::Arc;

fn clock() -> SharedClock {
    Arc::new(SystemClock)
}

#[tokio::test]
async fn stores_put_once_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new(clock());
    let stores = [
        build::memory(clock()),
        build::directory(dir.path()).unwrap(),
        build::test_disk(&disk).unwrap(),
    ];
    for store in stores {
        let key = Key::new("a/b/1");
        let payload = Payload(vec![Bytes::from_static(b"hello "), Bytes::from_static(b"world")]);
        store.prepare_dir("a/b").await.unwrap();
        store.put_if_absent(&key, payload.clone()).await.unwrap();
        assert!(matches!(
            store.put_if_absent(&key, payload).await,
            Err(Error::AlreadyExists { .. })
        ));
        assert_eq!(store.get(&key).await.unwrap(), "hello world");
        assert_eq!(store.get_range(&key, 4..8).await.unwrap(), "o wo");
        let suffix = store.get_suffix(&key, 3).await.unwrap();
        assert_eq!((suffix.bytes, suffix.object_bytes), (Bytes::from_static(b"rld"), 11));
        assert_eq!(store.list("a").await.unwrap(), [Listed { key: key.clone(), bytes: 11 }]);
        store.make_durable(&key).await.unwrap();
        store.delete(&key).await.unwrap();
        store.delete(&key).await.unwrap();
        assert!(matches!(store.get(&key).await, Err(Error::NotFound { .. })));
    }
}
