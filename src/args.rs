//! The arguments: one type per command, with its help.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use infra::assets::Architecture;
use workflow::contract::MAX_HOLD_S;

use crate::exit::ExitCode;

/// Name of the stack where none is given.
pub const DEFAULT_STACK: &str = "sqs-circuit-breaker";

/// A circuit breaker for AWS Lambda functions fed by SQS.
#[derive(Debug, Parser)]
#[command(name = "breaker", version, max_term_width = 110, after_help = help(
    "  breaker drill                      watch the breaker survive an outage, no AWS account needed
  breaker drill list                 show every scenario
  breaker config default             print every setting with its default
  breaker status                     how the circuits of a deployed stack stand
  breaker watch                      the same on the terminal, as it changes
  breaker synth --out cdk.out        write the stack as a CDK cloud assembly",
  ExitCode::help()))]
pub struct Cli {
    /// When to use colours; `auto` means on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Drill(DrillArgs),
    Tune(TuneArgs),
    Synth(SynthArgs),
    Package(PackageArgs),
    Asl(AslArgs),
    Config(ConfigArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    #[command(flatten)]
    Aws(AwsCommand),
}

/// The commands on an AWS account.
#[derive(Debug, Subcommand)]
pub enum AwsCommand {
    Init(InitArgs),
    Doctor(DoctorArgs),
    Diff(DiffArgs),
    Deploy(DeployArgs),
    Status(StatusArgs),
    Watch(WatchArgs),
    /// Open a circuit, whatever its alarm says.
    ///
    /// Starts the workflow as an alarm would. It probes and closes by itself; `breaker hold` keeps it open.
    #[command(after_help = help(
        "  breaker trip orders --reason 'payments API down, ticket 4711'",
      ExitCode::help_with_one(OrderArgs::ONE)))]
    Trip(OrderArgs),
    /// Close a circuit without waiting for another probe.
    ///
    /// The mapping gets its settings back and the messages that wait arrive at its own pace; they are not spread first.
    #[command(after_help = help(
        "  breaker close orders --reason 'fixed by hand'",
      ExitCode::help_with_one(OrderArgs::ONE)))]
    Close(OrderArgs),
    Hold(HoldArgs),
    /// End a hold; the circuit is probed at once.
    #[command(after_help = help(
        "  breaker release orders --reason 'maintenance done'",
      ExitCode::help_with_one(OrderArgs::ONE)))]
    Release(OrderArgs),
    /// Probe now instead of at the end of the wait. A hold ends by it.
    #[command(after_help = help(
        "  breaker probe orders",
      ExitCode::help_with_one(OrderArgs::ONE)))]
    Probe(OrderArgs),
    Signal(SignalArgs),
    History(HistoryArgs),
    Destroy(DestroyArgs),
}

impl AwsCommand {
    /// Its name on the command line.
    #[cfg_attr(feature = "aws", allow(dead_code, reason = "only told where the command cannot run"))]
    pub fn name(&self) -> &'static str {
        match self {
            AwsCommand::Init(_) => "init",
            AwsCommand::Doctor(_) => "doctor",
            AwsCommand::Diff(_) => "diff",
            AwsCommand::Deploy(_) => "deploy",
            AwsCommand::Status(_) => "status",
            AwsCommand::Watch(_) => "watch",
            AwsCommand::Trip(_) => "trip",
            AwsCommand::Close(_) => "close",
            AwsCommand::Hold(_) => "hold",
            AwsCommand::Release(_) => "release",
            AwsCommand::Probe(_) => "probe",
            AwsCommand::Signal(_) => "signal",
            AwsCommand::History(_) => "history",
            AwsCommand::Destroy(_) => "destroy",
        }
    }
}

