//! The secrets of one network: placeholders, and the values that responses are searched for.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eryx_http::{Finder, Scrubber};
use eryx_sync::Mutex;
use futures_util::future::BoxFuture;
use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};

use crate::config::http::{
    MAX_SECRETS, ProvideSecret, Secret, SecretSource, SharedSearch, check_value,
};
use crate::host_memory::{Charge, HostMemory, estimate};
use crate::http::secret_encodings::{EncodedSecret, MAX_ENCODED_FORMS, encode_secret};
use crate::http::secret_filter::SecretPatterns;

/// The start of every placeholder, by which a person recognises it.
const PREFIX: &str = "eryx-";

/// The random characters at the end of a placeholder: 131 bits.
const RANDOM_CHARACTERS: usize = 22;

/// The length of the placeholder of a secret whose value is not known yet.
const UNKNOWN_LENGTH: usize = 40;

/// The most values of one provider that are kept to search responses for: the last that were sent.
/// Values of requests that still wait for a response are kept besides these.
const MAX_VALUES: usize = 4;

/// The most bytes that these values have together, unless the last one alone is longer. For every
/// new value the search is built again, which takes about 1 ms for 1 KiB of values.
const MAX_KEPT_BYTES: usize = 4 * 1024;

/// The most values of all providers that responses are searched for.
const MAX_PROVIDED: usize = 512;

/// The most bytes of these values: twenty requests with a long token each wait at the same time.
const MAX_PROVIDED_BYTES: usize = 32 * 1024;

const _: () = assert!((MAX_SECRETS + MAX_PROVIDED) * MAX_ENCODED_FORMS <= Scrubber::MAX_SECRETS);

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
#[derive(Default)]
struct KnownValues {
    /// The values of providers, in the order in which they were sent last.
    provided: VecDeque<ProvidedValue>,
    /// The patterns for responses; `None` until a response is searched.
    patterns: Option<SecretPatterns>,
    #[cfg(test)]
    builds: usize,
}

struct ProvidedValue {
    index: usize,
    /// A request that waits for its response has a handle to it, too.
    value: Arc<SecretString>,
    _memory: Charge,
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
        let has_fixed = slots.iter().any(|slot| slot.source.fixed().is_some());
        Self {
            known: Mutex::default(),
            search,
            slots,
            finder,
            prefix: memmem::Finder::new(PREFIX),
            version: AtomicU64::new(has_fixed.into()),
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

    /// Records that a request contains `value`, so that responses are searched for it. Returns the
    /// handle that the request keeps: the value stays until it is dropped, and longer if no later
    /// ones take its place. `memory` is charged for the search.
    ///
    /// # Errors
    ///
    /// The message for the program if there is no room: too many requests wait for a response.
    pub(crate) fn record_sent(
        &self,
        index: usize,
        value: Arc<SecretString>,
        memory: &HostMemory,
    ) -> Result<Arc<SecretString>, String> {
        if self.slots[index].source.fixed().is_some() {
            return Ok(value);
        }
        let mut known = self.known.lock();
        if let Some(again) =
            known.remove(|other| other.index == index && is_same(&other.value, &value))
        {
            let value = Arc::clone(&again.value);
            known.provided.push_back(again);
            return Ok(value);
        }
        let length = value.expose_secret().len();
        let refusal = |reason: &dyn fmt::Display| {
            let name = self.name(index);
            format!("responses cannot be searched for the value of the secret `{name}`: {reason}")
        };
        if !known.make_room(index, length) {
            let reason = format!(
                "requests that wait for a response have {} KiB of values, the most they may; read \
                 responses before sending more requests",
                MAX_PROVIDED_BYTES / 1024
            );
            return Err(refusal(&reason));
        }
        let memory = memory.charge(estimate::searched_value(length));
        known.provided.push_back(ProvidedValue {
            index,
            value: Arc::clone(&value),
            _memory: memory.map_err(|full| refusal(&full))?,
        });
        known.patterns = None;
        self.version.fetch_add(1, Ordering::Release);
        Ok(value)
    }

    /// Returns a number that changes with the known values; 0 if there are none.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Returns what responses are searched for: fixed values, and those of providers that were
    /// sent.
    /// `None` if there are none.
    ///
    /// Values of all secrets are searched for, because several hosts can belong to one server.
    pub(crate) fn patterns(&self) -> Option<SecretPatterns> {
        let mut known = self.known.lock();
        if let Some(patterns) = &known.patterns {
            return Some(patterns.clone());
        }
        let slots = self.slots.iter().enumerate();
        let fixed = slots.filter_map(|(index, slot)| Some((index, slot.source.fixed()?)));
        let provided = known
            .provided
            .iter()
            .map(|other| (other.index, &other.value));
        let forms = fixed.chain(provided).flat_map(|(index, value)| {
            let placeholder = self.placeholder(index).as_bytes();
            encode_secret(value.expose_secret().as_bytes(), placeholder)
        });
        let forms: Vec<EncodedSecret> = forms.collect();
        let patterns = match known.provided.is_empty() {
            true => SecretPatterns::shared(forms, &self.search.0)?,
            false => SecretPatterns::new(forms)?,
        };
        #[cfg(test)]
        {
            known.builds += 1;
        }
        known.patterns = Some(patterns.clone());
        Some(patterns)
    }
}

impl KnownValues {
    /// Removes and returns the first value of a provider that `is_wanted` accepts.
    fn remove(&mut self, is_wanted: impl Fn(&ProvidedValue) -> bool) -> Option<ProvidedValue> {
        let place = self.provided.iter().position(is_wanted)?;
        self.provided.remove(place)
    }

