//! Replacement of placeholders by secrets in the head and body of a request.

use data_encoding::BASE64;
use eryx_http::RequestHead;
use eryx_net_policy::SecretBinding;
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;

use crate::http::context::HttpContext;
use crate::http::query_parameters::QueryParameters;
use crate::http::secret_encodings::{json_escaped, percent_encoded};
use crate::http::secret_store::{SecretStore, Values};
use crate::http::target::{Peer, with_port};

/// The longest field, query or body with secrets in it, in bytes. A provider can give a token that
/// is longer than its placeholder, and a request can have many placeholders.
const MAX_REPLACED: usize = 32 * 1024;

/// The characters of a name that messages repeat.
const MAX_SHOWN: usize = 64;

/// The most misplaced placeholders of a head that have a message.
const MAX_MISPLACED: usize = 4;

/// Finds the secrets that a request to `peer` may use.
pub(super) struct Substitution<'a> {
    context: &'a HttpContext,
    peer: &'a Peer,
    /// The port that the request names, and the others that it may go to.
    ports: &'a [u16],
}

/// The secrets of a head.
#[derive(Default)]
pub(super) struct HeadSecrets {
    /// The secrets that the head uses, where they may be.
    pub(super) used: Vec<usize>,
    /// Why placeholders may not be where they are. It is empty if all of them may.
    pub(super) misplaced: Vec<String>,
}

impl HeadSecrets {
    fn misplaced(&mut self, message: impl FnOnce() -> String) {
        if self.misplaced.len() < MAX_MISPLACED {
            self.misplaced.push(message());
            self.misplaced.dedup();
        }
    }
}

impl<'a> Substitution<'a> {
    pub(super) fn new(context: &'a HttpContext, peer: &'a Peer, ports: &'a [u16]) -> Self {
        Self {
            context,
            peer,
            ports,
        }
    }