/// Run a failure drill on the embedded cloud model.
///
/// Without a command this runs the scenario `outage`. Time is simulated: hours pass in seconds. The same seed gives the
/// same drill, and without --seed it is seed 1, so that what you see is what the documentation shows.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_value_name = "COMMAND", after_help = help(
    "  breaker drill                              the scenario `outage`
  breaker drill --quiet                      only its balance
  breaker drill run brownout --seed random   another scenario, another course of events
  breaker drill run outage --json            the balance as one JSON object",
  ExitCode::help_for_drills()))]
pub struct DrillArgs {
    /// Another thing to do than to run `outage`.
    #[command(subcommand)]
    pub command: Option<DrillCommand>,

    /// How to run `outage`.
    #[command(flatten)]
    pub options: RunOptions,
}

/// The commands of `breaker drill`.
#[derive(Debug, Subcommand)]
pub enum DrillCommand {
    Run(RunArgs),
    Swarm(SwarmArgs),
    List(ListArgs),
    Asl(DrillAslArgs),
}

/// Run one scenario.
///
/// Prints the seed and the command that repeats the run, then what happens in simulated time, then the balance beside the
/// same outage with no breaker, and whether each promise was held. The same seed gives the same drill, and without --seed
/// it is seed 1.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker drill run long_outage
  breaker drill run outage --seed random
  breaker drill run outage --report outage.html
  breaker drill run outage --config breaker.toml --circuit orders
  breaker drill run poison_message --json | jq .promises
  breaker drill run outage --on aws --stack NAME --outage-s 600",
  ExitCode::help_for_drills()))]
pub struct RunArgs {
    /// The scenario; `breaker drill list` shows all.
    pub name: String,

    /// How to run it.
    #[command(flatten)]
    pub options: RunOptions,
}

/// Run many drills, each drawn from its seed, and check every promise under faults.
///
/// A seed draws configuration, traffic, the dependency's course, people who interfere, and faults of the services. First
/// things go wrong; then everything is well, and the breaker has to converge within a limit. A seed that fails is printed
/// with the command that replays it. The same seed gives the same drill.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker drill swarm --seeds 2000
  breaker drill swarm --seeds 1 --from 4711 --timeline
  breaker drill swarm --seeds 2000 --json | jq .failures",
  ExitCode::help_for_drills()))]
pub struct SwarmArgs {
    /// How many seeds.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,

    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub from: u64,

    /// How many seeds run side by side; one per core without this.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub threads: Option<u16>,

    /// Stop after so many seeds that failed.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_failures: u64,

    /// Show the one seed: what it draws, its timeline and its balance.
    #[arg(long, conflicts_with_all = ["json", "threads"])]
    pub timeline: bool,

    /// Print the sums as one JSON object on standard output, and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// How to run a scenario.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The seed of all chance: a whole number, or `random` for a new one.
    #[arg(long, value_name = "N", default_value = "1", allow_negative_numbers = true, value_parser = Seed::parse)]
    pub seed: Seed,

    /// Print the balance as one JSON object on standard output, and nothing else there.
    #[arg(long)]
    pub json: bool,

    /// Print the balance only, without the timeline.
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,

    /// Take the breaker's settings (alarm, open, backoff, probe, rejitter, close, exhausted, fault) from this file
    /// instead of the scenario's own.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The circuit in the file, if it has several.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub circuit: Option<String>,

    /// Leave out the second run, the same outage with no breaker.
    #[arg(long)]
    pub no_baseline: bool,

    /// Write a page with the timeline drawn to scale, the balance, the promises and the cost into this HTML file. It needs
    /// no network. A file that is there already is replaced.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Where and how to run it, if not on the model.
    #[command(flatten)]
    pub live: Box<LiveArgs>,
}

/// Where to run a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum On {
    /// The embedded model.
    #[default]
    Model,
    /// The example stack on an endpoint that stands in for AWS, such as MiniStack.
    Endpoint,
    /// The example stack in an AWS account.
    Aws,
}

/// What opens the circuit in a drill on a deployed stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TripBy {
    /// The stack's alarm.
    Alarm,
    /// A `Trip Requested` event that the drill puts on the bus: for endpoints whose alarms send no events.
    Event,
}

