//! Paths and queries, taken apart and qualified by the context that a path begins with.

use std::str::FromStr;

use super::super::error::Error;
use super::super::subject::{Subject, context_of_path};

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The path's parts, decoded, without its context.
    pub(super) segments: Vec<String>,
    pub(super) query: Query,
}

/// A query's names and values, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Target {
    pub(super) fn parse(path: &str, query: &str) -> Result<Self, Error> {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let segments: Result<Vec<String>, Error> =
            segments.map(|segment| decode(segment, false)).collect();
        let mut target = Self { segments: segments?, query: Query::parse(query)? };
        if target.segments.len() >= 2 && target.segments[0] == "contexts" {
            target.qualify()?;
        }
        Ok(target)
    }

    /// Takes the context off the path, and says it wherever a subject is named.
    fn qualify(&mut self) -> Result<(), Error> {
        let named = self.segments.remove(1);
        let context = context_of_path(&named).ok_or_else(|| {
            Error::BadRequest(format!("Context name '{named}' cannot contain a colon"))
        })?;
        self.segments.remove(0);
        let prefix = Subject::context(&context).context_prefix();
        let parts: Vec<&str> = self.segments.iter().map(String::as_str).collect();
        let subject_at = match parts.as_slice() {
            // The context itself is meant.
            [] => {
                self.segments = vec!["contexts".to_owned(), prefix];
                return Ok(());
            }
            ["config" | "mode"] => {
                self.segments.push(prefix);
                return Ok(());
            }
            ["config" | "mode" | "subjects", _, ..] => Some(1),
            ["compatibility", "subjects", _, ..] => Some(2),
            _ => None,
        };
        match parts.as_slice() {
            ["schemas", "ids", ..] => self.query.qualify("subject", &prefix),
            ["schemas" | "subjects"] => self.query.qualify("subjectPrefix", &prefix),
            _ => {}
        }
        if let Some(subject) = subject_at.and_then(|at| self.segments.get_mut(at))
            && !has_context(subject)
        {
            subject.insert_str(0, &prefix);
        }
        Ok(())
    }
}

fn has_context(subject: &str) -> bool {
    subject.starts_with(":.") || subject.starts_with(":*:")
}

impl Query {
    fn parse(text: &str) -> Result<Self, Error> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name, true)?, decode(value, true)?))
        });
        Ok(Self(pairs.collect::<Result<_, Error>>()?))
    }

    fn qualify(&mut self, name: &str, prefix: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, value)) if has_context(value) => {}
            Some((_, value)) => value.insert_str(0, prefix),
            None => self.0.push((name.to_owned(), prefix.to_owned())),
        }
    }

    /// Gives the first of that name another value, if there is one.
    pub(super) fn replace(&mut self, name: &str, with: impl FnOnce(&str) -> String) {
        if let Some((_, value)) = self.0.iter_mut().find(|(known, _)| known == name) {
            *value = with(value);
        }
    }

    /// The first value of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it says true.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Error::BadRequest(format!("{name} is not a number: {text}")))
        };
        self.get(name).filter(|text| !text.is_empty()).map(parse).transpose()
    }

    /// What `offset` and `limit` leave of `items`; at most `limit_max`.
    pub(super) fn page<T>(
        &self,
        items: impl Iterator<Item = T>,
        limit_max: usize,
    ) -> Result<Vec<T>, Error> {
        let offset = self.number::<i64>("offset")?.unwrap_or(0);
        let limit = self.number::<i64>("limit")?.unwrap_or(-1);
        let offset = usize::try_from(offset.max(0)).unwrap_or(usize::MAX);
        // 0 and below say nothing.
        let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
        Ok(items.skip(offset).take(limit.unwrap_or(limit_max).min(limit_max)).collect())
    }
}

