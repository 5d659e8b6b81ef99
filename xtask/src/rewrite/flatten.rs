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
use super::pauses;

/// `component` with as few core modules as can be. With a function that modules import to `pause`, the one gives way
/// to the host by it.
pub(crate) fn flatten(component: &[u8], pause: Option<(&str, &str)>) -> Result<Vec<u8>> {
    flattened(component, pause).context("the component's modules cannot be merged")
}

fn flattened(component: &[u8], pause: Option<(&str, &str)>) -> Result<Vec<u8>> {
    let shape = Shape::of(component)?;
    ensure!(!shape.merged.is_empty(), "there are none");
    let mut merged = Merged::of(&shape)?;
    if let Some(pause) = pause {
        ensure!(
            !shape.has_code_besides()?,
            "there is code that does not give way to the host"
        );
        let pause = shape.host(pause)?;
        let pause = merged.imports.iter().position(|host| *host == pause);
        let known = pauses::Known {
            pause: u32::try_from(pause.context("nothing can reach the function that pauses")?)?,
            shielded: shape
                .shielded
                .iter()
                .filter_map(|place| merged.exports.get(place).map(String::as_str))
                .collect(),
        };
        merged.module = pauses::add(&merged.module, &known)?;
    }
    rewriter::rewrite(component, &shape, merged)
}

#[cfg(test)]
mod tests;
