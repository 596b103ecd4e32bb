//! Claim: become the circuit's one owner, or find that somebody else is.

use serde_json::{Map, Value, json};

use super::hold::{HELD_ATTRIBUTES, hold_of};
use super::probe::{PROBE_FAILED_AT, PROBE_FROM, after_stale_probe};
use super::steps::{
    CONDITION_FAILED, DESCRIBE_EXECUTION, GET_ITEM, UPDATE_ITEM, allowed_from, now_ms, patient,
};
use super::{Context, MAPPING_TIMEOUT_S, MAX_CLAIM_TRIES, NOWHERE, placeholder, placeholder_value, state};
use super::{after, clock, ramp, spread};
use crate::asl::{Catcher, Choice, Retrier, Rule, State, Task, Wait, fail, jsonata, succeed};
use crate::circuit::{CircuitState, CloseReason, Phase, Transition, item};
use crate::contract::{MAX_REASON, Trigger};
use crate::errors;

pub fn states(context: &Context<'_>) -> Vec<State> {
    vec![
        check_input(context),
        fail(
            "RejectInput",
            errors::INVALID_INPUT,
            json!(format!(
                "the input must be {{\"circuit\": \"{}\", \"trigger\": one of {}, \"reason\": text, \"at\": RFC 3339}}",
                context.name,
                Trigger::ALL.map(Trigger::name).join(" | "),
            )),
        ),
        claim(context),
        read(context),
        judge_circuit(),
        describe_owner(context),
        judge_owner(),
        take_over(context),
        judge_take_over(context),
        Wait::seconds("AwaitStaleCalls", json!(MAPPING_TIMEOUT_S))
            .comment("A call of the mapping function may outlive the execution that made it, for its timeout at most")
            .next("JudgeRecord"),
        judge_record(),
        check_still_disabled(context),
        judge_still_disabled(),
        succeed("Joined", json!({ "outcome": "joined", "circuit": context.name })),
        succeed("Superseded", json!({ "outcome": "superseded", "circuit": context.name })),
    ]
}

/// Refuses an input that is not meant for this circuit, and sets every variable, so that none is read unset.
fn check_input(context: &Context<'_>) -> State {
    let triggers = Trigger::ALL.map(|trigger| format!("'{}'", trigger.name())).join(", ");
    let fits = format!(
        "$type($states.input) = 'object' and $states.input.circuit = '{}' and $states.input.trigger in [{triggers}] and \
         $type($states.input.reason) = 'string' and $type($states.input.at) = 'string'",
        context.name
    );
    let unset: [(&str, Value); 21] = [
        ("epoch", json!(0)),
        ("openedAtMs", json!(0)),
        ("claimTries", json!(0)),
        ("seenEpoch", json!(0)),
        ("seenOwner", json!("none")),
        ("ownerStatus", json!("none")),
        ("recorded", json!([])),
        ("settleFromMs", json!(0)),
        ("failedProbes", json!(0)),
        ("waitSeconds", json!(0)),
        ("proven", json!([])),
        ("lastReceives", json!(0)),
        ("noneVisibleSinceMs", json!(0)),
        ("phase", json!("none")),
        ("heldSignal", json!("none")),
        ("limited", json!(false)),
        ("signalled", json!(false)),
        ("rounds", json!(0)),
        ("spread", spread::unset()),
        ("faults", json!(0)),
        ("closedBy", json!("none")),
    ];
    // What an execution that hands over knows of the outage beside what the circuit's item says.
    let carried = |name: &'static str, otherwise: &str| {
        let from = format!("$states.input.carried.{name}");
        (name, jsonata(format!("$exists({from}) ? {from} : {otherwise}")))
    };
    let mut known = vec![
        carried("scarce", "false"),
        carried("sawHealthy", "false"),
        // A list of one is that one in JSONata, unless it is made a list again.
        ("suspects", jsonata("$append([], $states.input.carried.suspects)")),
        carried("lastError", "'none'"),
        carried("lastProbe", "{'verdict': 'none', 'at_ms': 0}"),
        carried("outageError", "'none'"),
        carried("quietAtMs", "0"),
        carried(PROBE_FROM, "0"),
    ];
    if context.circuit.alarm.signal.sees_probes() {
        known.push(carried(PROBE_FAILED_AT, "0"));
    }
    let limited_unset =
        ramp::is_on(context).then(|| ramp::unset().into_iter().chain([(spread::PENDING, json!(false))]));
    let limited_unset = limited_unset.into_iter().flatten();
    let rule = unset
        .into_iter()
        .chain(known)
        .chain(clock::unset())
        .chain(after::unset())
        .chain(limited_unset)
        .fold(Rule::when(fits, after::after_input(context)), |rule, (name, value)| rule.assign(name, value))
        .assign("trip", jsonata("{'trigger': $states.input.trigger, 'reason': $states.input.reason}"))
        // What an execution that hands over gives on beside the circuit's item.
        .assign("from", jsonata("$exists($states.input.from) ? $states.input.from : 'none'"))
        .assign("announcedOpen", jsonata("$exists($states.input.from)"))
        .assign("exhausted", jsonata("$exists($states.input.exhausted) ? $states.input.exhausted : false"))
        .assign("copies", jsonata("$exists($states.input.copies) ? $states.input.copies : 0"))
        .assign("hold", jsonata(hold_of("$states.input.hold")))
        .assign("closeReason", json!(CloseReason::Recovered.name()))
        .assign("resumeAt", json!(NOWHERE))
        .assign("fault", json!({ "state": "none", "error": "none" }));
    Choice::new(state::CHECK_INPUT, rule).otherwise("RejectInput")
}