/// How to run a scenario on a deployed stack. Needs a `breaker` that was built with the feature `aws`.
#[derive(Debug, Args)]
#[command(next_help_heading = "On a deployed stack")]
pub struct LiveArgs {
    /// Where to run: on the model, on the deployed example stack behind --endpoint-url, or on that in an AWS account.
    #[arg(long, value_name = "WHERE", value_enum, default_value_t, conflicts_with_all = ["config", "circuit", "report"])]
    pub on: On,

    /// The stack that `breaker deploy` made, with `ledger = true`.
    #[arg(long, value_name = "NAME")]
    pub stack: Option<String>,

    /// The circuit in the stack whose example is used.
    #[arg(long, value_name = "NAME", default_value = "example", requires = "stack")]
    pub stack_circuit: String,

    /// How long the dependency is down, in seconds: every time of the scenario is scaled with it. Without it, as long
    /// as the scenario says.
    #[arg(long, value_name = "SECONDS", requires = "stack")]
    pub outage_s: Option<u64>,

    /// The same as --outage-s 60.
    #[arg(long, requires = "stack", conflicts_with = "outage_s")]
    pub short: bool,

    /// What opens the circuit.
    #[arg(long, value_name = "BY", value_enum, default_value = "alarm", requires = "stack")]
    pub trip: TripBy,

    /// Do not ask before sending messages and making the consumer fail.
    #[arg(long, requires = "stack")]
    pub yes: bool,

    /// Which account is meant.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// A seed as it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// This one.
    Number(u64),
    /// One that the operating system draws.
    Random,
}

impl Seed {
    fn parse(text: &str) -> Result<Seed, String> {
        match text {
            "random" => Ok(Seed::Random),
            _ => number(text).map(Seed::Number).map_err(|allowed| format!("{allowed}, or `random`")),
        }
    }
}

/// A seed that is a number. Numbers below 0 come here too, so that they are told what is allowed.
fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("allowed is a whole number from 0 to {}", u64::MAX))
}

/// List the scenarios, one a line: its name, then what it is about.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker drill list
  breaker drill list --json | jq -r '.[].name'",
  ExitCode::help()))]
pub struct ListArgs {
    /// Print a JSON array of objects with `name`, `summary` and `simulated_s`.
    #[arg(long)]
    pub json: bool,
}

/// Run any states-language definition (JSONata) alone, on virtual time.
///
/// Prints one line of JSON: `status`, then `output`, or `error` and `cause`. An execution that fails is a result too, with
/// exit code 0. A feature that is not supported is refused by name, never guessed.
///
/// A mock file maps a state's name to the outcomes of its successive attempts:
///
/// {"Charge": [{"throw": {"error": "Busy", "cause": "try later"}}, {"return": {"paid": true}}]}
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker drill asl --definition machine.asl.json --input input.json
  breaker drill asl --definition machine.asl.json --input input.json --mock mock.json
  echo '{\"n\": 1}' | breaker drill asl --definition machine.asl.json --input -",
  ExitCode::help()))]
pub struct DrillAslArgs {
    /// The definition, JSON; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub definition: PathBuf,

    /// The execution's input, JSON; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,

    /// The outcomes of the tasks, JSON; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub mock: Option<PathBuf>,

    /// The seed of retry jitter and of `$random`.
    #[arg(long, value_name = "N", default_value = "1", allow_negative_numbers = true, value_parser = number)]
    pub seed: u64,
}

/// Find settings for your traffic, on the embedded model.
///
/// Tries alarms and ways to probe on outages in your traffic, and on stretches without any, and prints what each comes to: time to
/// detect, time to recover, wasted invocations, cost, and trips without cause. Nothing is changed without --write.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker tune --circuit orders --traffic orders.csv
  breaker tune --circuit orders --from-cloudwatch 14d --profile prod
  breaker tune --rate 3 --outage 10m --outage 6h
  breaker tune --circuit orders --traffic orders.csv --write
  breaker tune --traffic orders.csv --json | jq .changes",
  ExitCode::help()))]
