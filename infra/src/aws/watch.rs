//! Following what CloudFormation does to a stack.

use std::time::Duration;

use super::deploy::{Interrupt, Step};
use super::stack::{self, ResourceEvent};
use super::{Account, CloudError};

/// Shortest and longest pause between two looks at an operation in progress.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Follows one operation on a stack by its events.
pub(super) struct Watcher<'a> {
    account: &'a Account,
    stack_id: String,
    last: Option<String>,
    pause: Duration,
    /// The first resource that failed.
    pub(super) cause: Option<ResourceEvent>,
    /// The stack as a whole failed, whatever the reason.
    pub(super) stack_failed: Option<ResourceEvent>,
}

impl<'a> Watcher<'a> {
    /// Begins after the newest event.
    pub(super) async fn new(account: &'a Account, stack_id: &str) -> Result<Watcher<'a>, CloudError> {
        let newest = stack::events_since(account, stack_id, None).await?;
        Ok(Watcher {
            account,
            stack_id: stack_id.to_owned(),
            last: Some(newest.last().map(|event| event.event_id.clone()).unwrap_or_default()),
            pause: FIRST_PAUSE,
            cause: None,
            stack_failed: None,
        })
    }

    /// Tells what is new; the stack's status, none if it is gone.
    pub(super) async fn look(&mut self, on_step: &mut dyn FnMut(Step)) -> Result<Option<String>, CloudError> {
        // The status first: what it says, the events that are read after it explain.
        let status = stack::describe(self.account, &self.stack_id).await?.map(|stack| stack.status);
        let events = stack::events_since(self.account, &self.stack_id, self.last.as_deref()).await?;
        if let Some(newest) = events.last() {
            self.last = Some(newest.event_id.clone());
            self.pause = FIRST_PAUSE;
        }
        for event in events {
            if self.cause.is_none() && event.is_cause() {
                self.cause = Some(event.clone());
            }
            if event.is_of_stack() && event.status.ends_with("_FAILED") {
                self.stack_failed = Some(event.clone());
            }
            on_step(Step::Resource(event));
        }
        Ok(status.filter(|status| status != "DELETE_COMPLETE"))
    }

    /// Waits a while; whether the user asked to stop meanwhile.
    pub(super) async fn pause(&mut self, interrupt: &mut Interrupt) -> bool {
        let pause = self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(pause) => false,
            changed = interrupt.changed() => match changed {
                Ok(()) => true,
                // Nobody listens for signals: then there is only the time.
                Err(_) => { tokio::time::sleep(pause).await; false }
            },
        }
    }
}
