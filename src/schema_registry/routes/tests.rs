//! Requests without a socket.

mod answers;

use futures::StreamExt as _;

use super::super::service::memory::MemoryLog;
use super::*;
use crate::client::local::TopicLog;

async fn ask(app: &Arc<App>, method: &str, path: &str, body: &str) -> u16 {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::from(body.to_owned())).expect("a request");
    answer(Shared(Arc::clone(app)), request).await.status().as_u16()
}

/// Law 9: a refusal that rests on what was read is preceded by a proof of leadership.
#[tokio::test(start_paused = true)]
async fn a_replaced_registry_does_not_refuse() {
    let log = Arc::new(MemoryLog::default());
    let service = Service::start(Arc::clone(&log) as Arc<dyn TopicLog>);
    let about = About { cluster_id: "c".to_owned() };
    let app = Arc::new(App { service, about, bodies: Semaphore::new(1) });
    let (register, int) = ("/subjects/a/versions", r#"{"schema":"\"int\""}"#);
    assert_eq!(ask(&app, "POST", register, r#"{"schema":"\"long\""}"#).await, 200);
    let refusals = [
        ("GET", "/schemas/ids/9", "", 404),
        ("GET", "/subjects/b/versions", "", 404),
        ("POST", "/subjects/a", int, 404),
        ("POST", register, int, 409),
        ("DELETE", "/subjects/b", "", 404),
        ("PUT", "/mode", r#"{"mode":"IMPORT"}"#, 422),
    ];
    for (method, path, body, status) in refusals {
        assert_eq!(ask(&app, method, path, body).await, status, "{method} {path}");
    }
    log.replace_leader();
    for (method, path, body, _) in refusals {
        assert_eq!(ask(&app, method, path, body).await, 500, "{method} {path}");
    }
    // What is registered is so for ever, and what is wrong with a request nobody else knows better.
    for (path, status) in
        [("/schemas/ids/1", 200), ("/nowhere", 404), ("/subjects/a/versions/0", 422)]
    {
        assert_eq!(ask(&app, "GET", path, "").await, status, "{path}");
    }
}

/// A body that stands still is refused in time, and gives its place to others.
#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_refused() {
    let service = Service::start(Arc::new(MemoryLog::default()) as Arc<dyn TopicLog>);
    let about = About { cluster_id: "c".to_owned() };
    let app = Arc::new(App { service, about, bodies: Semaphore::new(1) });
    let (register, long) = ("/subjects/a/versions", r#"{"schema":"\"long\""}"#);
    let start = futures::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from("{"))]);
    let endless = Body::from_stream(start.chain(futures::stream::pending()));
    let request = Request::builder().method("POST").uri(register).body(endless).expect("a request");
    let slow = answer(Shared(Arc::clone(&app)), request);
    assert_eq!(slow.await.status().as_u16(), 408);
    assert_eq!(ask(&app, "POST", register, long).await, 200);
}
