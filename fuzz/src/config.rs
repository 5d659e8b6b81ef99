//! Network configurations in TOML and JSON.

use eryx_net_host::NetConfig;

/// A configuration round-trips through TOML and JSON. An invalid text is rejected with a message
/// without control characters.
pub fn run(text: &str) {
    if let Ok(config) = serde_json::from_str(text) {
        check_round_trip(&config);
    }
    match NetConfig::from_toml_str(text) {
        Ok(config) => {
            assert!(
                config.to_toml().is_ok() || config.proxy().is_some(),
                "a configuration from TOML can be written as TOML, unless its proxy has a password"
            );
            check_round_trip(&config);
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains(char::is_control), "{message:?}");
        }
    }
}

fn check_round_trip(config: &NetConfig) {
    let json = match serde_json::to_string(config) {
        Ok(json) => json,
        Err(error) => {
            // Its proxy has a password.
            assert!(config.proxy().is_some(), "{error}");
            return check_round_trip(&config.without_proxy().with_proxy_resolves(false));
        }
    };
    let again = serde_json::from_str(&json).expect("it can be read again");
    check_same(config, &again);
    assert_eq!(serde_json::to_string(&again).ok(), Some(json));

    // JSON permits larger numbers than TOML.
    if let Ok(toml) = config.to_toml() {
        let again = NetConfig::from_toml_str(&toml).expect("it can be read again");
        check_same(config, &again);
        assert_eq!(again.to_toml().ok(), Some(toml));
    }
}

fn check_same(left: &NetConfig, right: &NetConfig) {
    for host in HOSTS {
        assert_eq!(left.check(host, 443), right.check(host, 443));
    }
}

/// Hosts of every kind that the lists distinguish.
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
