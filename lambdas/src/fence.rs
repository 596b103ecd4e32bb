//! The fence: whoever acts first proves that it still owns the circuit.

use workflow::contract::Fence;

use crate::failure::HandlerError;
use crate::ports::Circuits;

/// Compares the request's epoch with the circuit's item, by a strongly consistent read.
///
/// # Errors
/// [`HandlerError::StaleEpoch`] when the epochs differ or there is no item; [`HandlerError::Call`] when the item
/// cannot be read, because an owner that cannot prove its claim must not act either.
pub async fn check(fence: &Fence, circuits: &impl Circuits) -> Result<(), HandlerError> {
    let found = circuits.epoch(&fence.circuit).await?;
    if found == Some(fence.epoch) {
        return Ok(());
    }
    Err(HandlerError::StaleEpoch { circuit: fence.circuit.clone(), claimed: fence.epoch, found })
}
