//! The grammar, case by case.

use super::body::body;

#[test]
fn a_number_may_have_many_digits() {
    let text = format!("{{\"id\":71,\"exact\":{}}}", "9".repeat(300));
    assert!(body(text.as_bytes(), None, false).is_ok(), "{text}");
    let text = format!("{{\"id\":71,\"exact\":{}}}", "9".repeat(400));
    assert!(body(text.as_bytes(), None, false).is_ok(), "{text}");
}
