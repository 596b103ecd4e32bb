//! `breaker history`.

use anstyle::{AnsiColor, Style};
use drill::sim::Time;
use infra::aws;
use serde_json::{Value, json};
use workflow::incidents::{Incident, Messages, incidents};

use super::status::find;
use super::{block_on, connect, problem, status_text};
use crate::args::HistoryArgs;
use crate::exit::ExitCode;
use crate::printer::{Printer, paint};
use crate::problem::Refusal;
use crate::text::{grouped, span};

/// Executions that are read for each incident that is wanted: an alarm, a reconciler and a hand-over may each start one.
pub(super) const EXECUTIONS_PER_INCIDENT: usize = 4;

/// Prints the incidents of a circuit.
pub fn run(args: &HistoryArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    block_on(async {
        let account = connect(&args.target, printer).await?;
        let limit = usize::from(args.limit);
        let read_count = limit * EXECUTIONS_PER_INCIDENT;
        let circuit = find(&account, &args.stack, Some(&args.circuit)).await?;
        let past = aws::past(&account, &circuit, read_count).await.map_err(problem)?;
        let now_ms = aws::now_ms();
        let mut found = incidents(past.records, &past.item);
        let is_cut = past.is_cut || found.len() > limit;
        found.truncate(limit);
        if args.json {
            let told: Vec<Value> = found.iter().map(|incident| as_json(incident, now_ms)).collect();
            let all = json!({ "circuit": args.circuit, "is_cut": is_cut, "incidents": told });
            printer.data(&all.to_string());
            return Ok(ExitCode::Done);
        }
        if found.is_empty() {
            printer.note(&format!("{} was never opened, as far as is on record", args.circuit));
        }
        for incident in &found {
            printer.data(&block(incident, now_ms));
        }
        if is_cut {
            printer.hint("there may be older ones: more are read with --limit");
        }
        Ok(ExitCode::Done)
    })
}

fn as_json(incident: &Incident, now_ms: u64) -> Value {
    let mut told = json!(incident);
    told["lasted_s"] = json!(incident.lasted_s(now_ms));
    told
}

/// One incident: a line with its time, and below it a line for each thing that is known.
fn block(incident: &Incident, now_ms: u64) -> String {
    let mut lines = vec![head(incident, now_ms)];
    let mut line = |label: &str, text: String| {
        lines.push(format!("  {} {text}", paint(Style::new().dimmed(), &format!("{label:<8}"))));
    };
    if let Some(trigger) = &incident.trigger {
        line("why", format!("{trigger}: {}", incident.reason.as_deref().unwrap_or("no reason given")));
    }
    for hold in &incident.holds {
        line("held by", hold.clone());
    }
    line("probes", probes(incident));
    if incident.closed_at_ms.is_some() {
        line("messages", messages(&incident.messages));
    }
    if let [first, .., last] = &incident.executions[..] {
        line("run by", format!("{} executions, {first} to {last}", incident.executions.len()));
    } else if let [one] = &incident.executions[..] {
        line("run by", one.clone());
    }
    lines.join("\n")
}

fn head(incident: &Incident, now_ms: u64) -> String {
    let opened = Time::from_ms(incident.opened_at_ms);
    let lasted = incident.lasted_s(now_ms).map(|seconds| span(seconds as f64));
    let (colour, end) = match (&lasted, incident.is_open) {
        (Some(lasted), true) => (AnsiColor::Red, format!("open for {lasted}")),
        (Some(lasted), false) => (AnsiColor::Green, format!("closed after {lasted}")),
        (None, _) => (AnsiColor::Yellow, "its end is not on record".to_owned()),
    };
    let reason = incident.close_reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    format!("{opened}  {}{reason}", paint(colour.on_default().bold(), &end))
}

fn probes(incident: &Incident) -> String {
    let count = grouped(incident.probes.len() as u64);
    let failed = grouped(incident.failed_probe_count);
    let last = incident.probes.last().map_or(String::new(), |last| {
        let said = status_text::verdict(&last.verdict, last.error.as_deref());
        format!("; the last {}: {said}", Time::from_ms(last.at_ms))
    });
    format!("{count}, {failed} failures{last}")
}

fn messages(messages: &Messages) -> String {
    let mut parts = vec![format!("{} spread", grouped(messages.spread_count))];
    for (count, what) in [(messages.unspread_count, "not spread"), (messages.copied_count, "copied")] {
        if count > 0 {
            parts.push(format!("{} {what}", grouped(count)));
        }
    }
    if !messages.suspect_ids.is_empty() {
        parts.push(format!("failed when others succeeded: {}", messages.suspect_ids.join(", ")));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use workflow::incidents::Probe;

    use super::*;

    fn incident() -> Incident {
        let probe = Probe { at_ms: 90_000, verdict: "unhealthy".to_owned(), error: Some("E".to_owned()) };
        Incident {
            opened_at_ms: 60_000,
            closed_at_ms: None,
            is_open: true,
            trigger: Some("alarm".to_owned()),
            reason: Some("too many failures".to_owned()),
            close_reason: None,
            holds: vec!["ann: migration".to_owned()],
            failed_probe_count: 1,
            probes: vec![probe],
            messages: Messages::default(),
            executions: vec!["a".to_owned(), "b".to_owned()],
        }
    }

    /// Without styles, as where colours are not wanted.
    fn shown(incident: &Incident) -> String {
        anstream::adapter::strip_str(&block(incident, 120_000)).to_string()
    }

    #[test]
    fn an_open_incident_has_no_end_and_no_messages_yet() {
        insta::assert_snapshot!(shown(&incident()), @"
        1970-01-01T00:01:00.000Z  open for 1 min
          why      alarm: too many failures
          held by  ann: migration
          probes   1, 1 failures; the last 1970-01-01T00:01:30.000Z: unhealthy (E)
          run by   2 executions, a to b
        ");
    }

    #[test]
    fn a_closed_one_says_what_became_of_the_messages() {
        let messages = Messages {
            spread_count: 1_200,
            unspread_count: 0,
            copied_count: 3,
            suspect_ids: vec!["m-1".to_owned()],
        };
        let closed = Incident {
            closed_at_ms: Some(3_660_000),
            is_open: false,
            close_reason: Some("recovered".to_owned()),
            messages,
            executions: vec!["a".to_owned()],
            ..incident()
        };
        insta::assert_snapshot!(shown(&closed), @"
        1970-01-01T00:01:00.000Z  closed after 1 h: recovered
          why      alarm: too many failures
          held by  ann: migration
          probes   1, 1 failures; the last 1970-01-01T00:01:30.000Z: unhealthy (E)
          messages 1,200 spread, 3 copied, failed when others succeeded: m-1
          run by   a
        ");
    }

    #[test]
    fn an_end_that_is_not_on_record_is_told() {
        let lost = Incident { is_open: false, ..incident() };
        assert!(shown(&lost).lines().next().is_some_and(|head| head.contains("not on record")));
    }
}
