//! The types of scalar settings: ranges, and how serde reads and writes them.

use std::time::Duration;

#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// The longest timeout. No program needs to wait longer, and a deadline of `now` plus the timeout
/// cannot overflow.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(transparent))]
pub(super) struct Count(
    #[cfg_attr(feature = "serde", serde(deserialize_with = "de::number"))] pub(super) usize,
);

/// A number, or no limit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(Serialize, Deserialize),
    serde(transparent, bound(deserialize = "T: TryFrom<u64>"))
)]
pub(super) struct Limit<T>(
    #[cfg_attr(feature = "serde", serde(deserialize_with = "de::limit"))] pub(super) Option<T>,
);

/// A number per second, from 1, or no limit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(Serialize, Deserialize),
    serde(
        transparent,
        bound(deserialize = "T: TryFrom<u64> + From<u8> + PartialEq")
    )
)]
pub(super) struct Rate<T>(
    #[cfg_attr(feature = "serde", serde(deserialize_with = "de::rate"))] pub(super) Option<T>,
);

/// A time of more than zero and at most [`MAX_TIMEOUT`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(transparent))]
pub(super) struct Timeout(
    #[cfg_attr(feature = "serde", serde(with = "de::milliseconds"))] pub(super) Duration,
);

/// True or false.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize), serde(transparent))]
pub(super) struct Flag(pub(super) bool);

impl<T> Limit<T> {
    pub(super) fn new(limit: impl Into<Option<T>>) -> Self {
        Self(limit.into())
    }
}

impl<T: From<u8> + PartialEq> Rate<T> {
    pub(super) fn new(rate: impl Into<Option<T>>) -> Result<Self, &'static str> {
        match rate.into() {
            Some(zero) if zero == T::from(0) => Err(
                "0 a second would make everything wait for ever; give at least 1, or leave it out \
                 for no limit. To allow nothing, set max_connections, max_sent_bytes or \
                 max_received_bytes to 0",
            ),
            rate => Ok(Self(rate)),
        }
    }
}

impl Timeout {
    pub(super) fn new(timeout: Duration) -> Result<Self, String> {
        if timeout.is_zero() || timeout > MAX_TIMEOUT {
            return Err(format!(
                "{} ms is not a timeout; give at least 1 ms and at most 24 hours ({} ms)",
                timeout.as_millis(),
                MAX_TIMEOUT.as_millis()
            ));
        }
        Ok(Self(timeout))
    }
}

/// How serde reads and writes the settings, with errors for the author of a policy file.
/// Reads a value that is present: one that means "no limit" is not an absent setting.
#[cfg(feature = "serde")]
pub(super) fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(feature = "serde")]
mod de {
    use std::fmt;
    use std::marker::PhantomData;

    use serde::{Deserializer, de};

    use super::Rate;

    pub(super) fn number<'de, T: TryFrom<u64>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        deserializer.deserialize_u64(Number(PhantomData))
    }

    pub(super) fn limit<'de, T: TryFrom<u64>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_option(NumberOrNone(PhantomData))
    }

    pub(super) fn rate<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: TryFrom<u64> + From<u8> + PartialEq,
        D: Deserializer<'de>,
    {
        let rate = Rate::new(limit(deserializer)?).map_err(de::Error::custom)?;
        Ok(rate.0)
    }

    /// A time in whole milliseconds. When written, a fraction is rounded up.
    pub(super) mod milliseconds {
        use std::time::Duration;

        use serde::{Deserializer, Serializer, de};

        use crate::config::scalar::Timeout;

        pub(in crate::config::scalar) fn serialize<S: Serializer>(
            timeout: &Duration,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            let ms = timeout.as_nanos().div_ceil(1_000_000);
            serializer.serialize_u64(u64::try_from(ms).unwrap_or(u64::MAX))
        }

        pub(in crate::config::scalar) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Duration, D::Error> {
            let timeout = Duration::from_millis(super::number(deserializer)?);
            let timeout = Timeout::new(timeout).map_err(de::Error::custom)?;
            Ok(timeout.0)
        }
    }

    struct Number<T>(PhantomData<T>);

    impl<T: TryFrom<u64>> de::Visitor<'_> for Number<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number without quotes, such as 10")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
            T::try_from(number).map_err(|_| E::custom(format!("{number} is too large")))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
            match u64::try_from(number) {
                Ok(number) => self.visit_u64(number),
                Err(_) => Err(E::custom(format!(
                    "{number} is negative; write a whole number such as 10"
                ))),
            }
        }
    }

    struct NumberOrNone<T>(PhantomData<T>);

    impl<'de, T: TryFrom<u64>> de::Visitor<'de> for NumberOrNone<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            Number::<T>(PhantomData).expecting(f)
        }

        fn visit_none<E: de::Error>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_unit<E: de::Error>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
            number(deserializer).map(Some)
        }
    }
}
