//! Tests of parsing hosts: canonical forms and errors.

use eryx_net_policy::{Host, HostError, HostErrorKind, HostName};

#[test]
fn a_host_has_one_canonical_form() {
    let cases = [
        ("example.com", "example.com"),
        ("EXAMPLE.Com", "example.com"),
        ("example.com.", "example.com"),
        ("localhost", "localhost"),
        ("my_service.internal", "my_service.internal"),
        ("r3---sn-abc.example.com", "r3---sn-abc.example.com"),
        ("1.2.3.4.example.com", "1.2.3.4.example.com"),
        ("127.0.0.1.nip.io", "127.0.0.1.nip.io"),
        ("0xdeadbeef.example", "0xdeadbeef.example"),
        ("3com", "3com"),
        ("bücher.de", "xn--bcher-kva.de"),
        ("BÜCHER.DE", "xn--bcher-kva.de"),
        ("bu\u{308}cher.de", "xn--bcher-kva.de"),
        ("xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("XN--BCHER-KVA.de", "xn--bcher-kva.de"),
        ("faß.de", "xn--fa-hia.de"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("example．com", "example.com"),
        ("example｡com", "example.com"),
        ("ｅｘａｍｐｌｅ.com", "example.com"),
        ("exam\u{ad}ple.com", "example.com"),
        ("local\u{200b}host", "localhost"),
        ("ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "localhost"),
        (
            "metadata.google.interna\u{217c}",
            "metadata.google.internal",
        ),
        ("\u{212a}elvin.example", "kelvin.example"),
        ("lo\u{17f}t.example", "lost.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("255.255.255.255", "255.255.255.255"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("[::ffff:7f00:1]", "127.0.0.1"),
        ("0:0:0:0:0:FFFF:7F00:0001", "127.0.0.1"),
        ("64:ff9b::8.8.8.8", "64:ff9b::808:808"),
        ("::127.0.0.1", "::7f00:1"),
    ];
    for (text, canonical) in cases {
        let host = Host::parse(text).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(host.to_string(), canonical, "{text}");
        assert_eq!(Host::parse(canonical).as_ref(), Ok(&host), "{text}");
    }
}

#[test]
fn a_malformed_host_is_an_error_with_its_correction() {
    let cases = [
        ("", "empty"),
        (" ", "a space"),
        (".", "one dot"),
        ("..", "one dot"),
        ("。", "one dot"),
        (".example.com", "one dot"),
        ("example..com", "one dot"),
        ("example.com..", "one dot"),
        ("a.\u{ad}.com", "one dot"),
        ("\u{200b}", "one dot"),
        ("-example.com", "hyphen"),
        ("example-.com", "hyphen"),
        ("a.-", "hyphen"),
        ("exa mple.com", "a space"),
        (" example.com", "a space"),
        ("127.0.0.1 ", "a space"),
        ("127.0.0.1\t", "a tab"),
        ("127.0.0.1\n", "remove it"),
        ("127.0.0.1\0.example.com", "a NUL"),
        ("example.com\u{7f}", "`\\u{7f}`"),
        ("example.com/", "without a scheme or path"),
        ("example.com?x", "without a scheme or path"),
        ("example.com#x", "without a scheme or path"),
        ("example.com\\@127.0.0.1", "without a scheme or path"),
        ("user@127.0.0.1", "without a user name"),
        ("127.0.0.1,example.com", "one host alone"),
        ("*.example.com", "wildcards are for patterns"),
        ("<broadcast>", "`<`"),
        ("+127.0.0.1", "`+`"),
        ("127%2e0%2e0%2e1", "percent-decoded"),
        ("https://example.com", "colons"),
        ("example.com:443", "`example.com`"),
        ("1.1.1.1:80", "`1.1.1.1`"),
        ("[::1]:80", "`[::1]`"),
        ("example.com:", "colons"),
        (":80", "port"),
        ("::1%lo", "zone id"),
        ("fe80::1%eth0", "zone id"),
        ("fe80::1%25eth0", "zone id"),
        ("[fe80::1%25eth0]", "zone id"),
        ("[[::1]]", "brackets"),
        ("[::1", "brackets"),
        ("[]", "brackets"),
        ("[example.com]", "brackets"),
        ("[127.0.0.1]", "brackets"),
        ("[::1]x", "brackets"),
        ("::1]", "colons"),
        ("0x::1", "colons"),
        ("1:2:3:4:5:6:7:8:9", "colons"),
        ("::12345", "colons"),
        ("::ffff:0177.0.0.1", "colons"),
        ("：：1", "internationalised"),
        ("０x7f.1", "four decimal numbers"),
        ("0", "four decimal numbers"),
        ("2130706433", "four decimal numbers"),
        ("4294967296", "four decimal numbers"),
        ("0x7f000001", "four decimal numbers"),
        ("0X7F000001", "four decimal numbers"),
        ("0x", "four decimal numbers"),
        ("0x7f.1", "four decimal numbers"),
        ("1.2.3.0x", "four decimal numbers"),
        ("0177.0.0.1", "four decimal numbers"),
        ("010.0.0.1", "four decimal numbers"),
        ("0o177.0.0.1", "four decimal numbers"),
        ("127.1", "four decimal numbers"),
        ("8.8.8.8.", "four decimal numbers"),
        ("127.0.0.1.", "four decimal numbers"),
        ("1.2.3.4.5", "four decimal numbers"),
        ("256.0.0.1", "four decimal numbers"),
        ("383.256.256.257", "four decimal numbers"),
        ("foo.42", "four decimal numbers"),
        ("foo.0x1f", "four decimal numbers"),
        ("foo.42.", "four decimal numbers"),
        ("127｡0｡0｡1", "four decimal numbers"),
        ("127。0。0。1", "four decimal numbers"),
        ("１２７.0.0.1", "four decimal numbers"),
        ("①②⑦.0.0.①", "four decimal numbers"),
        ("𝟭𝟮𝟳.𝟬.𝟬.𝟭", "four decimal numbers"),
        ("¹²⁷.0.0.1", "four decimal numbers"),
        ("127.0.0.\u{ad}1", "four decimal numbers"),
        ("example／com", "internationalised"),
        ("a℀b.com", "internationalised"),
        ("127.0.0.1％eth0", "internationalised"),
        ("exa\u{3000}mple.com", "internationalised"),
        ("exa\u{a0}mple.com", "internationalised"),
        ("exa\u{2028}mple.com", "internationalised"),
        ("local\u{200d}host", "internationalised"),
        ("\u{301}a.com", "internationalised"),
        ("\u{202e}moc.elpmaxe", "internationalised"),
        ("אa.com", "internationalised"),
        ("\u{fffd}.com", "internationalised"),
        ("⒈example.com", "internationalised"),
        ("xn--", "hyphen"),
        ("xn--a", "internationalised"),
        ("xn--localhost-", "hyphen"),
        ("xn--example-.com", "hyphen"),
        ("xn--0.pt", "internationalised"),
    ];
    for (text, says) in cases {
        let error = Host::parse(text).expect_err(text);
        let message = error.to_string();
        assert!(message.contains(says), "{text:?}: {message}");
        assert!(
            message.contains(error.rejected_text()),
            "{text:?}: {message}"
        );
        assert!(HostName::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn an_address_is_not_a_name() {
    for text in ["127.0.0.1", "8.8.8.8", "::1", "[::1]"] {
        assert!(Host::parse(text).is_ok());
        assert!(HostName::parse(text).is_err(), "{text}");
    }
}

#[test]
fn labels_over_63_octets_and_names_over_253_are_rejected() {
    let label = "a".repeat(63);
    assert!(Host::parse(&format!("{label}.com")).is_ok());
    assert_eq!(
        error_kind(&format!("{label}a.com")),
        HostErrorKind::LabelTooLong { octets: 64 }
    );
    // 62 characters, but more than 63 octets in the `xn--` form.
    assert!(matches!(
        error_kind(&format!("{}.com", "ü".repeat(62))),
        HostErrorKind::LabelTooLong { .. }
    ));

    let name = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    assert_eq!(name.len(), 253);
    assert!(Host::parse(&name).is_ok());
    assert!(Host::parse(&format!("{name}.")).is_ok());
    assert_eq!(error_kind(&format!("{name}b")), HostErrorKind::TooLong);
}

#[test]
fn a_malformed_host_of_any_length_has_a_short_message() {
    for text in [
        "a".repeat(1 << 20),
        "a.".repeat(1 << 20),
        "1.".repeat(1 << 20),
        ":".repeat(1 << 20),
        "[".repeat(1 << 20),
        format!("{}:80", "a".repeat(1 << 20)),
        format!("[{}]:80", ":".repeat(1 << 20)),
        "\u{ad}".repeat(1 << 20),
        "ü".repeat(1 << 20),
    ] {
        let message = Host::parse(&text).expect_err("too long").to_string();
        assert!(message.chars().count() < 600, "{}", message.len());
    }
}

#[test]
fn an_overlong_label_is_rejected_before_it_is_mapped() {
    // If it were mapped, each of these would be another error, or a name, after work that grows
    // with the square of its length.
    for (text, label) in [
        ("\u{ad}".repeat(127) + "a.example", 255),
        (format!("xn--{}", "a".repeat(300)), 304),
        ("漢".repeat(85), 255),
        (format!("{}\u{3002}b", "字".repeat(200)), 600),
        (format!("a\u{ff61}{}", "字".repeat(300)), 900),
    ] {
        assert_eq!(
            error_kind(&text),
            HostErrorKind::LabelTooLong { octets: label }
        );
    }
    // The most octets that a label of 63 characters can have.
    assert!(Host::parse(&format!("{}a.example", "\u{ad}".repeat(125))).is_ok());
}

#[test]
fn error_messages_escape_line_breaks_and_invisible_characters() {
    let message = Host::parse("a\r\nallowed: b\u{202e}\u{1b}[2K\u{3000}")
        .expect_err("control characters")
        .to_string();
    assert!(
        message.contains(r"a\r\nallowed: b\u{202e}\u{1b}[2K\u{3000}"),
        "{message}"
    );
    assert!(message.chars().all(|c| !c.is_control()), "{message:?}");
}

fn error_kind(text: &str) -> HostErrorKind {
    Host::parse(text)
        .map_err(|e: HostError| e.kind().clone())
        .expect_err(text)
}
