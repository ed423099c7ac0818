//! The objects themselves: immutable values under names, replaced or refused in one step.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;
use s3s::dto::{ETag, ETagCondition, Metadata};

/// One version of an object. Its bytes stay in the pieces in which they arrived.
#[derive(Debug)]
pub struct Object {
    /// The body.
    pub pieces: Vec<Bytes>,
    /// Length of the body.
    pub bytes: u64,
    /// Opaque here, as S3 documents it to be; a number, because an MD5 would cost the machine that is measured.
    pub etag: String,
    /// When it was written.
    pub modified: SystemTime,
    /// User metadata.
    pub metadata: Option<Metadata>,
    /// Content type as given.
    pub content_type: Option<String>,
}

/// A body on its way in.
#[derive(Debug, Default)]
pub struct Draft {
    /// The body.
    pub pieces: Vec<Bytes>,
    /// User metadata.
    pub metadata: Option<Metadata>,
    /// Content type as given.
    pub content_type: Option<String>,
}

/// What a writer demands of the object that is there.
#[derive(Debug, Default, Clone)]
pub struct Condition {
    /// Nothing that matches may exist; `*` matches anything.
    pub if_none_match: Option<ETagCondition>,
    /// What exists must match.
    pub if_match: Option<ETagCondition>,
}

/// Why a write or look-up failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The condition does not hold.
    Precondition,
    /// No object of that name.
    NoKey,
    /// No such bucket.
    NoBucket,
    /// The emulator's byte cap is reached.
    Full,
}

type Bucket = BTreeMap<String, Arc<Object>>;

/// All buckets.
pub struct Objects {
    buckets: RwLock<BTreeMap<String, Bucket>>,
    max_bytes: u64,
    held: AtomicU64,
    next_etag: AtomicU64,
}

impl Condition {
    /// Whether there is any condition.
    pub fn is_some(&self) -> bool {
        self.if_none_match.is_some() || self.if_match.is_some()
    }

    fn check(&self, current: Option<&Object>) -> Result<(), Refusal> {
        let matches = |condition: &ETagCondition, object: &Object| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => etag.value() == object.etag,
        };
        if let (Some(condition), Some(object)) = (&self.if_none_match, current)
            && matches(condition, object)
        {
            return Err(Refusal::Precondition);
        }
        match (&self.if_match, current) {
            (Some(_), None) => Err(Refusal::NoKey),
            (Some(condition), Some(object)) if !matches(condition, object) => {
                Err(Refusal::Precondition)
            }
            _ => Ok(()),
        }
    }
}

impl Object {
    /// The etag as S3 sends it.
    pub fn etag(&self) -> ETag {
        ETag::Strong(self.etag.clone())
    }

    /// The pieces that make up a range of the body; no copy.
    pub fn slice(&self, range: std::ops::Range<u64>) -> Vec<Bytes> {
        let mut position = 0u64;
        let mut pieces = Vec::new();
        for piece in &self.pieces {
            let end = position + piece.len() as u64;
            let from = range.start.clamp(position, end) - position;
            let to = range.end.clamp(position, end) - position;
            if from < to {
                pieces.push(piece.slice(from as usize..to as usize));
            }
            position = end;
        }
        pieces
    }
}

impl Objects {
    /// Empty buckets under a common byte cap.
    pub fn new(max_bytes: u64, buckets: &[String]) -> Self {
        Self {
            buckets: RwLock::new(
                buckets.iter().map(|name| (name.clone(), Bucket::new())).collect(),
            ),
            max_bytes,
            held: AtomicU64::new(0),
            next_etag: AtomicU64::new(1),
        }
    }

    /// Makes a bucket; false if it exists.
    pub fn create_bucket(&self, name: &str) -> bool {
        let mut buckets = self.buckets.write().expect("no holder panics");
        if buckets.contains_key(name) {
            return false;
        }
        buckets.insert(name.to_owned(), Bucket::new());
        true
    }

    /// Whether the bucket exists.
    pub fn has_bucket(&self, name: &str) -> bool {
        self.buckets.read().expect("no holder panics").contains_key(name)
    }

    /// A new etag.
    pub fn next_etag(&self) -> String {
        format!("{:032x}", self.next_etag.fetch_add(1, Ordering::Relaxed))
    }

    /// Writes an object if the condition holds: check and write are one step.
    pub fn put(
        &self,
        bucket: &str,
        key: &str,
        draft: Draft,
        condition: &Condition,
    ) -> Result<Arc<Object>, Refusal> {
        let bytes = draft.pieces.iter().map(|piece| piece.len() as u64).sum();
        let mut buckets = self.buckets.write().expect("no holder panics");
        let bucket = buckets.get_mut(bucket).ok_or(Refusal::NoBucket)?;
        let current = bucket.get(key);
        condition.check(current.map(Arc::as_ref))?;
        let replaced = current.map_or(0, |object| object.bytes);
        let held = self.held.load(Ordering::Relaxed) - replaced + bytes;
        if held > self.max_bytes {
            return Err(Refusal::Full);
        }
        let object = Arc::new(Object {
            pieces: draft.pieces,
            bytes,
            etag: self.next_etag(),
            modified: SystemTime::now(),
            metadata: draft.metadata,
            content_type: draft.content_type,
        });
        bucket.insert(key.to_owned(), Arc::clone(&object));
        self.held.store(held, Ordering::Relaxed);
        Ok(object)
    }

    /// The object of that name.
    pub fn get(&self, bucket: &str, key: &str) -> Result<Arc<Object>, Refusal> {
        let buckets = self.buckets.read().expect("no holder panics");
        let bucket = buckets.get(bucket).ok_or(Refusal::NoBucket)?;
        bucket.get(key).cloned().ok_or(Refusal::NoKey)
    }

    /// Removes an object if the condition holds; absent is fine.
    pub fn delete(&self, bucket: &str, key: &str, condition: &Condition) -> Result<(), Refusal> {
        let mut buckets = self.buckets.write().expect("no holder panics");
        let bucket = buckets.get_mut(bucket).ok_or(Refusal::NoBucket)?;
        condition.check(bucket.get(key).map(Arc::as_ref))?;
        if let Some(object) = bucket.remove(key) {
            self.held.fetch_sub(object.bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Names and objects after `after`, in order, that begin with `prefix`: at most `most`.
    pub fn scan(
        &self,
        bucket: &str,
        prefix: &str,
        after: &str,
        most: usize,
    ) -> Result<Vec<(String, Arc<Object>)>, Refusal> {
        use std::ops::Bound;
        let buckets = self.buckets.read().expect("no holder panics");
        let bucket = buckets.get(bucket).ok_or(Refusal::NoBucket)?;
        let from = if after >= prefix { Bound::Excluded(after) } else { Bound::Included(prefix) };
        Ok(bucket
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(most)
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect())
    }

    /// Number of objects and bytes held.
    pub fn totals(&self) -> (u64, u64) {
        let buckets = self.buckets.read().expect("no holder panics");
        (
            buckets.values().map(|bucket| bucket.len() as u64).sum(),
            self.held.load(Ordering::Relaxed),
        )
    }

    /// Removes every object.
    pub fn clear(&self) {
        let mut buckets = self.buckets.write().expect("no holder panics");
        buckets.values_mut().for_each(BTreeMap::clear);
        self.held.store(0, Ordering::Relaxed);
    }
}
