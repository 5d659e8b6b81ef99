//! One function of the embedder.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;

use crate::functions::arguments::Arguments;
use crate::functions::error::FunctionError;
use crate::json_value::JsonValue;

/// The result of a function.
pub type FunctionResult = Result<JsonValue, FunctionError>;

/// The form of a call in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// The call blocks and returns the result.
    Plain,
    /// The call returns an awaitable.
    Asynchronous,
}

/// The work of one call.
pub enum FunctionWork {
    /// There is no work left.
    Done(FunctionResult),
    /// It may block. It runs on a thread for blocking work, and cannot be cancelled: once its call
    /// is, its result is discarded.
    Blocking(Box<dyn FnOnce() -> FunctionResult + Send>),
    /// It runs as a task of the runtime. Cancelling the call drops it.
    Future(Pin<Box<dyn Future<Output = FunctionResult> + Send>>),
    /// It runs elsewhere, such as on an event loop of another language, and ends with the
    /// [`Completion`]. The function begins it and returns at once; cancelling the call drops what
    /// it returns.
    Callback(Box<dyn FnOnce(Completion) -> CancelOnDrop + Send>),
}

/// Ends a call from elsewhere, once.
pub struct Completion(Box<dyn FnOnce(FunctionResult) + Send>);

impl Completion {
    pub(super) fn new(complete: impl FnOnce(FunctionResult) + Send + 'static) -> Self {
        Self(Box::new(complete))
    }

    /// Passes the result to the program. Without this the call is cancelled when it is dropped.
    pub fn complete(self, result: FunctionResult) {
        (self.0)(result);
    }
}

/// Cancels work when it is dropped, unless that has ended.
pub type CancelOnDrop = Box<dyn Any + Send>;

/// A function that programs can call.
///
/// It never runs inside of the program: the program waits for it, while its limits and its
/// cancellation hold. A panic of the function becomes a panic of
/// [`Sandbox::execute`](crate::Sandbox::execute). The arguments are chosen by an untrusted program.
///
/// ```
/// use eryx_core::{Function, FunctionError};
///
/// let add = Function::immediate(|arguments| {
///     let (a, b): (i64, i64) = arguments.to()?;
///     a.checked_add(b).ok_or_else(|| FunctionError::new("OverflowError", "too large"))
/// })
/// .with_signature("(a: int, b: int) -> int")
/// .with_documentation("Adds two integers.");
/// assert_eq!(add.signature(), "(a: int, b: int) -> int");
/// ```
#[derive(Clone)]
pub struct Function {
    kind: FunctionKind,
    signature: Arc<str>,
    documentation: Arc<str>,
    begin: Arc<dyn Fn(Arguments) -> FunctionWork + Send + Sync>,
}

impl Function {
    /// The most bytes of a signature.
    pub const MAX_SIGNATURE: usize = 1024;

    /// The most bytes of a docstring.
    pub const MAX_DOCUMENTATION: usize = 16 * 1024;

    /// Returns a plain function that may block. Each call runs on a thread for blocking work.
    pub fn blocking<R: Serialize>(
        function: impl Fn(Arguments) -> Result<R, FunctionError> + Send + Sync + 'static,
    ) -> Self {
        let function = Arc::new(function);
        Self::custom(FunctionKind::Plain, move |arguments| {
            let function = Arc::clone(&function);
            FunctionWork::Blocking(Box::new(move || to_json(function(arguments))))
        })
    }

    /// Returns a plain function that returns at once. It runs on the thread that runs the program:
    /// until it returns, the program's timeout and cancellation have no effect. It has 1 MiB of
    /// stack.
    pub fn immediate<R: Serialize>(
        function: impl Fn(Arguments) -> Result<R, FunctionError> + Send + Sync + 'static,
    ) -> Self {
        Self::custom(FunctionKind::Plain, move |arguments| {
            FunctionWork::Done(to_json(function(arguments)))
        })
    }

    /// Returns an asynchronous function. Its futures run as tasks of the runtime, except for their
    /// first poll, which is on the thread that runs the program, with 1 MiB of stack.
    pub fn asynchronous<R, F>(function: impl Fn(Arguments) -> F + Send + Sync + 'static) -> Self
    where
        R: Serialize,
        F: Future<Output = Result<R, FunctionError>> + Send + 'static,
    {
        let function = Arc::new(function);
        Self::custom(FunctionKind::Asynchronous, move |arguments| {
            let function = Arc::clone(&function);
            FunctionWork::Future(Box::pin(async move { to_json(function(arguments).await) }))
        })
    }

    /// Returns a function whose calls do the work that `begin` returns. `begin` itself runs on the
    /// thread that runs the program, when the call is made, and returns at once.
    pub fn custom(
        kind: FunctionKind,
        begin: impl Fn(Arguments) -> FunctionWork + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            signature: "(*args, **kwargs)".into(),
            documentation: "".into(),
            begin: Arc::new(begin),
        }
    }

    /// Sets the signature that programs see, in the form of a Python `def`: `(q: str) -> int`. At
    /// most [`MAX_SIGNATURE`](Self::MAX_SIGNATURE) bytes. It does not check the arguments.
    #[must_use]
    pub fn with_signature(mut self, signature: impl Into<Arc<str>>) -> Self {
        self.signature = signature.into();
        self
    }

    /// Sets the docstring that programs see. At most
    /// [`MAX_DOCUMENTATION`](Self::MAX_DOCUMENTATION) bytes.
    #[must_use]
    pub fn with_documentation(mut self, documentation: impl Into<Arc<str>>) -> Self {
        self.documentation = documentation.into();
        self
    }

    /// Returns the form of a call in a program.
    pub fn kind(&self) -> FunctionKind {
        self.kind
    }

    /// Returns the signature.
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// Returns the docstring.
    pub fn documentation(&self) -> &str {
        &self.documentation
    }

    pub(crate) fn begin(&self, arguments: Arguments) -> FunctionWork {
        (self.begin)(arguments)
    }
}

fn to_json<R: Serialize>(result: Result<R, FunctionError>) -> FunctionResult {
    Ok(JsonValue::new(&result?)?)
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("kind", &self.kind)
            .field("signature", &self.signature)
            .finish_non_exhaustive()
    }
}
