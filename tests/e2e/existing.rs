//! A breaker beside a consumer that exists already, from `init` to `destroy`, and what can go wrong on the way.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::ministack::MiniStack;
use crate::proxy::Proxy;
use crate::{STACK, binaries, breaker, run, stack};

/// Name of the stack with the breaker, beside [`STACK`] with the consumer.
const GUARD: &str = "guard-e2e";

/// An emulator with a consumer in it, and a proxy before it.
struct Place {
    proxy: Proxy,
    cloud: MiniStack,
    function: String,
}

/// What a command came to.
struct Ended {
    code: Option<i32>,
    data: String,
    remarks: String,
}

impl Place {
    fn new() -> Place {
        let cloud = MiniStack::start();
        stack::deploy(&cloud, &binaries::built(), stack::CONFIG);
        let proxy = Proxy::start(cloud.port());
        let mut place = Place { proxy, cloud, function: String::new() };
        let outputs = place.outputs(STACK);
        place.function = outputs["ExampleConsumerFunctionName"].as_str().expect("a name").to_owned();
        place
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = breaker(&self.cloud);
        command.args(args).args(self.proxy.target()).stdin(Stdio::null());
        command
    }

    /// Runs a command and compares its exit code.
    fn check(&self, args: &[&str], code: i32) -> Ended {
        let output = self.command(args).output().expect("breaker starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ended =
            Ended { code: output.status.code(), data: text(&output.stdout), remarks: text(&output.stderr) };
        assert_eq!(ended.code, Some(code), "{args:?}\n{}\n{}", ended.data, ended.remarks);
        ended
    }

    /// Runs a command that is refused or fails, and looks for what it has to say.
    fn check_told(&self, args: &[&str], code: i32, words: &[&str]) {
        let ended = self.check(args, code);
        let told = format!("{}\n{}", ended.data, ended.remarks);
        for word in words {
            assert!(told.contains(word), "{args:?} does not say {word:?}:\n{told}");
        }
    }

    /// Outputs of a stack by name, as `deploy` tells them when there is nothing to do.
    fn outputs(&self, name: &str) -> Value {
        let told = run(&mut self.command(&["deploy", "--stack", name, "--json"]), &self.cloud);
        let told: Value = serde_json::from_str(&told).expect("JSON");
        let outputs = told["outputs"].as_array().expect("a list");
        outputs
            .iter()
            .map(|one| (one["name"].as_str().expect("text").to_owned(), one["value"].clone()))
            .collect()
    }

    /// Services that hold something of the breaker; the bucket is the consumer's stack's too.
    fn left(&self) -> Vec<&'static str> {
        let holding = self.cloud.leftovers(GUARD).into_iter().filter(|(_, holds)| *holds);
        holding.map(|(service, _)| service).filter(|service| *service != "S3").collect()
    }

    fn config(&self) -> String {
        fs::read_to_string(self.cloud.folder().join("guard.toml")).expect("init wrote it")
    }

    fn write_config(&self, text: &str) {
        fs::write(self.cloud.folder().join("guard.toml"), text).expect("the folder can be written");
    }

    /// Event metrics of a mapping.
    fn metrics(&self, uuid: &str) -> Vec<String> {
        self.cloud.event_metrics(uuid)
    }

    /// Writes the state of a circuit, as its workflow would.
    fn set_circuit(&self, table: &str, state: &str) {
        let item = serde_json::json!({ "TableName": table, "Item": {
            "circuit": { "S": "orders" }, "circuit_state": { "S": state }, "recorded_mappings": { "S": "[]" },
        }});
        self.cloud.json("dynamodb", "DynamoDB_20120810.PutItem", &item.to_string());
    }
}

/// Deploys a configuration of its own beside the consumer.
fn guard<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![command, "--stack", GUARD];
    if command != "destroy" {
        args.extend(["--config", "guard.toml"]);
    }
    args.extend(more);
    args
}

