#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod body;
mod chunked;
mod connection;
mod error;
mod escape;
mod field_line;
mod fields;
mod framing;
mod head_buffer;
mod limits;
mod origin;
mod path;
mod path_error;
mod request_head;
mod request_parser;
mod response_head;
mod response_parser;
mod scrubber;
mod step;

pub use connection::Connection;
pub use error::{HttpError, HttpErrorKind};
pub use fields::Fields;
pub use framing::{Framing, Version};
pub use limits::{Limits, LimitsError};
pub use origin::{Origin, Scheme};
pub use path::CanonicalPath;
pub use path_error::{PathError, PathErrorKind};
pub use request_head::RequestHead;
pub use request_parser::RequestParser;
pub use response_head::ResponseHead;
pub use response_parser::{AnsweredRequest, ResponseParser};
pub use scrubber::{Scrubber, ScrubberError};
pub use step::{Event, Step};
