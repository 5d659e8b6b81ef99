//! Functions of the embedder that values of Rust call, such that the garbage collector finds them.

use std::collections::HashSet;

use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyWeakrefReference};
use pyo3::{PyTraverseError, PyVisit};

/// A function of the embedder that values of Rust call by a [`WeakFunction`]: the garbage collector
/// would not see another reference there. Python objects that may lead to a call have
/// [`TracedFunctions`].
#[pyclass(module = "eryx._eryx", frozen, weakref)]
pub(crate) struct TracedFunction(Py<PyAny>);

#[pymethods]
impl TracedFunction {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

impl TracedFunction {
    /// Returns `function`, and a weak reference to the result.
    pub(crate) fn new(function: &Bound<'_, PyAny>) -> PyResult<(Py<Self>, WeakFunction)> {
        let py = function.py();
        let traced = Py::new(py, Self(function.clone().unbind()))?;
        let weak = PyWeakrefReference::new(traced.bind(py))?.unbind();
        Ok((traced, WeakFunction(weak)))
    }
}

/// A weak reference to a [`TracedFunction`].
pub(crate) struct WeakFunction(Py<PyWeakrefReference>);

impl WeakFunction {
    /// Returns the function, unless it was collected.
    pub(crate) fn upgrade<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let traced = self.0.bind(py).upgrade()?.cast_into::<TracedFunction>();
        Some(traced.ok()?.get().0.bind(py).clone())
    }
}

/// Keeps functions: a tuple of [`TracedFunction`]s, if there are any.
#[derive(Default)]
pub(crate) struct TracedFunctions(Option<Py<PyTuple>>);

impl TracedFunctions {
    pub(crate) fn new(py: Python<'_>, functions: Vec<Py<TracedFunction>>) -> PyResult<Self> {
        Ok(Self(match functions.is_empty() {
            true => None,
            false => Some(PyTuple::new(py, functions)?.unbind()),
        }))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Visits the functions for the garbage collector.
    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.as_ref().map(|functions| functions.clone_ref(py)))
    }

    /// Returns these and `others`, each once.
    pub(crate) fn and(&self, py: Python<'_>, others: Self) -> PyResult<Self> {
        match (&self.0, &others.0) {
            (Some(these), Some(others)) => {
                let mut known = HashSet::new();
                let all = these.bind(py).iter().chain(others.bind(py).iter());
                let all: Vec<_> = all.filter(|each| known.insert(each.as_ptr())).collect();
                Ok(Self(Some(PyTuple::new(py, all)?.unbind())))
            }
            (_, None) => Ok(self.clone_ref(py)),
            (None, _) => Ok(others),
        }
    }
}
