//! Inspection of HTTP: rules, secrets and the request log.

pub(crate) mod context;
mod denial;
mod exchange;
pub(crate) mod expected_records;
pub(crate) mod inspector;
mod query_parameters;
mod readable_response;
mod request_check;
mod response_body;
mod secret_encodings;
mod secret_filter;
mod secret_store;
mod secret_substitution;
pub(crate) mod target;
pub(crate) mod tls_peer;
mod tls_record_filter;
mod tunnel_ports;
mod web_socket;

pub(crate) use tls_record_filter::TlsRecordFilter;
