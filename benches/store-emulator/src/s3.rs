//! The S3 operations over [`Objects`], each delayed, failed and counted as the profile says.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::TryStreamExt;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, dto::*, s3_error};

use crate::{
    faults::{Fault, Faults},
    latency::Kind,
    ledger::{Ledger, Operation},
    listing,
    objects::{Condition, Draft, Object, Objects, Refusal},
};

/// The emulator's whole state.
pub struct Emulator {
    /// What is stored.
    pub objects: Objects,
    /// What was asked.
    pub ledger: Ledger,
    /// What goes wrong.
    pub faults: Faults,
}

/// The S3 face of an [`Emulator`], with the multipart uploads under way.
pub struct Face {
    emulator: Arc<Emulator>,
    uploads: Mutex<HashMap<String, Upload>>,
}

struct Upload {
    key: String,
    metadata: Option<Metadata>,
    content_type: Option<String>,
    parts: BTreeMap<i32, (String, Vec<Bytes>)>,
}

/// One request on its way: when it began and what its end will look like.
struct Passage<'a> {
    emulator: &'a Emulator,
    began: Instant,
    delay: Duration,
    fault: Option<Fault>,
}

impl Passage<'_> {
    /// Waits out the latency; an error if the request is to fail without effect.
    async fn wait(&self) -> S3Result<()> {
        sleep_until(self.began + self.delay).await;
        match self.fault {
            Some(Fault::SlowDown) => Err(s3_error!(SlowDown, "injected")),
            Some(Fault::Conflict) => Err(s3_error!(ConditionalRequestConflict, "injected")),
            _ => Ok(()),
        }
    }

    /// The answer to a write that was applied; an error if its reply is to be lost.
    fn applied<T>(&self, output: T) -> S3Result<S3Response<T>> {
        match self.fault {
            Some(Fault::LostReply) => Err(s3_error!(InternalError, "injected after the write")),
            _ => Ok(S3Response::new(output)),
        }
    }

    /// Counts a refused condition and turns the refusal into S3's error.
    fn refuse(&self, refusal: Refusal) -> S3Error {
        if refusal == Refusal::Precondition {
            self.emulator.ledger.count_refused();
        }
        refusal.into()
    }
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Precondition => {
                s3_error!(PreconditionFailed, "at least one of the preconditions did not hold")
            }
            Refusal::NoKey => s3_error!(NoSuchKey, "the specified key does not exist"),
            Refusal::NoBucket => s3_error!(NoSuchBucket, "the specified bucket does not exist"),
            Refusal::Full => s3_error!(ServiceUnavailable, "the emulator's byte cap is reached"),
        }
    }
}

impl Face {
    /// A face for an emulator.
    pub fn new(emulator: Arc<Emulator>) -> Self {
        Self { emulator, uploads: Mutex::new(HashMap::new()) }
    }

    fn begin(&self, kind: Kind, conditional: bool) -> Passage<'_> {
        let verdict = self.emulator.faults.judge(kind, conditional);
        if let Some(fault) = verdict.fault {
            self.emulator.ledger.count_fault(fault);
        }
        Passage {
            emulator: &self.emulator,
            began: Instant::now(),
            delay: verdict.delay,
            fault: verdict.fault,
        }
    }

    fn count(&self, operation: Operation, bytes_in: u64, bytes_out: u64) {
        self.emulator.ledger.count(operation, bytes_in, bytes_out);
    }

    fn with_upload<T>(&self, id: &str, work: impl FnOnce(&mut Upload) -> T) -> S3Result<T> {
        let mut uploads = self.uploads.lock().expect("no holder panics");
        uploads.get_mut(id).map(work).ok_or_else(|| s3_error!(NoSuchUpload))
    }
}

/// Waits until a time, to a few microseconds: the runtime's timers count in milliseconds and are late by up to two.
async fn sleep_until(at: Instant) {
    const COARSE: Duration = Duration::from_millis(3);
    let left = at.saturating_duration_since(Instant::now());
    if left > COARSE {
        tokio::time::sleep(left - COARSE).await;
    }
    let left = at.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        tokio::task::spawn_blocking(move || std::thread::sleep(left))
            .await
            .expect("it only sleeps");
    }
}

