//! A store that misbehaves as real ones do, from a seed: for tests and the simulator.
//!
//! Wraps any driver. Every draw comes from one generator and every wait from tokio's clock, so on a paused current-thread
//! runtime two runs of one seed make the same calls, with the same bytes, at the same times: the call log says so.

mod calls;
mod plan;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Extensions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result,
};

use super::error::RawFault;
use super::store::RawStore;
use crate::base::clock::sleep;
use crate::base::rng::Rng;
use crate::base::task;
use calls::Calls;
use plan::Plan;

pub use plan::{Fault, Op, Rates, Script};

/// Gives out faults to the stores that it wraps, and logs their calls. Clones are the same.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

struct Shared {
    plan: Plan,
    calls: Calls,
}

impl Faults {
    /// No faults and no latency yet; draws from `rng`.
    #[must_use]
    pub fn new(rng: Rng) -> Self {
        Self { shared: Arc::new(Shared { plan: Plan::new(rng), calls: Calls::default() }) }
    }

    /// `raw` with these faults.
    #[must_use]
    pub fn wrap(&self, raw: RawStore) -> RawStore {
        Arc::new(FaultStore { inner: raw, faults: self.clone() })
    }

    /// Sets what is drawn from now on.
    pub fn set_rates(&self, rates: Rates) {
        self.shared.plan.set_rates(vec![rates]);
    }

    /// Sets what is drawn from now on, place by place: for each call the first that is for its name counts.
    pub fn set_rates_of_places(&self, rates: Vec<Rates>) {
        self.shared.plan.set_rates(rates);
    }

    /// Answers so many calls more, and then none: where its caller stands then is where it crashes. None: it answers again.
    pub fn fall_silent_after(&self, calls: Option<u64>) {
        self.shared.plan.fall_silent_after(calls);
    }

    /// Adds a fault for certain calls. Scripts come before draws; the first that fits and is not used up counts.
    pub fn script(&self, script: Script) {
        self.shared.plan.add(script);
    }

    /// No faults and no scripts from now on; latency stays. What is on its way still lands.
    pub fn stop(&self) {
        self.shared.plan.stop();
    }

