//! The consumer's variable `SHOULD_ERROR`: set without touching the others, and given back.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::{Environment, LastUpdateStatus};
use workflow::contract::{ENV_REPORT_BATCH_ITEM_FAILURES, ENV_SHOULD_ERROR};

use super::LiveError;
use super::error::call;

/// How often a function is looked at until an update has come through.
const POLL: Duration = Duration::from_millis(500);

/// After so many looks an update that has not come through is taken as it is: two minutes.
const MAX_POLL_COUNT: u32 = 240;

/// How often an update is tried that somebody else's update keeps from happening.
const MAX_UPDATE_COUNT: u32 = 5;

/// `SHOULD_ERROR` of one consumer.
#[derive(Clone, Debug)]
pub struct Toggle {
    client: Client,
    function: String,
    /// What it was; absent where the variable was not there.
    before: Option<String>,
    reports_batch_item_failures: bool,
    changed: bool,
}

/// A function's variables, and which revision of it has them.
struct Seen {
    variables: BTreeMap<String, String>,
    revision: Option<String>,
}

impl Toggle {
    /// Reads what the variable is.
    ///
    /// # Errors
    /// [`LiveError::Call`] when the function cannot be read.
    pub async fn read(client: Client, function: &str) -> Result<Toggle, LiveError> {
        let mut toggle = Toggle {
            client,
            function: function.to_owned(),
            before: None,
            reports_batch_item_failures: false,
            changed: false,
        };
        let mut variables = toggle.look().await?.variables;
        toggle.before = variables.remove(ENV_SHOULD_ERROR);
        toggle.reports_batch_item_failures =
            variables.get(ENV_REPORT_BATCH_ITEM_FAILURES).is_some_and(|value| value == "true");
        Ok(toggle)
    }

    /// What the variable was when it was read; absent where it was not there.
    pub fn before(&self) -> Option<&str> {
        self.before.as_deref()
    }

    /// Whether it was `true`: the consumer failed already.
    pub fn was_failing(&self) -> bool {
        self.before.as_deref().is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// Whether the consumer answers with the messages that failed.
    pub fn reports_batch_item_failures(&self) -> bool {
        self.reports_batch_item_failures
    }

    /// Makes the consumer fail, or lets it work again. Returns when the function has it.
    ///
    /// # Errors
    /// [`LiveError::Call`] when the function cannot be changed.
    pub async fn set(&mut self, should_error: bool) -> Result<(), LiveError> {
        self.changed = true;
        self.write(Some(should_error.to_string())).await
    }

    /// Gives the variable the value back that it had, if it was changed.
    ///
    /// # Errors
    /// [`LiveError::NotRestored`], which says what to set by hand.
    pub async fn restore(&mut self) -> Result<(), LiveError> {
        if !self.changed {
            return Ok(());
        }
        let restored = self.write(self.before.clone()).await;
        restored.map_err(|error| LiveError::NotRestored {
            function: self.function.clone(),
            value: self.before.clone().unwrap_or_default(),
            cause: error.to_string(),
        })?;
        self.changed = false;
        Ok(())
    }

    /// Changes this variable and leaves the others as they are. The revision keeps an update of somebody else from being
    /// undone: then all is read again.
    async fn write(&self, value: Option<String>) -> Result<(), LiveError> {
        let mut tried_count = 0;
        loop {
            let Seen { mut variables, revision } = self.look().await?;
            if variables.get(ENV_SHOULD_ERROR) == value.as_ref() {
                return Ok(());
            }
            match &value {
                Some(value) => variables.insert(ENV_SHOULD_ERROR.to_owned(), value.clone()),
                None => variables.remove(ENV_SHOULD_ERROR),
            };
            // The empty map too has to be sent: absent would leave the variables as they are.
            let environment =
                Environment::builder().set_variables(Some(variables.into_iter().collect())).build();
            let request = self.client.update_function_configuration().function_name(&self.function);
            let answer = request.environment(environment).set_revision_id(revision).send().await;
            tried_count += 1;
            match answer {
                Ok(_) => break,
                Err(error)
                    if tried_count < MAX_UPDATE_COUNT
                        && error.as_service_error().is_some_and(|error| {
                            error.is_precondition_failed_exception() || error.is_resource_conflict_exception()
                        }) =>
                {
                    tokio::time::sleep(POLL).await;
                }
                Err(error) => return Err(call("UpdateFunctionConfiguration", &error)),
            }
        }
        self.look().await.map(|_| ())
    }

    /// The function's variables once no update of it is in progress.
    async fn look(&self) -> Result<Seen, LiveError> {
        let mut looked_count = 0;
        loop {
            let answer = self.client.get_function_configuration().function_name(&self.function).send().await;
            let answer = answer.map_err(|error| call("GetFunctionConfiguration", &error))?;
            looked_count += 1;
            let updating = answer.last_update_status() == Some(&LastUpdateStatus::InProgress);
            if updating && looked_count < MAX_POLL_COUNT {
                tokio::time::sleep(POLL).await;
                continue;
            }
            let variables = answer.environment().and_then(|one| one.variables());
            return Ok(Seen {
                variables: variables
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
                revision: answer.revision_id().map(str::to_owned),
            });
        }
    }
}
