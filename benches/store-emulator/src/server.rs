//! Connections: the admin pages, and S3 for everything else.

use std::sync::Arc;

use anyhow::Context;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::{
    Body, HttpError,
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use tokio::net::TcpListener;

use crate::{
    admin,
    s3::{Emulator, Face},
};

/// Accepts connections without end.
pub async fn serve(
    listener: TcpListener,
    emulator: Arc<Emulator>,
    auth: SimpleAuth,
) -> anyhow::Result<()> {
    let mut builder = S3ServiceBuilder::new(Face::new(Arc::clone(&emulator)));
    builder.set_auth(auth);
    let s3 = builder.build();
    loop {
        let (stream, _) = listener.accept().await.context("could not accept a connection")?;
        // Answers are short; waiting to fill a packet would add to the latency that is emulated.
        stream.set_nodelay(true).context("could not set TCP_NODELAY")?;
        let (s3, emulator) = (s3.clone(), Arc::clone(&emulator));
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                answer(s3.clone(), Arc::clone(&emulator), request)
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .max_buf_size(1 << 20)
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away is no event here.
            let _ = connection.await;
        });
    }
}

/// Answers the emulator's own pages, and S3's requests.
async fn answer(
    s3: S3Service,
    emulator: Arc<Emulator>,
    request: Request<Incoming>,
) -> Result<Response<Body>, HttpError> {
    if request.uri().path().starts_with(admin::PREFIX) {
        return Ok(admin::answer(&emulator, request.method(), request.uri()));
    }
    s3.call(request.map(Into::into)).await
}
