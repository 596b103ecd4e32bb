//! A plan as people read it: permissions first, then resources, the worst first.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use infra::aws::Plan;
use infra::diff::{Change, Diff, Direction, Impact, Permission, PropertyChange};
use serde_json::Value;

use crate::printer::paint;

/// Longest value that is shown whole, characters.
const MAX_VALUE: usize = 60;

/// The plan, several lines without a newline at the end.
pub fn plan_text(plan: &Plan) -> String {
    let mut lines = vec![match &plan.deployed {
        None => format!("stack {} is new", plan.stack),
        Some(stack) => format!("stack {} is in {}", plan.stack, stack.status),
    }];
    lines.extend(diff_lines(&plan.diff));
    if !plan.bucket.exists {
        lines.push(heading("Bucket"));
        lines.push(format!("  {} {} for the packages", word(Impact::Create), plan.bucket.name));
    }
    if !plan.switch_on.is_empty() || !plan.put_back.is_empty() {
        lines.push(heading("Of yours"));
        for uuid in &plan.switch_on {
            lines.push(format!(
                "  {} event source mapping {uuid}: its event metrics are switched on, which the alarm looks at; \
                 CloudWatch charges for them as for custom metrics; `breaker destroy` switches them off again",
                word(Impact::Update)
            ));
        }
        for uuid in &plan.put_back {
            lines.push(format!(
                "  {} event source mapping {uuid}: its event metrics are switched off again, no circuit guards it any more",
                word(Impact::Update)
            ));
        }
    }
    for name in &plan.open {
        lines.push(format!(
            "circuit {name} is open; its execution goes on with the definition that it began with"
        ));
    }
    if plan.is_empty() {
        lines.push("nothing differs".to_owned());
    }
    lines.join("\n")
}

fn diff_lines(diff: &Diff) -> Vec<String> {
    let mut lines = Vec::new();
    if !diff.permissions.is_empty() {
        lines.push(heading("Permissions"));
        lines.extend(permission_lines(&diff.permissions));
    }
    if !diff.changes.is_empty() {
        lines.push(heading("Resources"));
        lines.extend(diff.changes.iter().flat_map(change_lines));
        let counts: Vec<String> =
            diff.counts().iter().map(|(impact, count)| format!("{count} {}", impact.word())).collect();
        lines.push(format!("  {}", counts.join(", ")));
    }
    if !diff.outputs.is_empty() {
        lines.push(heading("Outputs"));
        lines.extend(diff.outputs.iter().map(|change| format!("  {}", property_line(change))));
    }
    lines
}

fn heading(text: &str) -> String {
    paint(Style::new().bold(), text)
}

/// One line for all that somebody may do on the same thing.
fn permission_lines(permissions: &[Permission]) -> Vec<String> {
    let key = |one: &Permission| {
        (one.direction, one.logical_id.clone(), one.who.clone(), one.resource.clone(), one.condition.clone())
    };
    let mut actions: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for permission in permissions {
        actions.entry(key(permission)).or_default().push(&permission.action);
    }
    let line = |((direction, logical_id, who, resource, condition), actions): (
        (_, String, String, String, String),
        Vec<&str>,
    )| {
        let sign = match direction {
            Direction::Given => paint(AnsiColor::Yellow.on_default(), "+"),
            Direction::Taken => "-".to_owned(),
        };
        let condition = if condition.is_empty() { condition } else { format!(" if {condition}") };
        let is_own = who == logical_id || resource == format!("${{{logical_id}}}");
        let place = if is_own { String::new() } else { format!(" (in {logical_id})") };
        format!("  {sign} {who} may {} on {resource}{condition}{place}", actions.join(", "))
    };
    actions.into_iter().map(line).collect()
}

fn change_lines(change: &Change) -> Vec<String> {
    let first = format!("  {} {}  {}", word(change.impact), change.logical_id, change.resource_type);
    let properties = change.properties.iter().map(|property| format!("      {}", property_line(property)));
    std::iter::once(first).chain(properties).collect()
}

fn word(impact: Impact) -> String {
    let colour = match impact {
        Impact::Destroy | Impact::Replace | Impact::MayReplace => AnsiColor::Red.on_default(),
        Impact::Retain | Impact::Update => AnsiColor::Yellow.on_default(),
        Impact::Create => AnsiColor::Green.on_default(),
    };
    paint(colour, &format!("{:<11}", impact.word()))
}

fn property_line(change: &PropertyChange) -> String {
    let values = match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!(": {} -> {}", shown(before), shown(after)),
        (None, Some(after)) => format!(": + {}", shown(after)),
        (Some(before), None) => format!(": - {}", shown(before)),
        (None, None) => String::new(),
    };
    let note = change.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    format!("{}{values}{note}", change.path)
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
