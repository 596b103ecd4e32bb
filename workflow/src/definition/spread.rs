//! Spread: the re-jitter in as many calls as it takes, a large backlog by several at once.
//!
//! A re-jitter that fails does not keep the circuit open: the dependency has recovered, and a burst is the lesser harm.

use serde_json::{Value, json};

use super::steps::{INVOKE, brief};
use super::{Context, MAX_SPREADS, REJITTER_TIMEOUT_S, placeholder, placeholder_value, ramp, state};
use crate::asl::{Catcher, Choice, ForEach, Retrier, Rule, State, StateMachine, Task, jsonata, succeed};
use crate::contract::RejitterStrategy;
use crate::errors;

/// Variable that says whether a backlog is planned to be spread and not spread yet; circuits with a ramp have it.
pub const PENDING: &str = "spreadPending";
/// Where a circuit with a ramp plans the spread.
const PLAN: &str = "PlanSpread";

/// Whether the circuit spreads its backlog.
pub fn is_on(context: &Context<'_>) -> bool {
    context.circuit.rejitter_strategy() != RejitterStrategy::Off
}

/// What is known of the spread before it begins: the variable `spread`.
pub fn unset() -> Value {
    json!({ "calls": 0, "progress": null, "error": "none" })
}

/// Where the close goes on.
fn after(context: &Context<'_>) -> &'static str {
    if ramp::is_on(context) { ramp::AFTER_SPREAD } else { "MarkRestoring" }
}

impl Context<'_> {
    /// First step of the way back to closed after the probes succeeded.
    pub(super) fn after_recovery(&self) -> &'static str {
        match (is_on(self), ramp::is_on(self)) {
            (true, true) => PLAN,
            (true, false) => state::SPREAD_BACKLOG,
            (false, _) => self.after_spread(),
        }
    }
}

/// A circuit with a ramp learns first how large the backlog is.
fn plan(context: &Context<'_>) -> [State; 2] {
    let plan = call(context, PLAN, Value::Null, true)
        .assign(
            "spread",
            jsonata("{'calls': 1, 'progress': $states.result.Payload.progress, 'error': 'none'}"),
        )
        .assign(PENDING, json!(true))
        .output(json!({}))
        .catch(Catcher::on(&[errors::STALE_EPOCH], "Superseded"))
        .catch(gave_up(context))
        .next("JudgePlan");
    let judge = Choice::new("JudgePlan", Rule::when("$spread.progress.share_count > 1", "SpreadShares"))
        .otherwise(context.after_spread());
    [plan, judge]
}

pub fn states(context: &Context<'_>) -> Vec<State> {
    if !is_on(context) {
        return Vec::new();
    }
    let mut states = Vec::new();
    if ramp::is_on(context) {
        states.extend(plan(context));
    }
    let call = call(context, state::SPREAD_BACKLOG, jsonata("$spread.progress"), false)
        .assign(
            "spread",
            jsonata(
                "{'calls': $spread.calls + 1, 'progress': $states.result.Payload.progress, 'error': 'none'}",
            ),
        )
        .output(jsonata("{'done': $states.result.Payload.done}"))
        .catch(Catcher::on(&[errors::STALE_EPOCH], "Superseded"))
        .catch(gave_up(context))
        .next("JudgeSpread");
    let judge = Choice::new(
        "JudgeSpread",
        over(
            context,
            Rule::when(format!("$states.input.done or $spread.calls >= {MAX_SPREADS}"), after(context)),
        ),
    )
    .or(Rule::when("$spread.progress.share_count > 1", "SpreadShares"))
    .otherwise(state::SPREAD_BACKLOG);
    let judge_shares = Choice::new(
        "JudgeShares",
        Rule::when(format!("'{}' in $states.input.errors", errors::STALE_EPOCH), "Superseded"),
    )
    .otherwise("JudgeSpread");
    states.extend([call, judge, shares(context), judge_shares]);
    states
}

