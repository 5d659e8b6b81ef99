//! Serialization of rules, query rules and verdicts.

use std::collections::BTreeMap;
use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de, de::MapAccess, de::Visitor,
    ser::SerializeStruct,
};

use crate::http::path_pattern::PathPattern;
use crate::http::query_rule::QueryRule;
use crate::http::rule::{HttpRule, check_method};
use crate::http::verdict::HttpVerdict;
use crate::pattern::HostPattern;

/// A rule as a table; an absent key means no restriction.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpRuleDef {
    host: HostPattern,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    methods: Option<Vec<Method>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paths: Option<Vec<PathPattern>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_request_bytes: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_response_bytes: Option<Bytes>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    upgrade: bool,
    // A table ends the keys above it in TOML.
    #[serde(default, skip_serializing_if = "QueryRule::is_empty")]
    query: QueryRule,
}

impl Serialize for HttpRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let methods = self.methods();
        let def = HttpRuleDef {
            host: self.host().clone(),
            methods: methods.map(|methods| methods.iter().cloned().map(Method).collect()),
            paths: self.paths().map(<[PathPattern]>::to_vec),
            max_request_bytes: self.max_request_bytes().map(Bytes),
            max_response_bytes: self.max_response_bytes().map(Bytes),
            upgrade: self.allows_upgrade(),
            query: self.query().clone(),
        };
        def.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HttpRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let def = HttpRuleDef::deserialize(deserializer)?;
        let mut rule = Self::new(def.host)
            .with_query(def.query)
            .with_max_request_bytes(def.max_request_bytes.map(|bytes| bytes.0))
            .with_max_response_bytes(def.max_response_bytes.map(|bytes| bytes.0))
            .with_upgrade(def.upgrade);
        if let Some(methods) = def.methods {
            let methods = methods.into_iter().map(|method| method.0);
            rule = rule.with_methods(methods).map_err(de::Error::custom)?;
        }
        if let Some(paths) = def.paths {
            rule = rule.with_path_patterns(paths).map_err(de::Error::custom)?;
        }
        Ok(rule)
    }
}

/// A method, checked where it is in the file, so that the error has its position.
#[derive(Serialize)]
#[serde(transparent)]
struct Method(String);

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MethodVisitor;

        impl Visitor<'_> for MethodVisitor {
            type Value = Method;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a method such as \"GET\", as a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Method, E> {
                check_method(text).map_err(E::custom)?;
                Ok(Method(text.to_owned()))
            }
        }

        deserializer.deserialize_str(MethodVisitor)
    }
}

/// A limit, in bytes.
#[derive(Serialize)]
#[serde(transparent)]
struct Bytes(u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;

        impl Visitor<'_> for BytesVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of bytes without quotes, such as 1000000")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Bytes, E> {
                let bytes = u64::try_from(bytes).map_err(|_| {
                    E::custom(format!(
                        "{bytes} is negative; write a number of bytes, or leave the limit out"
                    ))
                })?;
                Ok(Bytes(bytes))
            }
        }

        deserializer.deserialize_u64(BytesVisitor)
    }
}

/// A query rule is a table of names: `true` for a parameter that must be there, `false` for one
/// that must not.
impl Serialize for QueryRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let required = self.required().map(|name| (name, true));
        let forbidden = self.forbidden().map(|name| (name, false));
        let parameters: BTreeMap<&str, bool> = required.chain(forbidden).collect();
        parameters.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for QueryRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QueryVisitor;

        impl<'de> Visitor<'de> for QueryVisitor {
            type Value = QueryRule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of parameters, such as {page = true, token = false}")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<QueryRule, M::Error> {
                let mut parameters: BTreeMap<String, bool> = BTreeMap::new();
                while let Some((name, is_required)) = map.next_entry()? {
                    parameters.insert(name, is_required);
                }
                QueryRule::new(parameters).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_map(QueryVisitor)
    }
}

/// The serialized verdict is for the embedder: it contains the details that
/// [`HttpVerdict::guest_message`] leaves out.
impl Serialize for HttpVerdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("HttpVerdict", 7)?;
        fields.serialize_field("method", self.method())?;
        fields.serialize_field("url", self.url())?;
        fields.serialize_field("decision", &self.decision())?;
        fields.serialize_field("reason", &self.reason())?;
        fields.serialize_field("rule", &self.rule().map(ToString::to_string))?;
        fields.serialize_field("rule_index", &self.rule_index())?;
        fields.serialize_field("message", &self.to_string())?;
        fields.end()
    }
}
