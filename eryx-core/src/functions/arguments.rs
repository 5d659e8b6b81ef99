//! The arguments of a call, chosen by the untrusted program.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use crate::functions::error::FunctionError;
use crate::json_value::{JsonValue, JsonValueError};

/// The arguments of a call: JSON that the untrusted program chose.
///
/// ```
/// use eryx_core::{Function, FunctionError};
///
/// #[derive(serde::Deserialize)]
/// struct Search {
///     q: String,
///     #[serde(default)]
///     limit: usize,
/// }
///
/// // In a program: `tools.search("x")`, `tools.search("x", limit=3)` or `tools.search(q="x")`.
/// let search = Function::blocking(|arguments| {
///     let Search { q, limit } = arguments.to()?;
///     Ok::<_, FunctionError>(vec![q; limit])
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Arguments(JsonValue);

impl Arguments {
    /// Returns the arguments that a program passed.
    ///
    /// # Errors
    ///
    /// When `text` is not a JSON array of an array and an object.
    pub(crate) fn from_guest(text: Vec<u8>) -> Result<Self, JsonValueError> {
        let value = JsonValue::from_text(text)?;
        let _shape: (Vec<IgnoredAny>, AnyObject) = value.to()?;
        Ok(Self(value))
    }

    /// Returns the JSON text: an array of the positional arguments, an array, and the keyword
    /// arguments, an object.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Converts the arguments to a type.
    ///
    /// For a struct, the positional arguments are its first fields, and the keyword arguments are
    /// the fields with these names. A tuple or an array takes positional arguments alone, a map
    /// keyword arguments alone. `()` takes none.
    ///
    /// # Errors
    ///
    /// A `TypeError` for the program, when the arguments are not those of the type.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, FunctionError> {
        let (positional, keywords) = self.0.to()?;
        T::deserialize(Binding {
            positional,
            keywords,
        })
        .map_err(|error| FunctionError::new("TypeError", error.to_string()))
    }
}

/// An object with any members. The check of arguments takes no memory for them.
struct AnyObject;

impl<'de> Deserialize<'de> for AnyObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnyObject)
    }
}

impl<'de> Visitor<'de> for AnyObject {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of keyword arguments")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}

/// Arguments that are bound to the parameters of a type.
struct Binding {
    positional: Vec<Value>,
    keywords: Map<String, Value>,
}

impl Binding {
    /// Binds the arguments to the parameters `names`.
    fn bind(mut self, names: &[&str]) -> Result<Map<String, Value>, serde_json::Error> {
        if self.positional.len() > names.len() {
            return Err(serde_json::Error::custom(format_args!(
                "it takes {} positional arguments, but {} were given",
                names.len(),
                self.positional.len()
            )));
        }
        for (name, value) in names.iter().zip(self.positional) {
            if self.keywords.insert((*name).to_owned(), value).is_some() {
                return Err(serde_json::Error::custom(format_args!(
                    "it got two values for the argument `{name}`"
                )));
            }
        }
        Ok(self.keywords)
    }
}

impl<'de> Deserializer<'de> for Binding {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match (self.positional.is_empty(), self.keywords.is_empty()) {
            (_, true) => visitor.visit_seq(SeqDeserializer::new(self.positional.into_iter())),
            (true, false) => visitor.visit_map(MapDeserializer::new(self.keywords.into_iter())),
            (false, false) => Err(serde_json::Error::custom(
                "it takes positional or keyword arguments, not both in one call",
            )),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let bound = Value::Object(self.bind(fields)?);
        bound.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        Value::Object(self.bind(&[])?).deserialize_map(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.positional.is_empty() && self.keywords.is_empty() {
            true => visitor.visit_unit(),
            false => Err(serde_json::Error::custom("it takes no arguments")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit_struct seq tuple tuple_struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Search {
        q: String,
        #[serde(default)]
        limit: u32,
    }

    fn arguments(text: &str) -> Arguments {
        Arguments::from_guest(text.into()).expect("well-formed")
    }

    fn search(text: &str) -> Result<Search, String> {
        arguments(text).to().map_err(|error| error.to_string())
    }

    #[test]
    fn positional_and_keyword_arguments_are_the_fields_of_a_struct() {
        let expected = |limit| {
            Ok(Search {
                q: "x".into(),
                limit,
            })
        };
        assert_eq!(search(r#"[["x"],{}]"#), expected(0));
        assert_eq!(search(r#"[["x",3],{}]"#), expected(3));
        assert_eq!(search(r#"[["x"],{"limit":3}]"#), expected(3));
        assert_eq!(search(r#"[[],{"q":"x","limit":3}]"#), expected(3));
    }

    #[test]
    fn arguments_that_do_not_fit_are_a_type_error_that_names_them() {
        for (text, wanted) in [
            (
                r#"[["x",1,2],{}]"#,
                "it takes 2 positional arguments, but 3 were given",
            ),
            (r#"[["x"],{"q":"y"}]"#, "two values for the argument `q`"),
            (r#"[[],{}]"#, "missing field `q`"),
            (
                r#"[[1],{}]"#,
                "invalid type: integer `1`, expected a string",
            ),
        ] {
            let error = search(text).expect_err(text);
            assert!(
                error.starts_with("TypeError: ") && error.contains(wanted),
                "{error}"
            );
        }
        arguments("[[1],{}]").to::<()>().expect_err("takes none");
        arguments("[[1],{\"a\":2}]")
            .to::<Vec<u8>>()
            .expect_err("mixed");
    }

    #[test]
    fn a_tuple_takes_positional_arguments_and_a_map_keywords() {
        assert_eq!(arguments("[[1,\"a\"],{}]").to(), Ok((1, "a".to_owned())));
        let map = BTreeMap::from([("a".to_owned(), 2)]);
        assert_eq!(arguments("[[],{\"a\":2}]").to(), Ok(map));
        assert_eq!(arguments("[[],{}]").to(), Ok(()));
        assert_eq!(arguments("[[],{}]").to(), Ok(BTreeMap::<String, u8>::new()));
    }

    #[test]
    fn text_of_another_form_is_refused() {
        for text in [
            "",
            "[]",
            "[[]]",
            "{}",
            "[[],[]]",
            "[{},{}]",
            "[[],{},1]",
            "[[],{}] 1",
        ] {
            assert!(Arguments::from_guest(text.into()).is_err(), "{text}");
        }
    }
}
