//! Topics: made, grown, described, deleted.

pub(super) mod create;
pub(super) mod create_partitions;
pub(super) mod delete;
pub(super) mod describe_partitions;

const NAME_CHARS_MAX: usize = 249;

/// What is wrong with a topic's name, in Kafka's words.
///
/// Source: `org.apache.kafka.common.internals.Topic` in Apache Kafka.
pub(super) fn name_fault(name: &str) -> Option<String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let what = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        _ if name.chars().count() > NAME_CHARS_MAX => {
            format!("the length of '{name}' is longer than the max allowed length {NAME_CHARS_MAX}")
        }
        _ if !name.chars().all(fine) => format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        ),
        _ => return None,
    };
    Some(format!("Topic name is invalid: {what}"))
}

#[cfg(test)]
mod tests;
