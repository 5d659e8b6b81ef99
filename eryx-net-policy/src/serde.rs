//! What values look like in files and logs.
//!
//! What is parsed from text is that text, held to the same rules: a file cannot hold what `FromStr`
//! refuses, and the reader's error is the parser's.

use std::{fmt, fmt::Display, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de, de::Visitor, ser::SerializeStruct,
};

use crate::{
    host::Host, name::HostName, network::IpNetwork, pattern::HostPattern, port::Port,
    udp_pattern::UdpPattern, verdict::Verdict,
};

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
    IpNetwork: "a network such as \"10.0.0.0/8\", as a string",
}

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

/// A number, or nothing for any.
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

/// For whoever wrote the policy: it holds what [`Verdict::guest_message`] leaves out.
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
