//! Tests of canonical paths beyond their vectors.

use eryx_http::{CanonicalPath, PathErrorKind};

#[test]
fn a_path_has_segments_and_a_query() {
    for (target, segments, query, has_empty_segment) in [
        ("/", &[""][..], None, false),
        ("/a/b", &["a", "b"], None, false),
        ("/a/b/", &["a", "b", ""], None, false),
        ("/a//b", &["a", "", "b"], None, true),
        ("//", &["", ""], None, true),
        ("/a?", &["a"], Some(""), false),
        (
            "/a?b=/../%2e//&c=%zz?d",
            &["a"],
            Some("b=/../%2e//&c=%zz?d"),
            false,
        ),
    ] {
        let path = CanonicalPath::parse(target).expect(target);
        assert!(path.segments().eq(segments.iter().copied()), "{target}");
        assert_eq!(path.query(), query, "{target}");
        assert_eq!(path.has_empty_segment(), has_empty_segment, "{target}");
    }
}

#[test]
fn every_encoded_byte_is_decoded_kept_or_refused() {
    for byte in 0..=255_u8 {
        let result = CanonicalPath::parse(&format!("/x%{byte:02x}"));
        let path = result.as_ref().map(CanonicalPath::as_str);
        let kind = result.as_ref().map_err(|error| error.kind().clone());
        match byte {
            b'/' => assert_eq!(kind, Err(PathErrorKind::EncodedSlash)),
            b'\\' => assert_eq!(kind, Err(PathErrorKind::Backslash)),
            0..0x20 | 0x7f => assert_eq!(kind, Err(PathErrorKind::EncodedControl { byte })),
            0xc0 | 0xc1 => assert_eq!(kind, Err(PathErrorKind::Overlong)),
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                assert_eq!(path, Ok(&*format!("/x{}", char::from(byte))));
            }
            _ => assert_eq!(path, Ok(&*format!("/x%{byte:02X}"))),
        }
    }
}

#[test]
fn an_error_names_the_path_and_the_correction() {
    let error = CanonicalPath::parse("/a/..;/b").expect_err("a dot segment");
    assert_eq!(
        error.to_string(),
        "`/a/..;/b` is not a canonical path: it has a dot segment (RFC 3986, 5.2.4); \
         write the path that it leads to"
    );
}