/// Nothing more is to be spread when this rule holds.
fn over(context: &Context<'_>, rule: Rule) -> Rule {
    if ramp::is_on(context) { rule.assign(PENDING, json!(false)) } else { rule }
}

/// One call of the function, or one that only says how it would spread.
fn call(context: &Context<'_>, name: &str, progress: Value, only_plans: bool) -> Task {
    let circuit = context.circuit;
    let mut payload = json!({
        "fence": context.fence(),
        "queue_url": placeholder_value(placeholder::QUEUE_URL),
        "strategy": circuit.rejitter_strategy(),
        "drain_per_s": circuit.rejitter.drain_per_s,
        "invocations_count": circuit.rejitter.invocations_count,
        "progress": progress,
    });
    if ramp::is_on(context) {
        payload["ramp_s"] = json!(circuit.ramp.length_s());
    }
    if only_plans {
        payload["only_plans"] = json!(true);
    }
    if let Some(count) = circuit.facts().max_receive_count {
        payload["max_receive_count"] = json!(count);
    }
    Task::new(name, INVOKE)
        .arguments(json!({
            "FunctionName": placeholder_value(placeholder::REJITTER_FUNCTION),
            "Payload": payload,
        }))
        .timeout_s(json!(REJITTER_TIMEOUT_S + 5))
        .retry(Retrier::on(
            &[errors::STALE_EPOCH, errors::ACCESS_DENIED, errors::REFUSED, errors::INVALID_REQUEST],
            0,
        ))
        .retry(brief())
}

fn gave_up(context: &Context<'_>) -> Catcher {
    let catcher = Catcher::on(&["States.ALL"], after(context))
        .assign("spread", jsonata("$merge([$spread, {'error': $states.errorOutput.Error}])"));
    if ramp::is_on(context) { catcher.assign(PENDING, json!(false)) } else { catcher }
}

/// Several calls at once, each with counts of its own, until each has found the queue dry or run out of time. One that
/// fails for good does not end the others: what it leaves they spread.
fn shares(context: &Context<'_>) -> State {
    let call = call(context, state::SPREAD_SHARE, jsonata("$states.input.progress"), false)
        .output(jsonata("$merge([$states.result.Payload, {'error': 'none'}])"))
        .catch(Catcher::on(&["States.ALL"], "ShareFailed").output(jsonata(
            "{'done': true, 'progress': $states.input.progress, 'error': $states.errorOutput.Error}",
        )))
        .end();
    let failed = succeed("ShareFailed", jsonata("$states.input"));
    let share = StateMachine::new("One share of the backlog", state::SPREAD_SHARE, vec![call, failed])
        .expect("the tests hold that the machine is sound");
    let total =
        |count: &str| format!("'{count}': $spread.progress.{count} + $sum($states.result.progress.{count})");
    let totals = ["moved_count", "hidden_count", "copied_count", "failed_count"].map(total).join(", ");
    // The in-flight quota is one for all: where one ran into it, all go on by requeue.
    let strategy =
        "'strategy': 'requeue' in $states.result.progress.strategy ? 'requeue' : $spread.progress.strategy";
    let error = "'error': $append($states.result.error[$ != 'none'], 'none')[0]";
    ForEach::new(
        "SpreadShares",
        jsonata("[1..$spread.progress.share_count]"),
        context.circuit.rejitter.invocations_count,
        share,
    )
    .comment("One invocation after the other would take long with a large backlog")
    .item(json!({
        "progress": jsonata("$merge([$spread.progress, {'moved_count': 0, 'hidden_count': 0, 'copied_count': 0, 'failed_count': 0}])"),
    }))
    .assign(
        "spread",
        jsonata(format!(
            "{{'calls': $spread.calls + $count($states.result), 'progress': $merge([$spread.progress, {{{totals}, {strategy}}}]), {error}}}"
        )),
    )
    .output(jsonata(
        "{'done': $not(false in $states.result.done), 'errors': $append([], $states.result.error)}",
    ))
    .catch(gave_up(context))
    .next("JudgeShares")
}
