//! The turns that a long computation gives the runtime.

/// Gives the runtime a turn when the execution has used up its time slice.
pub(crate) trait Turns {
    /// Called between two pieces of work, each of well under a millisecond.
    fn offer(&mut self) -> impl Future<Output = ()> + Send;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Turns;

    /// Counts the turns.
    #[derive(Debug, Default)]
    pub(in super::super) struct Count(pub(in super::super) usize);

    impl Turns for Count {
        async fn offer(&mut self) {
            self.0 += 1;
        }
    }

    /// Runs a computation that never waits.
    pub(in super::super) fn block_on<T>(work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match work.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(result) => result,
            std::task::Poll::Pending => panic!("the computation waits"),
        }
    }
}
