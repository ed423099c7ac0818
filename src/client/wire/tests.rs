//! What needs no broker. What does is in `tests/it`.

use super::*;

#[test]
fn codes_have_kafkas_names() {
    let check_name = |number, expected: &str| assert_eq!(named(number).to_string(), expected);
    check_name(3, "UNKNOWN_TOPIC_OR_PARTITION");
    check_name(36, "TOPIC_ALREADY_EXISTS");
    check_name(-1, "UNKNOWN_SERVER_ERROR");
    assert!(named(6).is_retriable);
    assert!(check(0, None).is_ok());
    let error = check(17, Some("a topic's name")).expect_err("a code");
    assert!(error.to_string().ends_with(": a topic's name"), "{error}");
}
