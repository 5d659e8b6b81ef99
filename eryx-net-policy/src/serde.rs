//! Serialization of hosts, patterns, ports and verdicts.
//!
//! A type with `FromStr` is a string in files, with the same rules and the same error messages.

use std::fmt;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de, de::Visitor, ser::SerializeStruct,
};

use crate::cidr::IpNetwork;
use crate::host::Host;
use crate::host_name::HostName;
use crate::http::path_pattern::PathPattern;
use crate::pattern::HostPattern;
use crate::port::Port;
use crate::udp_pattern::UdpPattern;
use crate::verdict::Verdict;

macro_rules! as_text {
    ($($kind:ty: $expected:literal,)*) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text { expected: $expected, kind: PhantomData })
            }
        }
    )*};
}

as_text! {
    Host: "a host name or an address, as a string",
    HostName: "a host name, as a string",
    HostPattern: "a host pattern such as \"*.example.com:443\", as a string",
    UdpPattern: "a host pattern with a port such as \"ns.example.com:53\", as a string",
    PathPattern: "a path pattern such as \"/repos/*/issues\", as a string",
    IpNetwork: "a network such as \"10.0.0.0/8\", as a string",
}

/// Parses a string with `FromStr`.
struct Text<T> {
    expected: &'static str,
    kind: PhantomData<T>,
}

impl<T: FromStr<Err: Display>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// A port is a number, and [`Port::Any`] is `None`.
impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = match self {
            Self::Any => None,
            Self::Number(number) => Some(number),
        };
        number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<u16>::deserialize(deserializer).map(Self::from)
    }
}

/// The serialized verdict is for the embedder: it contains the details that
/// [`Verdict::guest_message`] leaves out.
impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Verdict", 9)?;
        fields.serialize_field("host", &self.host())?;
        fields.serialize_field("port", &self.port())?;
        fields.serialize_field("decision", &self.decision())?;
        fields.serialize_field("reason", &self.reason())?;
        fields.serialize_field("rule", &self.rule())?;
        fields.serialize_field("addresses", self.addresses())?;
        fields.serialize_field("denied_address", &self.denied_address())?;
        fields.serialize_field("denied_alias", &self.denied_alias())?;
        fields.serialize_field("message", &self.to_string())?;
        fields.end()
    }
}
