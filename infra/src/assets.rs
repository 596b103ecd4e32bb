//! Where the functions' packages lie: parameters in the template, a manifest beside it.

use serde::Serialize;
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

/// Architectures that Lambda knows, the default first.
pub const ARCHITECTURES: [&str; 2] = ["arm64", "x86_64"];

/// Name that the runtime `provided.al2023` gives the program in a package.
pub const ENTRY: &str = "bootstrap";

/// The parameters, as they are used in functions.
#[derive(Clone, Debug)]
pub struct Assets {
    /// Bucket.
    pub bucket: Text,
    /// Architecture.
    pub architecture: Text,
}

impl Assets {
    /// Adds the parameters to a template.
    pub fn new(template: &mut Template) -> Assets {
        let bucket = template.parameter(ASSET_BUCKET, "Bucket with the packages of the functions", None, &[]);
        template.parameter(
            ASSET_PREFIX,
            "What the keys of the packages begin with; a digest in it makes new code known to Lambda",
            Some("sqs-circuit-breaker"),
            &[],
        );
        let architecture = template.parameter(
            ARCHITECTURE,
            "Architecture for which the packages were built",
            Some(ARCHITECTURES[0]),
            &ARCHITECTURES,
        );
        Assets { bucket, architecture }
    }

    /// Key of a function's package.
    pub fn key(&self, kind: FunctionKind) -> Text {
        Text::sub(key(kind))
    }
}

/// Key of a function's package, with the parameter still in it.
fn key(kind: FunctionKind) -> String {
    format!("${{{ASSET_PREFIX}}}/{}.zip", kind.name())
}

/// The packages that a template needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AssetManifest {
    /// The runtime that they are for.
    pub runtime: &'static str,
    /// Architectures of which one is to be built.
    pub architectures: [&'static str; 2],
    /// Parameter for the bucket.
    pub bucket_parameter: &'static str,
    /// Parameter for the beginning of the keys.
    pub prefix_parameter: &'static str,
    /// Parameter for the architecture.
    pub architecture_parameter: &'static str,
    /// The packages.
    pub assets: Vec<Asset>,
}

/// One package: a zip file with one program in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asset {
    /// Name of the binary.
    pub binary: &'static str,
    /// `zip`.
    pub packaging: &'static str,
    /// Name of the binary in the zip file; it has to be executable.
    pub entry: &'static str,
    /// Key, with `${AssetPrefix}` still in it.
    pub s3_key: String,
}

impl AssetManifest {
    /// The manifest for these functions.
    pub fn new(kinds: &[FunctionKind]) -> AssetManifest {
        let asset = |&kind: &FunctionKind| Asset {
            binary: kind.name(),
            packaging: "zip",
            entry: ENTRY,
            s3_key: key(kind),
        };
        AssetManifest {
            runtime: "provided.al2023",
            architectures: ARCHITECTURES,
            bucket_parameter: ASSET_BUCKET,
            prefix_parameter: ASSET_PREFIX,
            architecture_parameter: ARCHITECTURE,
            assets: kinds.iter().map(asset).collect(),
        }
    }
}
