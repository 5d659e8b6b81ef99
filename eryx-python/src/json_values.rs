//! Values between Python code and programs, as JSON.

use eryx::JsonValue;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyInt, PyModule, PyString};

/// The source of the module of the guest, which both sides use.
const SOURCE: &std::ffi::CStr = eryx_guest_shims::JSON_VALUES;

/// Returns `value` as JSON of at most `max` bytes. Errors start with `name`.
pub(crate) fn encode(value: &Bound<'_, PyAny>, max: usize, name: &str) -> PyResult<JsonValue> {
    let encoded = module(value.py())?.call_method1("encode", (value, max, name))?;
    let json = encoded.cast::<PyBytes>()?.as_bytes();
    JsonValue::from_text(json).map_err(|error| PyTypeError::new_err(format!("{name}: {error}")))
}

/// Returns the value that `json` stands for.
pub(crate) fn decode<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    match decode_scalar(py, json) {
        Some(scalar) => Ok(scalar),
        None => module(py)?.call_method1("decode", (PyBytes::new(py, json.as_bytes()),)),
    }
}

/// Returns the value of a text that needs no parser: of a literal, of an integer of 64 bits, and of
/// a string without escapes.
fn decode_scalar<'py>(py: Python<'py>, json: &str) -> Option<Bound<'py, PyAny>> {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    match json.as_bytes() {
        b"null" => Some(py.None().into_bound(py)),
        b"true" => Some(PyBool::new(py, true).to_owned().into_any()),
        b"false" => Some(PyBool::new(py, false).to_owned().into_any()),
        [b'0'] | [b'1'..=b'9', ..] | [b'-', b'1'..=b'9', ..] => {
            let number = json.parse::<i64>().ok()?;
            Some(PyInt::new(py, number).into_any())
        }
        [b'"', text @ .., b'"'] if text.iter().copied().all(is_plain) => {
            Some(PyString::new(py, json.get(1..json.len() - 1)?).into_any())
        }
        _ => None,
    }
}

/// Returns `value`, the result of a function, as JSON of any size: its call has a limit, which
/// `eryx` checks. Errors start with `name`.
#[pyfunction]
pub(crate) fn _encode_json(value: &Bound<'_, PyAny>, name: &str) -> PyResult<String> {
    Ok(encode(value, usize::MAX, name)?.as_str().to_owned())
}

/// Returns the value that `json` stands for.
#[pyfunction]
pub(crate) fn _decode_json<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    decode(py, json)
}

fn module(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || {
        let module = PyModule::from_code(py, SOURCE, c"eryx/json_values.py", c"eryx._json_values");
        module.map(Bound::unbind)
    })?;
    Ok(module.bind(py))
}
