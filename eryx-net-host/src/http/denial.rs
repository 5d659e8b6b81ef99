//! The response that a program receives for a denied request.

use std::fmt::Write;

/// Returns a 403 response with problem details (RFC 9457).
///
/// `rule` is the HTTP rule that comes closest to the request, if there is one.
pub(super) fn response(message: &str, rule: Option<&str>, is_head_request: bool) -> Vec<u8> {
    let mut body =
        String::from(r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"#);
    write_json_string(&mut body, message);
    if let Some(rule) = rule {
        body.push_str(r#","rule":"#);
        write_json_string(&mut body, rule);
    }
    body.push('}');
    let mut response = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    if !is_head_request {
        response.push_str(&body);
    }
    response.into_bytes()
}

/// Writes a JSON string (RFC 8259, 7).
fn write_json_string(output: &mut String, text: &str) {
    output.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => output.extend(['\\', c]),
            c if c < ' ' => write!(output, "\\u{:04x}", u32::from(c)).expect("a string takes all"),
            c => output.push(c),
        }
    }
    output.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_a_problem_in_json() {
        let response = response("`a\"b\\c\n` is denied", Some("GET x/*"), false);
        let text = String::from_utf8(response).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        assert!(body.contains(r#""detail":"`a\"b\\c\u000a` is denied","rule":"GET x/*"}"#));
    }

    #[test]
    fn a_denial_of_head_has_no_body() {
        let response = response("no", None, true);
        assert!(response.ends_with(b"\r\n\r\n"));
    }
}
