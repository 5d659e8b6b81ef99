#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod body;
mod chunked;
mod error;
mod escape;
mod fields;
mod framing;
mod head_buffer;
mod limits;
mod origin;
mod request_head;
mod request_parser;
mod response_head;
mod response_parser;
mod step;

pub use error::{HttpError, HttpErrorKind};
pub use fields::Fields;
pub use framing::{Framing, Version};
pub use limits::{Limits, LimitsError};
pub use origin::{Origin, Scheme};
pub use request_head::RequestHead;
pub use request_parser::RequestParser;
pub use response_head::ResponseHead;
pub use response_parser::{AnsweredRequest, ResponseParser};
pub use step::{Event, Step};