    /// Removes the oldest values that no request waits with, until there is room for one more of
    /// `length` bytes. Returns whether there is.
    fn make_room(&mut self, index: usize, length: usize) -> bool {
        let is_kept = |other: &ProvidedValue| other.index == index && !other.is_in_use();
        loop {
            let kept = self.provided.iter().filter(|other| is_kept(other));
            let (count, bytes) = size(kept);
            if count == 0 || (count < MAX_VALUES && bytes + length <= MAX_KEPT_BYTES) {
                break;
            }
            self.remove(is_kept);
        }
        loop {
            let (count, bytes) = size(self.provided.iter());
            if count < MAX_PROVIDED && bytes + length <= MAX_PROVIDED_BYTES {
                return true;
            }
            if self.remove(|other| !other.is_in_use()).is_none() {
                return false;
            }
        }
    }
}

impl ProvidedValue {
    /// Returns whether a request with the value waits for its response.
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.value) > 1
    }
}

/// Returns the number of values, and of their bytes.
fn size<'a>(values: impl Iterator<Item = &'a ProvidedValue>) -> (usize, usize) {
    values.fold((0, 0), |(count, bytes), value| {
        (count + 1, bytes + value.value.expose_secret().len())
    })
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
    use crate::config::http::ProvideSecretError;

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

    struct NeverAsked;

    impl ProvideSecret for NeverAsked {
        fn provide(&self) -> BoxFuture<'static, Result<SecretString, ProvideSecretError>> {
            Box::pin(std::future::pending())
        }
    }

    /// Returns a store with a provider.
    fn store() -> SecretStore {
        let secret = Secret::with_provider(binding(), Arc::new(NeverAsked));
        SecretStore::new(&[secret], SharedSearch::default())
    }

    /// Returns a value of `length` bytes that differs with `number`.
    fn value(number: usize, length: usize) -> Arc<SecretString> {
        Arc::new(format!("{number:0length$}").into())
    }

    /// Returns how many values are kept.
    fn kept(store: &SecretStore) -> usize {
        store.known.lock().provided.len()
    }

    #[test]
    fn the_search_for_a_new_value_is_built_once_for_all_connections() {
        let (store, memory) = (store(), HostMemory::default());
        assert!(store.patterns().is_none());
        let mut waiting = Vec::new();
        for number in 0..10 {
            // The same value again does not change what is searched for.
            for _ in 0..2 {
                let value = store.record_sent(0, value(number, 40), &memory);
                waiting.push(value.expect("room"));
            }
            for _connection in 0..3 {
                let patterns = store.patterns().expect("a value");
                for number in 0..=number {
                    let text = value(number, 40);
                    assert!(patterns.may_be_in(text.expose_secret().as_bytes()));
                }
            }
        }
        assert_eq!(store.known.lock().builds, 10);
        assert_eq!(kept(&store), 10);
        drop(waiting);
        store.record_sent(0, value(10, 40), &memory).expect("room");
        assert_eq!(kept(&store), MAX_VALUES);
    }

    #[test]
    fn fewer_long_values_are_kept_and_those_of_waiting_requests_are_bounded() {
        for (length, expected) in [(40, MAX_VALUES), (1024, 4), (1500, 2), (4096, 1)] {
            let (store, memory) = (store(), HostMemory::default());
            for number in 0..10 {
                let value = store.record_sent(0, value(number, length), &memory);
                drop(value.expect("room"));
            }
            assert_eq!(kept(&store), expected, "{length}");
            let charged = expected as u64 * estimate::searched_value(length);
            assert_eq!(memory.used(), charged);
        }
        for (length, most) in [(40, MAX_PROVIDED), (4096, MAX_PROVIDED_BYTES / 4096)] {
            let (store, memory) = (store(), HostMemory::default());
            let record = |number| store.record_sent(0, value(number, length), &memory);
            let mut waiting: Vec<_> = (0..most).map(|n| record(n).expect("room")).collect();
            let error = record(most).expect_err("full");
            assert!(
                error.contains("`TOKEN`") && !error.contains("0000"),
                "{error}"
            );
            waiting.pop();
            record(most).expect("room");
            assert_eq!(kept(&store), most);
        }
    }

    #[test]
    fn a_value_for_whose_search_there_is_no_memory_is_refused() {
        let (store, memory) = (store(), HostMemory::new(1000));
        let error = store.record_sent(0, value(0, 40), &memory);
        let error = error.expect_err("full");
        assert!(error.contains("max_host_memory"), "{error}");
        assert_eq!((kept(&store), memory.used()), (0, 0));
    }

    #[test]
    fn networks_of_one_configuration_share_the_search_which_is_built_at_the_first_response() {
        let secrets = [Secret::new(binding(), TOKEN).expect("a value")];
        let search = SharedSearch::default();
        let stores = [0, 1].map(|_| SecretStore::new(&secrets, search.clone()));
        assert!(search.0.get().is_none());
        for store in &stores {
            assert_ne!(store.version(), 0);
            let patterns = store.patterns().expect("a value");
            assert!(search.0.get().is_some());
            assert_eq!(
                patterns.scrub(TOKEN.as_bytes()),
                store.placeholder(0).as_bytes()
            );
        }
    }
}
