//! What of a scenario can be done to a deployed stack, and how its times are scaled.

use std::time::Duration;

use workflow::config::CircuitConfig;

use super::{LiveError, LiveOptions, SHORTEST_OUTAGE, Trip};
use crate::cloud::Knobs;
use crate::scenario::{Action, Dependency, Scenario};

/// From the beginning of the outage to the requested trip: this share of the outage, so that some deliveries fail
/// before.
const TRIP_AFTER_SHARE: u32 = 6;

/// The scenario as it is run on a deployed stack: its times scaled, and the trip requested where no alarm does it.
///
/// # Errors
/// [`LiveError::Unsupported`] when it needs what only the model can do, [`LiveError::Outage`] when it cannot be scaled.
pub(super) fn live_scenario(scenario: &Scenario, options: &LiveOptions) -> Result<Scenario, LiveError> {
    if let Some(what) = beyond(scenario) {
        return Err(LiveError::Unsupported { scenario: scenario.name, what });
    }
    let mut live = match options.outage {
        Some(outage) => scaled(scenario, outage)?,
        None => scenario.clone(),
    };
    if options.trip == Trip::Event {
        let Some((from, until)) = outage_of(&live) else {
            return Err(LiveError::Unsupported {
                scenario: scenario.name,
                what: "an outage to trip in".into(),
            });
        };
        live.actions.push((from + (until - from) / TRIP_AFTER_SHARE, Action::RequestTrip));
        live.actions.sort_by_key(|(after, _)| *after);
    }
    Ok(live)
}

/// What of the scenario cannot be done to a deployed stack.
fn beyond(scenario: &Scenario) -> Option<String> {
    for (_, dependency) in &scenario.dependency {
        match dependency {
            Dependency::Healthy | Dependency::Failing => {}
            Dependency::Flaky(percent) => {
                return Some(format!("a dependency that refuses {percent} % of the invocations"));
            }
            Dependency::Hanging => return Some("a dependency that does not answer".to_owned()),
        }
    }
    for (_, action) in &scenario.actions {
        match action {
            Action::RequestTrip | Action::SignalRecovered => {}
            Action::PurgeQueue => return Some("an operator who purges the queue".to_owned()),
            Action::DisableMapping | Action::EnableMapping => {
                return Some("an operator who switches the mapping".to_owned());
            }
            Action::AbortExecution => return Some("somebody who stops executions".to_owned()),
            Action::Redeploy => return Some("a deployment of the mapping".to_owned()),
            Action::RedriveDeadLetters => {
                return Some("an operator who redrives the dead-letter queue".to_owned());
            }
            Action::HoldEveryMessage => return Some("somebody else who holds every message".to_owned()),
            Action::RepeatAlarmEvent => {
                return Some("the alarm's event a second time: only AWS may send it".to_owned());
            }
            Action::LoseNextAlarmEvent => {
                return Some("an alarm's event that is lost: only AWS may lose it".to_owned());
            }
            Action::DisableMappingIn(_) => return Some("an operator who switches the mapping".to_owned()),
            Action::AbortOwner(_) | Action::AbortReopening => {
                return Some("somebody who stops an execution".to_owned());
            }
            Action::HoldCircuit(_) | Action::ReleaseCircuit | Action::CloseCircuit | Action::ProbeNow => {
                return Some("an operator's command to the circuit".to_owned());
            }
        }
    }
    if scenario.neighbour {
        return Some("a second copy of the stack".to_owned());
    }
    if !scenario.faults.is_empty() {
        return Some("faults of the services".to_owned());
    }
    if scenario.knobs != Knobs::default() {
        return Some("a cloud that behaves in a set way, such as events that arrive twice".to_owned());
    }
    let own = CircuitConfig { example: scenario.circuit.example.clone(), ..CircuitConfig::default() };
    let usual = CircuitConfig::default().example;
    let example = &scenario.circuit.example;
    let queue_is_usual = (example.retention_s, example.max_receive_count, example.visibility_timeout_s)
        == (usual.retention_s, usual.max_receive_count, usual.visibility_timeout_s);
    (scenario.circuit != own || !queue_is_usual)
        .then(|| "settings of its own, where the deployed stack has those it was deployed with".to_owned())
}

