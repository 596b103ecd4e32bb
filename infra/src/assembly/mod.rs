//! The stack as a CDK cloud assembly: a folder that the CDK CLI lists, compares and deploys without running an app.
//!
//! The CDK CLI gives a stack no values for parameters by itself: the ones in an assembly's manifest are not used. So when
//! the packages are there, the template names them as templates of the CDK do: by their hash, in the bucket of the
//! account's CDK bootstrap stack. Without packages the parameters stay, and the CDK CLI warns.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};
use workflow::config::BreakerConfig;
use workflow::contract::FunctionKind;

use crate::assets::Assets;
use crate::error::SynthError;
use crate::package::{Package, PackageError, Packages, file_name, sha256};
use crate::synth::{SynthOptions, pretty, synth_with};
use crate::text::Text;

/// Version of the assembly's format: old enough for every CDK CLI of the last years, and new enough for what is used.
const SCHEMA_VERSION: &str = "36.0.0";

/// Oldest bootstrap stack that has the roles and the bucket named here.
const BOOTSTRAP_VERSION: u32 = 6;

/// Where the bootstrap stack tells its version.
const BOOTSTRAP_PARAMETER: &str = "/cdk-bootstrap/hnb659fds/version";

/// Bucket of the bootstrap stack. `hnb659fds` is the qualifier that the CDK uses unless told otherwise.
const BOOTSTRAP_BUCKET: &str = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}";

/// A destination has a name only to tell it from others, of which there are none.
const DESTINATION: &str = "current_account-current_region";

/// Longest name of a stack (CloudFormation).
const MAX_STACK_NAME: usize = 128;

/// The files of an assembly, by their place in its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudAssembly {
    /// Files to write.
    pub texts: BTreeMap<PathBuf, String>,
    /// Files to copy, and from where.
    pub copies: BTreeMap<PathBuf, PathBuf>,
    /// Functions that the stack has and for which no package was given.
    pub lacks: Vec<FunctionKind>,
}

/// Whether a stack may have this name: a letter, then up to 127 letters, digits and hyphens.
pub fn is_stack_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '-')
        && name.len() <= MAX_STACK_NAME
}