pub struct TuneArgs {
    /// The circuit in the file, if it has several.
    #[arg(long, value_name = "NAME")]
    pub circuit: Option<String>,

    /// The configuration; without it breaker.toml of the current folder, else the example.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Your traffic: CSV with the columns time and messages.
    #[arg(long, value_name = "FILE", conflicts_with = "rate")]
    pub traffic: Option<PathBuf>,

    /// Your traffic as CloudWatch has counted it: what was sent to the circuit's queue in the last 14 days, or as long as you
    /// say (1h to 400d). Needs a `breaker` that was built with the feature `aws`, and cloudwatch:GetMetricData.
    #[arg(long, value_name = "LENGTH", num_args = 0..=1, default_missing_value = "14d", conflicts_with_all = ["traffic", "rate"],
          value_parser = lookback)]
    pub from_cloudwatch: Option<Duration>,

    /// A steady rate instead, in messages per second.
    #[arg(long, value_name = "N", default_value_t = 10.0, allow_negative_numbers = true, value_parser = rate)]
    pub rate: f64,

    /// Length of an outage, such as 40m or 2h; can be given several times.
    #[arg(long = "outage", value_name = "LENGTH", default_values = ["20m", "2h"], value_parser = outage)]
    pub outages: Vec<Duration>,

    /// Percent of the invocations that fail without an outage.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, allow_negative_numbers = true, value_parser = percent)]
    pub base_error_percent: f64,

    /// Runs of each outage, with other chance.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,

    /// How many runs go on side by side; one per core without this.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub threads: Option<u16>,

    /// Put the recommended settings into the configuration; its comments stay.
    #[arg(long)]
    pub write: bool,

    /// Print everything as one JSON object on standard output, and nothing else there.
    #[arg(long)]
    pub json: bool,

    /// Which account CloudWatch is asked in; the Region is that of the queue's ARN.
    #[command(flatten, next_help_heading = "With --from-cloudwatch")]
    pub target: TargetArgs,
}

/// How far back CloudWatch is asked: its data points of an hour are kept for 455 days.
fn lookback(text: &str) -> Result<Duration, String> {
    length(text, 3_600..=400 * 86_400, "allowed are lengths from 1h to 400d, such as 14d")
}

fn rate(text: &str) -> Result<f64, String> {
    number_in(text, 0.001..=10_000.0)
}

fn percent(text: &str) -> Result<f64, String> {
    number_in(text, 0.0..=100.0)
}

fn number_in(text: &str, range: RangeInclusive<f64>) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("allowed are numbers from {} to {}", range.start(), range.end()))
}

/// The length of an outage that can be tried in seconds.
fn outage(text: &str) -> Result<Duration, String> {
    length(text, 60..=86_400, "allowed are lengths from 1m to 1day, such as 40m or 2h30m")
}

/// A length of time within so many seconds; else the text that says what is allowed.
fn length(text: &str, range_s: RangeInclusive<u64>, allowed: &str) -> Result<Duration, String> {
    let range = Duration::from_secs(*range_s.start())..=Duration::from_secs(*range_s.end());
    let length = humantime::parse_duration(text).ok().filter(|length| range.contains(length));
    length.ok_or_else(|| allowed.to_owned())
}

/// Print the CloudFormation template, or write a CDK cloud assembly.
///
/// Without --config this uses breaker.toml of the current folder if there is one, else the example stack: a queue, a
/// dead-letter queue, a consumer, and a breaker for it. The same configuration gives the same bytes.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker synth
  breaker synth --format cfn-yaml --parameterized > breaker.template.yaml
  breaker package && breaker synth --packages packages --out cdk.out && cdk --app cdk.out deploy",
  ExitCode::help()))]
