//! The numbers of the report: the same as on the terminal.

use std::time::Duration;

use drill::report::{Entry, Report};
use drill::sim::SIM_START;
use drill::usage::{Charge, Quantity, Usage};
use maud::{Markup, html};

use crate::commands::balance;
use crate::text::{clock, dollars, grouped, span};

/// Entries of the timeline on a page.
const MAX_ENTRIES: usize = 2_000;

/// Whether all is well, in a few words.
pub fn verdict(report: &Report) -> Markup {
    let broken = report.promises.iter().filter(|promise| !promise.held).count();
    let all = report.promises.len();
    html! {
        @if broken > 0 {
            p class="verdict broken" { "✗ " (broken) " of " (all) " promises broken" }
        } @else {
            p class="verdict held" { "✓ all " (all) " promises held" }
        }
        @if !report.converged {
            p class="verdict broken" { "✗ did not converge" }
            ul class="missing" { @for missing in &report.not_converged { li { (missing) } } }
        }
    }
}

/// What an operator asks first.
pub fn key_numbers(report: &Report) -> Markup {
    let time = |seconds: Option<f64>| seconds.map_or_else(|| "never".to_owned(), span);
    let number = |name: &str, value: String, note: String| {
        html! { div { dt { (name) } dd { (value) @if !note.is_empty() { small { (note) } } } } }
    };
    let without = |count: Option<u64>| {
        count.map_or(String::new(), |count| format!("without a breaker {}", grouped(count)))
    };
    html! {
        dl class="key" {
            (number("time to detect", time(report.detect_s), "first failure to circuit open".to_owned()))
            (number("time to recover", time(report.recover_s), "dependency healthy to first delivery".to_owned()))
            (number("wasted invocations", grouped(report.wasted_invocations), without(report.wasted_invocations_without_breaker)))
            (number("dead-lettered", grouped(report.dead_lettered), without(report.dead_lettered_without_breaker)))
            (number("lost", grouped(report.lost), format!("of {} sent", grouped(report.sent))))
        }
    }
}

/// The balance.
pub fn balance(report: &Report) -> Markup {
    let rows = balance::rows(report);
    let has_baseline = rows.iter().any(|row| row.baseline.is_some());
    html! {
        div {
            h2 { "Balance" }
            table {
                thead { tr { th {} th class="number" { "breaker" } @if has_baseline { th class="number" { "no breaker" } } } }
                tbody {
                    @for row in rows {
                        tr data-row=(row.label) {
                            th scope="row" { (row.label) }
                            td class="number" { (row.value) }
                            @if has_baseline { td class="number" { (row.baseline.unwrap_or_default()) } }
                        }
                    }
                }
            }
        }
    }
}

/// The promises.
pub fn promises(report: &Report) -> Markup {
    html! {
        div {
            h2 { "Promises" }
            table class="promises" {
                tbody {
                    @for promise in &report.promises {
                        @let (class, word) = if promise.held { ("held", "✓ held") } else { ("broken", "✗ broken") };
                        tr data-promise=(promise.name) {
                            td class=(class) { (word) }
                            th scope="row" { (promise.name.replace('_', " ")) small { (promise.detail) } }
                        }
                    }
                }
            }
        }
    }
}

/// What the incident cost.
pub fn cost(usage: &Usage, baseline: Option<&Usage>) -> Markup {
    let without = baseline.map(Usage::bill);
    html! {
        section {
            h2 { "Cost of the incident" }
            table class="cost" {
                thead { tr {
                    th {} th { "used" } th class="number" { "breaker" }
                    @if without.is_some() { th { "used" } th class="number" { "no breaker" } }
                } }
                tbody {
                    @for (number, charge) in usage.bill().into_iter().enumerate() {
                        tr {
                            th scope="row" { (charge.what) }
                            td { (used(&charge)) }
                            td class="number" { (dollars(charge.cost_usd)) }
                            @if let Some(other) = without.as_ref().and_then(|bill| bill.get(number)) {
                                td { (used(other)) }
                                td class="number" { (dollars(other.cost_usd)) }
                            }
                        }
                    }
                }
                tfoot { tr {
                    th scope="row" { "sum" } td {} td class="number" { (dollars(usage.cost_usd())) }
                    @if let Some(baseline) = baseline { td {} td class="number" { (dollars(baseline.cost_usd())) } }
                } }
            }
            p class="note" {
                "US dollars by the list prices of us-east-1, without free tiers, over the whole drill. The consumer is counted with the memory of the example's function; "
                "multiply its line by how much more yours has, and add what its failed calls cost elsewhere. Not counted: what goes on without an incident "
                "(alarms, event metrics, logs), and Lambda's own polling of the queue."
            }
        }
    }
}

/// What the terminal shows line by line.
pub fn timeline(entries: &[Entry], length: Duration) -> Markup {
    html! {
        section {
            details {
                summary { "The timeline in words: " (grouped(entries.len() as u64)) " entries" }
                @if entries.len() > MAX_ENTRIES {
                    p class="note" { "The first " (grouped(MAX_ENTRIES as u64)) " stand here; the command above prints all of them." }
                }
                table class="timeline" {
                    tbody {
                        @for entry in entries.iter().take(MAX_ENTRIES) {
                            tr { td class="at" { (clock(entry.at - SIM_START, length)) } td { (entry.topic.label()) } td { (entry.text) } }
                        }
                    }
                }
            }
        }
    }
}

fn used(charge: &Charge) -> String {
    let quantity = |quantity: &Quantity| match quantity.amount {
        amount if amount.fract() == 0.0 => format!("{} {}", grouped(amount as u64), quantity.unit),
        amount => format!("{amount:.1} {}", quantity.unit),
    };
    charge.used.iter().map(quantity).collect::<Vec<_>>().join(", ")
}
