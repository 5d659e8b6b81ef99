//! A configuration in a TOML file.

use std::fs;
use std::path::Path;

use super::NetConfig;
use super::written::Written;
use crate::ConfigError;

impl NetConfig {
    /// Reads a configuration written in [TOML](https://toml.io/en/v1.0.0), by the names of the manual.
    ///
    /// What is absent takes its default, so an empty text is [`NetConfig::default`]. What is unknown is an
    /// error.
    ///
    /// # Errors
    ///
    /// [`ConfigError::File`], which names the line, the text and what would be right.
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
        toml::from_str(text).map_err(|error| told(text, &error))
    }

    /// Reads a configuration from a TOML file.
    ///
    /// As [`from_toml_str`](Self::from_toml_str), and `root_cert_files` may name files with certificates,
    /// in PEM or DER, by paths that begin where the file is. [Warnings](Self::warnings) are logged.
    ///
    /// # Errors
    ///
    /// [`ConfigError::File`], which names the file, the line, the text and what would be right.
    pub fn from_toml_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let unreadable = |error| {
            ConfigError::File(format!(
                "the policy file {} cannot be read: {error}",
                path.display()
            ))
        };
        let named = |error: ConfigError| ConfigError::File(format!("{}, {error}", path.display()));
        let bytes = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| unreadable("it is not text in UTF-8, as TOML has to be".into()))?;
        let written: Written = toml::from_str(&text).map_err(|error| named(told(&text, &error)))?;
        let start = path.parent().unwrap_or(Path::new(""));
        let read = |certificate: &Path| {
            let certificate = start.join(certificate);
            fs::read(&certificate).map_err(|error| {
                ConfigError::Refused(format!(
                    "root_cert_files: {} cannot be read: {error}; write a path that begins where the \
                     policy file is",
                    certificate.display()
                ))
            })
        };
        let config = written.configure(&read).map_err(named)?;
        for warning in config.warnings() {
            tracing::warn!(target: "eryx::net", "{}: {warning}", path.display());
        }
        Ok(config)
    }

    /// The configuration as [`from_toml_str`](Self::from_toml_str) reads it, with every default written out.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Refused`] when it has a resolver of the embedder's own, and [`ConfigError::File`] when
    /// it holds a number larger than TOML has (2<sup>63</sup> - 1).
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        let written = Written::of(self)?;
        toml::to_string_pretty(&written)
            .map_err(|error| ConfigError::File(format!("cannot be written as TOML: {error}")))
    }
}

/// The error with its place in the text.
fn told(text: &str, error: &toml::de::Error) -> ConfigError {
    let message: Vec<&str> = error.message().lines().collect();
    let message = message.join("; ");
    let Some(span) = error.span() else {
        return ConfigError::File(printable(&message));
    };
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or("").chars().count();
    let mut shown = format!("line {}, column {}: {message}", line + 1, column + 1);
    let there: String = text
        .lines()
        .nth(line)
        .unwrap_or("")
        .trim()
        .chars()
        .take(MAX_SHOWN)
        .collect();
    if !there.is_empty() {
        shown.push_str(&format!("; there it says {there}"));
    }
    ConfigError::File(printable(&shown))
}

/// `text` without what a terminal acts on or does not show: a key may be written with escapes.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => printable.push(c),
            c => printable.extend(c.escape_debug()),
        }
    }
    printable
}

/// How much of a line an error shows, in characters.
const MAX_SHOWN: usize = 120;
