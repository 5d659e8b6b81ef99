//! The functions of the embedder that provide what a program uses.

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::traced_functions::TracedFunctions;

/// Keeps the functions that provide the content of files and the values of secrets.
#[derive(Default)]
pub(crate) struct Providers {
    pub(crate) content: TracedFunctions,
    pub(crate) secrets: TracedFunctions,
}

impl Providers {
    /// Visits the functions for the garbage collector.
    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.content.visit(visit)?;
        self.secrets.visit(visit)
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            content: self.content.clone_ref(py),
            secrets: self.secrets.clone_ref(py),
        }
    }

    /// Returns these and the functions of further files.
    pub(crate) fn with_content(&self, py: Python<'_>, content: TracedFunctions) -> PyResult<Self> {
        Ok(Self {
            content: self.content.and(py, content)?,
            secrets: self.secrets.clone_ref(py),
        })
    }
}
