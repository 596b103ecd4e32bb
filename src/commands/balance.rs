//! The balance of a drill as a table, and its promises.

use anstyle::{AnsiColor, Style};
use drill::report::Report;

use crate::printer::{Printer, paint};
use crate::text::{grouped, span};

/// Widths of the columns: what is counted, with the breaker, without.
const LABEL_WIDTH: usize = 26;
const VALUE_WIDTH: usize = 14;

/// One line of the table; the last column is empty where the run with no breaker was not asked for the number.
pub struct Row {
    /// What is counted.
    pub label: &'static str,
    /// With the breaker.
    pub value: String,
    /// Without.
    pub baseline: Option<String>,
}

/// Prints the balance, the promises and the verdict. `has_baseline`: the outage was run with no breaker too.
pub fn print(report: &Report, has_baseline: bool, printer: &mut Printer) {
    let bold = Style::new().bold();
    printer.data("");
    let after = span(report.simulated_s);
    printer.data(&match &report.stack {
        None => {
            format!("{} after {after} of simulated time, in {:.1} s", paint(bold, "Balance"), report.wall_s)
        }
        Some(stack) => format!("{} after {after} on {stack}", paint(bold, "Balance")),
    });
    let last = if has_baseline { "no breaker" } else { "" };
    let heading = table_line("", "breaker", last);
    printer.data(&paint(Style::new().dimmed(), &heading));
    for row in rows(report) {
        let baseline = row.baseline.filter(|_| has_baseline).unwrap_or_default();
        printer.data(&table_line(row.label, &row.value, &baseline));
    }
    promises(report, printer);
    printer.data("");
    printer.data(&format!("{}  {}", paint(Style::new().dimmed(), "trace"), report.trace_hash));
}

fn table_line(label: &str, value: &str, baseline: &str) -> String {
    let line = format!("  {label:LABEL_WIDTH$}{value:>VALUE_WIDTH$}{baseline:>VALUE_WIDTH$}");
    line.trim_end().to_owned()
}

/// The lines of the balance.
pub fn rows(report: &Report) -> Vec<Row> {
    let row = |label, value: String| Row { label, value, baseline: None };
    let time = |seconds: Option<f64>| seconds.map_or_else(|| "never".to_owned(), span);
    let mut rows = vec![
        row("sent", grouped(report.sent)),
        row("processed", grouped(report.processed)),
        row("processed more than once", grouped(report.reprocessed)),
        row("copies by the breaker", grouped(report.copies_made)),
        Row {
            label: "dead-lettered",
            value: grouped(report.dead_lettered),
            baseline: report.dead_lettered_without_breaker.map(grouped),
        },
        row("lost", grouped(report.lost)),
        row("still queued", grouped(report.still_queued)),
        Row {
            label: "wasted invocations",
            value: grouped(report.wasted_invocations),
            baseline: report.wasted_invocations_without_breaker.map(grouped),
        },
        row("trips", grouped(report.trips)),
        row("probes", grouped(report.probes)),
        row("time to detect", time(report.detect_s)),
        row("time to recover", time(report.recover_s)),
        row("mapping", report.mapping_state.clone()),
        row("circuit", report.breaker_state.clone()),
    ];
    if report.purged > 0 {
        rows.insert(6, row("purged by the operator", grouped(report.purged)));
    }
    rows
}

fn promises(report: &Report, printer: &mut Printer) {
    let good = AnsiColor::Green.on_default();
    let bad = AnsiColor::Red.on_default().bold();
    printer.data("");
    printer.data(&paint(Style::new().bold(), "Promises"));
    let width = report.promises.iter().map(|promise| promise.name.len()).max().unwrap_or(0);
    for promise in &report.promises {
        let verdict = if promise.held { paint(good, "held  ") } else { paint(bad, "broken") };
        printer.data(&format!("  {verdict}  {:width$}  {}", promise.name, promise.detail));
    }
    let broken = report.promises.iter().filter(|promise| !promise.held).count();
    printer.data("");
    if broken > 0 {
        printer.data(&paint(bad, &format!("{broken} of {} promises broken", report.promises.len())));
    } else {
        printer.data(&paint(good, &format!("all {} promises held", report.promises.len())));
    }
    if !report.converged {
        printer.data(&paint(bad, "did not converge:"));
        for missing in &report.not_converged {
            printer.data(&format!("  {missing}"));
        }
    }
}
