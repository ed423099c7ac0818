//! The URL of a store, taken apart.

use std::path::PathBuf;

use crate::base::units::ByteSize;

/// Where objects lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Memory { limit: Option<ByteSize> },
    Directory(PathBuf),
    S3 { bucket: String, prefix: String },
    Gcs { bucket: String, prefix: String },
    Azure { container: String, prefix: String },
}

/// Text that names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is no store: {fault}")]
pub struct BadUrl {
    /// The text.
    pub url: String,
    /// What is wrong with it, and how it would be right.
    pub fault: &'static str,
}

impl Place {
    pub(super) fn parse(url: &str) -> Result<Self, BadUrl> {
        let bad = |fault| BadUrl { url: url.to_owned(), fault };
        let no_scheme = "it starts with s3://, gs://, az://, file:// or memory://";
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad(no_scheme))?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        match (scheme, query) {
            ("memory", query) => memory(rest, query).map_err(bad),
            (_, Some(_)) => {
                Err(bad("only memory:// has options after `?`; the others have settings"))
            }
            ("file", None) => file(rest).map_err(bad),
            ("s3", None) => {
                bucket(rest).map(|(bucket, prefix)| Self::S3 { bucket, prefix }).map_err(bad)
            }
            ("gs", None) => {
                bucket(rest).map(|(bucket, prefix)| Self::Gcs { bucket, prefix }).map_err(bad)
            }
            ("az", None) => bucket(rest)
                .map(|(container, prefix)| Self::Azure { container, prefix })
                .map_err(bad),
            _ => Err(bad(no_scheme)),
        }
    }
}

fn memory(rest: &str, query: Option<&str>) -> Result<Place, &'static str> {
    if !rest.is_empty() {
        return Err("memory:// has no path");
    }
    let Some(query) = query else { return Ok(Place::Memory { limit: None }) };
    let size = query
        .strip_prefix("max_bytes=")
        .ok_or("the only option is max_bytes: memory://?max_bytes=1GiB")?;
    let limit =
        size.parse().map_err(|_| "max_bytes is a size, such as memory://?max_bytes=1GiB")?;
    Ok(Place::Memory { limit: Some(limit) })
}

fn file(rest: &str) -> Result<Place, &'static str> {
    if !rest.starts_with('/') {
        return Err("a path is absolute and has three slashes: file:///var/lib/thalweg");
    }
    Ok(Place::Directory(PathBuf::from(rest)))
}

fn bucket(rest: &str) -> Result<(String, String), &'static str> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err("the bucket is missing: scheme://bucket/prefix");
    }
    if bucket.contains(['@', ':']) {
        return Err("credentials and ports are no part of it: the store is found by its settings");
    }
    let prefix = prefix.trim_end_matches('/');
    if prefix.split('/').any(|part| matches!(part, "." | ".."))
        || prefix.contains("//")
        || prefix.starts_with('/')
    {
        return Err("the prefix has empty or dot parts");
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_places() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let s3 = |(bucket, prefix)| Place::S3 { bucket, prefix };
        for (url, place) in [
            ("memory://", Place::Memory { limit: None }),
            ("memory://?max_bytes=1GiB", Place::Memory { limit: Some(ByteSize(1 << 30)) }),
            ("file:///var/lib/x", Place::Directory(PathBuf::from("/var/lib/x"))),
            ("s3://b", s3(pair("b", ""))),
            ("s3://b/", s3(pair("b", ""))),
            ("s3://my.b/a/b/", s3(pair("my.b", "a/b"))),
            ("gs://b/p", Place::Gcs { bucket: "b".to_owned(), prefix: "p".to_owned() }),
            ("az://c/p", Place::Azure { container: "c".to_owned(), prefix: "p".to_owned() }),
        ] {
            assert_eq!(Place::parse(url), Ok(place), "{url}");
        }
    }

    #[test]
    fn bad_urls_say_what_is_wrong() {
        for (url, fault) in [
            ("", "starts with s3://"),
            ("bucket/prefix", "starts with s3://"),
            ("ftp://b", "starts with s3://"),
            ("s3:///prefix", "the bucket is missing"),
            ("s3://", "the bucket is missing"),
            ("s3://key:secret@b/p", "credentials and ports"),
            ("s3://b/a//b", "empty or dot parts"),
            ("s3://b/../b", "empty or dot parts"),
            ("s3://b?region=x", "the others have settings"),
            ("file://relative/path", "three slashes"),
            ("memory://x", "no path"),
            ("memory://?size=1", "the only option is max_bytes"),
            ("memory://?max_bytes=lots", "is a size"),
        ] {
            let error = Place::parse(url).unwrap_err().to_string();
            assert!(error.contains(fault), "{url}: {error}");
            assert!(error.starts_with(&format!("`{url}` is no store: ")), "{error}");
        }
    }
}
