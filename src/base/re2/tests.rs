//! Patterns held against what RE2/J says of them, and what they match.

use super::*;

/// Asked of the library that Apache Kafka 4.3.1 uses.
#[test]
fn re2j_takes_these_patterns() {
    let patterns = [
        "a{1000}",
        "[a&&b]",
        "[[a]]",
        "(?i)ABC",
        r"\Qa.b\E",
        r"\pL+",
        r"\p{Greek}",
        "(?P<n>a)",
        "(?<n>a)",
        r"a\z",
        "a{,2}",
        r"\w+-\d+",
        "[[:word:]]",
        r"\x{10FFFF}",
        r"\07",
        "(?s).",
        "(?U)a+",
        "a??",
        r"\A\a",
        "(?-s)x",
        "[]a]",
        "[^]a]",
        r"\_",
        r"\é",
        "(|a)*",
        "^*",
        r"\b*",
        "(?i:a)",
        "{",
        "a{",
        "a{1",
        "}",
        "]",
        "",
        r"\PN",
        r"\Q",
        r"\b\B",
        "(?ii)a",
        "(?)a",
    ];
    for pattern in patterns {
        assert!(WholePattern::new(pattern).is_ok(), "{pattern}");
    }
}

#[test]
fn re2j_refuses_these_patterns_with_these_words() {
    let cases = [
        ("a**", "invalid nested repetition operator"),
        ("a*+", "invalid nested repetition operator"),
        ("x{2}{3}", "invalid nested repetition operator"),
        ("a{1001}", "invalid repeat count"),
        ("(?:a){0,2000}", "invalid repeat count"),
        ("(?x)a", "invalid or unsupported Perl syntax"),
        ("(?u)a", "invalid or unsupported Perl syntax"),
        ("(?=a)", "invalid or unsupported Perl syntax"),
        ("(?P=n)", "invalid or unsupported Perl syntax"),
        (r"a\Z", "invalid escape sequence"),
        (r"\C", "invalid escape sequence"),
        (r"\1", "invalid escape sequence"),
        (r"\e", "invalid escape sequence"),
        (r"\E", "invalid escape sequence"),
        (r"[\b]", "invalid escape sequence"),
        (r"\x4g", "invalid escape sequence"),
        (r"\u0041", "invalid escape sequence"),
        (r"[a-\d]", "invalid escape sequence"),
        ("(a", "missing closing )"),
        ("[a", "missing closing ]"),
        ("*a", "missing argument to repetition operator"),
        ("a|*", "missing argument to repetition operator"),
        ("[[:foo:]]", "invalid character class range"),
        ("[a--b]", "invalid character class range"),
        ("[z-a]", "invalid character class range"),
        (r"\pX", "invalid character class range"),
        (r"\", "trailing backslash at end of expression"),
        ("(?P<n>a)(?P<n>b)", "duplicate capture group name"),
    ];
    for (pattern, reason) in cases {
        assert_eq!(WholePattern::new(pattern).err(), Some(Invalid(reason)), "{pattern}");
    }
}

#[test]
fn a_pattern_matches_whole_names() {
    let cases = [
        ("topic", "topic", true),
        ("topic", "topic1", false),
        ("topic|other", "other", true),
        ("to.*", "topic-1", true),
        (r"t\.1", "tx1", false),
        (r"\Qt.1\E\d", "t.12", true),
        ("[a&&b]+", "a&b", true),
        ("[a&&b]+", "c", false),
        ("(?i)ABC", "abc", true),
        (r"[\w.-]+", "a.b-c_9", true),
        ("[^a-c]", "d", true),
        ("a{,2}", "a{,2}", true),
        (r"\141", "a", true),
        (r"\x61\x{62}", "ab", true),
        (r"\p{Greek}", "a", false),
        (r"\P{^L}", "a", true),
        ("", "", true),
        ("", "a", false),
        ("(?-i:A)", "a", false),
    ];
    for (pattern, topic, matches) in cases {
        let compiled = WholePattern::new(pattern).expect(pattern);
        assert_eq!(compiled.matches(topic), matches, "{pattern} on {topic}");
    }
}

#[test]
fn a_pattern_that_would_grow_without_bound_is_refused() {
    let too_large = Some(Invalid("expression too large"));
    assert_eq!(WholePattern::new("((a{1000}){1000}){1000}").err(), too_large);
    assert_eq!(WholePattern::new(&"(".repeat(30_000)).err(), too_large);
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_pattern_or_an_error(text in r"[()\[\]{}|*+?\\^$.a-c0-9:QEpxi<>P,-]{0,24}") {
        let _ = WholePattern::new(&text);
    }

    #[test]
    fn a_quoted_name_matches_itself_alone(name in "[a-zA-Z0-9._-]{1,20}", other in "[a-zA-Z0-9._-]{1,20}") {
        let quoted = WholePattern::new(&format!(r"\Q{name}\E")).expect("quoted");
        proptest::prop_assert!(quoted.matches(&name));
        proptest::prop_assert_eq!(quoted.matches(&other), name == other);
    }
}