/// Decodes `%41`, and in queries `+`.
fn decode(text: &str, plus: bool) -> Result<String, Error> {
    let bad = || Error::BadRequest(format!("'{text}' is not properly encoded"));
    if !text.contains(['%', '+']) {
        return Ok(text.to_owned());
    }
    let (mut out, mut bytes) = (Vec::with_capacity(text.len()), text.bytes());
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let high = digit(bytes.next()).ok_or_else(bad)?;
                let low = digit(bytes.next()).ok_or_else(bad)?;
                u8::try_from(high * 16 + low).map_err(|_| bad())?
            }
            b'+' if plus => b' ',
            other => other,
        });
    }
    String::from_utf8(out).map_err(|_| bad())
}

/// `latest`, -1, or a version.
///
/// Source: `VersionId`.
pub(super) fn version(text: &str) -> Result<i32, Error> {
    let trimmed = text.trim();
    if trimmed.eq_ignore_ascii_case("latest") {
        return Ok(-1);
    }
    let number = trimmed.parse::<i32>().ok().filter(|version| *version > 0 || *version == -1);
    number.ok_or_else(|| Error::InvalidVersion(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(path: &str) -> Vec<String> {
        Target::parse(path, "").expect("a target").segments
    }

    #[test]
    fn a_context_qualifies_what_follows() {
        assert_eq!(segments("/subjects/a%2Fb/versions"), ["subjects", "a/b", "versions"]);
        let check = |path: &str, expected: &[&str]| assert_eq!(segments(path), expected, "{path}");
        check("/contexts/.eu/subjects/a/versions", &["subjects", ":.eu:a", "versions"]);
        check("/contexts/:.eu:/subjects/a", &["subjects", ":.eu:a"]);
        check("/contexts/eu/config", &["config", ":.eu:"]);
        check("/contexts/.eu/mode/a", &["mode", ":.eu:a"]);
        check("/contexts/./subjects/a", &["subjects", "a"]);
        check("/contexts/.eu/subjects/:.us:a", &["subjects", ":.us:a"]);
        check("/contexts/.eu", &["contexts", ":.eu:"]);
        check("/contexts", &["contexts"]);
        let path = "/contexts/.eu/compatibility/subjects/a/versions/1";
        check(path, &["compatibility", "subjects", ":.eu:a", "versions", "1"]);
        assert!(Target::parse("/contexts/a:b/subjects", "").is_err());
    }

    #[test]
    fn a_context_qualifies_queries() {
        let query = |path: &str, query: &str, name: &str| {
            let target = Target::parse(path, query).expect("a target");
            target.query.get(name).map(str::to_owned)
        };
        let of = |text: &str| Some(text.to_owned());
        assert_eq!(query("/contexts/.eu/schemas/ids/1", "", "subject"), of(":.eu:"));
        assert_eq!(query("/contexts/.eu/schemas/ids/1", "subject=a", "subject"), of(":.eu:a"));
        assert_eq!(query("/contexts/.eu/subjects", "", "subjectPrefix"), of(":.eu:"));
        assert_eq!(query("/subjects", "subjectPrefix=a+b%21", "subjectPrefix"), of("a b!"));
        assert_eq!(query("/subjects", "", "subjectPrefix"), None);
    }

    #[test]
    fn bad_encodings_are_refused() {
        for path in ["/subjects/%", "/subjects/%4", "/subjects/%zz", "/subjects/%ff"] {
            assert!(matches!(Target::parse(path, ""), Err(Error::BadRequest(_))), "{path}");
        }
    }

    #[test]
    fn pages_are_cut() {
        let page = |query: &str, max| {
            let query = Query::parse(query).expect("a query");
            query.page(1..=10, max).expect("a page")
        };
        assert_eq!(page("", 3), [1, 2, 3]);
        assert_eq!(page("offset=8&limit=5", 100), [9, 10]);
        assert_eq!(page("limit=0", 100).len(), 10);
        assert_eq!(page("limit=-1&offset=-4", 100).len(), 10);
        assert_eq!(page("limit=99", 2), [1, 2]);
    }

    #[test]
    fn versions_are_numbers_or_the_latest() {
        assert_eq!((version("latest"), version("-1"), version("3")), (Ok(-1), Ok(-1), Ok(3)));
        for text in ["0", "-2", "x", "2147483648", ""] {
            assert_eq!(version(text), Err(Error::InvalidVersion(text.to_owned())));
        }
    }
}
