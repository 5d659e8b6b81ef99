//! Fields and methods of `NetConfig`, and the array `SETTINGS`, generated from the table of
//! settings.

use std::sync::Arc;
use std::time::Duration;

use eryx_net_policy::{HostPattern, IpNetwork, UdpPattern};
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

use super::NetConfig;
#[cfg(feature = "serde")]
use super::file_values::secrets::Secrets;
#[cfg(feature = "serde")]
use super::file_values::{
    CertificateFiles, Certificates, Hosts, HttpRules, NameServer, Networks, Patterns, Proxy,
};
#[cfg(feature = "serde")]
use super::http::HttpDenials;
#[cfg(feature = "serde")]
use super::scalar::present;
use super::scalar::{Count, Flag, Limit, Rate, Timeout};
use super::settings::{Setting, SettingKind};
use crate::config_error::ConfigError;

macro_rules! default_value {
    (Limit none) => {
        Limit(None)
    };
    (Rate none) => {
        Rate(None)
    };
    (Timeout $ms:literal) => {
        Timeout(Duration::from_millis($ms))
    };
    ($kind:ident $value:literal) => {
        $kind($value)
    };
}

macro_rules! default_text {
    ({ $text:literal }) => {
        $text
    };
    ($value:tt) => {
        stringify!($value)
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

/// `None` for a limit that is not set, which a policy file leaves out.
#[cfg(feature = "serde")]
macro_rules! value_if_set {
    (Limit $value:expr) => {
        $value.0.is_some().then_some($value)
    };
    (Rate $value:expr) => {
        $value.0.is_some().then_some($value)
    };
    ($kind:ident $value:expr) => {
        Some($value)
    };
}

macro_rules! scalar_value {
    (infallible $getter:ident, $value:expr) => {
        $value
    };
    (fallible $getter:ident, $value:expr) => {
        $value
            .map_err(|error| ConfigError::OutOfRange(format!("{}: {error}", stringify!($getter))))?
    };
}

macro_rules! scalar_result {
    (infallible $config:ident) => {
        $config
    };
    (fallible $config:ident) => {
        Ok($config)
    };
}

/// The getter and the setter of a scalar setting.
macro_rules! scalar_methods {
    (Count, $($row:tt)*) => {
        scalar_methods! { @usize, infallible Count, usize, Self, [#[must_use]], $($row)* }
    };
    (Flag, $($row:tt)*) => {
        scalar_methods! { @bool, infallible Flag, bool, Self, [#[must_use]], $($row)* }
    };
    (Limit<$number:ident>, $($row:tt)*) => {
        scalar_methods! {
            @Option<$number>, infallible Limit::new, impl Into<Option<$number>>, Self,
            [#[must_use]], $($row)*
        }
    };
    (Rate<$number:ident>, $($row:tt)*) => {
        scalar_methods! {
            @Option<$number>, fallible Rate::new, impl Into<Option<$number>>,
            Result<Self, ConfigError>, [
                ///
                /// # Errors
                ///
                /// [`ConfigError::OutOfRange`] for zero.
            ], $($row)*
        }
    };
    (Timeout, $($row:tt)*) => {
        scalar_methods! {
            @Duration, fallible Timeout::new, Duration, Result<Self, ConfigError>, [
                ///
                /// # Errors
                ///
                /// [`ConfigError::OutOfRange`] for zero and for more than 24 hours.
            ], $($row)*
        }
    };
    (
        @$value:ty, $fallible:ident $new:expr, $argument:ty, $return:ty, [$(#[$attribute:meta])*],
        $(#[$doc:meta])+ $key:ident $getter:ident $(#[$detail:meta])* $setter:ident
        $($cache:ident)*
    ) => {
        $(#[$doc])+
        #[must_use]
        pub fn $getter(&self) -> $value {
            self.scalars.$key.0
        }

        #[doc = concat!("Returns a copy with another [`", stringify!($getter), "`](Self::", stringify!($getter), ").")]
        #[doc = ""]
        $(#[$detail])*
        $(#[$attribute])*
        pub fn $setter(&self, value: $argument) -> $return {
            let mut config = self.clone();
            config.scalars.$key = scalar_value!($fallible $getter, $new(value));
            $(config.$cache = Arc::default();)*
            scalar_result!($fallible config)
        }
    };
}

macro_rules! define_settings {
    (
        scalars {$(
            $(#[doc = $doc:literal])+
            $key:ident($getter:ident): $kind:ident$(<$number:ident>)? = $default:tt
            $(, unit $unit:literal)? $(, option $option:literal)?
            { $(#[$detail:meta])* $setter:ident $(resets $($cache:ident)+)? };
        )+}
        lists {$(
            $(#[doc = $list_doc:literal])+
            $list:ident($list_getter:ident): $list_kind:ident<$entry:ident> = $list_default:tt
            $(, option $list_option:literal: $list_help:literal)?
            { $(#[$list_detail:meta])* $add:ident };
        )+}
        others {$(
            $(#[doc = $other_doc:literal])+
            $other:ident($($other_getter:ident)?): $other_kind:ident$(<$item:ident>)?
            = $other_default:tt $(, option $other_option:literal: $other_help:literal)?
            $(, add $other_add:ident)?;
        )+}
    ) => {
        /// The scalar settings of a configuration.
        #[derive(Clone, Debug, PartialEq)]
        pub(super) struct ScalarSettings {
            $(pub(super) $key: $kind$(<$number>)?,)+
        }

        impl Default for ScalarSettings {
            fn default() -> Self {
                Self { $($key: default_value!($kind $default),)+ }
            }
        }

        /// The lists of host patterns and networks of a configuration.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(super) struct ListSettings {
            $(pub(super) $list: Vec<$entry>,)+
        }

        impl NetConfig {
            $(scalar_methods! {
                $kind$(<$number>)?, $(#[doc = $doc])+ #[doc = ""]
                #[doc = concat!("Default: ", stringify!($default), "." $(, " Unit: ", $unit, ".")?)]
                $key $getter $(#[$detail])* $setter
                $($($cache)+)?
            })+
            $(
                $(#[doc = $list_doc])+
                #[doc = ""]
                #[doc = concat!("Default: ", default_text!($list_default), ".")]
                #[must_use]
                pub fn $list_getter(&self) -> &[$entry] {
                    &self.rules.lists.$list
                }

                #[doc = concat!("Returns a copy with one more entry in [`", stringify!($list_getter), "`](Self::", stringify!($list_getter), ").")]
                #[doc = ""]
                $(#[$list_detail])*
                ///
                /// # Errors
                ///
                /// [`ConfigError::Pattern`] or [`ConfigError::Network`] for a malformed entry.
                pub fn $add(&self, entry: &str) -> Result<Self, ConfigError> {
                    let entry = entry.parse()?;
                    Ok(self.with_rules(|rules| rules.lists.$list.push(entry)))
                }
            )+
        }

        /// The settings of a policy file; `None` is an absent one.
        #[cfg(feature = "serde")]
        #[derive(Default, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct NetConfigFile {
            $(
                #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
                pub(super) $key: Option<$kind$(<$number>)?>,
            )+
            $(
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(super) $list: Option<$list_kind<$entry>>,
            )+
            // A table ends the settings above it in TOML: the last row of the table is one.
            $(
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(super) $other: Option<$other_kind$(<$item>)?>,
            )+
        }

        #[cfg(feature = "serde")]
        impl NetConfigFile {
            pub(super) fn of_scalars_and_lists(config: &NetConfig) -> Self {
                Self {
                    $($key: value_if_set!($kind config.scalars.$key),)+
                    $($list: Some(config.rules.lists.$list.clone()),)+
                    ..Self::default()
                }
            }

            pub(super) fn apply_scalars_and_lists(&mut self, config: &mut NetConfig) {
                $(if let Some(value) = self.$key {
                    config.scalars.$key = value;
                    $($(config.$cache = Arc::default();)+)?
                })+
                let rules = Arc::make_mut(&mut config.rules);
                $(if let Some(list) = self.$list.take() {
                    rules.lists.$list = list;
                })+
            }
        }

        /// Every network setting, in the order of a policy file.
        ///
        /// ```
        /// let timeout = eryx_net_host::SETTINGS
        ///     .iter()
        ///     .find(|setting| setting.name == "io_timeout_ms")
        ///     .expect("a setting");
        /// assert_eq!((timeout.default, timeout.unit), ("60000", Some("milliseconds")));
        /// ```
        pub const SETTINGS: &[Setting] = &[
            $(Setting {
                name: stringify!($key),
                kind: SettingKind::$kind,
                default: default_text!($default),
                unit: optional!($($unit)?),
                doc: concat!($($doc),+).trim_ascii(),
                getter: Some(stringify!($getter)),
                setter: Some(stringify!($setter)),
                option: optional!($($option)?),
                help: None,
                add: None,
            },)+
            $(Setting {
                name: stringify!($list),
                kind: SettingKind::$list_kind,
                default: default_text!($list_default),
                unit: None,
                doc: concat!($($list_doc),+).trim_ascii(),
                getter: Some(stringify!($list_getter)),
                setter: None,
                option: optional!($($list_option)?),
                help: optional!($($list_help)?),
                add: Some(NetConfig::$add),
            },)+
            $(Setting {
                name: stringify!($other),
                kind: SettingKind::$other_kind,
                default: default_text!($other_default),
                unit: None,
                doc: concat!($($other_doc),+).trim_ascii(),
                getter: optional!($(stringify!($other_getter))?),
                setter: None,
                option: optional!($($other_option)?),
                help: optional!($($other_help)?),
                add: optional!($(NetConfig::$other_add)?),
            },)+
        ];
    };
}
crate::net_settings!(define_settings);
