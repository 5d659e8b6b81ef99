//! The values of settings as a policy file has them: certificates, name servers, fixed addresses.
//! Their errors are for the author of the file.

pub(super) mod references;
pub(super) mod secrets;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use data_encoding::BASE64;
use eryx_net_policy::{HostName, HttpRule};
use eryx_tls::TrustStore;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::config::dns::parse_name_server;
use crate::config_error::ConfigError;
use crate::dns::static_hosts::StaticHosts;
use crate::proxy::setting;

pub(super) type Patterns<P> = Vec<P>;
pub(super) type Networks<N> = Vec<N>;
pub(super) type Certificates = Vec<Certificate>;
pub(super) type CertificateFiles = Vec<PathBuf>;
pub(super) type HttpRules = Vec<HttpRule>;

/// One certificate or more, in PEM.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Certificate(String);

impl Certificate {
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

impl<'de> Deserialize<'de> for Certificate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(|pem: &str| {
            TrustStore::empty()
                .with_root_cert(pem.as_bytes())
                .map(|_| Self(pem.to_owned()))
                .map_err(ConfigError::from)
        }))
    }
}

/// The address of a name server, with a port if it is not 53.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct NameServer(pub(super) SocketAddr);

impl<'de> Deserialize<'de> for NameServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(|text: &str| parse_name_server(text).map(Self)))
    }
}

/// The URL of a proxy, or `env`.
pub(super) struct Proxy(pub(super) setting::Proxy);

impl Serialize for Proxy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.to_setting().map_err(ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Proxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(|text: &str| text.parse().map(Self)))
    }
}

/// Names and their addresses, each name once.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Hosts(pub(super) BTreeMap<HostName, Vec<IpAddr>>);

impl Hosts {
    pub(super) fn new(hosts: &StaticHosts) -> Self {
        let hosts = hosts.iter();
        Self(
            hosts
                .map(|(name, addresses)| (name.clone(), addresses.to_vec()))
                .collect(),
        )
    }
}

impl<'de> Deserialize<'de> for Hosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HostsVisitor).map(Self)
    }
}

struct HostsVisitor;

impl<'de> de::Visitor<'de> for HostsVisitor {
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
                    "`{}` is not an IP address; write one in full, such as `192.0.2.7` or `2001:db8::7`",
                    text.escape_debug()
                )
            })
        }))
    }
}

/// Parses a string with a function. Errors of a visitor keep the position of the string in a file;
/// errors raised after deserialising a `String` lose it.
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
