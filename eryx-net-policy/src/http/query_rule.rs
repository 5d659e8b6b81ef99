//! Query rules: the parameters that must, or must not, be in the query of a request.

use std::collections::{BTreeMap, BTreeSet};

use crate::escape::escape_truncated;
use crate::http::rule_error::HttpRuleError;

/// Parameters that a query must have, and parameters that it must not have.
///
/// Names are compared after percent-decoding, with `+` as a space (WHATWG URL, 5.1). A required
/// name has to be there exactly. A forbidden name is compared as the most generous servers do:
/// without regard to ASCII case, with `;` between parameters as well, without white space around
/// it, brackets around it or an index (`name[]`) after it, and with `.` and ` ` as `_`. A query
/// with a name that cannot be decoded, or has an overlong UTF-8 sequence (RFC 3629, 3), is refused
/// where a name is forbidden.
/// Other parameters are permitted.
///
/// Only the query is compared. A server may take the same parameter from a form in the body.
///
/// ```
/// use eryx_net_policy::{HttpRule, QueryRule};
///
/// let query = QueryRule::new([("per_page", true), ("token", false)])?;
/// let rule = HttpRule::new("api.github.com".parse()?).with_query(query);
/// assert_eq!(rule.query().required().collect::<Vec<_>>(), ["per_page"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryRule {
    required: BTreeSet<Box<str>>,
    /// The names as the embedder wrote them, by their generous form.
    forbidden: BTreeMap<Box<[u8]>, Box<str>>,
}

/// The difference between a query and a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryMismatch<'a> {
    /// This parameter is missing.
    Missing(&'a str),
    /// This parameter, as the rule has it, is forbidden.
    Forbidden(&'a str),
    /// A name cannot be decoded, and a parameter is forbidden.
    Undecodable,
}

impl QueryRule {
    /// Returns the rule for these parameters, by their names in clear: `true` for one that must be
    /// there, `false` for one that must not.
    ///
    /// # Errors
    ///
    /// [`HttpRuleError::Query`] for an empty name, and for a name that is both required and
    /// forbidden.
    pub fn new<N: AsRef<str>>(
        parameters: impl IntoIterator<Item = (N, bool)>,
    ) -> Result<Self, HttpRuleError> {
        let mut rule = Self::default();
        for (name, is_required) in parameters {
            let name = name.as_ref();
            if name.is_empty() {
                return Err(HttpRuleError::Query {
                    problem: "a parameter has an empty name; write its name, such as `page`"
                        .to_owned(),
                });
            }
            if is_required {
                rule.required.insert(name.into());
            } else {
                rule.forbidden
                    .insert(generous_form(name).into(), name.into());
            }
        }
        let is_forbidden = |name: &&str| rule.forbidden.contains_key(&*generous_form(name));
        if let Some(name) = rule.required().find(is_forbidden) {
            return Err(HttpRuleError::Query {
                problem: format!(
                    "`{}` is both required and forbidden; remove one of the two",
                    escape_truncated(name)
                ),
            });
        }
        Ok(rule)
    }

    /// Returns whether every query is permitted.
    pub fn is_empty(&self) -> bool {
        self.required.is_empty() && self.forbidden.is_empty()
    }

    /// Returns the names of parameters that must be there, in their order as text.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        self.required.iter().map(|name| &**name)
    }

    /// Returns the names of parameters that must not be there.
    pub fn forbidden(&self) -> impl Iterator<Item = &str> {
        self.forbidden.values().map(|name| &**name)
    }

    /// Returns whether a query, without its `?`, is permitted.
    ///
    /// ```
    /// use eryx_net_policy::QueryRule;
    ///
    /// let query = QueryRule::new([("token", false)])?;
    /// assert!(query.allows(Some("page=2")));
    /// assert!(!query.allows(Some("page=2&%74oken=x")));
    /// # Ok::<(), eryx_net_policy::HttpRuleError>(())
    /// ```
    pub fn allows(&self, query: Option<&str>) -> bool {
        let index = NameIndex::new([self]);
        self.check(&index.find(query)).is_ok()
    }

    /// Compares the names that were found in a query.
    pub(crate) fn check(&self, names: &FoundNames<'_>) -> Result<(), QueryMismatch<'_>> {
        let mut forbidden = self.forbidden.iter();
        if let Some((_, name)) = forbidden.find(|(form, _)| names.forbidden.contains(&***form)) {
            return Err(QueryMismatch::Forbidden(name));
        }
        if names.has_undecodable && !self.forbidden.is_empty() {
            return Err(QueryMismatch::Undecodable);
        }
        match self.required().find(|name| !names.required.contains(name)) {
            Some(name) => Err(QueryMismatch::Missing(name)),
            None => Ok(()),
        }
    }
}

/// The names in the query rules of a policy, so that a query is read once for all rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameIndex {
    required: BTreeSet<Box<str>>,
    /// In their generous form.
    forbidden: BTreeSet<Box<[u8]>>,
}

