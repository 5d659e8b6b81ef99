#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod body;
mod chunk_writer;
mod chunked;
mod connection;
mod error;
mod escape;
mod field_line;
mod fields;
mod finder;
mod framing;
mod grammar;
mod head_buffer;
mod limits;
mod origin;
mod path;
mod path_error;
mod pattern_set;
mod prefix_search;
mod request_head;
mod request_parser;
mod response_head;
mod response_parser;
mod scrubber;
mod step;

pub use chunk_writer::{write_chunk, write_last_chunk};
pub use connection::Connection;
pub use error::{HttpError, HttpErrorKind};
pub use fields::Fields;
pub use finder::{Finder, FinderError};
pub use framing::{Framing, Version};
pub use grammar::{has_overlong_utf8, is_protected_field, is_refused_method, is_token};
pub use limits::{Limits, LimitsError};
pub use origin::{Origin, Scheme};
pub use path::CanonicalPath;
pub use path_error::{PathError, PathErrorKind};
pub use request_head::RequestHead;
pub use request_parser::RequestParser;
pub use response_head::ResponseHead;
pub use response_parser::{AnsweredRequest, ResponseParser};
pub use scrubber::{Scrubber, ScrubberError, ScrubberPatterns};
pub use step::{Event, Step};
