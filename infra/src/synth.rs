//! From a configuration to an assembly: template and definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;
use workflow::config::{BreakerConfig, CircuitConfig};
use workflow::contract::FunctionKind;

use crate::assets::Assets;
use crate::constructs::Guarded;
use crate::constructs::breaker::CircuitBreaker;
use crate::constructs::example::example;
use crate::constructs::shared::shared;
use crate::definition::Definition;
use crate::error::SynthError;
use crate::template::{MAX_TEMPLATE_BYTES, Scope, Template};

/// Description of every stack.
const DESCRIPTION: &str = "Circuit breakers for Lambda functions fed by SQS";

/// Everything that a deployment needs, as text.
#[derive(Clone, Debug, PartialEq)]
pub struct Assembly {
    /// The CloudFormation template.
    pub template: Value,
    /// The definition of each circuit's state machine, byte for byte as it stands in the template.
    pub definitions: BTreeMap<String, String>,
    /// The functions that the stack has, and so the packages that it needs.
    pub functions: Vec<FunctionKind>,
}

impl Assembly {
    /// The template as a file: indented, with a newline at its end.
    pub fn template_json(&self) -> String {
        pretty(&self.template)
    }

    /// Files by name: `template.json`, and `CIRCUIT.asl.json` for each circuit.
    pub fn files(&self) -> BTreeMap<PathBuf, String> {
        let definitions = self
            .definitions
            .iter()
            .map(|(name, text)| (PathBuf::from(format!("{name}.asl.json")), text.clone()));
        definitions.chain([(PathBuf::from("template.json"), self.template_json())]).collect()
    }
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("a JSON value has only string keys");
    text.push('\n');
    text
}

/// Makes the stack of a configuration. The same configuration gives the same bytes.
///
/// ```
/// let config = workflow::config::BreakerConfig::default();
/// let assembly = infra::synth(&config).expect("the default is valid");
/// assert_eq!(assembly.template["Resources"]["ExampleStateMachine"]["Type"], "AWS::StepFunctions::StateMachine");
/// ```
///
/// # Errors
/// [`SynthError::InvalidConfig`] when [`BreakerConfig::validate`] refuses the configuration; the other variants when the stack would
/// break a rule of CloudFormation or IAM.
pub fn synth(config: &BreakerConfig) -> Result<Assembly, SynthError> {
    let findings = config.validate();
    if !findings.is_usable() {
        return Err(SynthError::InvalidConfig(findings));
    }
    let mut template = Template::default();
    let assets = Assets::new(&mut template);
    let mut guarded = BTreeMap::new();
    for (name, circuit) in &config.circuits {
        guarded.insert(name, guard(&mut template, &assets, name, circuit)?);
    }
    let shared = shared(&mut template, &assets, config, &guarded.values().collect::<Vec<_>>())?;
    let mut definitions = BTreeMap::new();
    for (name, circuit) in &config.circuits {
        let definition = Definition::read(name, workflow::definition::definition(name, circuit))?;
        let breaker = CircuitBreaker {
            name,
            circuit,
            guarded: &guarded[name],
            shared: &shared,
            definition: &definition,
        };
        breaker.add_to(&mut template)?;
        definitions.insert(name.clone(), definition.text);
    }
    let assembly =
        Assembly { template: template.finish(DESCRIPTION)?, definitions, functions: kinds(config) };
    let count = assembly.template_json().len();
    if count > MAX_TEMPLATE_BYTES {
        return Err(SynthError::TooMany { what: "bytes of template", count, max: MAX_TEMPLATE_BYTES });
    }
    Ok(assembly)
}

fn guard(
    template: &mut Template,
    assets: &Assets,
    name: &str,
    circuit: &CircuitConfig,
) -> Result<Guarded, SynthError> {
    match &circuit.consumer {
        Some(consumer) => Ok(Guarded::existing(consumer)),
        None => example(template, &Scope::root().child(name), assets, circuit),
    }
}

/// The functions that the stack has: the example's consumer only where there is an example.
fn kinds(config: &BreakerConfig) -> Vec<FunctionKind> {
    let has_example = config.circuits.values().any(|circuit| circuit.consumer.is_none());
    let needed: BTreeSet<FunctionKind> = FunctionKind::ALL
        .into_iter()
        .filter(|kind| match kind {
            FunctionKind::Mapping | FunctionKind::Probe | FunctionKind::Rejitter => true,
            FunctionKind::Consumer => has_example,
        })
        .collect();
    needed.into_iter().collect()
}