/// The conditional update that makes this execution the owner. That its own earlier claim also satisfies the condition
/// lets the step be repeated when an answer was lost.
fn claim(context: &Context<'_>) -> State {
    let mut values = Map::from_iter([
        (":me".to_owned(), json!({ "S": jsonata("$states.context.Execution.Id") })),
        (":state".to_owned(), json!({ "S": Transition::Trip.target().name() })),
        (":zero".to_owned(), json!({ "N": "0" })),
        (":one".to_owned(), json!({ "N": "1" })),
        (":now".to_owned(), now_ms()),
        (":phase".to_owned(), json!({ "S": Phase::Opening.name() })),
        (":trigger".to_owned(), json!({ "S": jsonata("$trip.trigger") })),
        (":reason".to_owned(), json!({ "S": jsonata(format!("$substring($trip.reason, 0, {MAX_REASON})")) })),
    ]);
    let allowed = allowed_from(Transition::Trip, &mut values);
    let condition = format!(
        "attribute_not_exists({state}) OR {allowed} OR ({state} = :state AND {owner} = :me)",
        state = item::STATE,
        owner = item::OWNER,
    );
    let update = format!(
        "SET {state} = :state, {owner} = :me, {epoch} = if_not_exists({epoch}, :zero) + :one, {opened} = :now, \
         {updated} = :now, {phase} = :phase, {trigger} = :trigger, {reason} = :reason, {failed} = :zero \
         REMOVE {recorded}, {token}, {until}, {error}, {verdict}, {probed}, {close_reason}, {closed_by}, {held}",
        state = item::STATE,
        owner = item::OWNER,
        epoch = item::EPOCH,
        opened = item::OPENED_AT_MS,
        updated = item::UPDATED_AT_MS,
        phase = item::PHASE,
        held = HELD_ATTRIBUTES.join(", "),
        trigger = item::TRIGGER,
        reason = item::REASON,
        failed = item::FAILED_PROBES,
        recorded = item::RECORDED,
        token = item::TASK_TOKEN,
        until = item::WAIT_UNTIL_MS,
        error = item::LAST_ERROR,
        verdict = item::LAST_VERDICT,
        probed = item::LAST_PROBE_AT_MS,
        closed_by = item::CLOSED_BY,
        close_reason = item::CLOSE_REASON,
    );
    let name = "ClaimCircuit";
    let claim = become_owner(context, name, context.update_item(&update, &condition, values))
        .assign("openedAtMs", number(item::OPENED_AT_MS));
    refused_to(context, name, "ReadCircuit", claim).next("InspectMappings")
}

