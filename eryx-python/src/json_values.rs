//! Values between Python code and programs, as JSON.

use eryx::{JsonValue, ResourceLimits};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyModule, PyString};

use crate::json_size;

/// The source of the module of the guest, which both sides use.
const SOURCE: &std::ffi::CStr = eryx_guest_shims::JSON_VALUES;

/// Returns `value` as JSON of at most `max` bytes. Errors start with `name`.
pub(crate) fn encode(value: &Bound<'_, PyAny>, max: usize, name: &str) -> PyResult<JsonValue> {
    if json_size::exceeds(value, max) {
        return Err(PyValueError::new_err(format!(
            "{name}: it is too large: its JSON may have at most {max} bytes"
        )));
    }
    encode_any(value, max, name)
}

/// Returns `value`, which does not exceed `max` for certain, as JSON of at most `max` bytes.
fn encode_any(value: &Bound<'_, PyAny>, max: usize, name: &str) -> PyResult<JsonValue> {
    let encoded = module(value.py())?.call_method1("encode", (value, max, name))?;
    let json = encoded.cast::<PyBytes>()?.as_bytes();
    JsonValue::from_text(json).map_err(|error| PyTypeError::new_err(format!("{name}: {error}")))
}

/// Returns the value that `json` stands for.
pub(crate) fn decode<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    if let Some(scalar) = decode_scalar(py, json) {
        return Ok(scalar);
    }
    let module = module(py)?;
    let decoded = module.call_method1("decode", (PyBytes::new(py, json.as_bytes()),));
    match decoded {
        // The limit of this process on the digits of ints may be lower than that of values.
        Err(error) if error.is_instance_of::<PyValueError>(py) => {
            let options = PyDict::new(py);
            options.set_item("object_hook", module.getattr("_object")?)?;
            options.set_item("parse_int", wrap_pyfunction!(parse_int, py)?)?;
            py.import("json")?
                .call_method("loads", (json,), Some(&options))
        }
        decoded => decoded,
    }
}

/// The digits that every process converts to an int at once, whatever its limit.
const MIN_DIGITS_LIMIT: usize = 640;

/// Returns the int with these digits, of which a value has 4,300 at most.
#[pyfunction]
fn parse_int<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let int = py.get_type::<PyInt>();
    let mut number = int.call1((0,))?;
    let mut rest = digits;
    while !rest.is_empty() {
        let part;
        (part, rest) = rest
            .split_at_checked(MIN_DIGITS_LIMIT)
            .unwrap_or((rest, ""));
        let scale = PyInt::new(py, 10).pow(part.len(), py.None())?;
        number = number.mul(scale)?.add(int.call1((part,))?)?;
    }
    match is_negative {
        true => number.neg(),
        false => Ok(number),
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

/// Returns `value`, the result of a function, as JSON: its call has a limit, which `eryx` checks.
/// For one that exceeds every limit, returns the type and the message of an exception. Errors start
/// with `name`.
#[pyfunction]
pub(crate) fn _encode_json<'py>(
    value: &Bound<'py, PyAny>,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let max = ResourceLimits::MAX_VALUE;
    if json_size::exceeds(value, usize::try_from(max)?) {
        let message = format!("{name} has more than {max} bytes as JSON, the limit: ask for less");
        let outcome = ("tools.LimitError", message).into_pyobject(value.py())?;
        return Ok(outcome.into_any());
    }
    let json = encode_any(value, usize::MAX, name)?;
    Ok(PyString::new(value.py(), json.as_str()).into_any())
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
