//! The forms in which a message can contain a secret: as it is, and encoded.

use data_encoding::BASE64;
use secrecy::zeroize::Zeroizing;

/// A text that contains a secret or most of it, and the text of the same length that the program
/// sees instead.
pub(super) type EncodedSecret = (Zeroizing<Vec<u8>>, Vec<u8>);

/// The most forms of one secret: as it is, one for each of [`ENCODINGS`], and six in Base64.
pub(super) const MAX_ENCODED_FORMS: usize = 1 + ENCODINGS.len() + 6;

/// Encodes a text.
type Encode = fn(&[u8]) -> Vec<u8>;

/// The encodings in which requests contain a secret, and in which servers repeat it.
const ENCODINGS: [Encode; 21] = [
    percent_encoded,
    |value| percent(value, UNRESERVED, Case::Lower),
    // Of a path.
    |value| percent(value, b"-._~/", Case::Upper),
    // `encodeURIComponent` of JavaScript.
    |value| percent(value, b"-._~!'()*", Case::Upper),
    // `quote_plus` of Python, `QueryEscape` of Go.
    |value| form(value, UNRESERVED),
    // `URLSearchParams` of JavaScript, `URLEncoder` of Java.
    |value| form(value, b"-._*"),
    // `urlencode` of PHP.
    |value| form(value, b"-._"),
    json_escaped,
    // `json_encode` of PHP.
    |value| json(value, b"/", b"", Case::Lower),
    // `encoding/json` of Go, and Rails.
    |value| json(value, b"", b"&<>", Case::Lower),
    // `json_script` of Django.
    |value| json(value, b"", b"&<>", Case::Upper),
    // `tojson` of Jinja.
    |value| json(value, b"", b"&<>'", Case::Lower),
    // Gson, of Java.
    |value| json(value, b"", b"&<>='", Case::Lower),
    // `serialize-javascript`.
    |value| json(value, b"", b"<>/", Case::Upper),
    // `System.Text.Json` of .NET.
    |value| json(value, b"", b"\"&<>'+`", Case::Upper),
    // `html.escape` of Python, and React.
    |value| html(value, b"", &[(b'"', "&quot;"), (b'\'', "&#x27;")]),
    // ERB of Ruby, lodash, and `escape-html`, of Express.
    |value| html(value, b"'", &[(b'"', "&quot;")]),
    // MarkupSafe, of Jinja.
    |value| html(value, b"\"'", &[]),
    // `html/template` of Go.
    |value| html(value, b"\"'+", &[]),
    // Handlebars.
    |value| {
        let apostrophe = (b'\'', "&#x27;");
        html(value, b"", &[QUOTE, apostrophe, BACKTICK, EQUALS])
    },
    // Mustache.
    |value| html(value, b"'", &[QUOTE, BACKTICK, EQUALS, (b'/', "&#x2F;")]),
];

/// Characters that need no percent-encoding besides letters and digits (RFC 3986, 2.3).
const UNRESERVED: &[u8] = b"-._~";

/// Characters as Handlebars and Mustache escape them.
const QUOTE: (u8, &str) = (b'"', "&quot;");
const BACKTICK: (u8, &str) = (b'`', "&#x60;");
const EQUALS: (u8, &str) = (b'=', "&#x3D;");

/// The case of hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
}

/// The shortest encoded form that responses are searched for: a shorter one would also be found by
/// chance.
const MIN_ENCODED: usize = 4;

/// Returns the forms of a secret that responses are searched for, each once.
///
/// Besides the secret itself these are its [`ENCODINGS`], and Base64 as in Basic credentials. In
/// Base64 the text before the secret decides how it is encoded, so there are three forms. Bits of
/// its first and last byte that share a character with a neighbour are not part of them.
pub(super) fn encode_secret(value: &[u8], placeholder: &[u8]) -> Vec<EncodedSecret> {
    let shown = masked(placeholder, value.len());
    let mut forms: Vec<EncodedSecret> = Vec::with_capacity(MAX_ENCODED_FORMS);
    for encode in ENCODINGS {
        let encoded = Zeroizing::new(encode(value));
        if *encoded != value && forms.iter().all(|(other, _)| *other != encoded) {
            let shown = masked(placeholder, encoded.len());
            forms.push((encoded, shown));
        }
    }
    for offset in 0..3 {
        let inner = base64_inner(value, offset);
        let last = base64_last(value, offset);
        if inner.len() >= MIN_ENCODED {
            // A longer form is found in place of one that starts it.
            if last.len() > inner.len() {
                forms.push((Zeroizing::new(last), base64_last(&shown, offset)));
            }
            forms.push((Zeroizing::new(inner), base64_inner(&shown, offset)));
        }
    }
    forms.push((Zeroizing::new(value.to_vec()), shown));
    forms
}

