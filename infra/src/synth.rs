//! From a configuration to an assembly: template and definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};
use workflow::config::{BreakerConfig, CircuitConfig};
use workflow::contract::FunctionKind;

use crate::assets::Assets;
use crate::constructs::Guarded;
use crate::constructs::breaker::CircuitBreaker;
use crate::constructs::example::example;
use crate::constructs::reconciler::{Watched, reconciler};
use crate::constructs::shared::shared;
use crate::constructs::signal::signal;
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

    /// The template as YAML of version 1.1, which is what CloudFormation reads.
    pub fn template_yaml(&self) -> String {
        yaml(&self.template)
    }

    /// The definitions as files by name: `CIRCUIT.asl.json`.
    pub fn definition_files(&self) -> BTreeMap<PathBuf, String> {
        let named =
            |(name, text): (&String, &String)| (PathBuf::from(format!("{name}.asl.json")), text.clone());
        self.definitions.iter().map(named).collect()
    }
}

/// JSON as a file: indented by one space, as the CDK writes templates, with a newline at its end. CloudFormation counts the spaces.
pub(crate) fn pretty(value: &Value) -> String {
    let mut text = Vec::new();
    let mut writer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b" "));
    value.serialize(&mut writer).expect("a JSON value has only string keys");
    text.push(b'\n');
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// JSON as YAML. Every text is quoted, because YAML takes many a plain one for something else: a date, an octal number.
fn yaml(value: &Value) -> String {
    serde_saphyr::to_string_with_options(value, serde_saphyr::ser_options! { quote_all: true })
        .expect("a JSON value has only string keys")
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
    synth_with(config, &SynthOptions::default())
}

/// What may differ between templates of the same configuration.
#[derive(Clone, Debug, Default)]
pub struct SynthOptions {
    /// Makes parameters of what identifies an existing consumer (function, queue, mapping, key, health check function),
    /// so that one template serves several environments. Parameters are `CIRCUITConsumerFunctionArn` and so on.
    pub parameterized: bool,
    /// Where the packages lie, if that is known; else it is parameters.
    pub assets: Option<Assets>,
}

/// Makes the stack of a configuration in the form that is asked for.
///
/// # Errors
/// As [`synth`].
pub fn synth_with(config: &BreakerConfig, options: &SynthOptions) -> Result<Assembly, SynthError> {
    if options.parameterized {
        // Lengths that IAM limits are only known of the values, so those of the configuration are tried.
        synth_with(config, &SynthOptions { parameterized: false, ..options.clone() })?;
    }
    let findings = config.validate();
    if !findings.is_usable() {
        return Err(SynthError::InvalidConfig(findings));
    }
    let mut template = Template::default();
    let assets = options.assets.clone().unwrap_or_else(|| Assets::parameters(&mut template));
    let mut guarded = BTreeMap::new();
    for (name, circuit) in &config.circuits {
        guarded.insert(name, guard(&mut template, &assets, name, circuit, options.parameterized)?);
    }
    let shared = shared(&mut template, &assets, config, &guarded.values().collect::<Vec<_>>())?;
    let mut definitions = BTreeMap::new();
    let mut watched = Vec::new();
    for (name, circuit) in &config.circuits {
        let machine = workflow::definition::state_machine(name, circuit).into_value();
        let definition = Definition::of(name, machine.to_string(), &machine)?;
        let breaker = CircuitBreaker {
            name,
            circuit,
            guarded: &guarded[name],
            shared: &shared,
            definition: &definition,
        };
        let (machine, alarm) = breaker.add_to(&mut template)?;
        watched.push(Watched { name, circuit, guarded: &guarded[name], machine, alarm });
        definitions.insert(name.clone(), definition.text);
    }
    reconciler(&mut template, &assets, &shared, &watched)?;
    signal(&mut template, &assets, config, &shared)?;
    let assembly =
        Assembly { template: template.finish(DESCRIPTION)?, definitions, functions: kinds(config) };
    let count = pretty(&assembly.template).len();
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
    parameterized: bool,
) -> Result<Guarded, SynthError> {
    let scope = Scope::root().child(name);
    let guarded = match &circuit.consumer {
        Some(consumer) if parameterized => Guarded::parameterized(template, &scope, consumer),
        Some(consumer) => Guarded::existing(consumer),
        None => example(template, &scope, assets, circuit)?,
    };
    Ok(guarded.with_settings_of(circuit, template, &scope, parameterized))
}

/// The functions that the stack has: the example's consumer only where there is an example.
fn kinds(config: &BreakerConfig) -> Vec<FunctionKind> {
    let has_example = config.circuits.values().any(|circuit| circuit.consumer.is_none());
    let needed: BTreeSet<FunctionKind> = FunctionKind::ALL
        .into_iter()
        .filter(|kind| match kind {
            FunctionKind::Mapping
            | FunctionKind::Probe
            | FunctionKind::Rejitter
            | FunctionKind::Queue
            | FunctionKind::Reconciler
            | FunctionKind::Signal => true,
            FunctionKind::Consumer => has_example,
        })
        .collect();
    needed.into_iter().collect()
}
