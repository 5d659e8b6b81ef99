//! Progress notifications while a program runs.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The time between two notifications.
const INTERVAL: Duration = Duration::from_secs(1);

/// Notifies the client every second how long the call has taken, if it asked for notifications.
/// Never returns.
pub(crate) async fn notify(context: &RequestContext<RoleServer>) {
    if let Some(token) = context.meta.get_progress_token() {
        let start = Instant::now();
        let mut ticks = interval_at(start + INTERVAL, INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let seconds = start.elapsed().as_secs();
            let progress = ProgressNotificationParam::new(token.clone(), seconds as f64)
                .with_message(format!("running for {seconds} s"));
            if context.peer.notify_progress(progress).await.is_err() {
                // The client is gone, which ends the call as well.
                break;
            }
        }
    }
    std::future::pending().await
}
