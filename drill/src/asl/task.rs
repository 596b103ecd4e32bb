//! Task states: one attempt, its timeouts and its token.

use std::time::Duration;

use rand::Rng;
use serde_json::Value;

use super::data::Data;
use super::failure::Failure;
use super::functions::new_uuid;
use super::history::{Details, EventKind};
use super::host::{Host, Signal, TaskCall, TaskFailure};
use super::model::{Family, NumberField, Task};
use super::run::{Here, Left, Run};
use crate::sim::{Either, race};

/// Releases a task token however the attempt ends, also when the execution is dropped.
struct TokenGuard<'a, H: Host> {
    host: &'a H,
    token: Option<String>,
}

impl<H: Host> Drop for TokenGuard<'_, H> {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            self.host.release(token);
        }
    }
}

impl<H: Host> Run<'_, H> {
    pub(super) async fn attempt_task(&self, here: &Here<'_>, task: &Task) -> Result<Left, Failure> {
        let result = self.run_task(here, task).await?;
        let mut view = self.view(here);
        view.result = Some(&result);
        self.finish(here, &view, &here.state.exit, &result)
    }

    async fn run_task(&self, here: &Here<'_>, task: &Task) -> Result<Data, Failure> {
        let token = task.wait_for_token.then(|| self.new_token());
        here.context.token.replace(token.clone());
        let guard = TokenGuard { host: self.host, token };
        let token = guard.token.as_deref();
        let (arguments, timeout, heartbeat) = self.task_fields(here, task)?;
        let events = Events::of(task.family);
        let details = || Details { resource: Some(task.resource.clone()), ..Details::of(&here.state.name) };
        let scheduled = Details { input: Some(arguments.clone()), ..details() };
        self.emit(here.chain, events.scheduled, scheduled)?;
        self.emit(here.chain, events.started, details())?;
        let call = TaskCall {
            state: here.state.name.clone(),
            resource: task.resource.clone(),
            arguments: arguments.json().clone(),
            retry_count: here.context.retry_count.get(),
            token: token.map(str::to_owned),
            execution: self.info.clone(),
        };
        let work = self.work(here, task, call, token, heartbeat);
        let ended = match timeout {
            None => work.await?,
            Some(limit) => match race(work, self.sim.sleep(limit)).await {
                Either::Left(ended) => ended?,
                Either::Right(()) => Ended::TimedOut { heartbeat: false },
            },
        };
        match ended {
            Ended::Answered(Ok(value)) => {
                let output = Data::new(value);
                self.check_size(here, "The task's result", &output)?;
                let succeeded = Details { output: Some(output.clone()), ..details() };
                self.emit(here.chain, events.succeeded, succeeded)?;
                Ok(output)
            }
            Ended::Answered(Err(TaskFailure { error, cause })) => {
                let failure = Failure { error: Some(error), cause, heartbeat: false };
                self.failed(here, events.failed, failure, details())
            }
            Ended::TimedOut { heartbeat } => {
                self.failed(here, events.timed_out, Failure::timeout(heartbeat), details())
            }
        }
    }

    fn failed(
        &self,
        here: &Here<'_>,
        kind: EventKind,
        failure: Failure,
        details: Details,
    ) -> Result<Data, Failure> {
        let (error, cause) = (failure.error.clone(), failure.cause.clone());
        self.emit(here.chain, kind, Details { error, cause, ..details })?;
        Err(failure)
    }

    /// Evaluates what the task is given and how long it may take.
    #[allow(clippy::type_complexity)]
    fn task_fields(
        &self,
        here: &Here<'_>,
        task: &Task,
    ) -> Result<(Data, Option<Duration>, Option<Duration>), Failure> {
        let view = self.view(here);
        let seconds = |field: &Option<NumberField>| match field {
            Some(field) => self.eval(here, view.number(field, 1)).map(|s| Some(Duration::from_secs(s))),
            None => Ok(None),
        };
        let (timeout, heartbeat) = (seconds(&task.timeout)?, seconds(&task.heartbeat)?);
        if let Some(credentials) = &task.credentials {
            self.eval(here, view.template(credentials))?;
        }
        let arguments = match &task.arguments {
            Some(template) => self.eval(here, view.template(template))?,
            None => here.input.clone(),
        };
        self.check_size(here, "What the task is given", &arguments)?;
        Ok((arguments, timeout, heartbeat))
    }

    /// The call and, for a task with a token, the wait for what becomes of it.
    async fn work(
        &self,
        here: &Here<'_>,
        task: &Task,
        call: TaskCall,
        token: Option<&str>,
        heartbeat: Option<Duration>,
    ) -> Result<Ended, Failure> {
        let details = Details { resource: Some(task.resource.clone()), ..Details::of(&here.state.name) };
        if task.resource.contains(".sync") {
            self.emit(here.chain, EventKind::TaskSubmitted, details.clone())?;
        }
        let answer = self.host.task(call).await;
        let Some(token) = token else { return Ok(Ended::Answered(answer)) };
        let output = match answer {
            Ok(value) => Some(Data::new(value)),
            Err(failure) => return Ok(Ended::Answered(Err(failure))),
        };
        self.emit(here.chain, EventKind::TaskSubmitted, Details { output, ..details })?;
        loop {
            let signal = self.host.signal(token);
            let signal = match heartbeat {
                None => signal.await,
                Some(limit) => match race(signal, self.sim.sleep(limit)).await {
                    Either::Left(signal) => signal,
                    Either::Right(()) => return Ok(Ended::TimedOut { heartbeat: true }),
                },
            };
            match signal {
                Signal::Completed(answer) => return Ok(Ended::Answered(answer)),
                Signal::Heartbeat => {}
            }
        }
    }

    fn new_token(&self) -> String {
        let mut rng = self.oracle.rng.borrow_mut();
        format!("{}-{:016x}", new_uuid(&mut *rng), rng.next_u64())
    }
}

enum Ended {
    Answered(Result<Value, TaskFailure>),
    TimedOut { heartbeat: bool },
}

/// The events that tasks of one family write.
struct Events {
    scheduled: EventKind,
    started: EventKind,
    succeeded: EventKind,
    failed: EventKind,
    timed_out: EventKind,
}

impl Events {
    fn of(family: Family) -> Events {
        match family {
            Family::Lambda => Events {
                scheduled: EventKind::LambdaFunctionScheduled,
                started: EventKind::LambdaFunctionStarted,
                succeeded: EventKind::LambdaFunctionSucceeded,
                failed: EventKind::LambdaFunctionFailed,
                timed_out: EventKind::LambdaFunctionTimedOut,
            },
            Family::Activity => Events {
                scheduled: EventKind::ActivityScheduled,
                started: EventKind::ActivityStarted,
                succeeded: EventKind::ActivitySucceeded,
                failed: EventKind::ActivityFailed,
                timed_out: EventKind::ActivityTimedOut,
            },
            Family::Integration => Events {
                scheduled: EventKind::TaskScheduled,
                started: EventKind::TaskStarted,
                succeeded: EventKind::TaskSucceeded,
                failed: EventKind::TaskFailed,
                timed_out: EventKind::TaskTimedOut,
            },
        }
    }
}
