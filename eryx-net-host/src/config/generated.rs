//! Fields and methods of `NetConfig`, and the array `SETTINGS`, generated from the table of settings.

use std::sync::Arc;
use std::time::Duration;

use eryx_net_policy::{HostPattern, IpNetwork, UdpPattern};

use super::NetConfig;
use super::error::ConfigError;
use super::scalar::{Count, Flag, Limit, Rate, Timeout};
use super::settings::{Setting, SettingKind};

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

/// The getter and the setter of a scalar setting.
macro_rules! scalar_methods {
    (Count, $($row:tt)*) => {
        scalar_methods! { @infallible usize, usize, Count, $($row)* }
    };
    (Flag, $($row:tt)*) => {
        scalar_methods! { @infallible bool, bool, Flag, $($row)* }
    };
    (Limit<$number:ident>, $($row:tt)*) => {
        scalar_methods! {
            @infallible Option<$number>, impl Into<Option<$number>>, Limit::new, $($row)*
        }
    };
    (Rate<$number:ident>, $($row:tt)*) => {
        scalar_methods! {
            @fallible Option<$number>, impl Into<Option<$number>>, Rate::new, "zero", $($row)*
        }
    };
    (Timeout, $($row:tt)*) => {
        scalar_methods! {
            @fallible Duration, Duration, Timeout::new, "zero and for more than 24 hours", $($row)*
        }
    };
    (
        @infallible $value:ty, $argument:ty, $new:expr,
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
        #[must_use]
        pub fn $setter(&self, value: $argument) -> Self {
            let mut config = self.clone();
            config.scalars.$key = $new(value);
            $(config.$cache = Arc::default();)*
            config
        }
    };
    (
        @fallible $value:ty, $argument:ty, $new:expr, $out_of_range:literal,
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
        ///
        /// # Errors
        ///
        #[doc = concat!("[`ConfigError::OutOfRange`] for ", $out_of_range, ".")]
        pub fn $setter(&self, value: $argument) -> Result<Self, ConfigError> {
            let value = $new(value).map_err(|error| {
                ConfigError::OutOfRange(format!("{}: {error}", stringify!($getter)))
            })?;
            let mut config = self.clone();
            config.scalars.$key = value;
            $(config.$cache = Arc::default();)*
            Ok(config)
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
