//! `breaker tune --from-cloudwatch` on the emulator's CloudWatch.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::breaker;
use crate::ministack::MiniStack;

const CONFIG: &str = r#"
[circuits.orders.consumer]
function_arn = "arn:aws:lambda:us-east-1:000000000000:function:orders"
function_timeout_s = 10
mapping_uuid = "14e0db71-1f6a-4a5e-9a1c-2d1f4a1b2c3d"
event_metrics = true
queue_url = "https://sqs.us-east-1.amazonaws.com/000000000000/orders"
queue_arn = "arn:aws:sqs:us-east-1:000000000000:orders"
visibility_timeout_s = 60
max_receive_count = 10
retention_s = 345600
dead_letter_retention_s = 1209600

[circuits.example]
"#;

/// Runs `tune` with these options: exit code, standard output, standard error.
fn tune(cloud: &MiniStack, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = breaker(cloud);
    let (config, [endpoint, url, ..]) = (cloud.folder().join("breaker.toml"), cloud.target());
    command.arg("tune").arg("--config").arg(config).args([endpoint, url]).args(args);
    let output = command.output().expect("breaker starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn settings_are_tuned_for_what_cloudwatch_has_counted() {
    const ORDERS: [&str; 3] = ["--circuit", "orders", "--from-cloudwatch"];
    let cloud = MiniStack::start();
    fs::write(cloud.folder().join("breaker.toml"), CONFIG).expect("the folder can be written");
    let (code, _, told) = tune(&cloud, &[&ORDERS[..], &["2h"]].concat());
    assert_eq!(code, Some(2), "{told}");
    assert!(
        told.contains("CloudWatch has no NumberOfMessagesSent of the queue orders in the last 2 h"),
        "{told}"
    );

    // Two data points of one minute, one 40 minutes later, and one that the queue had before the time that is asked for.
    #[allow(clippy::disallowed_methods, reason = "CloudWatch is asked for what was before the present")]
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let first_s = (now_s - 3_600) / 60 * 60;
    for (at_s, count) in
        [(first_s, 500), (first_s + 30, 100), (first_s + 2_400, 300), (first_s - 7_200, 9_000)]
    {
        cloud.put_sent("orders", at_s, count);
    }
    let (code, told, remarks) =
        tune(&cloud, &[&ORDERS[..], &["2h", "--outage", "1m", "--seeds", "1", "--json"]].concat());
    assert_eq!(code, Some(0), "{remarks}");
    assert!(remarks.contains("NumberOfMessagesSent of the queue orders: 900 messages in the"), "{remarks}");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["interval_s"], 60);
    // From the first data point to five minutes before now, of whole minutes; the test may take a few.
    let intervals = told["intervals_count"].as_u64().expect("a count");
    assert!((54..=58).contains(&intervals), "{intervals} intervals");
    let mean_per_s = told["mean_per_s"].as_f64().expect("a number");
    assert!((mean_per_s * intervals as f64 * 60.0 - 900.0).abs() < 1e-6, "{mean_per_s} messages per second");

    let refused: [(&[&str], &str); 4] = [
        (&["--circuit", "example", "--from-cloudwatch"], "the circuit example has no queue of yours"),
        (
            &[ORDERS[0], ORDERS[1], ORDERS[2], "2h", "--region", "eu-west-1"],
            "the queue orders is in us-east-1, not in eu-west-1",
        ),
        (&[ORDERS[0], ORDERS[1], ORDERS[2], "2y"], "allowed are lengths from 1h to 400d"),
        (&[ORDERS[0], ORDERS[1], ORDERS[2], "2h", "--rate", "3"], "cannot be used with"),
    ];
    for (args, words) in refused {
        let (code, data, told) = tune(&cloud, args);
        assert_eq!((code, data.as_str()), (Some(2), ""), "{args:?}\n{told}");
        assert!(told.contains(words), "{args:?} does not say {words:?}:\n{told}");
    }
    let elsewhere = CONFIG.replace("000000000000:orders", "111122223333:orders");
    fs::write(cloud.folder().join("breaker.toml"), elsewhere).expect("the folder can be written");
    let (code, _, told) = tune(&cloud, &ORDERS);
    assert_eq!(code, Some(2), "{told}");
    assert!(
        told.contains("in the account 111122223333, and these credentials are of 000000000000"),
        "{told}"
    );
}