    fn store(&self) -> &'a SecretStore {
        &self.context.secrets
    }

    /// Returns the secrets that are for the peer, on each port that it may have.
    fn bindings(&self) -> impl Iterator<Item = (usize, &'a SecretBinding)> {
        let secrets = self.context.policy().secrets().iter().enumerate();
        secrets.filter(|(_, secret)| self.is_bound(secret, self.peer.is_verified))
    }

    fn is_bound(&self, binding: &SecretBinding, is_encrypted: bool) -> bool {
        let mut ports = self.ports.iter();
        ports.all(|&port| binding.is_for(&self.peer.host, port, is_encrypted))
    }

    fn binding(&self, index: usize) -> Option<&'a SecretBinding> {
        let binding = self.context.policy().secrets().get(index)?;
        self.is_bound(binding, self.peer.is_verified)
            .then_some(binding)
    }

    /// Returns the secrets whose placeholders are in `text`, each once.
    pub(super) fn found(&self, text: &[u8]) -> Vec<usize> {
        let mut found: Vec<usize> = self.store().find(text).map(|(index, _)| index).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the secrets that the head uses.
    pub(super) fn used_by_head(&self, head: &RequestHead) -> HeadSecrets {
        let mut secrets = HeadSecrets::default();
        for (name, value) in head.fields().iter() {
            for index in self.found(name.as_bytes()) {
                secrets.misplaced(|| self.misplaced(index, "the name of a field"));
            }
            let mut found = self.found(value);
            if let Some(credentials) = basic_credentials(value) {
                found.extend(self.found(&credentials));
            }
            for index in found {
                if !self.is_for_field(index, name) {
                    let place = || format!("the field `{}`", shortened(name));
                    secrets.misplaced(|| self.misplaced(index, &place()));
                } else if !is_single(head, name) {
                    secrets.misplaced(|| {
                        format!(
                            "the field `{}` has the placeholder of the secret `{}` and is there more \
                             than once; send it once",
                            shortened(name),
                            self.store().name(index)
                        )
                    });
                } else {
                    secrets.used.push(index);
                }
            }
        }
        let target = head.path_and_query();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*target, None),
        };
        for index in self.found(path.as_bytes()) {
            secrets.misplaced(|| self.misplaced(index, "the path"));
        }
        for parameter in query.unwrap_or_default().split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            for index in self.found(name.as_bytes()) {
                secrets.misplaced(|| self.misplaced(index, "the name of a query parameter"));
            }
            for index in self.found(value.as_bytes()) {
                if self.is_for_parameter(index, name.as_bytes()) {
                    secrets.used.push(index);
                } else {
                    let place = || format!("the query parameter `{}`", shortened(name));
                    secrets.misplaced(|| self.misplaced(index, &place()));
                }
            }
        }
        for (index, binding) in self.bindings() {
            let is_missing = |header: &str| head.fields().first(header).is_none();
            if binding.inject().is_some() && binding.headers().iter().all(|h| is_missing(h)) {
                secrets.used.push(index);
            }
        }
        secrets.used.sort_unstable();
        secrets.used.dedup();
        secrets
    }

    /// Returns whether a secret may be in the field `name`.
    fn is_for_field(&self, index: usize, name: &str) -> bool {
        self.binding(index).is_some_and(|binding| {
            let mut headers = binding.headers().iter();
            headers.any(|header| header.eq_ignore_ascii_case(name))
        })
    }

    /// Returns whether a secret may be in the query parameter `name`.
    fn is_for_parameter(&self, index: usize, name: &[u8]) -> bool {
        self.binding(index).is_some_and(|binding| {
            let mut names = binding.query().iter();
            names.any(|other| other.as_bytes() == name)
        })
    }

    /// Returns the secrets that the body of a request may contain.
    pub(super) fn used_by_body(&self) -> Vec<usize> {
        let bindings = self.bindings();
        bindings
            .filter(|(_, binding)| binding.body())
            .map(|(index, _)| index)
            .collect()
    }

    /// Replaces the placeholders in a head that are where their secrets may be, and adds the fields
    /// that bindings inject.
    pub(super) fn apply_to_head(
        &self,
        head: &mut RequestHead,
        values: &Values,
    ) -> Result<(), String> {
        if !values.is_empty() {
            self.replace_in_fields(head, values)?;
            self.replace_in_query(head, values)?;
            self.inject(head, values)?;
        }
        Ok(())
    }

    fn replace_in_fields(&self, head: &mut RequestHead, values: &Values) -> Result<(), String> {
        let mut changes: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, value) in head.fields().iter() {
            let is_single = is_single(head, name);
            let is_allowed = |index, _| is_single && self.is_for_field(index, name);
            let mut replaced = self.replace(value, values, <[u8]>::to_vec, is_allowed)?;
            if let Some(credentials) = basic_credentials(value)
                && let Some(credentials) =
                    self.replace(&credentials, values, <[u8]>::to_vec, is_allowed)?
            {
                let credentials = Zeroizing::new(credentials);
                replaced = Some([BASIC, BASE64.encode(&credentials).as_bytes()].concat());
            }
            changes.extend(replaced.map(|replaced| (name.to_owned(), replaced)));
        }
        for (name, value) in changes {
            set(head, &name, &value)?;
        }
        Ok(())
    }

    fn replace_in_query(&self, head: &mut RequestHead, values: &Values) -> Result<(), String> {
        let target = head.path_and_query().into_owned();
        let Some((_, query)) = target.split_once('?') else {
            return Ok(());
        };
        let query = query.as_bytes();
        let mut parameters = QueryParameters::new(query);
        let is_allowed = |index, at| {
            let name = parameters.name_at(at);
            name.is_some_and(|name| self.is_for_parameter(index, name))
        };
        let Some(query) = self.replace(query, values, percent_encoded, is_allowed)? else {
            return Ok(());
        };
        // The error would have the secret in it.
        let is_set = String::from_utf8(query)
            .ok()
            .is_some_and(|query| head.set_query(Some(&query)).is_ok());
        match is_set {
            true => Ok(()),
            false => Err("the query would be too long; send a shorter request".to_owned()),
        }
    }

    fn inject(&self, head: &mut RequestHead, values: &Values) -> Result<(), String> {
        for (index, value) in values {
            let Some(binding) = self.binding(*index) else {
                continue;
            };
            let (Some(template), Some(header)) = (binding.inject(), binding.headers().first())
            else {
                continue;
            };
            if head.fields().first(header).is_none() {
                let text = Zeroizing::new(template.replacen("{}", value.expose_secret(), 1));
                set(head, header, text.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Returns a form or a JSON text with its placeholders replaced.
    pub(super) fn apply_to_body(
        &self,
        body: Vec<u8>,
        values: &Values,
        is_json: bool,
    ) -> Result<Vec<u8>, String> {
        let encode = if is_json {
            json_escaped
        } else {
            percent_encoded
        };
        let replaced = self.replace(&body, values, encode, |_, _| true)?;
        Ok(replaced.unwrap_or(body))
    }

    /// Returns `text` with placeholders replaced, or `None` if none is. `is_allowed` returns
    /// whether the placeholder of a secret at an offset is replaced.
    fn replace(
        &self,
        text: &[u8],
        values: &Values,
        encode: impl Fn(&[u8]) -> Vec<u8>,
        mut is_allowed: impl FnMut(usize, usize) -> bool,
    ) -> Result<Option<Vec<u8>>, String> {
        // Mostly, there is none.
        if self.store().find(text).next().is_none() {
            return Ok(None);
        }
        let encoded: Vec<(usize, Zeroizing<Vec<u8>>)> = values
            .iter()
            .map(|(index, value)| (*index, encode(value.expose_secret().as_bytes()).into()))
            .collect();
        let mut output = Vec::new();
        let mut end = 0;
        for (index, range) in self.store().find(text) {
            let Some((_, value)) = encoded.iter().find(|(other, _)| *other == index) else {
                continue;
            };
            if !is_allowed(index, range.start) {
                continue;
            }
            let before = &text[end..range.start];
            if output.len() + before.len() + value.len() + (text.len() - range.end) > MAX_REPLACED {
                return Err(
                    "a field, the query or the body has more than 32,768 bytes with them; send fewer \
                     placeholders"
                        .to_owned(),
                );
            }
            output.extend_from_slice(before);
            output.extend_from_slice(value);
            end = range.end;
        }
        if end == 0 {
            return Ok(None);
        }
        output.extend_from_slice(&text[end..]);
        Ok(Some(output))
    }

    /// Returns why a placeholder may not be in a place of a request.
    pub(super) fn misplaced(&self, index: usize, place: &str) -> String {
        let name = self.store().name(index);
        let host = &self.peer.host;
        let port = self.ports[0];
        let bindings = self.context.policy().secrets();
        let binding = &bindings[index];
        if !binding.is_for(host, port, true) {
            let host_port = with_port(host, port);
            return format!(
                "{place} has the placeholder of the secret `{name}`, which is not for \
                 `{host_port}`; send it to its own hosts only, or have the embedder add this host \
                 to secrets.{name}.hosts"
            );
        }
        if !self.is_bound(binding, true) {
            return format!(
                "{place} has the placeholder of the secret `{name}`, which is for some ports of \
                 `{host}`, and nothing proves the port that a tunnel leads to; connect to the host \
                 directly, or have the embedder name `{host}` without a port in \
                 secrets.{name}.hosts"
            );
        }
        if !self.is_bound(binding, self.peer.is_verified) {
            return format!(
                "{place} has the placeholder of the secret `{name}`, which is only sent over TLS with \
                 a verified certificate; use https with verification, or have the embedder add \
                 `{host}` to secrets.{name}.plaintext_hosts"
            );
        }
        let headers = binding.headers().iter();
        let parameters = binding.query().iter();
        let places: Vec<String> = headers
            .map(|header| format!("the field `{header}`"))
            .chain(parameters.map(|name| format!("the query parameter `{name}`")))
            .chain(
                binding
                    .body()
                    .then(|| "bodies of forms and of JSON".to_owned()),
            )
            .collect();
        format!(
            "{place} has the placeholder of the secret `{name}`, which is only put into {}; send it \
             there, or have the embedder add the place to secrets.{name}",
            places.join(", ")
        )
    }
}

/// Sets a field to a value that can have a secret. The error does not have the value.
fn set(head: &mut RequestHead, name: &str, value: &[u8]) -> Result<(), String> {
    let set = head.fields_mut().set(name, value);
    set.map_err(|error| error.kind().to_string())
}

/// Returns whether a field is in a head once. To set one of several would remove the others.
fn is_single(head: &RequestHead, name: &str) -> bool {
    head.fields().all(name).nth(1).is_none()
}

/// Returns the start of a name.
fn shortened(name: &str) -> &str {
    name.get(..MAX_SHOWN).unwrap_or(name)
}

/// The scheme of Basic credentials (RFC 7617, 2), with the space after it.
const BASIC: &[u8] = b"Basic ";

/// Decodes Basic credentials.
fn basic_credentials(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, credentials) = value.split_at_checked(BASIC.len())?;
    if !scheme.eq_ignore_ascii_case(BASIC) {
        return None;
    }
    BASE64.decode(credentials).ok()
}
