//! The secrets of one network: placeholders, and the values that responses are searched for.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eryx_http::{Finder, Limits, Scrubber};
use eryx_sync::Mutex;
use futures_util::future::BoxFuture;
use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};

use crate::config::http::{
    MAX_SECRETS, ProvideSecret, Secret, SecretSource, SharedSearch, check_value,
};
use crate::http::secret_filter::SecretPatterns;
use crate::http::secret_forms::{Form, MAX_FORMS, forms};

/// The start of every placeholder, by which a person recognises it.
const PREFIX: &str = "eryx-";

/// The random characters at the end of a placeholder: 131 bits.
const RANDOM_CHARACTERS: usize = 22;

/// The length of the placeholder of a secret whose value is not known yet.
const UNKNOWN_LENGTH: usize = 40;

/// The most values of one secret that are kept to search responses for: the last that were sent.
/// Those of requests that still wait for a response come on top.
const MAX_VALUES: usize = 4;

const _: () = assert!(
    MAX_SECRETS * (MAX_VALUES + Limits::MAX_PIPELINED) * MAX_FORMS <= Scrubber::MAX_SECRETS
);

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The secrets of a network, by their index in the policy.
pub(crate) struct SecretStore {
    slots: Vec<Slot>,
    finder: Option<Finder>,
    /// Finds [`PREFIX`].
    prefix: memmem::Finder<'static>,
    known: Mutex<KnownValues>,
    /// What is searched for while all known values are fixed.
    search: SharedSearch,
    /// A number that changes with the known values; 0 if there are none.
    version: AtomicU64,
}

struct Slot {
    name: Box<str>,
    placeholder: Box<str>,
    source: SecretSource,
}

/// The values that responses are searched for: fixed ones from the start, because an earlier
/// execution may have sent them, and those of providers that requests of this network contained.
struct KnownValues {
    /// For each secret its fixed value, or those that were sent last, oldest first.
    values: Vec<VecDeque<Arc<SecretString>>>,
    /// The patterns for responses; `None` until a response is searched.
    patterns: Option<SecretPatterns>,
}

/// The value of a secret for one request.
pub(crate) enum Value {
    Fixed(Arc<SecretString>),
    /// A provider is asked for it.
    Provided(ValueFuture),
}

/// The values of the secrets that a request uses, by their index in the policy.
pub(super) type Values = Vec<(usize, Arc<SecretString>)>;

/// The future of a value.
pub(crate) type ValueFuture = BoxFuture<'static, Result<Arc<SecretString>, String>>;