/// Returns `placeholder` with `length` bytes: cut, or filled up.
fn masked(placeholder: &[u8], length: usize) -> Vec<u8> {
    let mut masked = placeholder[..placeholder.len().min(length)].to_vec();
    masked.resize(length, b'*');
    masked
}

/// Returns the characters of Base64 that depend on `value` alone, where it follows `offset` bytes
/// of a group of three (RFC 4648, 4).
fn base64_inner(value: &[u8], offset: usize) -> Vec<u8> {
    let end = 8 * (offset + value.len()) / 6;
    let mut encoded = base64_last(value, offset);
    encoded.truncate(end - base64_start(offset));
    encoded
}

/// Returns the characters of Base64 that depend on `value` alone, where it follows `offset` bytes
/// of a group of three, and nothing follows it. Without padding.
fn base64_last(value: &[u8], offset: usize) -> Vec<u8> {
    let text = Zeroizing::new([&[0; 2][..offset], value].concat());
    let mut encoded = BASE64.encode(&text).into_bytes();
    let padding = encoded.iter().rev().take_while(|&&b| b == b'=').count();
    encoded.truncate(encoded.len() - padding);
    encoded.split_off(base64_start(offset).min(encoded.len()))
}

/// Returns how many characters also depend on the bytes before.
fn base64_start(offset: usize) -> usize {
    (8 * offset).div_ceil(6)
}

/// Percent-encodes everything but unreserved characters (RFC 3986, 2.1).
pub(super) fn percent_encoded(value: &[u8]) -> Vec<u8> {
    percent(value, UNRESERVED, Case::Upper)
}

/// Escapes printable ASCII for a JSON string (RFC 8259, 7).
pub(super) fn json_escaped(value: &[u8]) -> Vec<u8> {
    json(value, b"", b"", Case::Lower)
}

/// Percent-encodes everything but letters, digits and `kept`, with `+` for a space, as in a form
/// (URL Standard, 5.1).
fn form(value: &[u8], kept: &[u8]) -> Vec<u8> {
    let mut output = percent(value, &[kept, b" "].concat(), Case::Upper);
    let spaces = output.iter_mut().filter(|byte| **byte == b' ');
    spaces.for_each(|byte| *byte = b'+');
    output
}

/// Percent-encodes everything but letters, digits and `kept`.
fn percent(value: &[u8], kept: &[u8], case: Case) -> Vec<u8> {
    let mut output = Vec::with_capacity(3 * value.len());
    for &byte in value {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            output.push(byte);
        } else {
            output.push(b'%');
            push_hex(&mut output, byte, case);
        }
    }
    output
}

/// Escapes printable ASCII for a JSON string, with a backslash before `slashed`, and `escaped` by
/// their number. `"` and `\` have a backslash unless they are escaped by their number.
fn json(value: &[u8], slashed: &[u8], escaped: &[u8], case: Case) -> Vec<u8> {
    let mut output = Vec::with_capacity(6 * value.len());
    for &byte in value {
        if escaped.contains(&byte) {
            output.extend_from_slice(b"\\u00");
            push_hex(&mut output, byte, case);
            continue;
        }
        if matches!(byte, b'"' | b'\\') || slashed.contains(&byte) {
            output.push(b'\\');
        }
        output.push(byte);
    }
    output
}

/// Escapes printable ASCII for HTML: `&`, `<` and `>` by name, `numbered` by their number, and
/// others as `named` says.
fn html(value: &[u8], numbered: &[u8], named: &[(u8, &str)]) -> Vec<u8> {
    let mut output = Vec::with_capacity(6 * value.len());
    for &byte in value {
        let name = named.iter().find(|(other, _)| *other == byte);
        match (byte, name) {
            (b'&', _) => output.extend_from_slice(b"&amp;"),
            (b'<', _) => output.extend_from_slice(b"&lt;"),
            (b'>', _) => output.extend_from_slice(b"&gt;"),
            (_, Some((_, name))) => output.extend_from_slice(name.as_bytes()),
            _ if numbered.contains(&byte) => {
                output.extend_from_slice(&[b'&', b'#', b'0' + byte / 10, b'0' + byte % 10, b';']);
            }
            _ => output.push(byte),
        }
    }
    output
}

