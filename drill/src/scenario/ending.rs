//! Whether a drill has come to the end that its scenario states.

use workflow::circuit::CircuitState;

use super::Ending;

/// How everything stands, in the model or on a deployed stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Visible, in-flight and delayed messages of the consumer's queue.
    pub queue: (u64, u64, u64),
    /// Whether messages are still to be sent.
    pub sending: bool,
    /// State of the circuit.
    pub circuit: String,
    /// State of the mapping.
    pub mapping: String,
    /// Whether an execution of the workflow runs.
    pub running: bool,
    /// Whether the queue's retention was raised and not yet given back.
    pub retention_is_raised: bool,
    /// How often the circuit was claimed from closed.
    pub trips: u64,
    /// Messages that were dead-lettered.
    pub dead_lettered: u64,
}

impl Ending {
    /// What is missing for the messages to be where they belong: all sent, and the queue drained if it has to be.
    pub fn missing_deliveries(&self, standing: &Standing) -> Vec<String> {
        let mut missing = Vec::new();
        let (visible, in_flight, delayed) = standing.queue;
        let owner_holds = self.mapping == Ending::AS_ITS_OWNER_WANTS && standing.mapping == "Disabled";
        if self.drained && !owner_holds && visible + in_flight + delayed > 0 {
            missing
                .push(format!("the queue holds {visible} visible, {in_flight} in flight, {delayed} delayed"));
        }
        if standing.sending {
            missing.push("messages are still being sent".to_owned());
        }
        missing
    }

    /// What is missing for the drill to have come to this end; nothing when it has.
    pub fn missing(&self, standing: &Standing) -> Vec<String> {
        let mut missing = self.missing_deliveries(standing);
        if self.circuit != Ending::ANY_STATE && standing.circuit != self.circuit {
            missing.push(format!("the circuit is {}, not {}", standing.circuit, self.circuit));
        }
        let mapping_fits = match self.mapping {
            Ending::AS_ITS_OWNER_WANTS => ["Enabled", "Disabled"].contains(&standing.mapping.as_str()),
            wanted => standing.mapping == wanted,
        };
        if !mapping_fits {
            missing.push(format!("the mapping is {}, not {}", standing.mapping, self.mapping));
        }
        if standing.running && standing.circuit == CircuitState::Closed.name() {
            missing.push("an execution of the workflow still runs".to_owned());
        }
        if standing.retention_is_raised && standing.circuit == CircuitState::Closed.name() {
            missing.push("the queue's retention is still raised".to_owned());
        }
        if !self.trips.contains(&standing.trips) {
            missing.push(format!("the circuit opened {} times, not {:?}", standing.trips, self.trips));
        }
        if !self.dead_lettered.contains(&standing.dead_lettered) {
            missing.push(format!(
                "{} messages were dead-lettered, not {:?}",
                standing.dead_lettered, self.dead_lettered
            ));
        }
        missing
    }
}