/// A conditional update that makes this execution the owner. It takes over the epoch, and what the item says of the loss
/// clock and of a retention that was raised and not yet given back.
pub fn become_owner(context: &Context<'_>, name: &str, mut arguments: Value) -> Task {
    arguments["ReturnValues"] = json!("ALL_NEW");
    let task = Task::new(name, UPDATE_ITEM).arguments(arguments);
    let carried = clock::carried(context);
    carried
        .into_iter()
        .fold(task, |task, (name, value)| task.assign(name, value))
        .assign("epoch", number(item::EPOCH))
}

/// Where the update `name` leads that was refused, because somebody else owns the circuit or owned it first.
pub fn refused_to(context: &Context<'_>, name: &str, next: &str, task: Task) -> Task {
    task.retry(Retrier::on(&CONDITION_FAILED, 0))
        .retry(patient())
        .catch(Catcher::on(&CONDITION_FAILED, next))
        .catch(context.to_fault(name, NOWHERE))
}

/// A number attribute of the item that the task returned.
pub fn number(attribute: &str) -> Value {
    jsonata(format!("$number($states.result.Attributes.{attribute}.N)"))
}

fn read(context: &Context<'_>) -> State {
    Task::new("ReadCircuit", GET_ITEM)
        .arguments(json!({
            "TableName": placeholder_value(placeholder::CIRCUIT_TABLE),
            "Key": { item::CIRCUIT: { "S": context.name } },
            "ConsistentRead": true,
        }))
        .retry(patient())
        .catch(context.to_fault("ReadCircuit", NOWHERE))
        .next("JudgeCircuit")
}

/// Somebody holds the circuit, or did a moment ago.
fn judge_circuit() -> State {
    let closed = CircuitState::Closed.name();
    let free = format!(
        "$not($exists($states.input.Item.{state})) or $states.input.Item.{state}.S = '{closed}'",
        state = item::STATE
    );
    Choice::new(
        "JudgeCircuit",
        Rule::when(format!("({free}) and $claimTries < {MAX_CLAIM_TRIES}"), "ClaimCircuit")
            .assign("claimTries", jsonata("$claimTries + 1")),
    )
    .or(Rule::when(free, "Joined"))
    .assign("seenEpoch", jsonata(format!("$number($states.input.Item.{}.N)", item::EPOCH)))
    .assign("seenOwner", jsonata(format!("$states.input.Item.{}.S", item::OWNER)))
    .otherwise("DescribeOwner")
}

fn describe_owner(context: &Context<'_>) -> State {
    let gone = ["Sfn.ExecutionDoesNotExistException", "Sfn.ExecutionDoesNotExist"];
    Task::new("DescribeOwner", DESCRIBE_EXECUTION)
        .arguments(json!({ "ExecutionArn": jsonata("$seenOwner") }))
        .assign("ownerStatus", jsonata("$states.result.Status"))
        // The answer holds the other execution's input and output, which nobody needs here.
        .output(json!({}))
        .retry(Retrier::on(&gone, 0))
        .retry(patient())
        .catch(Catcher::on(&gone, "TakeOverCircuit"))
        .catch(context.to_fault("DescribeOwner", NOWHERE))
        .next("JudgeOwner")
}

fn judge_owner() -> State {
    let alive = "$ownerStatus in ['RUNNING', 'PENDING_REDRIVE'] and $seenOwner != $from";
    Choice::new("JudgeOwner", Rule::when(alive, "Joined"))
        .comment("An open circuit whose owner has ended, or hands over, is taken over")
        .otherwise("TakeOverCircuit")
}

