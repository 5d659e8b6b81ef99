//! The yield points of a long computation of the host.

/// Yields to the runtime when the execution has used up its time slice.
pub(crate) trait YieldPoint {
    /// Called between two pieces of work, each of well under a millisecond.
    fn yield_if_due(&mut self) -> impl Future<Output = ()> + Send;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::YieldPoint;

    /// Counts how often a computation reaches a yield point.
    #[derive(Debug, Default)]
    pub(in super::super) struct Count(pub(in super::super) usize);

    impl YieldPoint for Count {
        async fn yield_if_due(&mut self) {
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
