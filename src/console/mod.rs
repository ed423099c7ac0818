//! HTTP for operators: `/metrics`, `/healthz`, `/readyz`.
//!
//! Returns routes; `node` mounts them where the configuration says. Knows nothing of the parts whose state it shows: each
//! adds a check to [`Readiness`], and its figures to the registry.

mod readiness;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

pub use readiness::{Readiness, Verdict};

use crate::telemetry::Registry;

/// The type of Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The operators' routes.
///
/// `/healthz` answers 200 as long as the process runs tasks at all: a restart would not mend what `/readyz` shows.
/// `/readyz` answers 200 when every check holds, else 503; the body has a line for each check.
pub fn routes(registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route("/metrics", get(metrics).with_state(registry))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready).with_state(readiness))
}

async fn metrics(State(registry): State<Registry>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], registry.encode())
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    let Verdict { ready, lines } = readiness.verdict();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, lines)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn ask(port: u16, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head["HTTP/1.1 ".len()..][..3].to_owned(), body.to_owned())
    }

    #[tokio::test]
    async fn readyz_says_what_is_wrong() {
        let (registry, readiness) = (Registry::new(), Readiness::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let routes = routes(registry.clone(), readiness.clone());
        let serving =
            crate::base::task::spawn(
                "console-test",
                async move { axum::serve(listener, routes).await },
            );
        let check = async |path: &str, status: &str, body: &str| {
            assert_eq!(ask(port, path).await, (status.to_owned(), body.to_owned()), "{path}");
        };
        check("/healthz", "200", "alive\n").await;
        check("/readyz", "503", "starting\n").await;

        let stored = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&stored);
        readiness.add("store", move || match seen.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err("no put succeeded for 12 s".to_owned()),
        });
        readiness.add("coordinator", || Ok(()));
        check("/readyz", "200", "coordinator: ok\nstore: ok\n").await;
        stored.store(false, Ordering::Relaxed);
        check("/readyz", "503", "coordinator: ok\nstore: no put succeeded for 12 s\n").await;

        registry.counter("thalweg_test_total", "Tests.").inc();
        assert!(ask(port, "/metrics").await.1.contains("thalweg_test_total 1"));
        serving.abort();
    }
}
