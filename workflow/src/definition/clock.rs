//! The loss clock: how long until the first message expires. It is read when the circuit opens and at every mark, and
//! it never holds anything up: while it cannot be read, the circuit opens, waits and closes all the same.

use serde_json::{Value, json};

use super::steps::{CONDITION_FAILED, brief};
use super::{Context, placeholder, placeholder_value, state};
use crate::asl::{Catcher, Choice, Rule, State, Task, jsonata};
use crate::circuit::item;
use crate::config::ALARM_LAG_S;
use crate::errors;
use crate::events::Announcement;

/// Time until a clock that could not be read is tried again, seconds.
const UNREAD_CLOCK_S: u32 = 600;
/// Time until a raise that failed, or was left alone, is judged again, seconds.
const FAILED_RAISE_S: u32 = 3_600;
/// What is left of a wait that was cut short at a mark, milliseconds; less than that is its end.
const CUT_SHORT_MS: u32 = 500;

/// Where a look at the clock leads: back into the wait that it interrupted, a hold's or the one between probes.
const GO_ON: &str = "GoOnWaiting";

/// The variables of this module, unset.
pub fn unset() -> [(&'static str, Value); 8] {
    [
        (
            "clock",
            json!({
                "known": false, "retention_s": 0, "oldest_sent_at_ms": 0, "expires_at_ms": 0, "percent": 0,
                "mark_percent": 0, "raise": false, "next_check_at_ms": 0,
            }),
        ),
        ("oldestMs", json!(0)),
        ("announcedPercent", json!(0)),
        ("deadLettersAtOpen", json!(-1)),
        ("originalRetentionS", json!(0)),
        ("raisedRetentionS", json!(0)),
        ("raiseOutcome", json!("none")),
        ("waitUntilMs", json!(0)),
    ]
}

/// What a claim and a take-over read off the item: `(variable, expression)`. A message that failed may be as old as the
/// alarm's window when the circuit opens; whatever a predecessor has met counts too.
pub fn carried(context: &Context<'_>) -> Vec<(&'static str, Value)> {
    let attribute = |name: &str| format!("$states.result.Attributes.{name}.N");
    let or = |name: &str, default: &str| {
        let text = attribute(name);
        jsonata(format!("$exists({text}) ? $number({text}) : {default}"))
    };
    let detection_ms = u64::from(context.circuit.alarm.window_s() + ALARM_LAG_S) * 1_000;
    let oldest = format!("$number({}) - {detection_ms}", attribute(item::OPENED_AT_MS));
    vec![
        ("oldestMs", or(item::OLDEST_SENT_AT_MS, &oldest)),
        ("announcedPercent", or(item::ANNOUNCED_PERCENT, "0")),
        ("deadLettersAtOpen", or(item::DEAD_LETTERS_AT_OPEN, "-1")),
        ("originalRetentionS", or(item::ORIGINAL_RETENTION_S, "0")),
        ("raisedRetentionS", or(item::RAISED_RETENTION_S, "0")),
    ]
}

/// The oldest message after a probe, as JSONata: it may have met an older one.
pub const OLDEST_MET: &str = "$exists($states.result.Payload.sent_at_ms) ? \
                              $min([$oldestMs, $states.result.Payload.sent_at_ms]) : $oldestMs";

/// Whether the clock is due, as JSONata: at a mark, or because a probe met an older message than it was reckoned from.
pub const DUE: &str = "$millis() >= $clock.next_check_at_ms or $oldestMs < $clock.oldest_sent_at_ms";

/// Seconds until the end of the wait or the next mark, whichever comes first, as JSONata.
pub const WAIT_S: &str =
    "$max([1, $ceil(($min([$waitUntilMs, $clock.next_check_at_ms]) - $millis()) / 1000)])";

pub fn states(context: &Context<'_>) -> Vec<State> {
    let mut states = vec![
        read(context, "InspectQueue", "AwaitSettled").next("RecordQueue"),
        record(context, "RecordQueue", "AwaitSettled"),
        judge_wait(),
        read(context, "CheckClock", GO_ON).next("JudgeClock"),
        judge_clock(),
        announce(context),
        Choice::new(GO_ON, Rule::when("$hold.until_ms > $millis()", "AwaitRelease"))
            .otherwise(state::AWAIT_RECOVERY),
    ];
    match context.circuit.retention.raise_to_s {
        Some(to_s) => {
            states.push(record(context, "RecordClock", "JudgeRaise"));
            states.extend(raise(context, to_s));
        }
        None => states.push(record(context, "RecordClock", GO_ON)),
    }
    states
}

/// Reads the clock. What fails leaves it as it was and goes on to `otherwise`, to be tried again later.
fn read(context: &Context<'_>, name: &str, otherwise: &str) -> Task {
    let mut payload = json!({
        "action": "inspect",
        "fence": context.fence(),
        "queue_url": placeholder_value(placeholder::QUEUE_URL),
        "fifo": context.circuit.facts().fifo,
        "opened_at_ms": jsonata("$openedAtMs"),
        "oldest_sent_at_ms": jsonata("$oldestMs"),
        "dead_letter_count_at_open": jsonata("$deadLettersAtOpen < 0 ? null : $deadLettersAtOpen"),
    });
    if context.circuit.knows_dead_letter_queue() {
        payload["dead_letter_queue_url"] = placeholder_value(placeholder::DEAD_LETTER_QUEUE_URL);
    }
    if let Some(to_s) = context.circuit.retention.raise_to_s {
        payload["raise_to_s"] = json!(to_s);
    }
    context
        .attempt(name, placeholder::QUEUE_FUNCTION, payload, brief())
        .assign("clock", jsonata("$states.result.Payload"))
        // A count of none that is taken later says just as well that all that is there at the close came in between.
        .assign(
            "deadLettersAtOpen",
            jsonata(
                "$deadLettersAtOpen < 0 and $type($states.result.Payload.dead_letter_count) = 'number' ? \
                 $states.result.Payload.dead_letter_count : $deadLettersAtOpen",
            ),
        )
        .assign("rounds", jsonata("$rounds + 1"))
        .output(json!({}))
        .catch(Catcher::on(&[errors::STALE_EPOCH], "Superseded"))
        .catch(
            Catcher::on(&["States.ALL"], otherwise)
                .assign("clock", again_in(UNREAD_CLOCK_S))
                .assign("rounds", jsonata("$rounds + 1")),
        )
}

/// The clock as it is, to be read again in so many seconds.
fn again_in(seconds: u32) -> Value {
    let ms = u64::from(seconds) * 1_000;
    jsonata(format!("$merge([$clock, {{'raise': false, 'next_check_at_ms': $millis() + {ms}}}])"))
}

/// Keeps the clock in the item, for whoever looks at it and for whoever takes over. A write that fails keeps nothing
/// from going on: the next one brings the same.
fn record(context: &Context<'_>, name: &str, next: &str) -> State {
    let number = |expression: &str| json!({ "N": jsonata(format!("$string({expression})")) });
    let arguments = context.write_arguments(
        None,
        &[
            (item::OLDEST_SENT_AT_MS, number("$oldestMs")),
            (item::RETENTION_S, number("$clock.retention_s")),
            (item::EXPIRES_AT_MS, number("$clock.expires_at_ms")),
            (item::ANNOUNCED_PERCENT, number("$announcedPercent")),
            (item::DEAD_LETTERS_AT_OPEN, number("$deadLettersAtOpen")),
        ],
        &[],
    );
    context
        .try_write(name, arguments)
        .catch(Catcher::on(&CONDITION_FAILED, "Superseded"))
        .catch(Catcher::on(&["States.ALL"], next))
        .output(json!({}))
        .next(next)
}

/// A wait that ended early was cut short at a mark, and goes on afterwards.
fn judge_wait() -> State {
    Choice::new("JudgeWait", Rule::when(format!("$waitUntilMs - $millis() > {CUT_SHORT_MS}"), "CheckClock"))
        .comment("A wait that ended early was cut short at a mark of the loss clock")
        .otherwise("AwaitLastProbe")
}

fn judge_clock() -> State {
    Choice::new(
        "JudgeClock",
        Rule::when("$clock.mark_percent > $announcedPercent", "AnnounceRetentionAtRisk"),
    )
    .otherwise("RecordClock")
}

/// Announced first and recorded then: what is said twice after a crash is better than what is never said.
fn announce(context: &Context<'_>) -> State {
    context.announce(
        "AnnounceRetentionAtRisk",
        Announcement::RetentionAtRisk,
        &[
            ("percent", jsonata("$clock.percent")),
            ("expires_at_ms", jsonata("$clock.expires_at_ms")),
            ("retention_s", jsonata("$clock.retention_s")),
            ("oldest_sent_at_ms", jsonata("$clock.oldest_sent_at_ms")),
            ("queue", jsonata("$clock.queue")),
        ],
        &[("announcedPercent", jsonata("$clock.mark_percent"))],
        "RecordClock",
    )
}

/// Raises the retention. What it was is in the item before anything is changed.
fn raise(context: &Context<'_>, to_s: u32) -> Vec<State> {
    let judge = Choice::new("JudgeRaise", Rule::when("$clock.raise", "RecordRetention")).otherwise(GO_ON);
    // Raised further, it is the first one that is to be given back; unless somebody has set another one since.
    let original = "$originalRetentionS > 0 and $clock.retention_s = $raisedRetentionS ? $originalRetentionS : \
                    $clock.retention_s";
    let arguments = context.write_arguments(
        None,
        &[
            (item::ORIGINAL_RETENTION_S, json!({ "N": jsonata(format!("$string({original})")) })),
            (item::RAISED_RETENTION_S, json!({ "N": to_s.to_string() })),
        ],
        &[],
    );
    let record = context
        .write("RecordRetention", arguments, "ChooseWait")
        .assign("originalRetentionS", jsonata(original))
        .assign("raisedRetentionS", json!(to_s))
        .output(json!({}))
        .next("RaiseRetention");
    let payload = json!({
        "action": "raise_retention",
        "fence": context.fence(),
        "queue_url": placeholder_value(placeholder::QUEUE_URL),
        "from_s": jsonata("$clock.retention_s"),
        "to_s": to_s,
    });
    let act = context
        .attempt("RaiseRetention", placeholder::QUEUE_FUNCTION, payload, brief())
        .assign("raiseOutcome", jsonata("$states.result.Payload.outcome"))
        // What the queue says then decides whether it is to be raised at all.
        .assign("clock", again_in(FAILED_RAISE_S))
        .output(json!({}))
        .catch(Catcher::on(&[errors::STALE_EPOCH], "Superseded"))
        .catch(
            Catcher::on(&["States.ALL"], "AnnounceRetentionRaise")
                .assign("raiseOutcome", json!("failed"))
                .assign("clock", again_in(FAILED_RAISE_S)),
        )
        .next("AnnounceRetentionRaise");
    let announce = context.announce(
        "AnnounceRetentionRaise",
        Announcement::RetentionRaise,
        &[
            ("outcome", jsonata("$raiseOutcome")),
            ("original_retention_s", jsonata("$originalRetentionS")),
            ("raised_retention_s", jsonata("$raisedRetentionS")),
        ],
        &[],
        GO_ON,
    );
    vec![judge, record, act, announce]
}
