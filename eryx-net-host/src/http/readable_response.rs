//! The fields of a request that decide in which form the server answers: in one in which secrets
//! can be recognised.

use eryx_http::{HttpError, RequestHead};

/// Makes the server answer in a form in which secrets can be recognised: with all of the content,
/// without a content coding, in an encoding based on ASCII, and, over WebSocket, without
/// compression.
pub(super) fn ask_for_readable(head: &mut RequestHead) -> Result<(), String> {
    const ACCEPT_ENCODING: &str = "Accept-Encoding";
    const REMOVED: [&str; 6] = [
        "Range",
        "If-Range",
        // The name before RFC 2068.
        "Request-Range",
        // Differences from an earlier response (RFC 3229).
        "A-IM",
        "Accept-Charset",
        "Sec-WebSocket-Extensions",
    ];
    for name in REMOVED {
        head.fields_mut().remove(name).map_err(text)?;
    }
    // Servers that pass fields on in variables do not distinguish these.
    if head.fields().iter().any(|(name, _)| name.contains('_')) {
        for name in REMOVED.into_iter().chain([ACCEPT_ENCODING]) {
            head.fields_mut().remove_lookalikes(name).map_err(text)?;
        }
    }
    ask_for_usual_charset(head)?;
    if head.fields().all(ACCEPT_ENCODING).eq([&b"identity"[..]]) {
        return Ok(());
    }
    head.fields_mut()
        .set(ACCEPT_ENCODING, b"identity")
        .map_err(text)
}

/// Removes the parameters `charset` of `Accept`: some frameworks answer in the one that is there.
fn ask_for_usual_charset(head: &mut RequestHead) -> Result<(), String> {
    let accept = head
        .fields()
        .all("Accept")
        .collect::<Vec<_>>()
        .join(&b", "[..]);
    let lower = accept.to_ascii_lowercase();
    if !lower
        .windows(b"charset".len())
        .any(|part| part == b"charset")
    {
        return Ok(());
    }
    let types = accept.split(|&byte| byte == b',').map(|media_type| {
        let parameters = media_type.split(|&byte| byte == b';');
        let kept = parameters.filter(|parameter| {
            let name = parameter
                .split(|&byte| byte == b'=')
                .next()
                .unwrap_or_default();
            !name.trim_ascii().eq_ignore_ascii_case(b"charset")
        });
        kept.collect::<Vec<_>>().join(&b";"[..])
    });
    let accept = types.collect::<Vec<_>>().join(&b","[..]);
    head.fields_mut().set("Accept", &accept).map_err(text)
}

fn text(error: HttpError) -> String {
    error.kind().to_string()
}
