//! Policy files: a configuration in TOML.

use std::fs;
use std::path::Path;

use super::NetConfig;
use super::file_values::references::References;
use super::settings_macros::NetConfigFile;
use crate::config_error::ConfigError;

impl NetConfig {
    /// Reads a configuration in [TOML](https://toml.io/en/v1.0.0), by the names of
    /// [`SETTINGS`](crate::SETTINGS).
    ///
    /// An absent setting takes its default, so an empty text is [`NetConfig::default`]. An unknown
    /// setting is an error.
    ///
    /// # Errors
    ///
    /// [`ConfigError::File`], which names the line, the text and the fix.
    ///
    /// ```
    /// use eryx_net_host::NetConfig;
    ///
    /// let config = NetConfig::from_toml_str(r#"
    ///     allowed_hosts = ["api.example.com:443", "*.cdn.example.com"]
    ///     connect_timeout_ms = 5000
    ///     max_received_bytes = 100_000_000
    ///
    ///     [hosts]
    ///     "db.corp" = ["10.0.0.5"]
    /// "#)?;
    /// assert!(config.check("evil.example", 443).is_denied());
    ///
    /// let error = NetConfig::from_toml_str("max_conections = 3").unwrap_err();
    /// assert!(error.to_string().starts_with("line 1, column 1: unknown field `max_conections`"));
    /// # Ok::<(), eryx_net_host::ConfigError>(())
    /// ```
    pub fn from_toml_str(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| with_location(text, &error))
    }

    /// Reads a configuration from a TOML file, as [`from_toml_str`](Self::from_toml_str) does.
    ///
    /// The settings `root_cert_files` and `proxy_root_cert_files` may name files with certificates,
    /// in PEM or DER, and a secret may name the file or the environment variable that has its
    /// value. Paths are relative to the policy file. Logs the [warnings](Self::warnings).
    ///
    /// ```no_run
    /// use eryx_net_host::NetConfig;
    ///
    /// std::fs::write("policy.toml", r#"
    ///     allowed_hosts = ["api.github.com:443"]
    ///
    ///     [[http_rules]]
    ///     host = "api.github.com"
    ///     methods = ["GET", "HEAD"]
    ///     paths = ["/repos/acme/**"]
    ///
    ///     [secrets.GITHUB_TOKEN]
    ///     env = "GITHUB_TOKEN"
    ///     hosts = ["api.github.com"]
    /// "#)?;
    /// let config = NetConfig::from_toml_file("policy.toml")?;
    /// assert!(config.check_http("PUT", "https://api.github.com/repos/acme/site").is_denied());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::File`], which names the file, the line, the text and the fix.
    pub fn from_toml_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let unreadable = |error| {
            ConfigError::File(format!(
                "the policy file {} cannot be read: {error}",
                path.display()
            ))
        };
        let with_path =
            |error: ConfigError| ConfigError::File(format!("{}, {error}", path.display()));
        let bytes = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| unreadable("it is not text in UTF-8, as TOML has to be".into()))?;
        let settings: NetConfigFile =
            toml::from_str(&text).map_err(|error| with_path(with_location(&text, &error)))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let config = settings
            .apply_to(NetConfig::default(), &References::Folder(folder))
            .map_err(with_path)?;
        config.validate().map_err(with_path)?;
        for warning in config.warnings() {
            tracing::warn!(target: "eryx::net", "{}: {warning}", path.display());
        }
        Ok(config)
    }

    /// Returns the configuration as TOML that [`from_toml_str`](Self::from_toml_str) reads,
    /// defaults included.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Refused`] for a configuration with a resolver of the embedder's own, or with
    /// a proxy that has a password, or with a secret whose value is in no environment variable or
    /// file, and [`ConfigError::File`] for a number larger than TOML has (2<sup>63</sup> - 1).
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string_pretty(&NetConfigFile::new(self)?)
            .map_err(|error| ConfigError::File(format!("cannot be written as TOML: {error}")))
    }
}

/// Returns the error with its line and column, and the text of the line.
fn with_location(text: &str, error: &toml::de::Error) -> ConfigError {
    let message: Vec<&str> = error.message().lines().collect();
    let mut message = message.join("; ");
    let Some(span) = error.span() else {
        return ConfigError::File(escape_control(&message));
    };
    let may_have_secret = may_have_secret(text, span.end);
    if may_have_secret
        && message.contains(": string ")
        && let Some((_, expected)) = message.rsplit_once(", expected ")
    {
        message = format!("invalid type: a string, expected {expected}");
    }
    if !may_have_secret && let Some(remedy) = remedy(&message, text.get(span.clone())) {
        message += &remedy;
    }
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or("").chars().count();
    let mut shown = format!("line {}, column {}: {message}", line + 1, column + 1);
    let line_text = text.lines().nth(line).unwrap_or("").trim();
    let line_text: String = match is_proxy_line(line_text) {
        true => "proxy = …".to_owned(),
        false => line_text.chars().take(MAX_SHOWN).collect(),
    };
    if !line_text.is_empty() && !may_have_secret {
        shown.push_str(&format!("; the line is {line_text}"));
    }
    ConfigError::File(escape_control(&shown))
}

/// Returns the end of the message for frequent mistakes: what to write in place of `value`.
fn remedy(message: &str, value: Option<&str>) -> Option<String> {
    if message.ends_with("expected a sequence") {
        let value = value.filter(|value| value.starts_with(['"', '\'']))?;
        return Some(format!("; write [{value}]"));
    }
    let (name, names) = message
        .strip_prefix("unknown field `")?
        .split_once("`, expected ")?;
    let known = names.split('`').skip(1).step_by(2);
    let near = known
        .map(|known| (distance(name, known), known))
        .filter(|(distance, known)| 3 * distance <= known.len())
        .min()?;
    Some(format!("; did you mean `{}`?", near.1))
}

/// Returns the number of characters to insert, remove or replace (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    // Longer names are no typing errors, and would take long.
    if one.len() > 64 {
        return usize::MAX / 3;
    }
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[row.len() - 1]
}

/// Returns whether the line that ends behind `at` may have the value of a secret, which a person
/// wrote there by mistake: the line, or one before it, is about secrets.
fn may_have_secret(text: &str, at: usize) -> bool {
    let end = text.get(at..).and_then(|rest| rest.find('\n'));
    let lines = end.map_or(text, |length| &text[..at + length]);
    lines.contains("secrets")
}

/// Returns whether the line sets the proxy, which may have a password.
fn is_proxy_line(line: &str) -> bool {
    let key = line.split('=').next().unwrap_or_default();
    key.trim().trim_matches(['"', '\'']) == "proxy"
}

/// Escapes characters that a terminal acts on or does not show: TOML can spell them in a key with
/// escapes.
fn escape_control(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => escaped.push(c),
            c => escaped.extend(c.escape_debug()),
        }
    }
    escaped
}

/// The part of a line that an error shows, in characters.
const MAX_SHOWN: usize = 120;