    /// Every call and its answer so far, a line each, to compare byte for byte.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.shared.calls.lines()
    }

    /// Begins a chapter of the log: its times count from here. For a store that outlives a runtime and so its clock.
    pub fn begin_chapter(&self, name: &str) {
        self.shared.calls.begin_chapter(name);
    }

    /// A digest of the whole log, and how many lines it has.
    #[must_use]
    pub fn digest(&self) -> (u32, u64) {
        self.shared.calls.digest()
    }

    /// Keeps the digest only: for long runs.
    pub fn forget_lines(&self) {
        self.shared.calls.forget_lines();
    }

    /// How many calls of one kind there were for names that contain `part`.
    #[must_use]
    pub fn count(&self, op: Op, part: &str) -> usize {
        self.shared.calls.count(op, part)
    }

    /// Logs a call, waits as long as it takes, and says what goes wrong with it.
    async fn enter(&self, op: Op, path: &str, detail: &str) -> (u64, Option<Fault>) {
        if self.shared.plan.is_silent() {
            std::future::pending::<()>().await;
        }
        let call = self.shared.calls.begin(op, path, detail);
        let (latency, fault) = self.shared.plan.draw(op, path);
        if !latency.is_zero() {
            sleep(latency).await;
        }
        (call, fault)
    }

    fn leave<T>(&self, call: u64, result: Result<T>) -> Result<T> {
        self.shared.calls.end(call, result.as_ref().map(drop));
        result
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

#[derive(Debug)]
struct FaultStore {
    inner: RawStore,
    faults: Faults,
}

/// What a store that hangs answers in the end.
async fn hang(wait: Duration) -> object_store::Error {
    sleep(wait).await;
    RawFault::Timeout { after: wait }.into()
}

fn reset() -> object_store::Error {
    RawFault::Injected { what: "connection reset" }.into()
}

/// The driver's errors for these answers.
fn status(status: u16, path: &Path) -> object_store::Error {
    match status {
        409 | 412 => object_store::Error::AlreadyExists {
            path: path.to_string(),
            source: format!("HTTP status {status} (injected)").into(),
        },
        _ => RawFault::Status { status }.into(),
    }
}

impl FaultStore {
    fn share(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), faults: self.faults.clone() }
    }

    async fn delete_one(&self, path: Path) -> Result<Path> {
        let (call, fault) = self.faults.enter(Op::Delete, path.as_ref(), "").await;
        let one = stream::once(std::future::ready(Ok(path.clone()))).boxed();
        let mut deleted = self.inner.delete_stream(one);
        let request = async { deleted.next().await.unwrap_or_else(|| Ok(path.clone())) };
        let done = self.answer(&path, fault, request).await;
        self.faults.leave(call, done)
    }

    async fn put(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
        fault: Option<Fault>,
    ) -> Result<PutResult> {
        let apply = || self.inner.put_opts(path, payload.clone(), options.clone());
        match fault {
            None => apply().await,
            Some(Fault::FailBefore) => Err(reset()),
            Some(Fault::FailAfter) => apply().await.and(Err(reset())),
            Some(Fault::Status(code)) => Err(status(code, path)),
            Some(Fault::StatusAfter(code)) => apply().await.and(Err(status(code, path))),
            Some(Fault::Hang { wait, applied }) => {
                if applied {
                    drop(apply().await);
                }
                Err(hang(wait).await)
            }
            Some(Fault::Late(delay)) => {
                self.land_later(path, payload, options, delay);
                Err(reset())
            }
            Some(Fault::Lose) => {
                Ok(PutResult { e_tag: None, version: None, extensions: Extensions::default() })
            }
            Some(Fault::Overwrite) => {
                let options = PutOptions { mode: PutMode::Overwrite, ..options };
                self.inner.put_opts(path, payload, options).await
            }
            Some(Fault::Twice(delay)) => {
                let done = apply().await;
                self.land_later(path, payload, options, delay);
                done
            }
        }
    }

    /// A request that a network held back arrives when nobody waits for it any more.
    fn land_later(&self, path: &Path, payload: PutPayload, options: PutOptions, delay: Duration) {
        let (inner, faults, path) = (Arc::clone(&self.inner), self.faults.clone(), path.clone());
        // Detached: it outlives its caller on purpose, and ends with the runtime.
        drop(task::spawn("late-put", async move {
            sleep(delay).await;
            let call = faults.shared.calls.begin(Op::Put, path.as_ref(), "late");
            drop(faults.leave(call, inner.put_opts(&path, payload, options).await));
        }));
    }

    /// What may go wrong with a call that changes nothing, or whose change is done before the answer.
    async fn answer<T>(
        &self,
        path: &Path,
        fault: Option<Fault>,
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match fault {
            None | Some(Fault::Twice(_) | Fault::Lose | Fault::Overwrite) => request.await,
            Some(Fault::FailBefore | Fault::Late(_)) => Err(reset()),
            Some(Fault::FailAfter) => request.await.and(Err(reset())),
            Some(Fault::Status(code)) => Err(status(code, path)),
            Some(Fault::StatusAfter(code)) => request.await.and(Err(status(code, path))),
            Some(Fault::Hang { wait, .. }) => Err(hang(wait).await),
        }
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let detail = calls::describe_put(&payload, &options);
        let (call, fault) = self.faults.enter(Op::Put, location.as_ref(), &detail).await;
        let done = self.put(location, payload, options, fault).await;
        self.faults.leave(call, done)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let (call, fault) = self.faults.enter(Op::Put, location.as_ref(), "multipart").await;
        let request = self.inner.put_multipart_opts(location, options);
        let done = self.answer(location, fault, request).await;
        self.faults.leave(call, done)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let op = if options.head { Op::Head } else { Op::Get };
        let detail = options.range.as_ref().map_or_else(String::new, |range| format!("{range:?}"));
        let (call, fault) = self.faults.enter(op, location.as_ref(), &detail).await;
        let request = async {
            let mut result = self.inner.get_opts(location, options).await?;
            // Read whole here, so that the answer is one event of the log.
            let (meta, range) = (result.meta.clone(), result.range.clone());
            let (attributes, extensions) =
                (result.attributes.clone(), std::mem::take(&mut result.extensions));
            let bytes = result.bytes().await?;
            let payload = GetResultPayload::Stream(stream::once(async move { Ok(bytes) }).boxed());
            Ok(GetResult { payload, meta, range, attributes, extensions })
        };
        let done = self.answer(location, fault, request).await;
        self.faults.leave(call, done)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.share();
        locations
            .then(move |location| {
                let store = store.share();
                async move { store.delete_one(location?).await }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        let store = self.share();
        let found = async move {
            let at = prefix.clone().unwrap_or_default();
            let (call, fault) = store.faults.enter(Op::List, at.as_ref(), "").await;
            let request = async {
                let found: Vec<_> = store.inner.list(prefix.as_ref()).collect().await;
                Ok(store.faults.shared.plan.disorder(found))
            };
            let done = store.answer(&at, fault, request).await;
            store.faults.leave(call, done)
        };
        stream::once(found)
            .flat_map(|found| stream::iter(found.unwrap_or_else(|error| vec![Err(error)])))
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let at = prefix.cloned().unwrap_or_default();
        let (call, fault) = self.faults.enter(Op::List, at.as_ref(), "level").await;
        let done = self.answer(&at, fault, self.inner.list_with_delimiter(prefix)).await;
        self.faults.leave(call, done)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (call, fault) = self.faults.enter(Op::Put, to.as_ref(), "copy").await;
        let done = self.answer(to, fault, self.inner.copy_opts(from, to, options)).await;
        self.faults.leave(call, done)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let (call, fault) = self.faults.enter(Op::Put, to.as_ref(), "rename").await;
        let done = self.answer(to, fault, self.inner.rename_opts(from, to, options)).await;
        self.faults.leave(call, done)
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with faults", self.inner)
    }
}
