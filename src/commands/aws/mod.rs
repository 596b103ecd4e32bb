//! The commands that talk to AWS, and what they have in common. They are built with the feature `aws` only.

pub mod deploy;
pub mod destroy;
pub mod diff;
pub mod doctor;
pub mod history;
pub mod init;
pub mod order;
mod plan_text;
pub mod signal;
pub mod status;
mod status_text;
pub mod traffic;
pub mod watch;

use std::collections::BTreeSet;
use std::future::Future;
use std::io::{self, IsTerminal};

use infra::aws::{Account, CloudError, FoundConsumer, Interrupt, ResourceEvent, Step, Target};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch as latest;

use crate::args::TargetArgs;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};

/// A runtime of one thread: these commands wait, they do not compute.
fn runtime() -> Result<Runtime, Refusal> {
    Builder::new_current_thread().enable_all().build().map_err(|error| {
        Problem::caused("the asynchronous runtime cannot be started", &error)
            .hint("check the limits on open files and processes (`ulimit -a`)")
            .into()
    })
}

/// Runs a command's calls to their end.
fn block_on<T>(work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    runtime()?.block_on(work)
}

/// The account that the options mean.
fn target_of(args: &TargetArgs) -> Target {
    Target {
        profile: args.profile.clone(),
        region: args.region.clone(),
        endpoint_url: args.endpoint_url.clone(),
        attempt_count: None,
    }
}

/// Connects, and says to what: the account is the first thing to be sure of.
async fn connect(target: &TargetArgs, printer: &mut Printer) -> Result<Account, Refusal> {
    connect_to(&target_of(target), printer).await
}

/// The same to an account that is described otherwise.
async fn connect_to(target: &Target, printer: &mut Printer) -> Result<Account, Refusal> {
    let account = Account::connect(target).await.map_err(problem)?;
    printer.note(&format!("account {}, Region {}, as {}", account.id, account.region, account.caller));
    Ok(account)
}

/// A failed call as it is told.
fn problem(error: CloudError) -> Refusal {
    let hint = error.hint();
    Problem::error(error.to_string()).hint(hint).into()
}

/// Says that the alarms on a function are not known, if so.
fn unread_alarms(found: &FoundConsumer, printer: &mut Printer) {
    if let Some(error) = &found.alarms_unread {
        printer.note(&format!(
            "the alarms on {} could not be read, so none is judged: {error}",
            found.function_name
        ));
    }
}

/// Counts the user's requests to stop (Ctrl-C, or a kind `kill`) from here on.
fn listen_for_interrupts() -> Result<Interrupt, Refusal> {
    let (sender, receiver) = latest::channel(0);
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Problem::caused("signals cannot be listened for", &error))?;
    // The thread ends with the process: it waits for signals and holds nothing.
    std::thread::spawn(move || {
        for _ in signals.forever() {
            sender.send_modify(|count| *count += 1);
        }
    });
    Ok(receiver)
}

/// Asks for a yes. Without a terminal nobody can answer, so that a script has to say `--yes`.
fn agreed(question: &str, printer: &mut Printer) -> Result<bool, Refusal> {
    if !io::stdin().is_terminal() {
        return Err(Problem::error("this needs your approval, and standard input is no terminal")
            .hint("look at the plan above, then run the command again with --yes")
            .into());
    }
    printer.question(&format!("{question} [y/N] "));
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Problem::caused("the answer cannot be read", &error))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Tells the steps of an operation, a line each, above a bar that counts the resources.
struct Progress {
    verb: &'static str,
    all_count: usize,
    done: BTreeSet<String>,
}

impl Progress {
    fn new(verb: &'static str) -> Progress {
        Progress { verb, all_count: 0, done: BTreeSet::new() }
    }

    fn tell(&mut self, step: Step, printer: &mut Printer) {
        match step {
            Step::BucketMade(name) => printer.note(&format!("made the bucket {name}")),
            Step::Uploaded(name, true) => printer.note(&format!("uploaded the package of {name}")),
            Step::Uploaded(name, false) => printer.note(&format!("the package of {name} is there already")),
            Step::Started(count) => {
                self.all_count = count;
                printer.start_progress(false, self.verb);
            }
            Step::Resource(event) => self.resource(&event, printer),
            Step::Cancelling => {
                printer.note(
                    "stopping: CloudFormation takes back what it did. Ctrl-C again leaves it to itself",
                );
            }
            Step::EventMetrics(uuid, true) => {
                printer.note(&format!("switched the event metrics of mapping {uuid} on"));
            }
            Step::EventMetrics(uuid, false) => {
                printer.note(&format!("switched the event metrics of mapping {uuid} off again"));
            }
            Step::TableDeleted(name) => printer.note(&format!("deleted the circuits' table {name}")),
            Step::AssetsDeleted(count, bucket_too) => {
                let bucket = if bucket_too { ", and the bucket, which is empty now" } else { "" };
                printer.note(&format!("deleted {count} objects from the bucket{bucket}"));
            }
        }
    }

    fn resource(&mut self, event: &ResourceEvent, printer: &mut Printer) {
        let reason = if event.reason.is_empty() { String::new() } else { format!("  {}", event.reason) };
        // A resource's begin is worth a line only where its end may be long in coming, and that the bar shows.
        if !event.status.ends_with("_IN_PROGRESS") || event.is_of_stack() || !event.reason.is_empty() {
            printer.note(&format!(
                "{:<24} {:<36} {}{reason}",
                event.status, event.resource_type, event.logical_id
            ));
        }
        if event.status.ends_with("_COMPLETE") && !event.is_of_stack() {
            self.done.insert(event.logical_id.clone());
        }
        let (done, all) = (self.done.len(), self.all_count.max(self.done.len()));
        printer.progress_count(done as u64, all as u64, || format!("{} {}", self.verb, event.logical_id));
    }
}
