//! Where the functions' packages lie: parameters in the template, and the keys that they make up.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use workflow::contract::FunctionKind;

use crate::template::Template;
use crate::text::Text;

/// Parameter: name of the bucket with the packages. It has no default.
pub const ASSET_BUCKET: &str = "AssetBucket";

/// Parameter: what the keys of the packages begin with. Lambda only takes new code when the key is another one, so
/// whoever deploys puts a digest of the packages into it.
pub const ASSET_PREFIX: &str = "AssetPrefix";

/// Parameter: architecture for which the packages were built.
pub const ARCHITECTURE: &str = "Architecture";

/// What [`ASSET_PREFIX`] is, or begins with, when nothing else is asked for.
pub const DEFAULT_PREFIX: &str = "sqs-circuit-breaker";

/// The runtime that the packages are for.
pub const RUNTIME: &str = "provided.al2023";

/// Name that the runtime `provided.al2023` gives the program in a package.
pub const ENTRY: &str = "bootstrap";

/// An architecture that Lambda knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Architecture {
    /// Graviton: the cheaper one, and the template's default.
    #[serde(rename = "arm64")]
    Arm64,
    /// Intel and AMD.
    #[serde(rename = "x86_64")]
    X86_64,
}

impl Architecture {
    /// Every architecture, the default first.
    pub const ALL: [Architecture; 2] = [Architecture::Arm64, Architecture::X86_64];

    /// Its name in Lambda's API.
    pub const fn name(self) -> &'static str {
        match self {
            Architecture::Arm64 => "arm64",
            Architecture::X86_64 => "x86_64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a template finds the packages, as it is used in functions.
#[derive(Clone, Debug)]
pub struct Assets {
    /// Bucket.
    pub bucket: Text,
    /// Architecture.
    pub architecture: Text,
    /// Keys that are known already; those of other functions are below the parameter [`ASSET_PREFIX`].
    pub keys: BTreeMap<FunctionKind, Text>,
}

impl Assets {
    /// Adds the parameters to a template.
    pub fn parameters(template: &mut Template) -> Assets {
        let bucket = template.parameter(ASSET_BUCKET, "Bucket with the packages of the functions", None, &[]);
        template.parameter(
            ASSET_PREFIX,
            "What the keys of the packages begin with; a digest in it makes new code known to Lambda",
            Some(DEFAULT_PREFIX),
            &[],
        );
        let architecture = template.parameter(
            ARCHITECTURE,
            "Architecture for which the packages were built",
            Some(Architecture::ALL[0].name()),
            &Architecture::ALL.map(Architecture::name),
        );
        Assets { bucket, architecture, keys: BTreeMap::new() }
    }

    /// Key of a function's package.
    pub fn key(&self, kind: FunctionKind) -> Text {
        let known = self.keys.get(&kind).cloned();
        known.unwrap_or_else(|| Text::sub(key(&format!("${{{ASSET_PREFIX}}}"), kind)))
    }
}

/// Key of a function's package in the bucket, below the value of [`ASSET_PREFIX`].
///
/// ```
/// use workflow::contract::FunctionKind;
///
/// assert_eq!(infra::assets::key("sqs-circuit-breaker/4f2a", FunctionKind::Probe), "sqs-circuit-breaker/4f2a/probe.zip");
/// ```
pub fn key(prefix: &str, kind: FunctionKind) -> String {
    format!("{prefix}/{}.zip", kind.name())
}