#[test]
fn a_breaker_goes_from_init_to_destroy_beside_a_consumer_and_leaves_it_as_it_was() {
    let place = Place::new();
    place.check(&["init", "--function", &place.function, "--circuit", "orders", "--config", "guard.toml"], 0);
    let uuid = mapping_uuid(&place.config());
    place.check_told(
        &["init", "--function", &place.function, "--circuit", "again", "--config", "guard.toml"],
        2,
        &["circuit again guards this mapping already", "one mapping has one circuit"],
    );
    assert_eq!(mapping_uuid(&place.config()), uuid, "a refused init changed the file");
    place.check_told(
        &["doctor", "--config", "guard.toml"],
        0,
        &["orders: mapping Enabled", "event metrics off"],
    );

    // The emulator takes no metric math: the first deployment is rolled back, and says by which resource.
    place.check_told(
        &guard("deploy", &["--yes"]),
        1,
        &[
            "first to fail: OrdersFailureAlarm (AWS::CloudWatch::Alarm)",
            "ROLLBACK_COMPLETE",
            "breaker destroy",
        ],
    );
    assert!(place.metrics(&uuid).is_empty(), "a failed deployment switched event metrics on");
    place.check_told(&guard("deploy", &["--yes"]), 2, &["ROLLBACK_COMPLETE", "can only delete it"]);
    place.check(&guard("destroy", &["--yes"]), 0);

    place.write_config(&place.config().replace("# signal = \"mapping-events\"", "signal = \"failed-count\""));
    place.check_told(&guard("deploy", &[]), 2, &["its event metrics are switched on", "--yes"]);
    place.proxy.throttle("CreateChangeSet", 1);
    place.check(&guard("deploy", &["--yes"]), 0);
    assert_eq!(place.proxy.throttles_left("CreateChangeSet"), 0);
    assert_eq!(place.metrics(&uuid), ["EventCount"]);
    place.check_told(&guard("diff", &["--fail"]), 0, &["nothing differs"]);
    // Where the plan sees a difference that CloudFormation does not, its empty change set is no failure.
    place.proxy.alter_templates("notBreaching", "ignore");
    place.check_told(
        &guard("deploy", &["--yes"]),
        0,
        &["TreatMissingData", "CloudFormation had nothing to change"],
    );
    place.proxy.alter_templates("", "");
    place.write_config(
        &place
            .config()
            .replace("signal = \"failed-count\"  #", "failed_events_count = 9\nsignal = \"failed-count\"  #"),
    );
    place.check_told(&guard("diff", &["--fail"]), 1, &["OrdersFailureAlarm", "Threshold: 5.0 -> 9.0"]);

    // Nobody can be asked here. A threshold gives nobody more rights, so that by default nobody needs to be.
    place.check_told(&guard("deploy", &["--require-approval", "any"]), 2, &["needs your approval"]);
    place.check_told(&guard("diff", &["--fail"]), 1, &["Threshold: 5.0 -> 9.0"]);
    let told = run(&mut place.command(&guard("deploy", &["--json"])), &place.cloud);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let output = |name: &str| {
        let outputs = told["outputs"].as_array().expect("a list");
        outputs
            .iter()
            .find(|one| one["name"] == name)
            .map(|one| one["value"].as_str().expect("text").to_owned())
    };
    assert_eq!(output("EventMetricsSwitchedOn").as_deref(), Some(uuid.as_str()));
    let table = output("CircuitTableName").expect("the stack has a table");
    place.set_circuit(&table, "open");
    place.check_told(
        &guard("destroy", &["--yes"]),
        2,
        &["circuit orders is open", "wait until the circuit is closed"],
    );
    place.check_told(
        &["doctor", "--config", "guard.toml", "--stack", GUARD],
        0,
        &["orders: mapping Enabled"],
    );
    place.set_circuit(&table, "closed");
    place.proxy.keep_stacks(true);
    place.check_told(&guard("destroy", &["--yes"]), 1, &["DELETE_FAILED", "Export of it is in use"]);
    place.proxy.keep_stacks(false);
    place.check_told(&guard("destroy", &["--yes"]), 0, &["switched off again", "nothing of it is left"]);
    assert!(place.metrics(&uuid).is_empty(), "the event metrics were not put back");
    assert_eq!(place.left(), [""; 0], "something of the breaker is left");
    assert!(!place.cloud.has_objects(&format!("sqs-circuit-breaker/{GUARD}/")), "packages are left");
    place.check_told(&["doctor", "--config", "guard.toml"], 0, &["orders: mapping Enabled"]);
}

