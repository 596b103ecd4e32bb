//! The cloud assembly, and templates with parameters: what other toolchains take.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use infra::SynthOptions;
use infra::assembly::{CloudAssembly, cloud_assembly};
use infra::assets::Architecture;
use infra::package::{Package, Packages};
use serde_json::Value;
use workflow::contract::FunctionKind;

/// Packages that nobody has to read.
fn packages(kinds: &[FunctionKind]) -> Packages {
    let package = |kind: &FunctionKind| Package {
        kind: *kind,
        path: PathBuf::from(format!("packages/{}.zip", kind.name())),
        sha256: kind.name().repeat(3),
        bytes: 1,
        unzipped_bytes: 2,
    };
    Packages {
        architecture: Architecture::X86_64,
        digest: "0".repeat(64),
        packages: kinds.iter().map(package).collect(),
    }
}

fn assembly(variant: &str, packages: Option<&Packages>) -> CloudAssembly {
    cloud_assembly(&common::variants()[variant], "mine", false, packages).expect("valid")
}

fn json(assembly: &CloudAssembly, name: &str) -> Value {
    serde_json::from_str(&assembly.texts[Path::new(name)]).expect("JSON")
}

#[test]
fn every_package_is_an_asset_and_lies_where_the_template_looks() {
    let packages = packages(&FunctionKind::ALL);
    let assembly = assembly("mixed", Some(&packages));
    assert!(assembly.lacks.is_empty());
    let template = json(&assembly, "mine.template.json");
    let assets = json(&assembly, "mine.assets.json");
    assert_eq!(template["Parameters"], serde_json::json!({}), "the CDK CLI would have to be told");
    let mut looked_for = BTreeSet::new();
    for function in template["Resources"].as_object().expect("resources").values() {
        if function["Type"] != "AWS::Lambda::Function" {
            continue;
        }
        assert_eq!(function["Properties"]["Architectures"][0], "x86_64");
        let code = &function["Properties"]["Code"];
        looked_for.insert((code["S3Bucket"]["Fn::Sub"].to_string(), code["S3Key"].to_string()));
    }
    let mut uploaded = BTreeSet::new();
    for asset in assets["files"].as_object().expect("files").values() {
        let file = asset["source"]["path"].as_str().expect("a path");
        let there = assembly.copies.contains_key(Path::new(file));
        assert!(there || assembly.texts.contains_key(Path::new(file)), "{file} is not in the folder");
        let place = &asset["destinations"]["current_account-current_region"];
        if there {
            uploaded.insert((place["bucketName"].to_string(), place["objectKey"].to_string()));
        } else {
            let url = &json(&assembly, "manifest.json")["artifacts"]["mine"]["properties"]["stackTemplateAssetObjectUrl"];
            let key = place["objectKey"].as_str().expect("a key");
            assert!(url.as_str().expect("a URL").ends_with(key), "{url} is not {key}");
        }
    }
    assert_eq!(looked_for, uploaded);
    assert_eq!(uploaded.len(), 7);
}

#[test]
fn packages_that_no_function_needs_are_left_out() {
    let packages = packages(&FunctionKind::ALL);
    let assembly = assembly("existing", Some(&packages));
    let copied: Vec<&str> = assembly.copies.keys().filter_map(|path| path.to_str()).collect();
    assert_eq!(
        copied,
        ["mapping.zip", "probe.zip", "queue.zip", "reconciler.zip", "rejitter.zip", "signal.zip"]
    );
}

#[test]
fn a_package_that_is_missing_is_named() {
    let own: Vec<FunctionKind> =
        FunctionKind::ALL.into_iter().filter(|kind| *kind != FunctionKind::Consumer).collect();
    let packages = packages(&own);
    let error = cloud_assembly(&common::variants()["example"], "mine", false, Some(&packages)).unwrap_err();
    assert_eq!(error.to_string(), "there is no package of the function consumer");
}

#[test]
fn without_packages_the_parameters_stay_and_the_assembly_warns() {
    let assembly = assembly("existing", None);
    assert_eq!(json(&assembly, "mine.template.json"), common::template("existing"));
    let metadata = &json(&assembly, "manifest.json")["artifacts"]["mine"]["metadata"]["/mine"][0];
    assert_eq!(metadata["type"], "aws:cdk:warning");
    let said = metadata["data"].as_str().expect("text");
    assert!(said.contains("(mapping, probe, queue, reconciler, rejitter, signal)"), "{said}");
}

#[test]
fn the_same_configuration_gives_the_same_assembly() {
    assert_eq!(assembly("mixed", None), assembly("mixed", None));
}

/// A template with parameters.
fn parameterized(variant: &str) -> Value {
    let options = SynthOptions { parameterized: true, ..SynthOptions::default() };
    infra::synth_with(&common::variants()[variant], &options).expect("valid").template
}

/// Checks which parameters a variant has beside those of the packages.
fn check(variant: &str, expected: &[&str]) {
    let template = parameterized(variant);
    let parameters = template["Parameters"].as_object().expect("parameters");
    let names: Vec<&str> = parameters.keys().map(String::as_str).skip(3).collect();
    assert_eq!(names, expected, "{variant}");
}

#[test]
fn what_identifies_a_consumer_becomes_parameters() {
    let of_orders = [
        "OrdersConsumerFunctionArn",
        "OrdersConsumerQueueUrl",
        "OrdersConsumerQueueArn",
        "OrdersConsumerMappingUuid",
        "OrdersConsumerKeyArn",
        "OrdersHealthCheckFunctionArn",
    ];
    check("health-check", &of_orders);
    check("existing", &of_orders[..5]);
    check("existing-fifo", &of_orders[..4]);
    check("example", &[]);
    check("composite-alarm", &[&of_orders[..5], &["OrdersExistingAlarmArn"]].concat());
}

#[test]
fn no_literal_of_a_consumer_is_left() {
    for variant in ["existing", "existing-fifo", "health-check", "ten"] {
        let text = parameterized(variant).to_string();
        for literal in ["123456789012", "eu-west-1", "14e0db71"] {
            assert!(!text.contains(literal), "{variant}: {literal}");
        }
    }
}

#[test]
fn only_a_queue_of_the_configured_kind_may_be_given() {
    let pattern =
        |variant| parameterized(variant)["Parameters"]["OrdersConsumerQueueArn"]["AllowedPattern"].clone();
    assert_eq!(pattern("existing"), "^arn:[^:]+:sqs:[^:]+:[0-9]{12}:[A-Za-z0-9_-]+$");
    assert_eq!(pattern("existing-fifo"), r"^arn:[^:]+:sqs:[^:]+:[0-9]{12}:[A-Za-z0-9_-]+\.fifo$");
}
