//! The `CircuitStatus` table.

use aws_sdk_dynamodb::types::AttributeValue;
use workflow::circuit::item;

use super::Cloud;
use super::error::{Text, call_error};
use crate::ports::{CallError, Circuits};

impl Circuits for Cloud {
    async fn epoch(&self, circuit: &str) -> Result<Option<u64>, CallError> {
        let call = self
            .dynamodb
            .get_item()
            .table_name(&self.table)
            .key(item::CIRCUIT, AttributeValue::S(circuit.to_owned()))
            .consistent_read(true)
            .projection_expression("#epoch")
            .expression_attribute_names("#epoch", item::EPOCH)
            .send()
            .await;
        let output = call.map_err(|error| call_error("GetItem", Text::Kept, &error))?;
        let epoch = output.item().and_then(|item| item.get(item::EPOCH)).and_then(|value| value.as_n().ok());
        Ok(epoch.and_then(|number| number.parse().ok()))
    }
}
