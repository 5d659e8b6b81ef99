//! Policy files: a configuration in TOML.

use std::fs;
use std::path::Path;

use super::NetConfig;
use super::error::ConfigError;
use super::generated::NetConfigDef;

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
    /// The setting `root_cert_files` may name files with certificates, in PEM or DER, by paths
    /// relative to the policy file. Logs the [warnings](Self::warnings).
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
        let settings: NetConfigDef =
            toml::from_str(&text).map_err(|error| with_path(with_location(&text, &error)))?;
        let start = path.parent().unwrap_or(Path::new(""));
        let read = |certificate: &Path| {
            let certificate = start.join(certificate);
            fs::read(&certificate).map_err(|error| {
                ConfigError::Refused(format!(
                    "root_cert_files: {} cannot be read: {error}; write a path relative to the \
                     policy file",
                    certificate.display()
                ))
            })
        };
        let config = settings
            .apply_to(NetConfig::default(), &read)
            .map_err(with_path)?;
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
    /// [`ConfigError::Refused`] for a configuration with a resolver of the embedder's own, and
    /// [`ConfigError::File`] for a number larger than TOML has (2<sup>63</sup> - 1).
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string_pretty(&NetConfigDef::new(self)?)
            .map_err(|error| ConfigError::File(format!("cannot be written as TOML: {error}")))
    }
}

/// Returns the error with its line and column, and the text of the line.
fn with_location(text: &str, error: &toml::de::Error) -> ConfigError {
    let message: Vec<&str> = error.message().lines().collect();
    let message = message.join("; ");
    let Some(span) = error.span() else {
        return ConfigError::File(escape_control(&message));
    };
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or("").chars().count();
    let mut shown = format!("line {}, column {}: {message}", line + 1, column + 1);
    let line_text: String = text
        .lines()
        .nth(line)
        .unwrap_or("")
        .trim()
        .chars()
        .take(MAX_SHOWN)
        .collect();
    if !line_text.is_empty() {
        shown.push_str(&format!("; the line is {line_text}"));
    }
    ConfigError::File(escape_control(&shown))
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
