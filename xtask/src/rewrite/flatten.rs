//! Makes one core module of the many that a component links when it is instantiated.
//!
//! The interpreter and its libraries are core modules that share one memory and one table. Linked at run time, each has
//! an instance of its own, thousands of functions are put into a table that is another module's, and every call between
//! them is indirect. Merged, the table is the module's own and filled when it is used, and calls are direct.
//!
//! What is merged is every module that can be instantiated before the component's own functions with memory are there
//! to import; what remains is the module that hands those over. Globals that nothing sets become constants, and what
//! nothing can reach is left out.

mod merged;
mod module;
mod rewriter;
mod shape;

use anyhow::{Context, Result, ensure};

use self::merged::Merged;
use self::shape::Shape;

/// `component` with as few core modules as can be.
pub(crate) fn flatten(component: &[u8]) -> Result<Vec<u8>> {
    flattened(component).context("the component's modules cannot be merged")
}

fn flattened(component: &[u8]) -> Result<Vec<u8>> {
    let shape = Shape::of(component)?;
    ensure!(!shape.merged.is_empty(), "there are none");
    let merged = Merged::of(&shape)?;
    rewriter::rewrite(component, &shape, merged)
}

#[cfg(test)]
mod tests;
