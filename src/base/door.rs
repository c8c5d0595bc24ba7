//! Through which door a request came, for the audit log. It is known to the task that serves the request, so that nothing
//! between the door and the transaction has to hand it on; no right depends on it.

use std::future::Future;
use std::sync::OnceLock;

tokio::task_local! {
    static DOOR: &'static str;
}

/// Where what comes through no door belongs: the command line's process says so, a serving one is the hub itself.
static PROCESS: OnceLock<&'static str> = OnceLock::new();

/// Do something that came through this door.
pub async fn through<T>(door: &'static str, work: impl Future<Output = T>) -> T {
    DOOR.scope(door, work).await
}

/// Say what this process is, where nothing else is said; the first word counts.
pub fn of_process(door: &'static str) {
    PROCESS.get_or_init(|| door);
}

/// The door through which the running task came.
pub fn current() -> &'static str {
    DOOR.try_with(|door| *door)
        .unwrap_or_else(|_| PROCESS.get().copied().unwrap_or("hub"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_door_holds_for_its_task_and_ends_with_it() {
        assert_eq!(current(), "hub");
        through("rest", async {
            assert_eq!(current(), "rest");
            through("job", async { assert_eq!(current(), "job") }).await;
            assert_eq!(current(), "rest");
        })
        .await;
        assert_eq!(current(), "hub");
    }
}
