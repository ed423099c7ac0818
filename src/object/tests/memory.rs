//! Claims about the store in memory.

use crate::base::units::ByteSize;

use super::*;

#[tokio::test]
async fn a_read_within_one_piece_shares_its_bytes() {
    let store = build::memory(clock());
    let (key, body) = (Key::new("k"), Bytes::from(vec![7u8; 1 << 20]));
    let pieces =
        Payload(vec![Bytes::from_static(b"head"), body.clone(), Bytes::from_static(b"foot")]);
    store.put_if_absent(&key, pieces).await.unwrap();
    let read = store.get_range(&key, 4 + 10..4 + 1000).await.unwrap();
    assert_eq!(read.as_ptr(), body[10..].as_ptr());
    assert_eq!(store.get_range(&key, 2..6).await.unwrap(), &b"ad\x07\x07"[..]);
}

#[tokio::test]
async fn a_full_store_throttles_data_until_something_is_deleted_and_never_metadata() {
    let store = build::memory_of(clock(), Some(ByteSize(100)));
    let put = |name| {
        let store = store.clone();
        async move { store.put_if_absent(&Key::new(name), Bytes::from(vec![0; 60]).into()).await }
    };
    put("a").await.unwrap();
    let full = put("b").await.unwrap_err();
    assert!(matches!(full, Error::Throttled { .. }) && full.is_retriable(), "{full}");
    assert!(full.to_string().contains("100 bytes in memory are used up"), "{full}");
    let meta = object_store::path::Path::from("meta/1");
    object_store::ObjectStoreExt::put(&store.raw(), &meta, vec![0; 60].into()).await.unwrap();
    store.delete(&Key::new("meta/1")).await.unwrap();
    store.delete(&Key::new("a")).await.unwrap();
    put("b").await.unwrap();
}

#[tokio::test]
async fn the_file_clock_is_ours() {
    let store = build::memory(clock());
    store.put_if_absent(&Key::new("k"), payload("x")).await.unwrap();
    let path = object_store::path::Path::from("k");
    let head = object_store::ObjectStoreExt::head(&store.raw(), &path).await.unwrap();
    assert!((1_000_000..1_010_000).contains(&head.last_modified.timestamp_millis()));
}