pub struct SynthArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "cfn-json", conflicts_with = "out")]
    pub format: TemplateFormat,

    /// Make parameters of what identifies a consumer that exists already: its function, queue, mapping and key, its health
    /// check function, and an alarm of yours.
    #[arg(long)]
    pub parameterized: bool,

    /// Write a CDK cloud assembly and the state machine definitions into this folder; it is created if need be.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Name of the stack in the assembly.
    #[arg(long, value_name = "NAME", default_value = "sqs-circuit-breaker", requires = "out", value_parser = stack_name)]
    pub stack: String,

    /// The packages for the assembly: a folder that `breaker package` wrote.
    #[arg(long, value_name = "DIR", requires = "out")]
    pub packages: Option<PathBuf>,
}

/// A form of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TemplateFormat {
    /// JSON, indented.
    CfnJson,
    /// YAML 1.1.
    CfnYaml,
}

/// A name that a stack may have.
fn stack_name(text: &str) -> Result<String, String> {
    let allowed = "allowed is a letter, then up to 127 letters, digits and hyphens";
    infra::assembly::is_stack_name(text).then(|| text.to_owned()).ok_or_else(|| allowed.to_owned())
}

/// Build the functions for Lambda and pack them.
///
/// Writes one zip file per function and packages.json, which lists them with a digest over all. The same source gives the
/// same bytes. Builds with cargo-lambda where it is installed, else with cargo for this machine's own architecture.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker package
  breaker package --arch x86_64 --out packages
  breaker package --binaries target/lambda --json | jq -r .digest",
  ExitCode::help()))]
pub struct PackageArgs {
    /// Architecture to build for; without it arm64 where that can be built, else this machine's own. With --binaries it
    /// is read off them.
    #[arg(long, value_name = "ARCH", value_parser = architecture)]
    pub arch: Option<Architecture>,

    /// A clone of the repository to build; without it the current folder if it is one, else the folder that this program
    /// was built from.
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,

    /// Build nothing, and pack the binaries in this folder: NAME or NAME/bootstrap for each function.
    #[arg(long, value_name = "DIR", conflicts_with = "source")]
    pub binaries: Option<PathBuf>,

    /// The folder for the packages; it is created if need be.
    #[arg(long, value_name = "DIR", default_value = "packages")]
    pub out: PathBuf,

    /// Print packages.json on standard output instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// An architecture by Lambda's name for it.
fn architecture(text: &str) -> Result<Architecture, String> {
    let found = Architecture::ALL.into_iter().find(|architecture| architecture.name() == text);
    found.ok_or_else(|| format!("allowed are {}", Architecture::ALL.map(Architecture::name).join(", ")))
}

/// Print the state machine's definition, indented.
///
/// Without --config this uses breaker.toml of the current folder if there is one, else the example stack.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker asl
  breaker asl --config breaker.toml --circuit orders",
  ExitCode::help()))]
pub struct AslArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The circuit, if the configuration has several.
    #[arg(long, value_name = "NAME")]
    pub circuit: Option<String>,
}

/// Check a configuration, or print one with every setting.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker config default > breaker.toml
  breaker config check",
  ExitCode::help()))]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// The commands of `breaker config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    Check(CheckArgs),
    /// Print a commented breaker.toml with every setting, its default, unit and range.
    #[command(after_help = help("  breaker config default > breaker.toml", ExitCode::help()))]
    Default,
}

/// Say all that is wrong or unsafe in a configuration.
///
/// Every finding names the setting, its value, what is allowed and what to do. Errors come first; with warnings alone the
/// exit code is 0.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker config check
  breaker config check orders.toml --json | jq '.findings[].name'",
  "Exit codes:\n  \
   0   no errors\n  \
   2   errors were found, or the file could not be read"))]
pub struct CheckArgs {
    /// The configuration; `-` reads standard input.
    #[arg(value_name = "FILE", default_value = crate::config_file::DEFAULT_FILE)]
    pub file: PathBuf,

    /// Print a JSON object with `file`, `usable` and `findings`.
    #[arg(long)]
    pub json: bool,
}

