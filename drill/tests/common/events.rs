//! Whether every event on the bus is as its schema in `docs/events` says.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

/// The schemas by the `detail-type` that each one is about.
pub fn schemas() -> &'static BTreeMap<String, Value> {
    static SCHEMAS: OnceLock<BTreeMap<String, Value>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events");
        let files = std::fs::read_dir(&folder)
            .expect("docs/events can be read")
            .map(|entry| entry.expect("a file").path());
        let schemas = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        schemas
            .map(|path| {
                let text = std::fs::read_to_string(&path).expect("a schema can be read");
                let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
                let name =
                    schema["properties"]["detail-type"]["const"].as_str().expect("it names its detail type");
                let file = format!("{}.schema.json", name.to_lowercase().replace(' ', "-"));
                assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(file.as_str()));
                (name.to_owned(), schema)
            })
            .collect()
    })
}

fn validators() -> &'static BTreeMap<String, Validator> {
    static VALIDATORS: OnceLock<BTreeMap<String, Validator>> = OnceLock::new();
    VALIDATORS.get_or_init(|| {
        let of = |schema: &Value| {
            jsonschema::options().should_validate_formats(true).build(schema).expect("it is a JSON schema")
        };
        schemas().iter().map(|(name, schema)| (name.clone(), of(schema))).collect()
    })
}

/// What is wrong with the events of the breaker, and of those who ask it for something.
pub fn invalid(events: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    for event in events {
        let source = event["source"].as_str().unwrap_or_default();
        if !source.starts_with(workflow::events::SOURCE) {
            continue;
        }
        let name = event["detail-type"].as_str().unwrap_or_default();
        match validators().get(name) {
            None => wrong.push(format!("no schema for {name:?}")),
            Some(validator) => {
                wrong.extend(validator.iter_errors(event).map(|error| format!("{name}: {error} in {event}")));
            }
        }
    }
    wrong
}
