//! How single settings are read, with errors for the person who wrote them.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};

use data_encoding::BASE64;
use eryx_net_policy::HostName;
use eryx_tls::TrustStore;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::ConfigError;
use crate::config::names::parse_name_server;

/// A whole number that fits.
pub(super) fn number<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_u64(Whole(PhantomData))
}

/// A whole number, or none for no limit.
pub(super) fn limit<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_option(Limit(PhantomData))
}

/// A whole number from 1, or none for no limit.
pub(super) fn rate<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: TryFrom<u64> + PartialEq + From<u8>,
    D: Deserializer<'de>,
{
    match limit(deserializer)? {
        Some(zero) if zero == T::from(0) => Err(de::Error::custom(
            "0 a second would make everything wait for ever; write a whole number from 1, or leave it out \
             for no limit",
        )),
        limit => Ok(limit),
    }
}

struct Whole<T>(PhantomData<T>);

impl<T: TryFrom<u64>> de::Visitor<'_> for Whole<T> {
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
                "{number} is less than nothing; write a whole number such as 10"
            ))),
        }
    }
}

struct Limit<T>(PhantomData<T>);

impl<'de, T: TryFrom<u64>> de::Visitor<'de> for Limit<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Whole::<T>(PhantomData).expecting(f)
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

/// A timeout in whole milliseconds; what is between two is rounded up.
pub(super) mod milliseconds {
    use std::time::Duration;

    use serde::{Deserializer, Serializer, de};

    use crate::config::limits::LONGEST_TIMEOUT;

    pub(in super::super) fn serialize<S: Serializer>(
        timeout: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let whole = timeout.as_nanos().div_ceil(1_000_000);
        serializer.serialize_u64(u64::try_from(whole).unwrap_or(u64::MAX))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let timeout = Duration::from_millis(super::number(deserializer)?);
        if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
            return Err(de::Error::custom(format!(
                "{} is no timeout in milliseconds; write a whole number from 1 to {}",
                timeout.as_millis(),
                LONGEST_TIMEOUT.as_millis()
            )));
        }
        Ok(timeout)
    }
}

/// PEM that holds certificates.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Certificates(String);

impl Certificates {
    pub(super) fn from_der(der: &[u8]) -> Self {
        // RFC 7468, 2: lines of 64 characters.
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        let mut rest = BASE64.encode(der);
        while !rest.is_empty() {
            let after = rest.split_off(rest.len().min(64));
            pem.push_str(&rest);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        Self(pem)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<'de> Deserialize<'de> for Certificates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(|pem: &str| {
            TrustStore::empty()
                .with_root_cert(pem.as_bytes())
                .map(|_| Self(pem.to_owned()))
                .map_err(ConfigError::from)
        }))
    }
}

/// A name server, as [`NetConfig::with_dns_server_at`](crate::NetConfig::with_dns_server_at) takes it.
pub(super) fn name_server<'de, D>(deserializer: D) -> Result<Option<SocketAddr>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse_name_server(&text))
        .transpose()
        .map_err(de::Error::custom)
}

/// Names and their addresses, each name once.
pub(super) fn hosts<'de, D>(deserializer: D) -> Result<BTreeMap<HostName, Vec<IpAddr>>, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(Hosts)
}

struct Hosts;

impl<'de> de::Visitor<'de> for Hosts {
    type Value = BTreeMap<HostName, Vec<IpAddr>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names with lists of addresses, such as \"db.corp\" = [\"10.0.0.5\"]")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut hosts = BTreeMap::new();
        while let Some((name, addresses)) = map.next_entry::<HostName, Vec<Address>>()? {
            let addresses = addresses.into_iter().map(|address| address.0).collect();
            if hosts.contains_key(&name) {
                return Err(de::Error::custom(format!(
                    "`{name}` is there twice; put all of its addresses into one list"
                )));
            }
            hosts.insert(name, addresses);
        }
        Ok(hosts)
    }
}

struct Address(IpAddr);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(|text: &str| {
            text.parse().map(Self).map_err(|_| {
                format!(
                    "`{}` is not an address; write one such as `192.0.2.7` or `2001:db8::7`",
                    text.escape_debug()
                )
            })
        }))
    }
}

/// A text that something is made of. Errors of a visitor keep the place of the text, unlike those of
/// whoever gets a `String` first.
struct Text<F>(F);

impl<T, E: fmt::Display, F: FnOnce(&str) -> Result<T, E>> de::Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<D: de::Error>(self, text: &str) -> Result<T, D> {
        (self.0)(text).map_err(D::custom)
    }
}
