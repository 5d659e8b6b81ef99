//! JSON values, as they are passed between a program and the embedder.

// With its path, since a fuzz target includes this file from another folder.
#[path = "json_value/strict.rs"]
mod strict;

use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use thiserror::Error;

use crate::json_value::strict::Strict;

/// A value as JSON (RFC 8259), which is valid and nested at most [`MAX_DEPTH`](Self::MAX_DEPTH)
/// times.
///
/// Bytes are an object with the single key `$bytes`, and Base64 (RFC 4648, section 4) as its value.
///
/// ```
/// use eryx_core::JsonValue;
///
/// let value = JsonValue::new(&vec![1, 2])?;
/// assert_eq!(value.as_str(), "[1,2]");
/// assert_eq!(value.to::<Vec<u8>>()?, [1, 2]);
/// # Ok::<(), eryx_core::JsonValueError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct JsonValue(Box<str>);

/// The error for a value that cannot be converted to JSON, or from JSON.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct JsonValueError(String);

impl JsonValue {
    /// The most objects and arrays inside each other.
    pub const MAX_DEPTH: usize = 110;

    /// The most digits of an integer: those that Python converts by default. Converting them takes
    /// a time that grows faster than their number.
    pub const MAX_INT_DIGITS: usize = 4300;

    /// Returns a value as JSON.
    ///
    /// # Errors
    ///
    /// When the value cannot be converted to JSON, such as NaN, infinity, or a map with keys that
    /// are not strings, or is nested too deeply.
    pub fn new(value: &(impl Serialize + ?Sized)) -> Result<Self, JsonValueError> {
        let value = Strict::<_, false>(value);
        let text = serde_json::to_string(&value).map_err(JsonValueError::new)?;
        check_depth(text.as_bytes())?;
        Ok(Self(text.into()))
    }

    /// Returns the value of a JSON text.
    ///
    /// # Errors
    ///
    /// When the text is not JSON in UTF-8, is nested too deeply, or has an integer of more than
    /// [`MAX_INT_DIGITS`](Self::MAX_INT_DIGITS) digits.
    pub fn from_text(text: impl Into<Vec<u8>>) -> Result<Self, JsonValueError> {
        let text = String::from_utf8(text.into()).map_err(JsonValueError::new)?;
        check_depth(text.as_bytes())?;
        serde_json::from_str::<IgnoredAny>(&text).map_err(JsonValueError::new)?;
        check_atoms(&text)?;
        Ok(Self(text.into()))
    }

    /// Returns the JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Converts the value to a type. [`serde_json::Value`] rounds integers beyond 64 bits, and
    /// numbers with more digits than an `f64` has.
    ///
    /// # Errors
    ///
    /// When the value is not of that type.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, JsonValueError> {
        serde_json::from_str(&self.0).map_err(JsonValueError::new)
    }

    /// Returns the JSON text as bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        String::from(self.0).into_bytes()
    }

    /// Returns the object with these members.
    pub(crate) fn object<'a>(members: impl IntoIterator<Item = (&'a str, &'a Self)>) -> Self {
        let mut text = String::from("{");
        for (name, value) in members {
            if text.len() > 1 {
                text.push(',');
            }
            text += &serde_json::Value::from(name).to_string();
            text.push(':');
            text += value.as_str();
        }
        text.push('}');
        Self(text.into())
    }
}

impl fmt::Display for JsonValue {
    /// Writes the JSON text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JsonValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonValue").field(&self.0).finish()
    }
}

