//! The type stubs of the Python package have exactly the words that the Rust types have.

use std::collections::BTreeSet;
use std::fs;

use eryx::net::policy::{HttpReason, Reason};
use serde::de::DeserializeOwned;

use crate::support::workspace_root;

/// Returns the words of an enum: serde lists them in the error for another one.
fn words_of<T: DeserializeOwned>() -> BTreeSet<String> {
    let error = serde_json::from_str::<T>("\"?\"").err().expect("no word");
    let error = error.to_string();
    let (_, list) = error.split_once("expected one of ").expect("a list");
    quoted(list, '`')
}

/// Returns the texts between two `quote`.
fn quoted(text: &str, quote: char) -> BTreeSet<String> {
    let parts = text.split(quote).skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// Returns the words of an alias in the stub.
fn words_in_stub(alias: &str) -> BTreeSet<String> {
    let path = workspace_root().join("eryx-python/python/eryx/_eryx.pyi");
    let stub = fs::read_to_string(path).expect("readable");
    let (_, rest) = stub
        .split_once(&format!("\n{alias}: TypeAlias = Literal[\n"))
        .expect("the alias");
    let (list, _) = rest.split_once("\n]\n").expect("an end");
    quoted(list, '"')
}

#[test]
fn the_stub_has_every_reason_of_a_verdict() {
    let mut expected = words_of::<Reason>();
    expected.extend(words_of::<HttpReason>());
    assert!(expected.contains("host-blocked") && expected.contains("method-not-allowed"));
    assert_eq!(words_in_stub("_Reason"), expected);
}
