//! The `ssl` reference: the tables of `docs/ssl.md` are compared with the module.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{expect_stdout, loopback, sandbox};

const PAGE: &str = include_str!("../../docs/ssl.md");

/// Prints the public names of the module and its classes, the values of `HAS_*`, and the
/// unsupported names.
const PROGRAM: &str = r#"
import json, ssl

def public(what):
    return [name for name in dir(what) if not name.startswith("_")]

names = {
    "Module": public(ssl),
    "SSLContext": public(ssl.SSLContext),
    "SSLSocket and SSLObject": public(ssl.SSLSocket) + public(ssl.SSLObject),
    "MemoryBIO": public(ssl.MemoryBIO),
    "SSLSession": public(ssl.SSLSession),
}
values = {name: getattr(ssl, name) for name in names["Module"] if name.startswith("HAS_")}

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
curved = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
curved.set_ecdh_curve("secp521r1")
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
bios = lambda: (ssl.MemoryBIO(), ssl.MemoryBIO())
unsupported = {}
for name, attempt in {
    "keylog_filename": lambda: setattr(context, "keylog_filename", "keys.txt"),
    "set_ecdh_curve": lambda: curved.wrap_bio(*bios(), server_hostname="localhost"),
    "PROTOCOL_TLS_SERVER": lambda: server.wrap_bio(*bios(), server_side=True),
    "set_psk_client_callback": lambda: context.set_psk_client_callback(None),
}.items():
    try:
        attempt()
    except (ssl.SSLError, NotImplementedError):
        unsupported[name] = True
print(json.dumps({"names": names, "values": values, "unsupported": unsupported}))
"#;

/// Returns the description of each name on the page, by section.
fn descriptions() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut sections: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut section = "";
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading;
        }
        let Some((names, here)) = line
            .strip_prefix("| ")
            .and_then(|row| row.strip_suffix(" |"))
            .and_then(|row| row.split_once(" | "))
            .filter(|(names, _)| names.starts_with('`'))
        else {
            continue;
        };
        // A row may name the class of its names.
        let (owner, names) = match names.split_once("`: ") {
            Some((owner, names)) => (owner.trim_start_matches('`'), names),
            None => (section, names),
        };
        for name in names.split('`').filter(|name| !name.trim().is_empty()) {
            let before = sections
                .entry(owner.to_owned())
                .or_default()
                .insert(name.to_owned(), here.to_owned());
            assert!(before.is_none(), "{owner} has {name} twice");
        }
    }
    sections
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ssl_reference_lists_exactly_the_names_of_the_module() {
    let printed = expect_stdout(sandbox(Some(loopback())).execute(PROGRAM).await);
    let found: Value = serde_json::from_str(&printed).expect("JSON");
    let described = descriptions();
    let owners = found["names"].as_object().expect("an object");
    assert_eq!(described.len(), owners.len());
    for (owner, names) in owners {
        let names: BTreeSet<&str> = names
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let listed: BTreeSet<&str> = described[owner].keys().map(String::as_str).collect();
        assert_eq!(listed, names, "{owner}");
    }
    for (name, value) in found["values"].as_object().expect("an object") {
        let expected = if value == true { "`True`" } else { "`False`" };
        assert_eq!(described["Module"][name], expected, "{name}");
    }
    let unsupported = found["unsupported"].as_object().expect("an object");
    assert_eq!(unsupported.len(), 4, "{unsupported:?}");
}