fn push_hex(output: &mut Vec<u8>, byte: u8, case: Case) {
    let digits: &[u8; 16] = match case {
        Case::Lower => b"0123456789abcdef",
        Case::Upper => b"0123456789ABCDEF",
    };
    output.push(digits[usize::from(byte >> 4)]);
    output.push(digits[usize::from(byte & 15)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACEHOLDER: &[u8] = b"eryx-0123456789abcdefghijkl";

    #[test]
    fn base64_contains_a_form_of_the_secret_whatever_surrounds_it() {
        for length in 1..40 {
            let secret: Vec<u8> = (0..length).map(|n| b'A' + n).collect();
            let forms = encode_secret(&secret, PLACEHOLDER);
            assert!(forms.len() <= MAX_ENCODED_FORMS);
            for (before, after) in (0..7).flat_map(|before| (0..4).map(move |n| (before, n))) {
                let text = [&vec![b'x'; before][..], &secret, &vec![b'y'; after]].concat();
                let encoded = BASE64.encode(&text);
                let found = forms
                    .iter()
                    .map(|(form, _)| String::from_utf8(form.to_vec()).expect("ASCII"))
                    .filter(|form| encoded.contains(form))
                    .map(|form| form.len())
                    .max();
                // The first and the last character can depend on the neighbours.
                let expected = (8 * usize::from(length) / 6).saturating_sub(2);
                if expected >= MIN_ENCODED {
                    assert!(found.is_some_and(|found| found >= expected), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn every_form_is_shown_with_its_own_length() {
        for length in [1, 2, 3, 5, 26, 27, 28, 100] {
            let secret = "\"%a/".repeat(length);
            for (form, shown) in encode_secret(&secret.as_bytes()[..length], PLACEHOLDER) {
                assert_eq!(form.len(), shown.len());
            }
        }
    }

    #[test]
    fn a_secret_has_a_form_for_every_encoding_that_servers_use() {
        let forms = encode_secret(b"a/b+c=d\"'&<\\` ~*!e", PLACEHOLDER);
        for encoded in [
            "a/b+c=d\"'&<\\` ~*!e",
            "a%2Fb%2Bc%3Dd%22%27%26%3C%5C%60%20~%2A%21e",
            "a%2fb%2bc%3dd%22%27%26%3c%5c%60%20~%2a%21e",
            "a/b%2Bc%3Dd%22%27%26%3C%5C%60%20~%2A%21e",
            "a%2Fb%2Bc%3Dd%22'%26%3C%5C%60%20~*!e",
            "a%2Fb%2Bc%3Dd%22%27%26%3C%5C%60+~%2A%21e",
            "a%2Fb%2Bc%3Dd%22%27%26%3C%5C%60+%7E*%21e",
            "a%2Fb%2Bc%3Dd%22%27%26%3C%5C%60+%7E%2A%21e",
            "a/b+c=d\\\"'&<\\\\` ~*!e",
            "a\\/b+c=d\\\"'&<\\\\` ~*!e",
            "a/b+c=d\\\"'\\u0026\\u003c\\\\` ~*!e",
            "a/b+c=d\\\"'\\u0026\\u003C\\\\` ~*!e",
            "a/b+c=d\\\"\\u0027\\u0026\\u003c\\\\` ~*!e",
            "a/b+c\\u003dd\\\"\\u0027\\u0026\\u003c\\\\` ~*!e",
            "a\\u002Fb+c=d\\\"'&\\u003C\\\\` ~*!e",
            "a/b\\u002Bc=d\\u0022\\u0027\\u0026\\u003C\\\\\\u0060 ~*!e",
            "a/b+c=d&quot;&#x27;&amp;&lt;\\` ~*!e",
            "a/b+c=d&quot;&#39;&amp;&lt;\\` ~*!e",
            "a/b+c=d&#34;&#39;&amp;&lt;\\` ~*!e",
            "a/b&#43;c=d&#34;&#39;&amp;&lt;\\` ~*!e",
            "a/b+c&#x3D;d&quot;&#x27;&amp;&lt;\\&#x60; ~*!e",
            "a&#x2F;b+c&#x3D;d&quot;&#39;&amp;&lt;\\&#x60; ~*!e",
        ] {
            let mut found = forms.iter();
            assert!(
                found.any(|(form, _)| **form == encoded.as_bytes()),
                "{encoded}"
            );
        }
        assert!(forms.len() <= MAX_ENCODED_FORMS);
    }

    #[test]
    fn a_secret_without_special_characters_has_few_forms() {
        assert_eq!(encode_secret(b"ghp_0123456789", PLACEHOLDER).len(), 6);
        assert_eq!(encode_secret(b"abc", PLACEHOLDER).len(), 2);
        assert_eq!(encode_secret(b"a", PLACEHOLDER).len(), 1);
    }
}