impl SecretStore {
    pub(crate) fn new(secrets: &[Secret], search: SharedSearch) -> Self {
        let slot = |secret: &Secret| Slot {
            name: secret.binding().name().into(),
            placeholder: placeholder(length_of(secret.source())).into(),
            source: secret.source().clone(),
        };
        let slots: Vec<Slot> = secrets.iter().map(slot).collect();
        let placeholders = slots.iter().map(|slot| slot.placeholder.as_bytes());
        let finder = (!slots.is_empty()).then(|| {
            Finder::new(placeholders).expect("the number and length of placeholders are bounded")
        });
        let fixed = |slot: &Slot| slot.source.fixed().cloned().into_iter().collect();
        let values: Vec<VecDeque<_>> = slots.iter().map(fixed).collect();
        let has_values = values.iter().any(|values| !values.is_empty());
        Self {
            known: Mutex::new(KnownValues {
                values,
                patterns: None,
            }),
            search,
            slots,
            finder,
            prefix: memmem::Finder::new(PREFIX),
            version: AtomicU64::new(has_values.into()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn name(&self, index: usize) -> &str {
        &self.slots[index].name
    }

    pub(crate) fn placeholder(&self, index: usize) -> &str {
        &self.slots[index].placeholder
    }

    /// Returns the names of the secrets with their placeholders, for the environment of the guest
    /// program.
    pub(crate) fn placeholders(&self) -> impl Iterator<Item = (&str, &str)> {
        let slots = self.slots.iter();
        slots.map(|slot| (&*slot.name, &*slot.placeholder))
    }

    /// Returns the placeholders in `bytes`, with the indices of their secrets.
    pub(crate) fn find<'a>(
        &'a self,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = (usize, Range<usize>)> + 'a {
        let starts = (!self.is_empty()).then(|| self.prefix.find_iter(bytes));
        starts.into_iter().flatten().filter_map(|start| {
            let index = self
                .slots
                .iter()
                .position(|slot| bytes[start..].starts_with(slot.placeholder.as_bytes()))?;
            Some((index, start..start + self.slots[index].placeholder.len()))
        })
    }

    /// Returns `text` with `REDACTED` in place of placeholders.
    pub(crate) fn redacted(&self, text: String) -> String {
        let mut redacted = String::new();
        let mut end = 0;
        // Placeholders are ASCII, and do not overlap: the only `-` of each is in its prefix.
        for (_, found) in self.find(text.as_bytes()) {
            redacted.push_str(&text[end..found.start]);
            redacted.push_str("REDACTED");
            end = found.end;
        }
        if end == 0 {
            return text;
        }
        redacted.push_str(&text[end..]);
        redacted
    }

    /// Returns a finder of placeholders in a stream, or `None` without secrets.
    pub(crate) fn finder(&self) -> Option<Finder> {
        self.finder.clone()
    }

    /// Returns the value of a secret for one request.
    pub(crate) fn value(&self, index: usize) -> Value {
        match &self.slots[index].source {
            SecretSource::Literal(value)
            | SecretSource::Variable(_, value)
            | SecretSource::File(_, value) => Value::Fixed(Arc::clone(value)),
            SecretSource::Provider(provider) => Value::Provided(provided(&**provider)),
        }
    }

    /// Records that a request contains `value`, so that responses are searched for it.
    pub(crate) fn record_sent(&self, index: usize, value: &Arc<SecretString>) {
        let mut known = self.known.lock();
        let values = &mut known.values[index];
        if let Some(place) = values.iter().position(|other| is_same(other, value)) {
            // It is the latest again.
            values.remove(place);
            values.push_back(Arc::clone(value));
            return;
        }
        if values.len() == MAX_VALUES {
            values.pop_front();
        }
        values.push_back(Arc::clone(value));
        known.patterns = None;
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Returns a number that changes with the known values; 0 if there are none.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Returns what responses are searched for: fixed values, the values that were sent, and those
    /// of requests that wait for their response. `None` if there are none.
    ///
    /// Values of all secrets are searched for, because several hosts can belong to one server.
    pub(crate) fn patterns<'a>(
        &self,
        waiting: impl Iterator<Item = &'a (usize, Arc<SecretString>)>,
    ) -> Option<SecretPatterns> {
        let mut known = self.known.lock();
        let mut displaced = Values::new();
        for (index, value) in waiting {
            let is_known = known.values[*index]
                .iter()
                .any(|other| is_same(other, value));
            if !is_known {
                displaced.push((*index, Arc::clone(value)));
            }
        }
        if displaced.is_empty()
            && let Some(patterns) = &known.patterns
        {
            return Some(patterns.clone());
        }
        let mut pairs: Vec<Form> = Vec::new();
        let kept = known.values.iter().enumerate();
        let kept = kept.flat_map(|(index, values)| values.iter().map(move |v| (index, v)));
        let mut is_fixed = true;
        for (index, value) in kept.chain(displaced.iter().map(|(index, v)| (*index, v))) {
            is_fixed &= self.slots[index].source.fixed().is_some();
            let placeholder = self.placeholder(index).as_bytes();
            pairs.extend(forms(value.expose_secret().as_bytes(), placeholder));
        }
        let patterns = match is_fixed {
            true => SecretPatterns::shared(pairs, &self.search.0)?,
            false => SecretPatterns::new(pairs)?,
        };
        if displaced.is_empty() {
            known.patterns = Some(patterns.clone());
        }
        Some(patterns)
    }
}

fn provided(provider: &dyn ProvideSecret) -> ValueFuture {
    let provided = provider.provide();
    Box::pin(async move {
        let value = provided.await.map_err(|error| error.to_string())?;
        check_value(&value)?;
        Ok(Arc::new(value))
    })
}

fn is_same(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret() == b.expose_secret()
}

fn length_of(source: &SecretSource) -> usize {
    let fixed = source.fixed();
    fixed.map_or(UNKNOWN_LENGTH, |value| value.expose_secret().len())
}

/// Returns a random placeholder of `length` characters, or of as many as its random part needs.
fn placeholder(length: usize) -> String {
    let random = length.saturating_sub(PREFIX.len()).max(RANDOM_CHARACTERS);
    let mut text = String::with_capacity(PREFIX.len() + random);
    text.push_str(PREFIX);
    let mut bytes = [0; 64];
    while text.len() < PREFIX.len() + random {
        // The kernel can always supply this few random bytes.
        getrandom::fill(&mut bytes).expect("the kernel has random bytes");
        // The largest multiple of 62 below 256: every character is equally likely.
        let characters = bytes.iter().filter(|&&byte| byte < 248);
        let missing = PREFIX.len() + random - text.len();
        text.extend(
            characters
                .take(missing)
                .map(|byte| char::from(ALPHABET[usize::from(byte % 62)])),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use eryx_net_policy::SecretBinding;

    use super::*;

    #[test]
    fn a_placeholder_has_the_length_of_its_secret_and_at_least_its_random_part() {
        for (length, expected) in [(0, 27), (1, 27), (27, 27), (28, 28), (40, 40), (4096, 4096)] {
            let text = placeholder(length);
            assert_eq!(text.len(), expected, "{length}");
            assert!(text.starts_with(PREFIX));
            assert!(
                text[PREFIX.len()..]
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric())
            );
        }
        assert_ne!(placeholder(40), placeholder(40));
    }

    const TOKEN: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

    fn binding() -> SecretBinding {
        let hosts = ["a.example".parse().expect("a pattern")];
        SecretBinding::new("TOKEN", hosts).expect("a binding")
    }

    #[test]
    fn networks_of_one_configuration_share_the_search_which_is_built_at_the_first_response() {
        let secrets = [Secret::new(binding(), TOKEN).expect("a value")];
        let search = SharedSearch::default();
        let stores = [0, 1].map(|_| SecretStore::new(&secrets, search.clone()));
        assert!(search.0.get().is_none());
        for store in &stores {
            assert_ne!(store.version(), 0);
            let patterns = store.patterns([].iter()).expect("a value");
            assert!(search.0.get().is_some());
            assert_eq!(
                patterns.scrub(TOKEN.as_bytes()),
                store.placeholder(0).as_bytes()
            );
        }
    }
}