fn take_over(context: &Context<'_>) -> State {
    let mut values = Map::from_iter([
        (":me".to_owned(), json!({ "S": jsonata("$states.context.Execution.Id") })),
        (":seen".to_owned(), json!({ "N": jsonata("$string($seenEpoch)") })),
        (":state".to_owned(), json!({ "S": Transition::TakeOver.target().name() })),
        (":one".to_owned(), json!({ "N": "1" })),
        (":now".to_owned(), now_ms()),
    ]);
    let allowed = allowed_from(Transition::TakeOver, &mut values);
    let condition = format!("({} = :seen AND {allowed}) OR {} = :me", item::EPOCH, item::OWNER);
    let update = format!(
        "SET {} = :state, {} = :me, {epoch} = {epoch} + :one, {} = :now REMOVE {}, {}",
        item::STATE,
        item::OWNER,
        item::UPDATED_AT_MS,
        item::TASK_TOKEN,
        item::WAIT_UNTIL_MS,
        epoch = item::EPOCH,
    );
    let arguments = context.update_item(&update, &condition, values);
    let text = |attribute: &str| format!("$states.result.Attributes.{attribute}.S");
    let or_else = |attribute: &str, otherwise: &str| {
        let found = text(attribute);
        jsonata(format!("$exists({found}) ? {found} : {otherwise}"))
    };
    let recorded = text(item::RECORDED);
    let until = format!("$states.result.Attributes.{}.N", item::HELD_UNTIL_MS);
    let hold = format!(
        "$exists({until}) ? {{'until_ms': $number({until}), 'by': {}, 'reason': {}}} : $hold",
        text(item::HELD_BY),
        text(item::HOLD_REASON),
    );
    let probed = format!("$states.result.Attributes.{}.N", item::LAST_PROBE_AT_MS);
    // Who hands over knows of a probe that is not written yet.
    let last_probe = format!(
        "$exists({probed}) and $number({probed}) > $lastProbe.at_ms ? \
         {{'verdict': {}, 'at_ms': $number({probed})}} : $lastProbe",
        text(item::LAST_VERDICT)
    );
    let name = "TakeOverCircuit";
    let take_over = become_owner(context, name, arguments)
        .comment("What the dead owner recorded stays: the mappings may be disabled already")
        .assign("openedAtMs", number(item::OPENED_AT_MS))
        .assign("failedProbes", number(item::FAILED_PROBES))
        .assign("recorded", jsonata(format!("$exists({recorded}) ? $parse({recorded}) : []")))
        .assign("phase", or_else(item::PHASE, "'none'"))
        .assign("lastError", or_else(item::LAST_ERROR, "$lastError"))
        .assign("lastProbe", jsonata(last_probe))
        .assign("closedBy", or_else(item::CLOSED_BY, "$closedBy"))
        .assign("closeReason", or_else(item::CLOSE_REASON, "$closeReason"))
        .assign("hold", jsonata(hold));
    refused_to(context, name, "Joined", take_over).next("JudgeTakeOver")
}

fn judge_take_over(context: &Context<'_>) -> State {
    Choice::new("JudgeTakeOver", Rule::when("$seenOwner = $from", "JudgeRecord"))
        .comment("Who hands over has no call in progress; who died may have one")
        .assign(PROBE_FROM, after_stale_probe(context))
        .otherwise("AwaitStaleCalls")
}

/// Goes on with what the owner before was doing.
fn judge_record() -> State {
    let was = |phase: Phase| format!("$phase = '{}'", phase.name());
    Choice::new("JudgeRecord", Rule::when("$count($recorded) = 0", "InspectMappings"))
        .or(Rule::when(was(Phase::Restoring), "RestoreMappings"))
        .or(Rule::when(was(Phase::Restored), "AwaitEnabled").assign("settleFromMs", jsonata("$millis()")))
        .or(Rule::when(was(Phase::Limited), "CheckReopening").assign("announcedOpen", json!(true)))
        .or(Rule::when(format!("{} or {}", was(Phase::Disabled), was(Phase::GivenUp)), "CheckStillDisabled")
            .assign("announcedOpen", json!(true))
            .assign("quietAtMs", jsonata("$quietAtMs > 0 ? $quietAtMs : $millis()")))
        .otherwise("DisableMappings")
}

/// While the breaker only waits, a mapping that is enabled was enabled by somebody else.
fn check_still_disabled(context: &Context<'_>) -> State {
    context.count_enabled("CheckStillDisabled", "ChooseWait").next("JudgeStillDisabled")
}

fn judge_still_disabled() -> State {
    Choice::new(
        "JudgeStillDisabled",
        Rule::when("$states.input.enabled_count > 0", "AnnounceOverruled")
            .assign("closeReason", json!(CloseReason::Overruled.name())),
    )
    .or(Rule::when("$hold.until_ms > 0", "JudgeRounds"))
    .otherwise("ChooseWait")
}