/// Which account is meant. The options are those of the AWS CLI, and so are the variables (AWS_PROFILE, AWS_REGION, ...).
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// Profile of the shared AWS configuration files.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,

    /// AWS Region.
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,

    /// Endpoint for all services, to try it against an emulator.
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
}

/// Write breaker.toml for a consumer that exists.
///
/// Reads the function, its event source mapping, queue, dead-letter queue and alarms, writes a commented circuit into the
/// configuration, and prints what is unsafe about them. Nothing in the account is changed. Run it again for another
/// consumer: circuits are added to the file, and all of them live in one stack.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker init --function orders
  breaker init --function orders:live --queue orders-queue --circuit orders
  breaker init --function orders --profile prod --region eu-west-1",
  ExitCode::help()))]
pub struct InitArgs {
    /// Name or ARN of the function, with its alias where the queue feeds an alias.
    #[arg(long, value_name = "NAME")]
    pub function: String,

    /// URL, ARN or name of the queue, if the function is fed by several.
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,

    /// Name of the circuit; without it that of the function.
    #[arg(long, value_name = "NAME")]
    pub circuit: Option<String>,

    /// The configuration that is written, or added to.
    #[arg(long, value_name = "FILE", default_value = crate::config_file::DEFAULT_FILE)]
    pub config: PathBuf,

    /// Print what was found as one JSON object.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub target: TargetArgs,
}

/// Hold the configuration against the account.
///
/// Says where the account differs from breaker.toml and what is unsafe. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker doctor
  breaker doctor --config breaker.toml --json | jq '.findings[].code'",
  ExitCode::help_with_one("something was found that keeps the breaker from being deployed")))]
pub struct DoctorArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = crate::config_file::DEFAULT_FILE)]
    pub config: PathBuf,

    /// Name of the stack: a mapping that is disabled because its circuit is open is no finding.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_STACK)]
    pub stack: String,

    /// Print a JSON object with `healthy`, `findings` and `circuits`.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub target: TargetArgs,
}

/// Show what a deployment would change.
///
/// Permissions come first, then each resource with the worst that happens to it. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker diff
  breaker diff --fail                in CI: exit with 1 if the stack is not as configured
  breaker diff --json | jq '.diff.changes[] | select(.impact == \"replace\")'",
  ExitCode::help_with_one("with --fail: something differs")))]
pub struct DiffArgs {
    #[command(flatten)]
    pub what: StackArgs,

    /// Exit with 1 if anything differs.
    #[arg(long)]
    pub fail: bool,

    /// Print the differences as one JSON object.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub target: TargetArgs,
}

/// Which stack of which configuration.
#[derive(Debug, Args)]
pub struct StackArgs {
    /// The configuration; without it breaker.toml of the current folder, else the example stack.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Name of the stack.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_STACK, value_parser = stack_name)]
    pub stack: String,

    /// The folder with the packages of the functions, as `breaker package` writes them.
    #[arg(long, value_name = "DIR", default_value = "packages")]
    pub packages: PathBuf,

    /// Bucket for packages and template; without it one of this account and Region is made, and removed by `destroy`.
    #[arg(long, value_name = "NAME")]
    pub asset_bucket: Option<String>,
}

/// Make or update the stack.
///
/// Shows what would change, asks, uploads the packages, and follows CloudFormation to the end. Of your own resources only
/// the event metrics of the mapping are switched, after asking, and `breaker destroy` puts them back. Ctrl-C makes
/// CloudFormation take back what it did.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker package && breaker deploy
  breaker deploy --stack breakers --profile prod --region eu-west-1
  breaker deploy --require-approval never          in CI, after `breaker diff` was reviewed
  breaker deploy --json | jq -r '.outputs[] | select(.name == \"CircuitTableName\").value'",
  ExitCode::help_with_one("the deployment was rolled back, or left while CloudFormation was still at work")))]
