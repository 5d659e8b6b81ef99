//! The table of settings, and the documents that are made from it.
#![cfg(feature = "serde")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use eryx_net_host::{NetConfig, SETTINGS, Setting, SettingKind};
use serde_json::json;

#[test]
fn every_setting_is_a_key_of_a_policy_file_and_every_key_a_setting() {
    let error = NetConfig::default()
        .with_settings(json!({"unknown": 1}))
        .expect_err("an unknown key")
        .to_string();
    let (_, keys) = error.split_once("expected one of ").expect("a list");
    let keys: Vec<&str> = keys.split('`').skip(1).step_by(2).collect();
    let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(keys, names);
}

#[test]
fn names_and_options_are_unique_and_every_setting_is_documented() {
    let names: BTreeSet<_> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(names.len(), SETTINGS.len());
    let options: Vec<_> = SETTINGS
        .iter()
        .filter_map(|setting| setting.option)
        .collect();
    assert_eq!(options.iter().collect::<BTreeSet<_>>().len(), options.len());
    for setting in SETTINGS {
        let name = setting.name;
        assert!(setting.doc.ends_with('.'), "{name}: {}", setting.doc);
        assert!(!setting.doc.starts_with(' '), "{name}");
        assert!(
            !setting.help.is_some_and(|help| help.ends_with('.')),
            "{name}"
        );
        let number = setting.default == "none" || setting.default.parse::<u64>().is_ok();
        assert!(setting.unit.is_none() || number, "{name}");
    }
}

#[test]
fn defaults_of_the_table_are_those_of_a_configuration() {
    let written = serde_json::to_value(NetConfig::default()).expect("serialised");
    for setting in SETTINGS {
        let value = &written[setting.name];
        match setting.name {
            "blocked_hosts" => assert!(!value.as_array().expect("a list").is_empty()),
            name => match setting.default {
                "none" | "{}" => assert!(value.is_null(), "{name}"),
                "[]" => assert!(value.as_array().is_none_or(Vec::is_empty), "{name}"),
                default => assert_eq!(value.to_string(), default, "{name}"),
            },
        }
    }
}

#[test]
fn settings_left_out_of_a_map_keep_their_values() {
    let config = NetConfig::default()
        .with_max_connections(3)
        .with_max_sent_bytes(5)
        .allow_host("a.example")
        .expect("a pattern");
    let changed = config
        .with_settings(json!({"report_only": true, "max_sent_bytes": null}))
        .expect("valid");
    assert_eq!(
        changed,
        config.with_report_only(true).with_max_sent_bytes(None)
    );
    let added = config
        .with_settings(json!({"also_blocked_hosts": ["b.example"]}))
        .expect("valid");
    assert_eq!(added, config.block_host("b.example").expect("a pattern"));
    assert!(added.check("b.example", 443).is_denied());
    let replaced = config
        .allow_localhost()
        .with_settings(json!({"blocked_hosts": ["127.*"], "allowed_hosts": []}))
        .expect("valid");
    assert!(replaced.check("127.0.0.1", 80).is_denied());
    assert!(replaced.check("::1", 80).is_allowed());
}

/// Regression: a policy that was compiled before a setting changed, and went on to be used.
#[test]
fn settings_of_a_map_replace_what_was_built_before() {
    let config = NetConfig::default();
    assert!(!config.check("a.example", 1).is_denied());
    assert!(!config.connector().allows_unverified());
    let changed = config
        .with_settings(json!({"allowed_hosts": ["b.example"], "allow_unverified_tls": true}))
        .expect("valid");
    assert!(changed.check("a.example", 1).is_denied());
    assert!(changed.connector().allows_unverified());
    assert!(!config.connector().allows_unverified());
}

#[test]
fn the_manual_and_the_python_stub_have_the_table_of_settings() {
    let mut outdated = Vec::new();
    for (path, generated) in [
        ("docs/networking.md", vec![("settings", manual_table())]),
        (
            "eryx-python/python/eryx/_eryx.pyi",
            vec![
                ("keywords", stub_keywords(true)),
                ("properties", stub_properties()),
                ("replacements", stub_keywords(false)),
            ],
        ),
    ] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        let old = fs::read_to_string(&file).expect("readable");
        let mut new = old.clone();
        for (block, text) in generated {
            new = with_block(&new, block, &text);
        }
        if new == old {
            continue;
        }
        if std::env::var_os("ERYX_WRITE_SETTINGS").is_some() {
            fs::write(&file, new).expect("writable");
        } else {
            outdated.push(path);
        }
    }
    assert!(
        outdated.is_empty(),
        "{outdated:?} differ from eryx-net-host/src/config/settings.rs: to update them run\n\
         ERYX_WRITE_SETTINGS=1 cargo test -p eryx-net-host --all-features --test settings"
    );
}

