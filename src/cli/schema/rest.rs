//! Requests to a registry.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, Method};
use serde_json::Value as Json;

const TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// More than any registry's page of schemas; a server that sends without end is cut off.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A registry, and the context to look in.
pub(super) struct Registry {
    client: Client,
    base: String,
}

impl Registry {
    pub(super) fn new(url: &str, context: Option<&str>, timeout: u64) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(Duration::from_secs(timeout.max(1)))
            // A registry is named; it is not reached by way of whatever the environment names.
            .no_proxy()
            .build()?;
        let context = context.map(|name| format!("/contexts/{}", encoded(name)));
        let base = format!("{}{}", url.trim_end_matches('/'), context.unwrap_or_default());
        Ok(Self { client, base })
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Json> {
        self.ask(Method::GET, path, None).await
    }

    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<Json> {
        self.ask(Method::DELETE, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Json) -> anyhow::Result<Json> {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(super) async fn put(&self, path: &str, body: &Json) -> anyhow::Result<Json> {
        self.ask(Method::PUT, path, Some(body)).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Json>) -> anyhow::Result<Json> {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method, &url).header("accept", TYPE);
        if let Some(body) = body {
            request = request.header("content-type", TYPE).body(body.to_string());
        }
        let unreachable = || format!("cannot reach a registry (--url {})", self.base);
        let mut response = request.send().await.with_context(unreachable)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.with_context(unreachable)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES_MAX {
                bail!("{url} answered without end");
            }
        }
        let said: Option<Json> = serde_json::from_slice(&bytes).ok();
        if status.is_success() {
            return said.with_context(|| format!("{url} answered something that is not JSON"));
        }
        let said = said.unwrap_or_default();
        match (said["message"].as_str(), &said["error_code"]) {
            (Some(message), code) => bail!("{message} ({code})"),
            (None, _) => bail!("{url} answered {status}"),
        }
    }
}

/// A name as a part of a path or a query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