/// Reads a body into the pieces in which it arrives.
async fn collect(body: Option<StreamingBlob>) -> S3Result<Vec<Bytes>> {
    match body {
        None => Ok(Vec::new()),
        Some(body) => body
            .try_collect()
            .await
            .map_err(|error| S3Error::with_message(S3ErrorCode::IncompleteBody, error.to_string())),
    }
}

fn length(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).expect("a body in memory is shorter than 2^63 bytes")
}

/// Whether a conditional read asks for the body: If-Match and If-None-Match of GET and HEAD.
fn check_read(
    object: &Object,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let matches = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == object.etag,
    };
    if if_match.is_some_and(|condition| !matches(condition)) {
        return Err(s3_error!(PreconditionFailed));
    }
    if if_none_match.is_some_and(matches) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

#[async_trait::async_trait]
impl S3 for Face {
    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let condition = Condition { if_none_match: input.if_none_match, if_match: input.if_match };
        let passage = self.begin(Kind::Write, condition.is_some());
        self.emulator.ledger.note_put(&input.key, passage.delay);
        let pieces = collect(input.body).await?;
        self.count(Operation::Put, length(&pieces), 0);
        passage.wait().await?;
        let draft = Draft { pieces, metadata: input.metadata, content_type: input.content_type };
        let object = self
            .emulator
            .objects
            .put(&input.bucket, &input.key, draft, &condition)
            .map_err(|refusal| passage.refuse(refusal))?;
        passage.applied(PutObjectOutput { e_tag: Some(object.etag()), ..Default::default() })
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let passage = self.begin(Kind::Read, false);
        passage.wait().await?;
        let object = self
            .emulator
            .objects
            .get(&input.bucket, &input.key)
            .inspect_err(|_| self.count(Operation::Get, 0, 0))?;
        check_read(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let range = match &input.range {
            Some(range) => range.check(object.bytes)?,
            None => 0..object.bytes,
        };
        let bytes = range.end - range.start;
        self.count(Operation::Get, 0, bytes);
        let content_range = input
            .range
            .map(|_| format!("bytes {}-{}/{}", range.start, range.end - 1, object.bytes));
        let pieces = object.slice(range).into_iter().map(Ok::<_, Infallible>);
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::wrap(futures::stream::iter(pieces))),
            content_length: Some(signed(bytes)),
            content_range,
            content_type: object.content_type.clone(),
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(object.etag()),
            last_modified: Some(object.modified.into()),
            metadata: object.metadata.clone(),
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let passage = self.begin(Kind::Read, false);
        self.count(Operation::Head, 0, 0);
        passage.wait().await?;
        let object = self.emulator.objects.get(&input.bucket, &input.key)?;
        check_read(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(signed(object.bytes)),
            content_type: object.content_type.clone(),
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(object.etag()),
            last_modified: Some(object.modified.into()),
            metadata: object.metadata.clone(),
            ..Default::default()
        }))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let passage = self.begin(Kind::Write, false);
        self.count(Operation::Copy, 0, 0);
        passage.wait().await?;
        let CopySource::Bucket { bucket, key, .. } = &request.input.copy_source else {
            return Err(s3_error!(NotImplemented, "copies from access points"));
        };
        let source = self.emulator.objects.get(bucket, key)?;
        let draft = Draft {
            pieces: source.pieces.clone(),
            metadata: source.metadata.clone(),
            content_type: source.content_type.clone(),
        };
        let copied = self.emulator.objects.put(
            &request.input.bucket,
            &request.input.key,
            draft,
            &Condition::default(),
        )?;
        let result = CopyObjectResult {
            e_tag: Some(copied.etag()),
            last_modified: Some(copied.modified.into()),
            ..Default::default()
        };
        passage.applied(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        let condition = Condition { if_none_match: None, if_match: input.if_match };
        let passage = self.begin(Kind::Write, condition.is_some());
        self.count(Operation::Delete, 0, 0);
        passage.wait().await?;
        self.emulator
            .objects
            .delete(&input.bucket, &input.key, &condition)
            .map_err(|refusal| passage.refuse(refusal))?;
        passage.applied(DeleteObjectOutput::default())
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let passage = self.begin(Kind::Write, false);
        self.count(Operation::Delete, 0, 0);
        passage.wait().await?;
        let mut deleted = Vec::with_capacity(input.delete.objects.len());
        for object in input.delete.objects {
            self.emulator.objects.delete(&input.bucket, &object.key, &Condition::default())?;
            deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
        }
        let deleted = (!input.delete.quiet.unwrap_or(false)).then_some(deleted);
        passage.applied(DeleteObjectsOutput { deleted, ..Default::default() })
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let passage = self.begin(Kind::Read, false);
        self.count(Operation::List, 0, 0);
        passage.wait().await?;
        Ok(S3Response::new(listing::list(&self.emulator.objects, request.input)?))
    }

    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.count(Operation::Bucket, 0, 0);
        if !self.emulator.objects.create_bucket(&request.input.bucket) {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        Ok(S3Response::new(CreateBucketOutput {
            location: Some(format!("/{}", request.input.bucket)),
        }))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.count(Operation::Bucket, 0, 0);
        if !self.emulator.objects.has_bucket(&request.input.bucket) {
            return Err(s3_error!(NoSuchBucket));
        }
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let passage = self.begin(Kind::Write, false);
        self.count(Operation::Multipart, 0, 0);
        passage.wait().await?;
        if !self.emulator.objects.has_bucket(&input.bucket) {
            return Err(s3_error!(NoSuchBucket));
        }
        let id = self.emulator.objects.next_etag();
        let upload = Upload {
            key: input.key.clone(),
            metadata: input.metadata,
            content_type: input.content_type,
            parts: BTreeMap::new(),
        };
        self.uploads.lock().expect("no holder panics").insert(id.clone(), upload);
        passage.applied(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..Default::default()
        })
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let passage = self.begin(Kind::Write, false);
        let pieces = collect(input.body).await?;
        self.count(Operation::Part, length(&pieces), 0);
        passage.wait().await?;
        let etag = self.emulator.objects.next_etag();
        self.with_upload(&input.upload_id, |upload| {
            upload.parts.insert(input.part_number, (etag.clone(), pieces));
        })?;
        passage.applied(UploadPartOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() })
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let condition = Condition { if_none_match: input.if_none_match, if_match: input.if_match };
        let passage = self.begin(Kind::Write, condition.is_some());
        self.count(Operation::Multipart, 0, 0);
        passage.wait().await?;
        let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let draft =
            self.with_upload(&input.upload_id, |upload| assemble(upload, &input.key, &named))??;
        let object = self
            .emulator
            .objects
            .put(&input.bucket, &input.key, draft, &condition)
            .map_err(|refusal| passage.refuse(refusal))?;
        self.uploads.lock().expect("no holder panics").remove(&input.upload_id);
        passage.applied(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(object.etag()),
            ..Default::default()
        })
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let passage = self.begin(Kind::Write, false);
        self.count(Operation::Multipart, 0, 0);
        passage.wait().await?;
        let removed =
            self.uploads.lock().expect("no holder panics").remove(&request.input.upload_id);
        removed.ok_or_else(|| s3_error!(NoSuchUpload))?;
        passage.applied(AbortMultipartUploadOutput::default())
    }
}

/// Joins the parts that a completion names, in its order; each must be there with the etag it was given.
fn assemble(upload: &Upload, key: &str, named: &[CompletedPart]) -> S3Result<Draft> {
    if upload.key != key {
        return Err(s3_error!(NoSuchUpload));
    }
    let mut pieces = Vec::new();
    let mut previous = 0;
    for part in named {
        let number = part.part_number.unwrap_or(0);
        if number <= previous {
            return Err(s3_error!(InvalidPartOrder));
        }
        previous = number;
        let (etag, body) = upload.parts.get(&number).ok_or_else(|| s3_error!(InvalidPart))?;
        if part.e_tag.as_ref().is_some_and(|named| named.value() != etag) {
            return Err(s3_error!(InvalidPart));
        }
        pieces.extend_from_slice(body);
    }
    Ok(Draft {
        pieces,
        metadata: upload.metadata.clone(),
        content_type: upload.content_type.clone(),
    })
}