fn mapping_uuid(config: &str) -> String {
    let table: toml::Table = config.parse().expect("init writes TOML");
    table["circuits"]["orders"]["consumer"]["mapping_uuid"].as_str().expect("text").to_owned()
}

#[test]
fn what_does_not_fit_is_told_before_anything_is_changed() {
    let place = Place::new();
    place.check_told(&["init", "--function", "nobody"], 2, &["Function not found", "check the name"]);
    place.check(&["init", "--function", &place.function, "--circuit", "orders", "--config", "guard.toml"], 0);
    let config = place.config();
    let mode =
        |name: &str| fs::metadata(place.cloud.folder().join(name)).expect("it is there").permissions().mode();
    fs::write(place.cloud.folder().join("any"), "").expect("the folder can be written");
    assert_eq!(mode("guard.toml"), mode("any"), "others may not read the configuration");

    place.cloud.make_foreign_stack();
    for command in ["deploy", "destroy"] {
        let mut args = guard(command, &["--yes"]);
        args[2] = "foreign";
        place.check_told(&args, 2, &["stack foreign holds no circuit breaker", "--stack"]);
    }

    place.write_config(&config.replace(":us-east-1:", ":eu-west-1:"));
    place.check_told(
        &guard("deploy", &["--yes"]),
        2,
        &["lives in account 000000000000, Region eu-west-1", "--region eu-west-1"],
    );
    let gone = "00000000-0000-0000-0000-000000000000";
    place.write_config(&config.replace(&mapping_uuid(&config), gone));
    place.check_told(&guard("deploy", &["--yes"]), 2, &["no event source mapping 00000000", "breaker init"]);
    place.write_config(&config.replace("visibility_timeout_s = 12", "visibility_timeout_s = 90"));
    place.check_told(&["doctor", "--config", "guard.toml"], 0, &["in the account it is 12"]);
    place.write_config(&config);
    place.check_told(&guard("deploy", &["--packages", "nowhere"]), 2, &["breaker package"]);
    place.check_told(&guard("destroy", &["--yes"]), 2, &["there is no stack guard-e2e"]);
    place.cloud.put_object("sqs-circuit-breaker/guard-e2e/digest/probe.zip");
    place.check_told(&guard("destroy", &[]), 2, &["left 1 objects in the bucket", "--yes"]);
    place.check_told(&guard("destroy", &["--yes"]), 0, &["deleted 1 objects"]);
    place.check_told(&guard("destroy", &["--yes"]), 2, &["there is no stack guard-e2e"]);

    let mut without = place.command(&guard("deploy", &["--yes"]));
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        without.env_remove(name);
    }
    let output = without.env("AWS_EC2_METADATA_DISABLED", "true").output().expect("breaker starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("no credentials were found") && told.contains("aws sso login"), "{told}");
    assert_eq!(place.left(), [""; 0], "a refused command changed something");
}

#[test]
fn stopping_a_deployment_makes_cloudformation_take_it_back() {
    let place = Place::new();
    place.check(&["init", "--function", &place.function, "--circuit", "orders", "--config", "guard.toml"], 0);
    place.write_config(&place.config().replace("# signal = \"mapping-events\"", "signal = \"failed-count\""));
    place.proxy.hold();
    let mut child = place
        .command(&guard("deploy", &["--yes"]))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("breaker starts");
    let mut told = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("OrdersStateMachine") || !line.contains("CREATE_COMPLETE") {
        line.clear();
        assert_ne!(told.read_line(&mut line).expect("text"), 0, "the deployment ended by itself");
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill starts").success());
    let mut rest = String::new();
    told.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "{rest}");
    assert!(
        rest.contains("stopping: CloudFormation takes back") && rest.contains("you stopped the deployment"),
        "{rest}"
    );
    assert_eq!(place.left(), [""; 0], "something of the breaker is left");
    assert!(!place.cloud.has_objects(&format!("sqs-circuit-breaker/{GUARD}/")), "packages are left");
}
