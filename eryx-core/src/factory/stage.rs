/// A part of building a [`SandboxFactory`](super::SandboxFactory) that may take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildStage {
    /// The imports and the setup code run in an interpreter.
    Importing,
    /// What they left is compiled: seconds, and once for this user.
    Compiling,
}
