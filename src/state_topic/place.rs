//! Which partition holds a key: Kafka's rule, so that tools that read the topic find what they seek.

/// The partition of `key` among `partitions`, which must be above 0.
///
/// Source: `String.hashCode` in Java, over UTF-16; `Utils.abs`, `GroupCoordinatorService.partitionFor` in Apache Kafka.
#[must_use]
pub fn partition_for(key: &str, partitions: i32) -> i32 {
    let hash = key
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // The smallest number has no absolute value: Kafka takes 0.
    hash.checked_abs().unwrap_or(0) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lie_where_java_puts_them() {
        // Values of `Math.abs(s.hashCode())` by a Java shell.
        for (key, hash) in [
            ("", 0),
            ("a", 97),
            ("group", 98_629_247),
            ("console-consumer-1", 35_782_224),
            ("polygenelubricants", 0),
            ("\u{1d11e}", 1_772_394),
        ] {
            assert_eq!(partition_for(key, i32::MAX), hash, "{key}");
            assert_eq!(partition_for(key, 50), hash % 50, "{key}");
        }
    }
}
