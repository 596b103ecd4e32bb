//! From `--config`, `breaker.toml` or nothing to a configuration.

use std::path::Path;

use toml::Table;
use workflow::config::{BreakerConfig, Findings};

use crate::input::{STDIN, read_text};
use crate::printer::Printer;
use crate::problem::{Problem, Refusal, nearest};

/// The configuration that is used when none is named.
pub const DEFAULT_FILE: &str = "breaker.toml";

/// What reading a configuration came to.
pub struct Reading {
    /// The configuration, if it can be used.
    pub config: Option<BreakerConfig>,
    /// Everything found, the worst first.
    pub findings: Findings,
}

/// The configuration in `given`, else in [`DEFAULT_FILE`] of the current folder, else that of the example stack. Says on
/// standard error which one it took when none was given, and what it warns of.
///
/// # Errors
/// A file that cannot be read, is not TOML, or holds what is refused: errors, and what is unsafe and not accepted.
pub fn load(given: Option<&Path>, printer: &mut Printer) -> Result<BreakerConfig, Refusal> {
    let config = load_quietly(given, printer)?;
    for finding in config.validate().warnings() {
        printer.problem(&finding.into());
    }
    Ok(config)
}

/// The same, without a word about its warnings.
///
/// # Errors
/// As [`load`].
pub fn load_quietly(given: Option<&Path>, printer: &mut Printer) -> Result<BreakerConfig, Refusal> {
    let path = match given {
        Some(path) => path,
        None if Path::new(DEFAULT_FILE).exists() => {
            printer.note("using breaker.toml of the current folder");
            Path::new(DEFAULT_FILE)
        }
        None => {
            printer.note("no breaker.toml in the current folder: using the example stack");
            return Ok(BreakerConfig::default());
        }
    };
    load_file(path)
}

/// The configuration in `path`, without a word about its warnings.
///
/// # Errors
/// As [`load`].
pub fn load_file(path: &Path) -> Result<BreakerConfig, Refusal> {
    let Reading { config, findings } = read(path)?;
    config.ok_or_else(|| Refusal(findings.0.iter().map(Problem::from).collect()))
}

/// The configuration in `path` with its values unjudged, for a command that holds them against the account.
///
/// # Errors
/// A file that cannot be read, is not TOML, or holds settings that do not exist or are of a wrong type.
#[cfg(feature = "aws")]
pub fn load_unjudged(path: &Path) -> Result<BreakerConfig, Refusal> {
    let text = read_toml(path)?;
    BreakerConfig::from_toml_unjudged(&text)
        .map_err(|Findings(findings)| Refusal(findings.iter().map(Problem::from).collect()))
}

/// Reads one file.
///
/// # Errors
/// A file that cannot be read or is not TOML; what is wrong inside it is in [`Reading::findings`].
pub fn read(path: &Path) -> Result<Reading, Problem> {
    let text = read_toml(path)?;
    Ok(match BreakerConfig::from_toml(&text) {
        Ok(config) => {
            let findings = config.validate();
            Reading { config: Some(config), findings }
        }
        Err(findings) => Reading { config: None, findings },
    })
}

/// The text of a file that is TOML.
fn read_toml(path: &Path) -> Result<String, Problem> {
    let text = read_text("the configuration", path).map_err(|problem| {
        if path == Path::new(DEFAULT_FILE) && !path.exists() {
            problem.hint(
                "`breaker init --function NAME` writes one for a consumer of yours, `breaker config default` prints one \
                 with every setting",
            )
        } else {
            problem
        }
    })?;
    let shown = if path == Path::new(STDIN) { "standard input".into() } else { path.display().to_string() };
    if let Err(error) = text.parse::<Table>() {
        return Err(Problem::error(format!("{shown} is not TOML"))
            .detail(error.to_string())
            .hint("correct the syntax at the place shown; `breaker config default` prints a correct file"));
    }
    Ok(text)
}

/// The circuit that `wanted` names among `circuits`, or the only one there is.
///
/// # Errors
/// A name that no circuit has, or several circuits and no name.
pub fn choose_circuit<'a>(
    circuits: impl IntoIterator<Item = &'a String>,
    wanted: Option<&str>,
) -> Result<&'a str, Problem> {
    let names: Vec<&str> = circuits.into_iter().map(String::as_str).collect();
    let list = names.join(", ");
    match (wanted, names.as_slice()) {
        (Some(wanted), names) => match names.iter().find(|name| **name == wanted) {
            Some(name) => Ok(name),
            None => {
                let hint = match nearest(wanted, names.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => "give --circuit one of these names".to_owned(),
                };
                Err(Problem::error(format!("there is no circuit {wanted:?}")).allowed(list).hint(hint))
            }
        },
        (None, [only]) => Ok(only),
        (None, _) => Err(Problem::error("the configuration has several circuits")
            .allowed(list)
            .hint("choose one with --circuit NAME")),
    }
}
