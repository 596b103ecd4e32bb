//! The digests SQS puts on messages.

use md5::{Digest, Md5};
use sha2::Sha256;

use super::message::{AttributeValue, MessageAttributes};

/// The MD5 of a body, in lower-case hexadecimal.
pub fn md5_of_body(body: &str) -> String {
    hex(&Md5::digest(body.as_bytes()))
}

/// The MD5 of a message's attributes, in lower-case hexadecimal; none where there are none.
///
/// In name order, each attribute contributes its name, its type, one byte that tells text (1) from binary (2),
/// and its value; names, types and values are preceded by their length as four big-endian bytes.
pub fn md5_of_attributes(attributes: &MessageAttributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in attributes {
        let kind = match attribute.value {
            AttributeValue::String(_) => 1_u8,
            AttributeValue::Binary(_) => 2,
        };
        add_sized(&mut digest, name.as_bytes());
        add_sized(&mut digest, attribute.data_type.as_bytes());
        digest.update([kind]);
        add_sized(&mut digest, attribute.value_bytes());
    }
    Some(hex(&digest.finalize()))
}

fn add_sized(digest: &mut Md5, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a message is at most 1 MiB");
    digest.update(length.to_be_bytes());
    digest.update(bytes);
}

/// The deduplication id that content-based deduplication derives from a body.
pub(super) fn sha256_of_body(body: &str) -> String {
    hex(&Sha256::digest(body.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
