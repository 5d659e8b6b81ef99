//! How an idle peer is probed.

use std::time::Duration;

use socket2::TcpKeepalive;

use crate::NetError;

/// What of the probing of an idle peer to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepaliveOption {
    /// The seconds of idleness before the first probe (TCP_KEEPIDLE), 1 to 32767.
    Idle(u32),
    /// The seconds between probes (TCP_KEEPINTVL), 1 to 32767.
    Interval(u32),
    /// How many unanswered probes end the connection (TCP_KEEPCNT), 1 to 127.
    Count(u32),
}

impl KeepaliveOption {
    pub(crate) fn settings(self) -> Result<TcpKeepalive, NetError> {
        let (Self::Idle(value) | Self::Interval(value) | Self::Count(value)) = self;
        let most = if matches!(self, Self::Count(_)) {
            127
        } else {
            32767
        };
        if !(1..=most).contains(&value) {
            return Err(NetError::InvalidArgument(format!(
                "this keep-alive setting is a number from 1 to {most}"
            )));
        }
        let seconds = Duration::from_secs(value.into());
        Ok(match self {
            Self::Idle(_) => TcpKeepalive::new().with_time(seconds),
            Self::Interval(_) => TcpKeepalive::new().with_interval(seconds),
            Self::Count(count) => TcpKeepalive::new().with_retries(count),
        })
    }
}