/// Why an assembly cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// The stack cannot be made.
    #[error(transparent)]
    Synth(#[from] SynthError),
    /// Packages were given, but not all that the stack needs.
    #[error(transparent)]
    Package(#[from] PackageError),
}

/// Makes the assembly of a configuration, for a stack of this name.
///
/// # Errors
/// As [`crate::synth`]; [`PackageError::PackageMissing`] when `packages` lack one that the stack needs.
pub fn cloud_assembly(
    config: &BreakerConfig,
    stack: &str,
    parameterized: bool,
    packages: Option<&Packages>,
) -> Result<CloudAssembly, AssemblyError> {
    let assets = packages.map(in_bootstrap_bucket);
    let assembly = synth_with(config, &SynthOptions { parameterized, assets })?;
    let needed: Vec<&Package> = match packages {
        Some(packages) => {
            assembly.functions.iter().map(|kind| packages.of(*kind)).collect::<Result<_, _>>()?
        }
        None => Vec::new(),
    };
    let template = assembly.template_json();
    let template_file = format!("{stack}.template.json");
    let template_key = format!("{}.json", sha256(template.as_bytes()));
    let files = needed
        .iter()
        .map(|package| (package.sha256.clone(), asset(&file_name(package.kind), &package_key(package))))
        .chain([(sha256(template.as_bytes()), asset(&template_file, &template_key))]);
    let files: serde_json::Map<String, Value> = files.collect();
    let lacks = if packages.is_none() { assembly.functions.clone() } else { Vec::new() };
    let mut texts = assembly.definition_files();
    texts.extend([
        (PathBuf::from("cdk.out"), format!("{}\n", json!({ "version": SCHEMA_VERSION }))),
        (PathBuf::from("manifest.json"), pretty(&manifest(stack, &template_key, &lacks))),
        (
            PathBuf::from(assets_file(stack)),
            pretty(&json!({ "version": SCHEMA_VERSION, "files": files, "dockerImages": {} })),
        ),
        (PathBuf::from(template_file), template),
    ]);
    let copies =
        needed.iter().map(|package| (PathBuf::from(file_name(package.kind)), package.path.clone())).collect();
    Ok(CloudAssembly { texts, copies, lacks })
}

/// The packages as templates of the CDK name them.
fn in_bootstrap_bucket(packages: &Packages) -> Assets {
    let key = |package: &Package| (package.kind, Text::literal(package_key(package)));
    Assets {
        bucket: Text::sub(BOOTSTRAP_BUCKET),
        architecture: packages.architecture.name().into(),
        keys: packages.packages.iter().map(key).collect(),
    }
}

/// `cdk gc` looks for hashes of this form in the templates to see what is in use.
fn package_key(package: &Package) -> String {
    format!("{}.zip", package.sha256)
}

fn assets_file(stack: &str) -> String {
    format!("{stack}.assets.json")
}

/// ARN of a role of the bootstrap stack.
fn bootstrap_role(name: &str) -> String {
    format!(
        "arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/cdk-hnb659fds-{name}-role-${{AWS::AccountId}}-${{AWS::Region}}"
    )
}

/// A file that the CDK CLI uploads as it is.
fn asset(file: &str, key: &str) -> Value {
    json!({
        "displayName": file,
        "source": { "path": file, "packaging": "file" },
        "destinations": {
            DESTINATION: {
                "bucketName": BOOTSTRAP_BUCKET,
                "objectKey": key,
                "assumeRoleArn": bootstrap_role("file-publishing"),
            },
        },
    })
}

fn manifest(stack: &str, template_key: &str, lacks: &[FunctionKind]) -> Value {
    let assets = format!("{stack}.assets");
    let mut metadata = serde_json::Map::new();
    if !lacks.is_empty() {
        let warning = json!([{ "type": "aws:cdk:warning", "data": lacking(lacks) }]);
        metadata.insert(format!("/{stack}"), warning);
    }
    json!({
        "version": SCHEMA_VERSION,
        "artifacts": {
            &assets: {
                "type": "cdk:asset-manifest",
                "properties": {
                    "file": assets_file(stack),
                    "requiresBootstrapStackVersion": BOOTSTRAP_VERSION,
                    "bootstrapStackVersionSsmParameter": BOOTSTRAP_PARAMETER,
                },
            },
            stack: {
                "type": "aws:cloudformation:stack",
                "environment": "aws://unknown-account/unknown-region",
                "properties": {
                    "templateFile": format!("{stack}.template.json"),
                    "stackName": stack,
                    "terminationProtection": false,
                    "validateOnSynth": false,
                    "assumeRoleArn": bootstrap_role("deploy"),
                    "cloudFormationExecutionRoleArn": bootstrap_role("cfn-exec"),
                    "stackTemplateAssetObjectUrl": format!("s3://{BOOTSTRAP_BUCKET}/{template_key}"),
                    "requiresBootstrapStackVersion": BOOTSTRAP_VERSION,
                    "bootstrapStackVersionSsmParameter": BOOTSTRAP_PARAMETER,
                    "additionalDependencies": [&assets],
                    "lookupRole": {
                        "arn": bootstrap_role("lookup"),
                        "requiresBootstrapStackVersion": 8,
                        "bootstrapStackVersionSsmParameter": BOOTSTRAP_PARAMETER,
                    },
                },
                "dependencies": [&assets],
                "metadata": metadata,
                "displayName": stack,
            },
        },
    })
}

/// What an assembly without packages says about itself.
pub fn lacking(functions: &[FunctionKind]) -> String {
    let names: BTreeSet<&str> = functions.iter().map(|kind| kind.name()).collect();
    format!(
        "the assembly has no packages of the functions ({}): it can be listed and compared, but deployed only with \
         packages that lie in a bucket already, named by the parameters AssetBucket and AssetPrefix",
        names.into_iter().collect::<Vec<_>>().join(", ")
    )
}
