//! Hints for keyword arguments that a function does not have: where the setting is instead.

use crate::limits;
use crate::net_config;
use crate::sandbox_settings;

/// Keyword arguments that sandboxes do not have, and what to write in their place.
const OF_A_SANDBOX: [(&str, &str); 12] = [
    ("timeout", TIMEOUT),
    ("max_memory", MEMORY),
    ("memory_limit", MEMORY),
    ("packages", PACKAGES),
    ("requirements", PACKAGES),
    ("imports", PACKAGES),
    ("callbacks", "functions={\"name\": function}"),
    (
        "volumes",
        "files = eryx.Files(); files.mount(path, directory); eryx.Sandbox(files=files)",
    ),
    ("inputs", "execute(code, inputs={\"name\": value})"),
    ("stdin", "execute(code, stdin=\"text\")"),
    ("argv", "execute(code, argv=[\"script.py\"])"),
    ("value", "execute(code, value=True)"),
];

const TIMEOUT: &str = "resource_limits=eryx.ResourceLimits(execution_timeout_ms=5000)";
const MEMORY: &str = "resource_limits=eryx.ResourceLimits(max_memory_bytes=128 * 2**20)";
const PACKAGES: &str = "eryx.SandboxFactory(requirements=[\"requests\"]).create_sandbox()";

/// Returns what to write in place of the keyword argument `key` of a function that has the keyword
/// arguments `known`, or `None` if it is no setting of another class.
pub(crate) fn in_place_of(key: &str, known: &[&str]) -> Option<String> {
    if known.contains(&"resource_limits") && limits::NAMES.contains(&key) {
        return Some(format!("resource_limits=eryx.ResourceLimits({key}=...)"));
    }
    if known.contains(&"network") {
        if net_config::names().contains(&key) {
            return Some(format!("network=eryx.NetConfig({key}=...)"));
        }
        let entry = OF_A_SANDBOX.iter().find(|(name, _)| *name == key);
        return entry.map(|(_, instead)| (*instead).to_owned());
    }
    if known.contains(&"inputs") {
        if sandbox_settings::NAMES.contains(&key) {
            return Some(format!("eryx.Sandbox({key}=...)"));
        }
        return in_place_of(key, &sandbox_settings::NAMES)
            .filter(|instead| instead.contains("resource_limits") || instead.contains("network"))
            .map(|instead| format!("eryx.Sandbox({instead})"));
    }
    None
}
