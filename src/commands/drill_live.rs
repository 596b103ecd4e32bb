//! `breaker drill run --on endpoint|aws`: a drill on a deployed example stack.

use drill::scenario::Scenario;

use crate::args::RunOptions;
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};

/// Refuses: this `breaker` cannot talk to AWS.
#[cfg(not(feature = "aws"))]
pub fn run(_scenario: &Scenario, _options: &RunOptions, _printer: &mut Printer) -> Result<ExitCode, Refusal> {
    Err(Problem::without_aws("run a drill on a deployed stack").into())
}

#[cfg(feature = "aws")]
pub use self::live::run;

#[cfg(feature = "aws")]
mod live {
    use std::io::{self, BufRead, IsTerminal};
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use drill::live::{Live, LiveError, LiveOptions, SHORT_OUTAGE, Trip};
    use drill::report::{Entry, Observer, Report};
    use drill::sim::Time;
    use signal_hook::consts::{SIGINT, SIGTERM};

    use super::*;
    use crate::args::{LiveArgs, On, Seed, TripBy};
    use crate::commands::balance;
    use crate::commands::drill_run::{Timeline, wall_clock};

    /// Runs one scenario on a deployed stack.
    pub fn run(
        scenario: &Scenario,
        options: &RunOptions,
        printer: &mut Printer,
    ) -> Result<ExitCode, Refusal> {
        let args = &options.live;
        let live_options = live_options(args)?;
        if matches!(options.seed, Seed::Number(seed) if seed != 1) || matches!(options.seed, Seed::Random) {
            printer.note("--seed has no meaning on a deployed stack: its chance is its own");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Problem::caused("the command cannot start", &error))?;
        let stop = stop_on_signals()?;
        runtime.block_on(async {
            let config = connect(args).await;
            let live = Live::prepare(&config, scenario, &live_options).await.map_err(problem)?;
            printer.note(&format!("{} will:", scenario.name));
            live.plan().iter().for_each(|line| printer.note(&format!("  {line}")));
            confirm(args, printer)?;
            drill(live, &stop, options, printer).await
        })
    }

    async fn drill(
        live: Live,
        stop: &AtomicBool,
        options: &RunOptions,
        printer: &mut Printer,
    ) -> Result<ExitCode, Refusal> {
        let shows_entries = !options.quiet && !options.json;
        let started = wall_clock();
        printer.start_progress(shows_entries, "starting");
        let length = live.length();
        let mut watch = Watch { printer, length, shows_entries, start: None };
        let outcome = live.run(stop, &mut watch).await;
        printer.end_progress();
        let mut report = outcome.map_err(problem)?;
        report.wall_s = (started.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0;
        print(&report, options, printer);
        Ok(ExitCode::of_drill(&report))
    }

    fn print(report: &Report, options: &RunOptions, printer: &mut Printer) {
        if options.json {
            printer.data(&serde_json::to_string(report).expect("a report is plain data"));
        } else {
            balance::print(report, false, printer);
        }
    }

    fn live_options(args: &LiveArgs) -> Result<LiveOptions, Problem> {
        let Some(stack) = args.stack.clone() else {
            return Err(Problem::error("no stack was named")
                .hint("name the one that `breaker deploy` made: --stack NAME"));
        };
        let from_environment = std::env::var_os("AWS_ENDPOINT_URL").is_some_and(|url| !url.is_empty());
        match (args.on, args.target.endpoint_url.is_some() || from_environment) {
            (On::Endpoint, false) => {
                return Err(Problem::error("no endpoint was named").hint(
                    "give its address: --endpoint-url http://127.0.0.1:4566; for an account, --on aws",
                ));
            }
            (On::Aws, true) => {
                return Err(Problem::error("--on aws, but an endpoint is set that is not AWS")
                    .hint("leave out --endpoint-url and AWS_ENDPOINT_URL, or say --on endpoint"));
            }
            (On::Model | On::Endpoint | On::Aws, _) => {}
        }
        let trip = match args.trip {
            TripBy::Alarm => Trip::Alarm,
            TripBy::Event => Trip::Event,
        };
        let outage = if args.short { Some(SHORT_OUTAGE) } else { args.outage_s.map(Duration::from_secs) };
        Ok(LiveOptions { stack, circuit: args.stack_circuit.clone(), trip, outage })
    }

    async fn connect(args: &LiveArgs) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
        if let Some(region) = &args.target.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &args.target.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = &args.target.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        loader.load().await
    }

    /// Asks, unless `--yes` was given. Without a terminal nobody can answer.
    fn confirm(args: &LiveArgs, printer: &mut Printer) -> Result<(), Refusal> {
        if args.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(Problem::error("nobody can be asked: standard input is no terminal")
                .hint("if that is what you want, say --yes")
                .into());
        }
        printer.note("Go on? [y/N]");
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        if read.is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            return Ok(());
        }
        Err(Problem::error("not confirmed: nothing was changed").into())
    }

    /// A flag that the first Ctrl-C, or SIGTERM, raises: the drill then gives the consumer its variable back and ends. The
    /// second ends the process at once.
    fn stop_on_signals() -> Result<Arc<AtomicBool>, Problem> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the one that ends the process must not see the flag that its own signal raises.
            let hard =
                signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop));
            let soft = signal_hook::flag::register(signal, Arc::clone(&stop));
            hard.and(soft).map_err(|error| Problem::caused("signals cannot be handled", &error))?;
        }
        Ok(stop)
    }

    fn problem(error: LiveError) -> Refusal {
        let hint = match &error {
            LiveError::Unsupported { .. } => "run it on the model: leave out --on".to_owned(),
            LiveError::Outage { .. } => "`--short` is a minute".to_owned(),
            LiveError::Stack { hint, .. } => hint.clone(),
            LiveError::Call { .. } => "look at the credentials, --region, --profile and --endpoint-url".to_owned(),
            LiveError::Stopped => {
                "SHOULD_ERROR has its value back; the circuit closes by itself, and the messages wait in the queue"
                    .to_owned()
            }
            LiveError::NotRestored { .. } => "set it by hand: scripts/should-error off STACK".to_owned(),
        };
        Problem::error(error.to_string()).hint(hint).into()
    }

    /// Prints the timeline as it happens, counted from the first moment that it sees.
    struct Watch<'a> {
        printer: &'a mut Printer,
        length: Duration,
        shows_entries: bool,
        start: Option<Time>,
    }

    impl Watch<'_> {
        fn timeline(&mut self, at: Time) -> Timeline<'_> {
            let start = *self.start.get_or_insert(at);
            Timeline { printer: self.printer, start, length: self.length, shows_entries: self.shows_entries }
        }
    }

    impl Observer for Watch<'_> {
        fn entry(&mut self, entry: &Entry) {
            self.timeline(entry.at).entry(entry);
        }

        fn progress(&mut self, start: Time, now: Time, end: Time) {
            self.timeline(start).progress(start, now, end);
        }
    }
}
