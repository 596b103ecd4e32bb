//! `breaker trip`, `close`, `hold`, `release` and `probe`.
//!
//! What a command means for the circuit as it stands is decided by [`workflow::command`]; here it is told, agreed to, done,
//! and looked after until the circuit has taken it.

use std::time::Duration;

use infra::aws::{self, Account, Circuit};
use workflow::command::{Command, Means, Order};
use workflow::status::{Facts, Next, Status};

use super::status::find;
use super::{agreed, block_on, connect, problem, status_text};
use crate::args::OrderArgs;
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};
use crate::text::{grouped, span};

/// How often the circuit is looked at until it has taken the command.
const LOOK: Duration = Duration::from_secs(1);

/// Gives the command, and waits until the circuit has taken it.
pub fn run(command: Command, args: &OrderArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    block_on(async {
        let account = connect(&args.target, printer).await?;
        let circuit = find(&account, &args.stack, args.circuit.as_deref()).await?;
        let by = args.by.clone().unwrap_or_else(|| account.caller.clone());
        let order = Order { command, by, reason: args.reason.clone(), at: now() };
        let desk = Desk { account: &account, circuit: &circuit, order };
        let (facts, status) = desk.look().await?;
        if let Means::Nothing { why } = desk.order.means(&facts, &status) {
            printer.note(&format!("{why}: nothing is done"));
            printer.data(&status_text::block(&status, facts.now_ms));
            return Ok(ExitCode::Done);
        }
        printer.note(&consequence(command, &status));
        if !args.yes && !agreed(&format!("{} {}?", capitalised(command.name()), facts.circuit), printer)? {
            printer.note("nothing was done");
            return Ok(ExitCode::CannotRun);
        }
        desk.carry_out(args, printer).await
    })
}

/// One order at one circuit.
struct Desk<'a> {
    account: &'a Account,
    circuit: &'a Circuit,
    order: Order,
}

impl Desk<'_> {
    async fn look(&self) -> Result<(Facts, Status), Refusal> {
        let facts = aws::facts(self.account, self.circuit).await.map_err(problem)?;
        let status = Status::of(&facts);
        Ok((facts, status))
    }

    async fn carry_out(&self, args: &OrderArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
        let deadline_ms = aws::now_ms() + args.wait_s * 1_000;
        let mut told = "";
        // What was started, or signalled, is done once; from then on its effect is waited for.
        let mut given = false;
        let mut started = false;
        loop {
            let (facts, status) = self.look().await?;
            if given && self.has_taken(&status) {
                printer.data(&status_text::block(&status, facts.now_ms));
                return Ok(ExitCode::Done);
            }
            if !given {
                match self.order.means(&facts, &status) {
                    // Somebody else was faster, or it has come to the same by itself.
                    Means::Nothing { why } => {
                        printer.note(&why);
                        printer.data(&status_text::block(&status, facts.now_ms));
                        return Ok(ExitCode::Done);
                    }
                    Means::Start(request) => {
                        aws::start(self.account, self.circuit, &request).await.map_err(problem)?;
                        given = true;
                    }
                    Means::TakeOver(request) => {
                        if !started {
                            printer.note("the execution in charge has ended: starting one that takes over");
                            aws::start(self.account, self.circuit, &request).await.map_err(problem)?;
                            started = true;
                        }
                    }
                    Means::Signal(signal) => {
                        // A wait that ended since it was read is the start of a probe: it is waited for.
                        given = aws::signal(self.account, &facts, &signal).await.map_err(problem)?;
                    }
                    Means::Later { what } => {
                        if told != what {
                            printer.note(&format!("{} {what}: waiting for its end", facts.circuit));
                            told = what;
                        }
                    }
                }
            }
            if aws::now_ms() >= deadline_ms {
                printer.problem(&self.too_late(args, given));
                printer.data(&status_text::block(&status, facts.now_ms));
                return Ok(ExitCode::NotAsWanted);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether the circuit shows what was asked for.
    fn has_taken(&self, status: &Status) -> bool {
        let is_held = matches!(status.next, Next::Release { .. });
        match self.order.command {
            Command::Trip => status.is_open(),
            Command::Close => !status.is_open() || status.next == Next::Restoring,
            Command::Hold { .. } => is_held,
            Command::Release => !is_held,
            // A probe may be over within a second, and the next wait have begun.
            Command::Probe => true,
        }
    }

    fn too_late(&self, args: &OrderArgs, given: bool) -> Problem {
        let name = &self.circuit.wiring.circuit;
        let told = if given {
            format!("{name} was told to {}, and does not show it yet", self.order.command.name())
        } else {
            format!("{name} took no command within {}", span(args.wait_s as f64))
        };
        Problem::error(told).hint(format!(
            "breaker status {name} shows what it is doing; give it longer with --wait-s SECONDS"
        ))
    }
}

/// What the command will do, told before it is agreed to.
fn consequence(command: Command, status: &Status) -> String {
    let name = &status.circuit;
    let backlog = status.waiting.map_or_else(
        || "the messages that wait".to_owned(),
        |waiting| format!("the {} messages that wait", grouped(waiting.all())),
    );
    match command {
        Command::Trip => format!(
            "this opens {name}: its mapping is disabled and messages wait in the queue, until probes succeed"
        ),
        Command::Close => format!(
            "this closes {name} without another probe: its mapping gets its settings back, and {backlog} go to the consumer"
        ),
        Command::Hold { for_s } if status.is_open() => {
            format!("this keeps {name} open without probes for {}", span(f64::from(for_s)))
        }
        Command::Hold { for_s } => format!(
            "this opens {name}, which is closed: its mapping is disabled, and stays so without probes for {}",
            span(f64::from(for_s))
        ),
        Command::Release => format!("this ends the hold of {name}, and probes it at once"),
        Command::Probe => {
            format!("this probes {name} now: its consumer is invoked with one message; a hold ends by it")
        }
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The moment, RFC 3339.
fn now() -> String {
    drill::sim::Time::from_ms(aws::now_ms()).to_string()
}
