//! The one place that decides what goes to standard output and to standard error, in which colour, and whether a
//! progress bar is drawn.
//!
//! Standard output carries what was asked for and nothing else. Everything said about it goes to standard error.

use std::io::{self, IsTerminal, Stderr, Stdout, Write};
use std::time::Duration;

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::exit::ExitCode;
use crate::problem::{Problem, Refusal};

/// Writes for people and for programs.
pub struct Printer {
    out: AutoStream<Stdout>,
    err: AutoStream<Stderr>,
    out_fate: OutFate,
    bar: ProgressBar,
}

/// What became of standard output.
enum OutFate {
    Open,
    /// The reader has gone, as in `| head`. What is left to print is dropped, and the command goes on to its end, so
    /// that its exit code stays true.
    Gone,
    /// It cannot be written, a full disk for example.
    Failed(io::Error),
}

impl Printer {
    /// A printer with colours as the user wants them; `Auto` means on terminals only, unless `NO_COLOR` is set.
    pub fn new(colour: clap::ColorChoice) -> Printer {
        let choice = match colour {
            clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
            clap::ColorChoice::Always => anstream::ColorChoice::Always,
            clap::ColorChoice::Never => anstream::ColorChoice::Never,
        };
        Printer {
            out: AutoStream::new(io::stdout(), choice),
            err: AutoStream::new(io::stderr(), choice),
            out_fate: OutFate::Open,
            bar: ProgressBar::hidden(),
        }
    }

    /// Whether standard output is to have colours.
    #[cfg(feature = "aws")]
    pub fn has_colour(&self) -> bool {
        self.out.current_choice() != anstream::ColorChoice::Never
    }

    /// Data: one line, or several, on standard output. A newline is added at the end.
    pub fn data(&mut self, text: &str) {
        let Printer { out, out_fate, bar, .. } = self;
        if !matches!(out_fate, OutFate::Open) {
            return;
        }
        let written = bar.suspend(|| writeln!(out, "{text}").and_then(|()| out.flush()));
        if let Err(error) = written {
            *out_fate = match error.kind() {
                io::ErrorKind::BrokenPipe => OutFate::Gone,
                _ => OutFate::Failed(error),
            };
        }
    }

    /// A remark on standard error.
    pub fn note(&mut self, text: &str) {
        let Printer { err, bar, .. } = self;
        // There is nowhere left to say that standard error cannot be written.
        let _ = bar.suspend(|| writeln!(err, "{text}"));
    }

    /// What to do next, on standard error.
    pub fn hint(&mut self, text: &str) {
        self.note(&format!("{} {text}", paint(AnsiColor::Cyan.on_default(), "hint:")));
    }

    /// A problem on standard error.
    pub fn problem(&mut self, problem: &Problem) {
        self.note(&problem.block());
    }

    /// Shows a progress bar that begins with `text` on standard error, if that is a terminal that can redraw a line. With `above`, data is
    /// printed meanwhile: then standard output has to be a terminal too, because what another program makes of it, as
    /// in `| tee`, would run into the bar.
    pub fn start_progress(&mut self, above: bool, text: &'static str) {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if dumb || !io::stderr().is_terminal() || (above && !io::stdout().is_terminal()) {
            return;
        }
        let style = ProgressStyle::with_template("{msg} {bar:32} {percent:>3} %")
            .expect("the template has no mistake")
            .progress_chars("█▉▊▋▌▍▎▏ ");
        self.bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr()).with_style(style);
        self.bar.set_message(text);
    }

    /// Moves the bar by time.
    pub fn progress(&mut self, done: Duration, all: Duration, text: impl FnOnce() -> String) {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.progress_count(ms(done), ms(all), text);
    }

    /// Moves the bar by number.
    pub fn progress_count(&mut self, done: u64, all: u64, text: impl FnOnce() -> String) {
        if self.bar.is_hidden() {
            return;
        }
        if self.bar.length() != Some(all) {
            self.bar.set_length(all);
        }
        self.bar.set_message(text());
        self.bar.set_position(done);
    }

    /// A question on standard error, without a newline: the answer stands behind it.
    #[cfg(feature = "aws")]
    pub fn question(&mut self, text: &str) {
        let Printer { err, bar, .. } = self;
        // There is nowhere left to say that standard error cannot be written.
        let _ = bar.suspend(|| write!(err, "{text}").and_then(|()| err.flush()));
    }

    /// Removes the bar.
    pub fn end_progress(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }

    /// Tells why a command did nothing, if so, and the exit code of the process.
    pub fn finish(mut self, outcome: Result<ExitCode, Refusal>) -> ExitCode {
        self.end_progress();
        let code = outcome.unwrap_or_else(|refusal| {
            for problem in &refusal.0 {
                self.problem(problem);
            }
            ExitCode::CannotRun
        });
        match &self.out_fate {
            OutFate::Open | OutFate::Gone => code,
            OutFate::Failed(error) => {
                let problem = Problem::caused("standard output cannot be written", error);
                self.problem(&problem);
                ExitCode::CannotRun
            }
        }
    }
}

/// Styles a text. Where colours are not wanted, the printer takes the style away again.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
