//! Whole configurations.

use eryx_net_host::NetConfig;

/// A configuration that can be read can be written, and is the same again: in TOML and in JSON. A text
/// that is none is refused with a message that a terminal can show.
pub fn run(text: &str) {
    if let Ok(config) = serde_json::from_str(text) {
        survives_writing(&config);
    }
    match NetConfig::from_toml_str(text) {
        Ok(config) => {
            assert!(config.to_toml().is_ok(), "what TOML can hold it can");
            survives_writing(&config);
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains(char::is_control), "{message:?}");
        }
    }
}

fn survives_writing(config: &NetConfig) {
    let json = serde_json::to_string(config).expect("what was read can be written");
    let again = serde_json::from_str(&json).expect("what was written can be read");
    is_same(config, &again);
    assert_eq!(serde_json::to_string(&again).ok(), Some(json));

    // JSON has larger numbers than TOML.
    if let Ok(toml) = config.to_toml() {
        let again = NetConfig::from_toml_str(&toml).expect("what was written can be read");
        is_same(config, &again);
        assert_eq!(again.to_toml().ok(), Some(toml));
    }
}

fn is_same(one: &NetConfig, other: &NetConfig) {
    for host in HOSTS {
        assert_eq!(one.check(host, 443), other.check(host, 443));
    }
}

/// Of every kind that the lists tell apart.
const HOSTS: [&str; 8] = [
    "example.com",
    "www.example.com",
    "db.corp",
    "localhost",
    "127.0.0.1",
    "10.1.2.3",
    "93.184.215.14",
    "64:ff9b::10.0.0.1",
];
