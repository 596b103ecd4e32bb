//! Spread: the re-jitter in as many calls as it takes, a large backlog by several at once.
//!
//! A re-jitter that fails does not keep the circuit open: the dependency has recovered, and a burst is the lesser harm.

use serde_json::{Value, json};

use super::steps::{INVOKE, brief};
use super::{Context, MAX_SPREADS, REJITTER_TIMEOUT_S, placeholder, placeholder_value, state};
use crate::asl::{Catcher, Choice, ForEach, Retrier, Rule, State, StateMachine, Task, jsonata, succeed};
use crate::errors;

/// Where the close goes on.
const AFTER: &str = "MarkRestoring";

pub fn states(context: &Context<'_>) -> Vec<State> {
    let call = call(context, state::SPREAD_BACKLOG, jsonata("$spread.progress"))
        .assign(
            "spread",
            jsonata(
                "{'calls': $spread.calls + 1, 'progress': $states.result.Payload.progress, 'error': 'none'}",
            ),
        )
        .output(jsonata("{'done': $states.result.Payload.done}"))
        .catch(Catcher::on(&[errors::STALE_EPOCH], "Superseded"))
        .catch(gave_up())
        .next("JudgeSpread");
    let judge = Choice::new(
        "JudgeSpread",
        Rule::when(format!("$states.input.done or $spread.calls >= {MAX_SPREADS}"), AFTER),
    )
    .or(Rule::when("$spread.progress.share_count > 1", "SpreadShares"))
    .otherwise(state::SPREAD_BACKLOG);
    let judge_shares = Choice::new(
        "JudgeShares",
        Rule::when(format!("'{}' in $states.input.errors", errors::STALE_EPOCH), "Superseded"),
    )
    .otherwise("JudgeSpread");
    vec![call, judge, shares(context), judge_shares]
}

/// One call of the function.
fn call(context: &Context<'_>, name: &str, progress: Value) -> Task {
    let circuit = context.circuit;
    let mut payload = json!({
        "fence": context.fence(),
        "queue_url": placeholder_value(placeholder::QUEUE_URL),
        "strategy": circuit.rejitter_strategy(),
        "drain_per_s": circuit.rejitter.drain_per_s,
        "invocations_count": circuit.rejitter.invocations_count,
        "progress": progress,
    });
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

fn gave_up() -> Catcher {
    Catcher::on(&["States.ALL"], AFTER)
        .assign("spread", jsonata("$merge([$spread, {'error': $states.errorOutput.Error}])"))
}

/// Several calls at once, each with counts of its own, until each has found the queue dry or run out of time. One that
/// fails for good does not end the others: what it leaves they spread.
fn shares(context: &Context<'_>) -> State {
    let call = call(context, state::SPREAD_SHARE, jsonata("$states.input.progress"))
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
    .catch(gave_up())
    .next("JudgeShares")
}