/// From when until when the dependency is down.
pub(super) fn outage_of(scenario: &Scenario) -> Option<(Duration, Duration)> {
    let from = scenario.dependency.iter().find(|(_, dependency)| *dependency == Dependency::Failing)?.0;
    let until = scenario
        .dependency
        .iter()
        .find(|(at, dependency)| *at > from && *dependency == Dependency::Healthy)?;
    Some((from, until.0))
}

/// Every time of the scenario but its limit, scaled so that the outage has this length. Rates stay.
fn scaled(scenario: &Scenario, outage: Duration) -> Result<Scenario, LiveError> {
    let refuse = |why: &str| LiveError::Outage {
        scenario: scenario.name,
        asked_s: outage.as_secs(),
        why: why.to_owned(),
    };
    let (from, until) = outage_of(scenario).ok_or_else(|| refuse("the scenario has none"))?;
    if outage < SHORTEST_OUTAGE {
        return Err(refuse(&format!("{} s at least", SHORTEST_OUTAGE.as_secs())));
    }
    let factor = outage.as_secs_f64() / (until - from).as_secs_f64();
    let scale = |time: &mut Duration| *time = time.mul_f64(factor);
    let mut scenario = scenario.clone();
    for traffic in &mut scenario.traffic {
        scale(&mut traffic.from);
        scale(&mut traffic.until);
    }
    scenario.dependency.iter_mut().for_each(|(at, _)| scale(at));
    scenario.actions.iter_mut().for_each(|(at, _)| scale(at));
    scale(&mut scenario.length);
    Ok(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn check(name: &str, options: &LiveOptions, expected: Result<(), &str>) -> Option<Scenario> {
        let scenario = scenario::find(name).expect("a scenario of the catalogue");
        let live = live_scenario(&scenario, options);
        assert_eq!(live.as_ref().map(|_| ()).map_err(ToString::to_string), expected.map_err(str::to_owned));
        live.ok()
    }

    fn options(trip: Trip, outage_s: Option<u64>) -> LiveOptions {
        let (stack, circuit) = ("s".to_owned(), "example".to_owned());
        LiveOptions { stack, circuit, trip, outage: outage_s.map(Duration::from_secs) }
    }

    #[test]
    fn a_scenario_is_scaled_by_its_outage_and_the_trip_falls_into_it() {
        let live = check("outage", &options(Trip::Event, Some(60)), Ok(())).expect("it can be run");
        let at: Vec<u64> = live.dependency.iter().map(|(at, _)| at.as_millis() as u64).collect();
        assert_eq!(at, [7_500, 67_500]);
        assert_eq!(live.actions, [(Duration::from_millis(17_500), Action::RequestTrip)]);
        assert_eq!((live.traffic[0].until, live.length), (Duration::from_secs(90), Duration::from_secs(90)));
        assert_eq!(live.traffic[0].rate_per_s, 10.0);
        let whole = check("outage", &options(Trip::Alarm, None), Ok(())).expect("it can be run");
        assert_eq!((whole.length, whole.actions.len()), (Duration::from_secs(3_600), 0));
    }

    #[test]
    fn what_only_the_model_can_do_is_refused_by_name() {
        for (name, what) in [
            ("brownout", "a dependency that refuses 60 % of the invocations"),
            ("probe_slow", "a dependency that does not answer"),
            ("empty_queue", "an operator who purges the queue"),
            ("all_in_flight", "somebody else who holds every message"),
            ("alarm_repeats", "the alarm's event a second time: only AWS may send it"),
            ("operator_disabled_before", "an operator who switches the mapping"),
            ("last_receives", "settings of its own, where the deployed stack has those it was deployed with"),
        ] {
            let expected = format!("the scenario {name} needs what a deployed stack cannot do: {what}");
            check(name, &options(Trip::Alarm, None), Err(&expected));
        }
        let expected = "the outage of outage cannot be 5 s long: 20 s at least";
        check("outage", &options(Trip::Alarm, Some(5)), Err(expected));
    }
}
