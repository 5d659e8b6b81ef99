//! Serde support for secrets: their bindings and the places of their values, never the values.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use eryx_net_policy::{HostPattern, SecretBinding};
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::config::file_values::references::{References, ValuePlace};
use crate::config::http::{Secret, SecretSource};
use crate::config_error::ConfigError;

/// Secrets by their names.
#[derive(Serialize)]
#[serde(transparent)]
pub(in crate::config) struct Secrets(BTreeMap<String, Entry>);

/// A secret: a [`SecretDef`], whose errors do not repeat a value that is in its place.
#[derive(Serialize)]
#[serde(transparent)]
struct Entry(SecretDef);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretDef {
    /// The environment variable that has the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<String>,
    /// The file that has the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    hosts: Vec<HostPattern>,
    headers: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    query: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    body: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    inject: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    plaintext_hosts: Vec<HostPattern>,
}

impl Secrets {
    /// Returns the secrets without their values.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Refused`] for a secret whose value is in no environment variable or file.
    pub(in crate::config) fn new<'a>(
        secrets: impl Iterator<Item = &'a Secret>,
    ) -> Result<Self, ConfigError> {
        let entries = secrets.map(|secret| {
            let name = secret.binding().name().to_owned();
            SecretDef::new(secret).map(|def| (name, Entry(def)))
        });
        entries.collect::<Result<_, _>>().map(Self)
    }

    pub(in crate::config) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the secrets with their values.
    pub(in crate::config) fn into_secrets(
        self,
        references: &References<'_>,
    ) -> Result<Vec<Secret>, ConfigError> {
        let secrets = self.0.into_iter();
        secrets
            .map(|(name, entry)| entry.0.into_secret(&name, references))
            .collect()
    }
}

impl SecretDef {
    fn new(secret: &Secret) -> Result<Self, ConfigError> {
        let binding = secret.binding();
        let (env, file) = match secret.source() {
            SecretSource::Variable(variable, _) => (Some(variable.to_string()), None),
            SecretSource::File(file, _) => (None, Some(file.to_path_buf())),
            SecretSource::Literal(_) | SecretSource::Provider(_) => {
                return Err(ConfigError::Refused(format!(
                    "secrets.{}: a configuration with the value of a secret, or with a function that \
                     supplies it, cannot be written down: take the value from an environment variable \
                     or a file, or leave the secret out, and set it after reading",
                    binding.name()
                )));
            }
        };
        Ok(Self {
            env,
            file,
            hosts: binding.hosts().to_vec(),
            headers: Some(binding.headers().to_vec()),
            query: binding.query().to_vec(),
            body: binding.body(),
            inject: binding.inject().map(str::to_owned),
            plaintext_hosts: binding.plaintext_hosts().to_vec(),
        })
    }

    fn into_secret(self, name: &str, references: &References<'_>) -> Result<Secret, ConfigError> {
        let mut binding = SecretBinding::new(name, self.hosts)?
            .with_query(self.query)?
            .with_body(self.body)
            .with_plaintext_hosts(self.plaintext_hosts)?;
        if let Some(headers) = self.headers {
            binding = binding.with_headers(headers)?;
        }
        if let Some(template) = &self.inject {
            binding = binding.with_inject(template)?;
        }
        let place = match (&self.env, &self.file) {
            (Some(variable), None) => ValuePlace::Variable(variable),
            (None, Some(file)) => ValuePlace::File(file),
            (None, None) | (Some(_), Some(_)) => {
                return Err(ConfigError::Refused(format!(
                    "secrets.{name}: write where the value is, with either `env = \"VARIABLE\"` or \
                     `file = \"PATH\"`"
                )));
            }
        };
        references.secret(binding, place)
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a table of names, each with a table";
        deserializer
            .deserialize_any(TableVisitor::new(expected))
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a table with `hosts`, and with `env` or `file`";
        deserializer
            .deserialize_any(TableVisitor::new(expected))
            .map(Self)
    }
}

/// Reads a table. The error of a text in its place does not repeat it, because a person may have
/// written the value of a secret there.
struct TableVisitor<T> {
    expected: &'static str,
    kind: PhantomData<T>,
}

impl<T> TableVisitor<T> {
    fn new(expected: &'static str) -> Self {
        Self {
            expected,
            kind: PhantomData,
        }
    }
}

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for TableVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    /// Pitfall: the default method has the text in its error.
    fn visit_str<E: de::Error>(self, _: &str) -> Result<T, E> {
        Err(E::custom(
            "a policy file does not have the value of a secret: write a table with `hosts`, and with \
             `env` or `file` for the environment variable or file that has the value",
        ))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