/// Returns `document` with `text` between the markers of the block.
fn with_block(document: &str, block: &str, text: &str) -> String {
    let (begin, end) = (format!("generated: {block}"), format!("end of {block}"));
    let (before, rest) = document.split_once(&begin).expect(&begin);
    let (_, after) = rest.split_once(&end).expect(&end);
    let (opening, _) = rest.split_once('\n').expect("a line");
    let indent = before.rsplit('\n').next().expect("a line");
    format!("{before}{begin}{opening}\n{text}{indent}{end}{after}")
}

fn manual_table() -> String {
    let mut table = String::from("| Setting | Value | Default | Meaning |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let value = match setting.kind {
            SettingKind::Flag => "`true` or `false`",
            SettingKind::Patterns => "patterns",
            SettingKind::Networks => "networks",
            SettingKind::Certificates => "PEM",
            SettingKind::CertificateFiles => "paths",
            SettingKind::NameServer => "an address",
            SettingKind::Hosts | SettingKind::Secrets => "a table",
            SettingKind::HttpRules => "tables",
            SettingKind::HttpDenials => "`\"error\"` or `\"response\"`",
            SettingKind::Proxy => "a URL, or `env`",
            _ => setting.unit.expect("a number has a unit"),
        };
        let default = match (setting.kind, setting.default) {
            (SettingKind::Limit | SettingKind::Rate, "none") => "no limit".to_owned(),
            (_, "[]" | "{}") => "empty".to_owned(),
            (_, text) if text.contains(' ') || text == "none" => text.to_owned(),
            (_, value) => format!("`{value}`"),
        };
        writeln!(
            table,
            "| `{}` | {value} | {default} | {} |",
            setting.name, setting.doc
        )
        .expect("written");
    }
    table
}

fn python_settings() -> impl Iterator<Item = &'static Setting> {
    SETTINGS
        .iter()
        .filter(|setting| setting.kind != SettingKind::CertificateFiles)
}

fn stub_keywords(defaults: bool) -> String {
    let mut lines = String::new();
    for setting in python_settings() {
        let kind = match setting.kind {
            SettingKind::Patterns | SettingKind::Networks => "Iterable[str]",
            SettingKind::Certificates => "Iterable[bytes | bytearray | str]",
            SettingKind::HttpRules => "Iterable[HttpRule | str | dict[str, Any]]",
            kind => stub_type(kind),
        };
        let default = match (setting.kind, setting.default) {
            _ if !defaults => "...",
            (_, "none") => "None",
            (_, "[]") => "()",
            (SettingKind::Flag, "true") => "True",
            (SettingKind::Flag, _) => "False",
            (SettingKind::Patterns | SettingKind::Hosts | SettingKind::Secrets, _) => "...",
            (_, number) => number,
        };
        writeln!(lines, "        {}: {kind} = {default},", setting.name).expect("written");
    }
    lines
}

fn stub_properties() -> String {
    let mut lines = String::new();
    for setting in python_settings() {
        let Some(name) = setting.property() else {
            continue;
        };
        let kind = match setting.kind {
            SettingKind::Patterns | SettingKind::Networks | SettingKind::Certificates => {
                "list[str]"
            }
            SettingKind::HttpRules => "list[HttpRule]",
            kind => stub_type(kind),
        };
        writeln!(lines, "    @property\n    def {name}(self) -> {kind}:").expect("written");
        lines += &docstring(setting.doc, "        ");
    }
    lines
}

/// Returns `text` as a docstring in Python, in lines of at most 100 characters.
fn docstring(text: &str, indent: &str) -> String {
    assert!(!text.contains('\\') && !text.contains("\"\"\""), "{text}");
    let mut lines = vec![format!("{indent}\"\"\"")];
    for (at, word) in text.split(' ').enumerate() {
        let line = lines.last_mut().expect("the first line");
        // Three more characters may have to end the docstring.
        if line.len() + 1 + word.len() + 3 > 100 {
            lines.push(format!("{indent}{word}"));
        } else {
            *line += if at == 0 { "" } else { " " };
            *line += word;
        }
    }
    let end = if lines.len() == 1 {
        ""
    } else {
        &format!("\n{indent}")
    };
    format!("{}{end}\"\"\"\n", lines.join("\n"))
}

fn stub_type(kind: SettingKind) -> &'static str {
    match kind {
        SettingKind::Flag => "bool",
        SettingKind::Limit | SettingKind::Rate => "int | None",
        SettingKind::NameServer | SettingKind::Proxy => "str | None",
        SettingKind::Hosts => "dict[str, list[str]]",
        SettingKind::Secrets => "dict[str, Secret]",
        SettingKind::HttpDenials => "Literal[\"error\", \"response\"]",
        _ => "int",
    }
}