impl JsonValueError {
    pub(crate) fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

/// Checks that JSON is not nested too deeply. Parsers are recursive, and the text may be a
/// program's.
fn check_depth(text: &[u8]) -> Result<(), JsonValueError> {
    let mut depth = 0_usize;
    let mut is_string = false;
    let mut is_escaped = false;
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'[' | b'{' if !is_string => {
                depth += 1;
                if depth > JsonValue::MAX_DEPTH {
                    return Err(JsonValueError(format!(
                        "JSON arrays and objects are nested more than {} levels deep; nest them less",
                        JsonValue::MAX_DEPTH
                    )));
                }
            }
            b']' | b'}' if !is_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Checks what the grammar of JSON leaves open: that numbers with a fraction or an exponent are
/// within the range of an `f64`, that integers have not too many digits, and that surrogates are in
/// pairs. `text` is valid JSON.
fn check_atoms(text: &str) -> Result<(), JsonValueError> {
    // Every second part is inside of a string, except that an escaped quote ends no string.
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        check_numbers(&rest[..start])?;
        rest = check_string(&rest[start + 1..])?;
    }
    check_numbers(rest)
}

/// Checks the numbers of a text without strings.
fn check_numbers(text: &str) -> Result<(), JsonValueError> {
    let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    for number in text.split(|c| !is_part(c)) {
        let is_float = number.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            && number.contains(['.', 'e', 'E']);
        if is_float && !number.parse::<f64>().is_ok_and(f64::is_finite) {
            let shown: String = number.chars().take(40).collect();
            return Err(JsonValueError(format!(
                "{shown} is beyond the range of a float"
            )));
        }
        let digits = number.trim_start_matches('-').len();
        if !is_float && digits > JsonValue::MAX_INT_DIGITS {
            return Err(JsonValueError(format!(
                "an int has {digits} digits; the limit is {}: convert it to a str",
                JsonValue::MAX_INT_DIGITS
            )));
        }
    }
    Ok(())
}

/// Checks the escapes of a string, and returns what follows it.
fn check_string(text: &str) -> Result<&str, JsonValueError> {
    let unpaired =
        || JsonValueError("an escape in a string is half of a surrogate pair".to_owned());
    let mut rest = text;
    let mut is_low_expected = false;
    loop {
        let next = rest.find(['"', '\\']).unwrap_or(rest.len());
        let (plain, tail) = rest.split_at(next);
        let code = tail
            .strip_prefix("\\u")
            .and_then(|hex| u32::from_str_radix(hex.get(..4)?, 16).ok());
        let is_low = matches!(code, Some(0xDC00..=0xDFFF));
        if is_low != is_low_expected || (is_low && !plain.is_empty()) {
            return Err(unpaired());
        }
        is_low_expected = matches!(code, Some(0xD800..=0xDBFF));
        if !tail.starts_with('\\') {
            return Ok(tail.strip_prefix('"').unwrap_or_default());
        }
        // `\u` is followed by four digits.
        rest = tail
            .get(if code.is_some() { 6 } else { 2 }..)
            .unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_text_that_is_not_json_in_utf8_is_refused() {
        for text in [
            &b""[..],
            b"{",
            b"[1,]",
            b"1 2",
            b"NaN",
            b"'a'",
            b"{1:2}",
            b"\"\xff\"",
            b"\"\\ud800\"x",
            b"]",
            b"[1e999]",
            b"{\"\\udc00\": 1}",
            b"\"\\ud800a\\udc00\"",
            b"\"\\ud800\"",
            b"[\"a\", -2.5E+400]",
            format!("{{\"a\":[-{}]}}", "1".repeat(4301)).as_bytes(),
        ] {
            let error = JsonValue::from_text(text).expect_err("not JSON");
            assert!(!error.to_string().is_empty());
        }
        let large = format!("[\"{0}1\",-{0},1.{0}1]", "1".repeat(4300));
        for text in [
            "1",
            "\"[[[\\\"[\"",
            " [1, {\"a\": null}] ",
            "[-1.5e-400,2E2]",
            "\"\\ud83d\\udc0d\\\\ud800 1e999\"",
            &large,
        ] {
            assert_eq!(JsonValue::from_text(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn nesting_is_bounded_on_both_ways() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        JsonValue::from_text(nested(JsonValue::MAX_DEPTH)).expect("as deep as allowed");
        for depth in [JsonValue::MAX_DEPTH + 1, 1_000_000] {
            let error = JsonValue::from_text(nested(depth)).expect_err("too deep");
            assert!(error.to_string().contains("110"), "{error}");
        }
        // Brackets of strings do not count.
        JsonValue::new(&"[".repeat(1000)).expect("a string");
        let mut value = serde_json::Value::Null;
        for _ in 0..=JsonValue::MAX_DEPTH {
            value = serde_json::Value::Array(vec![value]);
        }
        JsonValue::new(&value).expect_err("too deep");
    }

    #[test]
    fn a_value_that_cannot_be_converted_to_json_is_refused() {
        let refused = |value: Result<JsonValue, JsonValueError>, part: &str| {
            let error = value.expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
        };
        let not_finite = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        for (number, shown) in not_finite.into_iter().zip(["NaN", "inf", "-inf"]) {
            let shown = format!("a number is {shown}, ");
            refused(JsonValue::new(&number), &shown);
            refused(JsonValue::new(&(number as f32)), &shown);
            refused(JsonValue::new(&Some(Named(number))), &shown);
            refused(JsonValue::new(&[("a", vec![number])]), &shown);
            refused(JsonValue::new(&BTreeMap::from([("a", number)])), &shown);
            refused(JsonValue::new(&Shape::Circle { radius: number }), &shown);
            refused(JsonValue::new(&Shape::Square(number)), &shown);
            refused(JsonValue::new(&Shape::Box(1.0, number)), &shown);
        }
        refused(JsonValue::new(&BTreeMap::from([(1, 2)])), "the key 1,");
        refused(JsonValue::new(&BTreeMap::from([(1_u128, 2)])), "the key 1,");
        refused(JsonValue::new(&[BTreeMap::from([(true, 1)])]), "key true,");
        refused(JsonValue::new(&FloatKey), "the key 1.5,");
        refused(JsonValue::new(&BTreeMap::from([(Some(1), 2)])), "the key 1");
        refused(JsonValue::new(&BTreeMap::from([(Named(1), 2)])), "key 1,");
        let nested = BTreeMap::from([("a", BTreeMap::from([(1, 2)]))]);
        refused(JsonValue::new(&nested), "the key 1,");
        for key in [None, Some(vec![1])] {
            refused(JsonValue::new(&BTreeMap::from([(key, 2)])), "key must be a");
        }
        refused(JsonValue::new(&BTreeMap::from([((), 2)])), "key must be a");
        JsonValue::new("a")
            .expect("a string")
            .to::<u8>()
            .expect_err("no number");
    }

    #[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
    struct Named<T>(T);

    #[derive(Serialize)]
    enum Shape {
        Point,
        Square(f64),
        Box(f64, f64),
        Circle { radius: f64 },
    }

    /// A map whose key is a number with a fraction.
    struct FloatKey;

    impl Serialize for FloatKey {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([(1.5, 1)])
        }
    }

    #[test]
    fn every_other_value_is_as_serde_json_writes_it() {
        #[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
        enum Color {
            Red,
        }
        #[derive(Serialize)]
        struct All {
            unit: (),
            none: Option<u8>,
            numbers: (i8, u64, i128, u128, f32, f64),
            #[serde(skip_serializing_if = "Option::is_none")]
            skipped: Option<u8>,
            texts: (char, &'static str, Named<bool>),
            shapes: [Shape; 4],
            colors: BTreeMap<Color, u8>,
            options: BTreeMap<Option<Named<&'static str>>, char>,
            addresses: BTreeMap<std::net::Ipv4Addr, [u8; 0]>,
            value: serde_json::Value,
        }
        let value = All {
            unit: (),
            none: None,
            numbers: (i8::MIN, u64::MAX, i128::MIN, u128::MAX, 1.5, f64::MAX),
            skipped: None,
            texts: ('é', "\"\n", Named(true)),
            shapes: [
                Shape::Point,
                Shape::Square(1.0),
                Shape::Box(1.0, -0.5),
                Shape::Circle { radius: 1e-9 },
            ],
            colors: BTreeMap::from([(Color::Red, 1)]),
            options: BTreeMap::from([(Some(Named("a")), 'b')]),
            addresses: BTreeMap::from([([127, 0, 0, 1].into(), [])]),
            value: serde_json::json!({"a": [1, 2.5, "b", null, {"c": false}]}),
        };
        let expected = serde_json::to_string(&value).expect("JSON");
        assert_eq!(JsonValue::new(&value).expect("JSON").as_str(), expected);
    }

    #[test]
    fn an_object_quotes_its_names() {
        let one = JsonValue::new(&1).expect("a number");
        assert_eq!(
            JsonValue::object([("a", &one), ("\"", &one)]).as_str(),
            r#"{"a":1,"\"":1}"#
        );
        assert_eq!(JsonValue::object([]).as_str(), "{}");
    }
}
