//! The least size of the JSON of a Python value.

use std::collections::HashMap;

use pyo3::PyTypeInfo;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

/// The most nested containers that are looked at. The encoder refuses values that are nested more.
const MAX_DEPTH: usize = 100;

/// The bytes of `{"$bytes":""}`.
const BYTES_OBJECT: usize = 13;

/// Returns whether `value` is a container whose JSON has more than `max` bytes for certain.
///
/// Each container is looked at once, wherever it is contained: a few lists that contain each other
/// twice can stand for more values than any encoder can write.
pub(crate) fn exceeds(value: &Bound<'_, PyAny>, max: usize) -> bool {
    let mut sizes = Sizes {
        max,
        containers: HashMap::new(),
    };
    sizes.container(value, 0).is_some_and(|size| size > max)
}

struct Sizes {
    max: usize,
    /// The size of each container that was looked at, by its address; 0 while it is looked at. No
    /// code of Python runs meanwhile, so that all of them stay where they are.
    containers: HashMap<usize, usize>,
}

impl Sizes {
    /// Returns the least size of a list, tuple or dict; `None` for another value. The size of a
    /// container that is too large is that of its first parts.
    fn container(&mut self, value: &Bound<'_, PyAny>, depth: usize) -> Option<usize> {
        let is_container = value.is_instance_of::<PyList>()
            || value.is_instance_of::<PyTuple>()
            || value.is_instance_of::<PyDict>();
        if !is_container {
            return None;
        }
        if depth >= MAX_DEPTH {
            return Some(0);
        }
        let address = value.as_ptr() as usize;
        if let Some(size) = self.containers.get(&address) {
            return Some(*size);
        }
        self.containers.insert(address, 0);
        let size = if let Ok(list) = value.cast::<PyList>() {
            self.items(list.iter().map(|item| (0, item)), depth)
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            self.items(tuple.iter().map(|item| (0, item)), depth)
        } else if let Ok(dict) = value.cast::<PyDict>() {
            // The colon, too.
            let items = dict.iter().map(|(key, item)| (1 + atom(&key), item));
            self.items(items, depth)
        } else {
            0
        };
        self.containers.insert(address, size);
        Some(size)
    }

    /// Returns the size of a container with these items, each with the size of its key.
    fn items<'py>(
        &mut self,
        items: impl Iterator<Item = (usize, Bound<'py, PyAny>)>,
        depth: usize,
    ) -> usize {
        // The brackets. A comma follows each item but the last.
        let mut size: usize = 1;
        for (key, item) in items {
            let item = self
                .container(&item, depth + 1)
                .unwrap_or_else(|| atom(&item));
            size = size.saturating_add(key + 1).saturating_add(item);
            if size > self.max {
                break;
            }
        }
        size.max(2)
    }
}

/// Returns the least size of a value that is no container.
fn atom(value: &Bound<'_, PyAny>) -> usize {
    if let Ok(text) = value.cast_exact::<PyString>() {
        // A character has a byte at least.
        return 2 + text.len().unwrap_or(0);
    }
    if value.is_instance_of::<PyString>() {
        return 2 + built_in::<PyString>(value, "__len__");
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return BYTES_OBJECT + bytes.as_bytes().len().div_ceil(3) * 4;
    }
    if value.is_none() || value.is_instance_of::<PyBool>() {
        return 4;
    }
    if value.is_instance_of::<PyInt>() && value.extract::<i64>().is_err() {
        // A digit has less than four bits.
        return built_in::<PyInt>(value, "bit_length") / 4;
    }
    1
}

/// Calls a method of the built-in type `T` that returns a size; that of a subclass may be code of
/// Python.
fn built_in<T: PyTypeInfo>(value: &Bound<'_, PyAny>, method: &str) -> usize {
    let size = value.py().get_type::<T>().call_method1(method, (value,));
    size.and_then(|size| size.extract()).unwrap_or(0)
}
