//! The value of a program, and the representations of it.

use std::fmt;

use eryx_net_host::{Charge, HostMemory};
use thiserror::Error;

use crate::bindings::{Evaluation, Outcome, OutcomeWithValue};
use crate::json_value::JsonValue;

/// The error for a value that cannot be converted to JSON. The program may have chosen parts of
/// the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct ProgramValueError {
    reason: String,
    is_exit: bool,
}

/// A representation of the value of a program, as one entry of a MIME bundle in Jupyter.
///
/// The program chose the media type and the data. An image or a page of HTML is not safe to show
/// merely because it comes from a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Display {
    /// The media type (RFC 6838), such as `image/png`; at most 127 printable ASCII characters.
    pub media_type: String,
    /// The data, in UTF-8 for types of text.
    pub data: Vec<u8>,
}

impl Display {
    /// Returns the media type of a file that can be displayed, by the extension of its name; `None`
    /// for any other file.
    ///
    /// ```
    /// use eryx_core::Display;
    ///
    /// assert_eq!(Display::media_type_of("/home/user/plot.PNG"), Some("image/png"));
    /// assert_eq!(Display::media_type_of("/home/user/data.csv"), None);
    /// ```
    pub fn media_type_of(path: &str) -> Option<&'static str> {
        let (_, ending) = path.rsplit_once('.')?;
        let ending = ending.to_ascii_lowercase();
        Some(match ending.as_str() {
            "png" => "image/png",
            "jpg" | "jpeg" => "image/jpeg",
            "gif" => "image/gif",
            "webp" => "image/webp",
            "svg" => "image/svg+xml",
            "html" | "htm" => "text/html",
            "pdf" => "application/pdf",
            _ => return None,
        })
    }
}

/// The value of a program, as its guest returned it.
#[derive(Debug, Default)]
pub(crate) struct TakenValue {
    pub(crate) json: Option<Result<JsonValue, ProgramValueError>>,
    pub(crate) display: Vec<Display>,
    /// The charge for it, until the embedder has it.
    _charge: Option<Charge>,
}

impl TakenValue {
    /// The most characters of a reason.
    const MAX_REASON: usize = 2000;

    /// The most representations.
    const MAX_DISPLAY: usize = 16;

    /// Notes that the program exited: it has no value, unless it had one before.
    fn note_exit(&mut self) {
        if let Some(Err(error)) = &mut self.json {
            *error = ProgramValueError::exited();
        }
    }
}

/// The end of a program: its outcome, and its value.
#[derive(Debug)]
pub(crate) struct ProgramEnd {
    pub(crate) outcome: Outcome,
    pub(crate) value: TakenValue,
}

impl ProgramEnd {
    /// Returns the end of a program whose value is not wanted.
    pub(crate) fn without_value(outcome: Outcome) -> Self {
        Self {
            outcome,
            value: TakenValue::default(),
        }
    }

    /// Checks what a guest returned, and charges the value to `memory`.
    ///
    /// # Errors
    ///
    /// When the host memory does not suffice.
    pub(crate) fn new(
        evaluation: Evaluation,
        max: u32,
        memory: &HostMemory,
    ) -> wasmtime::Result<Self> {
        let OutcomeWithValue {
            outcome,
            json,
            representations,
        } = match evaluation {
            Evaluation::Json(json) => OutcomeWithValue {
                outcome: Outcome::Finished,
                json: Ok(json),
                representations: Vec::new(),
            },
            Evaluation::Other(other) => other,
        };
        let mut left = max as usize;
        let json = match json {
            Ok(json) if json.len() > left => Err(ProgramValueError::new(format_args!(
                "the value is larger than {max} bytes"
            ))),
            Ok(json) => {
                left -= json.len();
                JsonValue::from_text(json).map_err(ProgramValueError::new)
            }
            Err(reason) => Err(ProgramValueError::new(reason)),
        };
        let display: Vec<_> = representations
            .into_iter()
            .filter(|item| is_media_type(&item.media_type))
            .map_while(|item| {
                left = left.checked_sub(item.data.len())?;
                Some(Display {
                    media_type: item.media_type,
                    data: item.data,
                })
            })
            .take(TakenValue::MAX_DISPLAY)
            .collect();
        let charge = memory.charge(u64::from(max) - left as u64)?;
        let mut value = TakenValue {
            json: Some(json),
            display,
            _charge: Some(charge),
        };
        if matches!(outcome, Outcome::Exited(_)) {
            value.note_exit();
        }
        Ok(Self { outcome, value })
    }
}

