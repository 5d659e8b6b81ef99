//! References in a policy file: to files, by paths relative to it, and environment variables.

use std::fs;
use std::path::{self, Path};

use eryx_net_policy::SecretBinding;

use crate::config::http::Secret;
use crate::config_error::ConfigError;

/// Follows the references of settings, if they may have any.
///
/// Deserialised settings may come from an untrusted place. They must not make this process read
/// files, and must not send its environment variables to hosts of their choice.
pub(in crate::config) enum References<'a> {
    /// Refuses every reference.
    Refused,
    /// Follows references of a policy file in this folder.
    #[cfg_attr(
        not(feature = "toml"),
        allow(dead_code, reason = "policy files are in TOML")
    )]
    Folder(&'a Path),
}

/// The location of the value of a secret.
pub(in crate::config) enum ValuePlace<'a> {
    Variable(&'a str),
    File(&'a Path),
}

impl References<'_> {
    /// Returns the bytes of a certificate file that `setting` names.
    pub(in crate::config) fn certificate(
        &self,
        setting: &str,
        file: &Path,
    ) -> Result<Vec<u8>, ConfigError> {
        let Self::Folder(folder) = self else {
            return Err(ConfigError::Refused(format!("{setting} {NO_FILES}")));
        };
        let file = folder.join(file);
        fs::read(&file).map_err(|error| {
            ConfigError::Refused(format!(
                "{setting}: {} cannot be read: {error}; write a path relative to the policy file",
                file.display()
            ))
        })
    }

    /// Returns a secret with its value.
    pub(in crate::config) fn secret(
        &self,
        binding: SecretBinding,
        place: ValuePlace<'_>,
    ) -> Result<Secret, ConfigError> {
        let Self::Folder(folder) = self else {
            return Err(ConfigError::Refused(format!(
                "secrets.{}: the value of a secret is read only for a policy file \
                 (NetConfig::from_toml_file): leave the secret out, and set it after reading",
                binding.name()
            )));
        };
        match place {
            ValuePlace::Variable(variable) => Secret::from_variable(binding, variable),
            ValuePlace::File(file) => {
                // The configuration can be written to a policy file in another folder.
                let file = folder.join(file);
                let absolute = path::absolute(&file).unwrap_or(file);
                Secret::from_file(binding, absolute)
            }
        }
    }
}

const NO_FILES: &str = "is read only from a policy file (NetConfig::from_toml_file), whose place its \
                        paths are relative to: give the certificates themselves, in root_certs or \
                        proxy_root_certs";