pub struct DeployArgs {
    #[command(flatten)]
    pub what: StackArgs,

    /// When to ask first: `broadening` asks if permissions are added, something is taken away, or anything of yours is
    /// switched.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Approval::Broadening)]
    pub require_approval: Approval,

    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,

    /// Print the outputs of the stack as one JSON object.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub target: TargetArgs,
}

/// When `deploy` asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Approval {
    /// Never.
    Never,
    /// Where somebody may do more afterwards, or something cannot be had back.
    Broadening,
    /// Whenever something changes.
    Any,
}

/// Say how each circuit stands: why it is open, since when, what the last probe said, when the next is, how much is waiting,
/// how long there is, and who is in charge.
///
/// Reads the circuit's item, the execution that owns it, the mapping and the queue. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker status
  breaker status orders --stack breakers
  breaker status --json | jq '.[] | select(.state != \"closed\")'",
  ExitCode::help()))]
pub struct StatusArgs {
    /// The circuit; all of the stack without it.
    pub circuit: Option<String>,

    /// Name of the stack.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_STACK, value_parser = stack_name)]
    pub stack: String,

    /// Print a JSON array with an object for each circuit. Times are milliseconds since the Unix epoch.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub target: TargetArgs,
}

/// Show how the circuits stand, live on the terminal.
///
/// The answers of `breaker status` with the time until the next probe counting down, the backlog since the view was opened,
/// and the probes and events on record. Keys: up, down or tab choose a circuit, r reads again at once, ? explains, q quits. A
/// reading that fails does not end it: the last facts stay, with their age and what went wrong. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker watch
  breaker watch orders --every 2s
  breaker watch --stack breakers --profile prod --every 1m",
  ExitCode::help()))]
pub struct WatchArgs {
    /// The circuit; all of the stack without it.
    pub circuit: Option<String>,

    /// Pause between two readings: 1s to 5m.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = pause)]
    pub every: Duration,

    /// Name of the stack.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_STACK, value_parser = stack_name)]
    pub stack: String,

    #[command(flatten)]
    pub target: TargetArgs,
}

/// The pause between two readings of an account.
fn pause(text: &str) -> Result<Duration, String> {
    length(text, 1..=300, "allowed is a time such as 5s, 30s or 2m, from 1s to 5m")
}

/// Tell a circuit's incidents, the newest first: how long each lasted, its probes and the messages it affected.
///
/// Reads the circuit's item and the history of its executions, which Step Functions keeps for 90 days. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker history orders
  breaker history orders --limit 3 --stack breakers
  breaker history orders --json | jq '.incidents[] | [.opened_at_ms, .lasted_s, .close_reason]'",
  ExitCode::help()))]
pub struct HistoryArgs {
    /// The circuit.
    pub circuit: String,

    /// How many incidents at most.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub limit: u16,

    /// Name of the stack.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_STACK, value_parser = stack_name)]
    pub stack: String,

    /// Print a JSON object with `incidents` and `is_cut`. Times are milliseconds since the Unix epoch.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub target: TargetArgs,
}

/// Keep a circuit open until a time, without probes. A closed circuit is opened for it.
///
/// The hold stands in the circuit's item and outlives the execution that waits for its end.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker hold orders --for 2h --reason 'database maintenance'
  breaker hold orders --for '1d 12h' --reason 'vendor migration' --yes",
  ExitCode::help_with_one(OrderArgs::ONE)))]
pub struct HoldArgs {
    #[command(flatten)]
    pub order: OrderArgs,

    /// For how long: 90s, 30m, 2h, 1d, at most 14d.
    #[arg(long = "for", value_name = "TIME", value_parser = hold_s)]
    pub for_s: u32,
}

/// What every command to a circuit has.
#[derive(Debug, Args)]
pub struct OrderArgs {
    /// The circuit; may be left out where the stack has one.
    pub circuit: Option<String>,

    /// Why, in your words: it is recorded in the execution's history, and in the circuit's item where it lasts.
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    pub reason: String,