impl ProgramValueError {
    /// Returns whether the program exited, with `sys.exit(0)` for example, before it had a value.
    #[doc(hidden)]
    pub fn is_exit(&self) -> bool {
        self.is_exit
    }

    /// Returns the error for a program that exited before its end.
    pub(crate) fn exited() -> Self {
        Self {
            is_exit: true,
            ..Self::new("the program exited before its end")
        }
    }

    fn new(reason: impl fmt::Display) -> Self {
        let reason = reason.to_string();
        Self {
            reason: reason.chars().take(TakenValue::MAX_REASON).collect(),
            is_exit: false,
        }
    }
}

fn is_media_type(text: &str) -> bool {
    text.len() <= 127
        && text.contains('/')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::Representation;

    fn representation(media_type: &str, size: usize) -> Representation {
        Representation {
            media_type: media_type.to_owned(),
            data: vec![0; size],
        }
    }

    fn take(evaluation: Evaluation) -> wasmtime::Result<TakenValue> {
        Ok(ProgramEnd::new(evaluation, 14, &HostMemory::new(13))?.value)
    }

    fn taken(json: Result<&str, &str>, representations: Vec<Representation>) -> TakenValue {
        let evaluation = OutcomeWithValue {
            outcome: Outcome::Finished,
            json: json.map(Into::into).map_err(Into::into),
            representations,
        };
        take(Evaluation::Other(evaluation)).expect("room")
    }

    #[test]
    fn values_from_a_guest_are_checked_again() {
        let reason = |json| {
            taken(json, Vec::new())
                .json
                .expect("asked")
                .expect_err("none")
        };
        assert!(reason(Ok("{")).to_string().contains("EOF"));
        let large = reason(Ok("\"0123456789abc\""));
        assert!(large.to_string().contains("larger than 14 bytes"));
        assert_eq!(reason(Err("a set")).to_string(), "a set");
        let alone = take(Evaluation::Json(b"[1".to_vec())).expect("room");
        let reason_alone = alone.json.expect("asked").expect_err("no JSON");
        assert!(reason_alone.to_string().contains("EOF"));
        let long = reason(Err(&"é".repeat(9000)));
        assert_eq!(long.to_string().chars().count(), TakenValue::MAX_REASON);
        let value = taken(
            Ok("1"),
            vec![
                representation("image/png", 4),
                representation("no type", 1),
                representation("a/\n", 1),
                representation(&format!("a/{}", "b".repeat(200)), 1),
                representation("text/html", 6),
                representation("text/plain", 5),
                representation("text/plain", 1),
            ],
        );
        let types = value.display.iter().map(|item| item.media_type.as_str());
        assert_eq!(types.collect::<Vec<_>>(), ["image/png", "text/html"]);
        assert_eq!(value._charge.expect("charged").bytes(), 11);
        let many = taken(Ok("1"), vec![representation("a/b", 0); 100]);
        assert_eq!(many.display.len(), TakenValue::MAX_DISPLAY);
    }

    #[test]
    fn a_value_past_the_host_memory_is_refused() {
        let with_picture = Evaluation::Other(OutcomeWithValue {
            outcome: Outcome::Finished,
            json: Ok(b"1234".to_vec()),
            representations: vec![representation("image/png", 10)],
        });
        let alone = Evaluation::Json(b"\"0123456789ab\"".to_vec());
        for evaluation in [with_picture, alone] {
            let refused = take(evaluation).expect_err("14 bytes");
            assert!(refused.is::<eryx_net_host::HostMemoryFull>());
        }
    }
}
