//! JSON of programs: values and arguments of functions.

use serde_json::Value;

use crate::json_value::JsonValue;

/// What is accepted is JSON that a strict parser accepts, apart from the size of integers, and is
/// nested at most [`JsonValue::MAX_DEPTH`] times. It is kept as it was.
pub fn value(input: &[u8]) {
    let accepted = JsonValue::from_text(input);
    let parsed = serde_json::from_slice::<Value>(input);
    match (&accepted, &parsed) {
        (Ok(value), Ok(parsed)) => {
            assert_eq!(value.as_str().as_bytes(), input);
            assert!(depth(parsed) <= JsonValue::MAX_DEPTH);
            let converted: Value = value.to().expect("it was parsed before");
            assert_eq!(converted, *parsed);
            let again = JsonValue::new(parsed).expect("it is not deeper");
            assert!(again.to::<Value>().is_ok());
        }
        // Only an integer can be beyond the range of an `f64`.
        (Ok(_), Err(error)) => assert!(error.to_string().contains("number out of range")),
        (Err(_), Ok(parsed)) => assert!(depth(parsed) > JsonValue::MAX_DEPTH),
        (Err(_), Err(_)) => {}
    }
}

/// Returns how many arrays and objects are in each other.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
