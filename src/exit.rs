//! The exit codes, in one place.

use drill::report::Report;

/// What the process tells whoever started it. The numbers are a contract: scripts depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// The command did what was asked; a drill held every promise and converged.
    Done,
    /// The command ran, and things are not as they should be: the stack differs, a deployment was rolled back, something
    /// unsafe was found.
    #[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "only commands on AWS end so"))]
    NotAsWanted,
    /// Bad usage or bad input: nothing was done.
    CannotRun,
    /// A drill broke a promise.
    PromiseBroken,
    /// A drill held its promises but did not come to the end that its scenario states.
    NotConverged,
}

impl ExitCode {
    /// The number.
    pub fn number(self) -> u8 {
        match self {
            ExitCode::Done => 0,
            ExitCode::NotAsWanted => 1,
            ExitCode::CannotRun => 2,
            ExitCode::PromiseBroken => 10,
            ExitCode::NotConverged => 11,
        }
    }

    /// How a drill ended.
    pub fn of_drill(report: &Report) -> ExitCode {
        let number = report.exit_code();
        [ExitCode::Done, ExitCode::PromiseBroken]
            .into_iter()
            .find(|code| code.number() == number)
            .unwrap_or(ExitCode::NotConverged)
    }

    /// The lines of `--help` for a command that runs drills.
    pub fn help_for_drills() -> &'static str {
        "Exit codes:\n  \
         0   all promises held, and the drill converged\n  \
         2   could not run: bad usage or bad input\n  \
         10  a promise was broken\n  \
         11  the drill did not converge"
    }

    /// The lines of `--help` for a command on AWS, for which 1 means `one`.
    pub fn help_with_one(one: &str) -> String {
        format!(
            "Exit codes:\n  0   done\n  1   {one}\n  2   could not run: bad usage, bad input, no access, or not agreed to"
        )
    }

    /// The lines of `--help` for every other command.
    pub fn help() -> &'static str {
        "Exit codes:\n  \
         0   done\n  \
         2   could not run: bad usage or bad input; nothing was changed"
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> std::process::ExitCode {
        std::process::ExitCode::from(code.number())
    }
}
