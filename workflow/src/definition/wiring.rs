//! What a deployed definition is wired to: the reverse of the placeholders, for whoever finds a state machine and wants to
//! know its circuit.

use serde_json::Value;

/// What a circuit's machine acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiring {
    /// Name of the circuit.
    pub circuit: String,
    /// Name of the `CircuitStatus` table.
    pub table: String,
    /// UUID of the event source mapping.
    pub mapping_uuid: String,
    /// URL of the consumer's queue.
    pub queue_url: String,
}

impl Wiring {
    /// Reads a definition in which the stack has filled the placeholders in. Absent when it is not a circuit's.
    pub fn read(definition: &Value) -> Option<Wiring> {
        let arguments = |state: &str| definition.pointer(&format!("/States/{state}/Arguments"));
        let text = |state: &str, path: &str| arguments(state)?.pointer(path)?.as_str().map(str::to_owned);
        Some(Wiring {
            circuit: text("ClaimCircuit", "/Key/circuit/S")?,
            table: text("ClaimCircuit", "/TableName")?,
            mapping_uuid: text("InspectMappings", "/Payload/mappings/0")?,
            queue_url: text(super::state::PROBE_CONSUMER, "/Payload/queue_url")?,
        })
    }
}