    /// Who, where it is not the caller of AWS.
    #[arg(long = "as", value_name = "NAME")]
    pub by: Option<String>,

    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,

    /// How long to wait until the circuit takes the command, in seconds: a probe that is under way ends first.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub wait_s: u64,

    /// Name of the stack.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_STACK, value_parser = stack_name)]
    pub stack: String,

    #[command(flatten)]
    pub target: TargetArgs,
}

impl OrderArgs {
    /// What exit code 1 means.
    const ONE: &'static str = "the circuit did not take the command in time";
}

/// Tell the circuits something about what they depend on, as the dependency's own automation would.
#[derive(Debug, Args)]
pub struct SignalArgs {
    /// What to tell.
    #[command(subcommand)]
    pub command: SignalCommand,
}

/// What a dependency may say.
#[derive(Debug, Subcommand)]
pub enum SignalCommand {
    Recovered(RecoveredArgs),
}

/// Say that a dependency has recovered: open circuits probe at once instead of at the end of their wait.
///
/// Puts a `Downstream Recovered` event on the account's default bus, for which `events:PutEvents` is all that is needed. A signal
/// that is wrong costs one probe; one for a circuit that is closed, held or closing does nothing.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker signal recovered orders
  breaker signal recovered --dependency payments --reason 'failover done'",
  ExitCode::help()))]
pub struct RecoveredArgs {
    /// The circuit.
    #[arg(required_unless_present = "dependency", conflicts_with = "dependency")]
    pub circuit: Option<String>,

    /// What has recovered, by the name that circuits have as their `dependency`: all of them are meant.
    #[arg(long, value_name = "NAME")]
    pub dependency: Option<String>,

    /// Why, in your words: it is recorded in the execution's history.
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    pub reason: String,

    /// Who, where it is not the caller of AWS.
    #[arg(long = "as", value_name = "NAME")]
    pub by: Option<String>,

    /// Print one JSON object with the event's id and its detail.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub target: TargetArgs,
}

/// The length of a hold, seconds.
fn hold_s(text: &str) -> Result<u32, String> {
    let allowed = "allowed is a time such as 90s, 30m, 2h or '1d 12h', from 1s to 14d";
    let length = humantime::parse_duration(text).map_err(|_| allowed.to_owned())?;
    match u32::try_from(length.as_secs()) {
        Ok(seconds @ 1..=MAX_HOLD_S) => Ok(seconds),
        _ => Err(allowed.to_owned()),
    }
}

/// Take the stack away.
///
/// Refuses while a circuit is open, because the mapping would stay disabled. Puts the event metrics of your mappings back,
/// deletes the stack, the circuits' table and the packages. Nothing else of yours is touched.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker destroy
  breaker destroy --stack breakers --yes",
  ExitCode::help_with_one("not everything could be deleted")))]
pub struct DestroyArgs {
    /// Name of the stack.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_STACK, value_parser = stack_name)]
    pub stack: String,

    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,

    #[command(flatten)]
    pub target: TargetArgs,
}

/// Print what a shell needs to complete commands and options.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker completions bash > ~/.local/share/bash-completion/completions/breaker
  breaker completions zsh > \"${fpath[1]}/_breaker\"
  breaker completions fish > ~/.config/fish/completions/breaker.fish",
  ExitCode::help()))]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}

/// Print the manual page of a command, or write all of them.
#[derive(Debug, Args)]
#[command(after_help = help(
    "  breaker man drill run | man -l -
  breaker man --out ~/.local/share/man/man1    then: man breaker-drill-run",
  ExitCode::help()))]
pub struct ManArgs {
    /// The command, word by word; without one, the page of `breaker` itself.
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    pub command: Vec<String>,

    /// Write the pages of all commands into this folder, which is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What stands below the options.
fn help(examples: &str, exit_codes: impl Display) -> String {
    format!("Examples:\n{examples}\n\n{exit_codes}")
}
