//! Takes safeguards out of a definition or a template.

use serde_json::{Value, json};

/// A state of the definition.
pub fn state<'a>(definition: &'a mut Value, name: &str) -> &'a mut Value {
    definition["States"].get_mut(name).unwrap_or_else(|| panic!("there is no state {name}"))
}

/// What a state hands to its function.
pub fn payload<'a>(definition: &'a mut Value, name: &str) -> &'a mut Value {
    &mut state(definition, name)["Arguments"]["Payload"]
}

/// The rules of a Choice state.
pub fn rules<'a>(definition: &'a mut Value, name: &str) -> &'a mut Vec<Value> {
    state(definition, name)["Choices"].as_array_mut().expect("a Choice state has rules")
}

/// Lets the rules of a Choice state whose condition `fits` lead elsewhere.
pub fn lead(definition: &mut Value, name: &str, fits: impl Fn(&str) -> bool, next: &str) {
    let fits = |rule: &&mut Value| rule["Condition"].as_str().is_some_and(&fits);
    rules(definition, name).iter_mut().filter(fits).for_each(|rule| rule["Next"] = json!(next));
    drop_unreachable(definition);
}

/// Removes the states that nothing leads to: a machine with such states is refused.
pub fn drop_unreachable(definition: &mut Value) {
    loop {
        let text = definition.to_string();
        let start = definition["StartAt"].as_str().expect("it is text").to_owned();
        let states = definition["States"].as_object_mut().expect("it is an object");
        let unreachable: Vec<String> = states
            .keys()
            .filter(|name| **name != start && !text.contains(&format!("\"Next\":\"{name}\"")))
            .filter(|name| !text.contains(&format!("\"Default\":\"{name}\"")))
            .cloned()
            .collect();
        if unreachable.is_empty() {
            return;
        }
        for name in unreachable {
            states.shift_remove(&name);
        }
    }
}

/// Resources of a template that are of this type.
pub fn of_type<'a>(template: &'a mut Value, kind: &str) -> impl Iterator<Item = &'a mut Value> {
    let resources = template["Resources"].as_object_mut().expect("a template has resources");
    resources.values_mut().filter(move |resource| resource["Type"] == kind)
}

/// Changes the workflow that stands in a template.
pub fn change_definition(template: &mut Value, change: impl FnOnce(&mut Value)) {
    let machine = of_type(template, "AWS::StepFunctions::StateMachine").next();
    let text = &mut machine.expect("there is a state machine")["Properties"]["DefinitionString"];
    let mut definition: Value = serde_json::from_str(text.as_str().expect("it is text")).expect("it is JSON");
    change(&mut definition);
    *text = json!(definition.to_string());
}

/// Takes the reconciler's rule away.
pub fn remove_reconciler(template: &mut Value) {
    let resources = template["Resources"].as_object_mut().expect("a template has resources");
    let gone = resources.shift_remove("ExampleReconcileRule");
    assert!(gone.is_some(), "the rule is where the test looks for it");
    resources.shift_remove("ExampleReconcilePermission");
}
