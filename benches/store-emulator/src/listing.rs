//! ListObjectsV2: pages of names in order, with common prefixes.

use s3s::{S3Result, dto::*};

use crate::objects::{Object, Objects};

const PAGE: usize = 1_000;

/// One page. The continuation token is the last name, or common prefix, of the page before.
pub fn list(objects: &Objects, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let prefix = input.prefix.clone().unwrap_or_default();
    let most = input.max_keys.map_or(PAGE, |keys| usize::try_from(keys).unwrap_or(0).min(PAGE));
    let mut after =
        input.continuation_token.clone().or_else(|| input.start_after.clone()).unwrap_or_default();
    let mut contents = Vec::new();
    let mut prefixes: Vec<CommonPrefix> = Vec::new();
    let mut truncated = false;
    // A page without a delimiter is one scan; with one, each common prefix is jumped over.
    'page: loop {
        let found = objects.scan(&input.bucket, &prefix, &after, PAGE + 1)?;
        let exhausted = found.len() <= PAGE;
        for (key, object) in found {
            if key.as_str() <= after.as_str() {
                continue;
            }
            if contents.len() + prefixes.len() == most {
                truncated = true;
                break 'page;
            }
            match common_prefix(&key, &prefix, input.delimiter.as_deref()) {
                None => {
                    after.clone_from(&key);
                    contents.push(entry(key, &object));
                }
                Some(common) => {
                    // Sorts after every name that begins with the common prefix.
                    after = format!("{common}\u{10FFFF}");
                    prefixes.push(CommonPrefix { prefix: Some(common) });
                }
            }
        }
        if exhausted {
            break;
        }
    }
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(prefix),
        max_keys: Some(i32::try_from(most).expect("at most a page")),
        key_count: Some(i32::try_from(contents.len() + prefixes.len()).expect("at most a page")),
        is_truncated: Some(truncated),
        next_continuation_token: truncated.then_some(after),
        continuation_token: input.continuation_token,
        contents: Some(contents),
        common_prefixes: Some(prefixes),
        delimiter: input.delimiter,
        start_after: input.start_after,
        ..Default::default()
    })
}

fn common_prefix(key: &str, prefix: &str, delimiter: Option<&str>) -> Option<String> {
    let delimiter = delimiter.filter(|text| !text.is_empty())?;
    let rest = &key[prefix.len()..];
    let end = rest.find(delimiter)? + delimiter.len();
    Some(key[..prefix.len() + end].to_owned())
}

fn entry(key: String, object: &Object) -> s3s::dto::Object {
    s3s::dto::Object {
        key: Some(key),
        size: Some(
            i64::try_from(object.bytes).expect("a body in memory is shorter than 2^63 bytes"),
        ),
        e_tag: Some(object.etag()),
        last_modified: Some(object.modified.into()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{Condition, Draft};

    fn names(output: &ListObjectsV2Output) -> Vec<String> {
        let keys = output.contents.iter().flatten().filter_map(|object| object.key.clone());
        let prefixes =
            output.common_prefixes.iter().flatten().filter_map(|common| common.prefix.clone());
        keys.chain(prefixes).collect()
    }

    #[test]
    fn pages_join_to_the_whole_listing() {
        let objects = Objects::new(1 << 20, &["b".to_owned()]);
        for number in 0..25 {
            let key = format!("p/{:02}/{number:02}", number / 5);
            objects.put("b", &key, Draft::default(), &Condition::default()).expect("no condition");
        }
        for (delimiter, expected) in [(None, 25), (Some("/".to_owned()), 5)] {
            let mut token = None;
            let mut seen = Vec::new();
            loop {
                let input = ListObjectsV2Input {
                    bucket: "b".to_owned(),
                    prefix: Some("p/".to_owned()),
                    delimiter: delimiter.clone(),
                    continuation_token: token,
                    max_keys: Some(4),
                    ..Default::default()
                };
                let output = list(&objects, input).expect("the bucket exists");
                seen.extend(names(&output));
                token = output.next_continuation_token;
                if token.is_none() {
                    break;
                }
            }
            seen.dedup();
            assert_eq!(seen.len(), expected);
        }
    }
}
