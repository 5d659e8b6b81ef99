//! Encoding of the chunked transfer coding (RFC 9112, 7.1).

use std::io::Write as _;

use crate::fields::Fields;

/// Appends `data` as one chunk to `output`, without extensions.
///
/// Empty data appends nothing, because a chunk of size 0 ends the body.
///
/// ```
/// let mut output = Vec::new();
/// eryx_http::write_chunk(b"abc", &mut output);
/// eryx_http::write_chunk(b"", &mut output);
/// eryx_http::write_last_chunk(None, &mut output);
/// assert_eq!(output, b"3\r\nabc\r\n0\r\n\r\n");
/// ```
pub fn write_chunk(data: &[u8], output: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    output.reserve(data.len() + MAX_FRAMING_BYTES);
    write!(output, "{:x}\r\n", data.len()).expect("a vector accepts all bytes");
    output.extend_from_slice(data);
    output.extend_from_slice(b"\r\n");
}

/// Appends the end of a chunked body to `output`: the last chunk, and the trailer section, which is
/// empty without `trailers`.
///
/// `trailers` are those of [`Event::Trailers`], which has checked that they are permitted
/// (RFC 9110, 6.5.1). The fields of a head are not.
///
/// [`Event::Trailers`]: crate::Event::Trailers
pub fn write_last_chunk(trailers: Option<&Fields>, output: &mut Vec<u8>) {
    output.extend_from_slice(b"0\r\n");
    match trailers {
        Some(trailers) => trailers.write(output),
        None => output.extend_from_slice(b"\r\n"),
    }
}

/// The maximum length of a chunk besides its data, in bytes: a size of 16 digits and two line ends.
const MAX_FRAMING_BYTES: usize = 16 + 2 + 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::body::Sender;
    use crate::chunked::ChunkedDecoder;
    use crate::limits::Limits;
    use crate::step::Event;

    /// Returns the data of each chunk and the trailers of a body, and checks that the decoder ends
    /// where the body does.
    fn decode(body: &[u8]) -> (Vec<Vec<u8>>, Option<Fields>) {
        let (mut chunks, mut trailers) = (Vec::new(), None);
        // A client's body may have no extensions.
        let mut decoder = ChunkedDecoder::new(Sender::Client);
        let mut rest = body;
        loop {
            let step = decoder
                .advance::<()>(rest, &Limits::default())
                .expect("valid");
            match step.event.expect("the body is complete") {
                Event::Body(range) => chunks.push(rest[range].to_vec()),
                Event::Trailers(fields) => trailers = Some(fields),
                Event::End => {
                    assert_eq!(rest.len(), step.consumed);
                    return (chunks, trailers);
                }
                other => panic!("not in a body: {other:?}"),
            }
            rest = &rest[step.consumed..];
        }
    }

    proptest! {
        #[test]
        fn a_body_is_decoded_as_it_was_encoded(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5),
            trailers in prop::option::of("x-[a-z]{0,3}:[ \t]?[a-z]{0,3}\r\n"),
        ) {
            let trailers = trailers.map(|line| {
                Fields::parse(format!("{line}\r\n").into_bytes(), 0).expect("valid")
            });
            let mut body = Vec::new();
            for chunk in &chunks {
                write_chunk(chunk, &mut body);
            }
            write_last_chunk(trailers.as_ref(), &mut body);
            let (decoded, decoded_trailers) = decode(&body);
            let chunks: Vec<_> = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
            prop_assert_eq!(decoded, chunks);
            prop_assert_eq!(decoded_trailers, trailers);
        }
    }

    #[test]
    fn a_chunk_of_a_mebibyte_has_its_size_in_hexadecimal() {
        let mut body = Vec::new();
        write_chunk(&vec![b'x'; 1 << 20], &mut body);
        assert!(body.starts_with(b"100000\r\nx") && body.ends_with(b"x\r\n"));
        write_last_chunk(None, &mut body);
        assert_eq!(decode(&body).0.concat().len(), 1 << 20);
    }

    #[test]
    fn trailers_without_a_field_end_the_body() {
        let none = Fields::parse(b"\r\n".to_vec(), 0).expect("valid");
        let mut body = Vec::new();
        write_last_chunk(Some(&none), &mut body);
        assert_eq!(body, b"0\r\n\r\n");
    }
}