/// The names of an index that a query has.
pub(crate) struct FoundNames<'a> {
    required: BTreeSet<&'a str>,
    forbidden: BTreeSet<&'a [u8]>,
    /// Whether the query has a name that cannot be decoded.
    has_undecodable: bool,
}

impl NameIndex {
    pub(crate) fn new<'a>(rules: impl IntoIterator<Item = &'a QueryRule>) -> Self {
        let mut index = Self::default();
        for rule in rules {
            index.required.extend(rule.required.iter().cloned());
            index.forbidden.extend(rule.forbidden.keys().cloned());
        }
        index
    }

    /// Finds the names in a query. The work is linear in its length, and the result is bounded by
    /// the index.
    pub(crate) fn find(&self, query: Option<&str>) -> FoundNames<'_> {
        let mut found = FoundNames {
            required: BTreeSet::new(),
            forbidden: BTreeSet::new(),
            has_undecodable: false,
        };
        if self.required.is_empty() && self.forbidden.is_empty() {
            return found;
        }
        let mut name = Vec::new();
        for parameter in query.unwrap_or_default().split('&') {
            for (part, text) in parameter.split(';').enumerate() {
                if text.is_empty() {
                    continue;
                }
                if decode(text.split('=').next().unwrap_or(text), &mut name).is_none() {
                    found.has_undecodable = true;
                    continue;
                }
                found.has_undecodable |= eryx_http::has_overlong_utf8(&name);
                // Only some servers take `;` for a separator, too.
                if part == 0
                    && !parameter
                        .split('=')
                        .next()
                        .unwrap_or(parameter)
                        .contains(';')
                    && let Ok(name) = str::from_utf8(&name)
                    && let Some(name) = self.required.get(name)
                {
                    found.required.insert(name);
                }
                if let Some(mut name) = name_in_brackets(&name) {
                    make_generous(&mut name);
                    found
                        .forbidden
                        .extend(self.forbidden.get(&*name).map(|name| &**name));
                }
                make_generous(&mut name);
                found
                    .forbidden
                    .extend(self.forbidden.get(&*name).map(|name| &**name));
            }
        }
        found
    }
}

/// Decodes `+` and percent-encodings into `decoded`, in place of what it had; `None` if a `%` is
/// not followed by two digits.
fn decode(name: &str, decoded: &mut Vec<u8>) -> Option<()> {
    decoded.clear();
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                let digit = |digit: &u8| char::from(*digit).to_digit(16);
                u8::try_from(digit(high)? << 4 | digit(low)?).ok()?
            }
            (b'%', _) => return None,
            (byte, _) => byte,
        });
    }
    Some(())
}

/// Returns the name as servers read it that drop brackets around it: `admin` of `[admin]`,
/// `]admin`, `admin]` and `[[admin`, as Rack and qs (of Express) do. `None` for a name without a
/// bracket.
fn name_in_brackets(name: &[u8]) -> Option<Vec<u8>> {
    let is_bracket = |byte: &u8| matches!(byte, b'[' | b']');
    if !name.iter().any(is_bracket) {
        return None;
    }
    let name = name.iter().copied().skip_while(is_bracket);
    Some(name.take_while(|byte| !is_bracket(byte)).collect())
}

fn generous_form(name: &str) -> Vec<u8> {
    let mut form = name.as_bytes().to_vec();
    make_generous(&mut form);
    form
}

/// Changes a name into the form in which the most generous servers read it. PHP ends a name at a
/// NUL, removes white space before it, takes `name[x]` for an array, and replaces ` `, `.` and a
/// lone `[` by `_`; others ignore case.
fn make_generous(name: &mut Vec<u8>) {
    if let Some(end) = name.iter().position(|&b| b == 0) {
        name.truncate(end);
    }
    name.truncate(name.trim_ascii_end().len());
    let start = name.len() - name.trim_ascii_start().len();
    name.drain(..start);
    if let Some(index) = name.iter().position(|&b| b == b'[')
        && index > 0
        && name[index..].contains(&b']')
    {
        name.truncate(index);
    }
    for byte in name {
        *byte = match *byte {
            b' ' | b'.' | b'[' => b'_',
            byte => byte.to_ascii_lowercase(),
        };
    }
}
