//! Message ids, sequence numbers and receipt handles: deterministic, and shaped as the service's.

use std::fmt;

use crate::cloud::error::ServiceError;

/// A message's id; shows as a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId(u128);

impl MessageId {
    /// The id of the `serial`-th message of a queue with this seed.
    pub(super) fn derive(seed: u64, serial: u64) -> Self {
        // Mixing spreads consecutive serials over all bits, as random ids would be.
        let high = mix(seed.wrapping_add(serial.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let low = mix(high ^ serial.rotate_left(32) ^ 0x5151_7fc1_c0de_5eed);
        let bits = (u128::from(high) << 64) | u128::from(low);
        let version_and_variant = (0xf << 76) | (0x3 << 62);
        Self((bits & !version_and_variant) | (0x4 << 76) | (0x2 << 62))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Written by hand: a drill without a breaker shows some ten million of them.
        const GROUP_ENDS: [usize; 4] = [8, 13, 18, 23];
        let mut text = [b'-'; 36];
        let mut shift = 128;
        for (at, place) in text.iter_mut().enumerate() {
            if !GROUP_ENDS.contains(&at) {
                shift -= 4;
                *place = b"0123456789abcdef"[(self.0 >> shift) as usize & 0xf];
            }
        }
        f.write_str(std::str::from_utf8(&text).expect("hexadecimal digits are ASCII"))
    }
}

/// The splitmix64 finaliser: every input bit changes about half of the output.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A FIFO sequence number, as the service writes it: 20 digits, not consecutive, growing.
pub(super) fn sequence_number(serial: u64) -> String {
    const FIRST: u64 = 10_849_496_460_467_696_128;
    (FIRST + serial * 256).to_string()
}

/// What a receipt handle says: which delivery of which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt {
    pub queue_tag: u32,
    pub slot: usize,
    pub serial: u64,
    pub delivery: u32,
}

const PREFIX: &str = "AQEB";
const WIDTHS: [usize; 4] = [8, 8, 16, 8];

impl Receipt {
    pub(super) fn encode(&self) -> String {
        format!("{PREFIX}{:08x}{:08x}{:016x}{:08x}", self.queue_tag, self.slot, self.serial, self.delivery)
    }

    /// Reads a handle of the queue with this tag.
    pub(super) fn decode(handle: &str, queue_tag: u32) -> Result<Self, ServiceError> {
        let malformed = || {
            let message = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
            ServiceError::new(400, "ReceiptHandleIsInvalid", message)
        };
        let mut rest = handle.strip_prefix(PREFIX).ok_or_else(malformed)?;
        let mut parts = [0_u64; 4];
        for (part, width) in parts.iter_mut().zip(WIDTHS) {
            let (digits, tail) = rest.split_at_checked(width).ok_or_else(malformed)?;
            *part = u64::from_str_radix(digits, 16).map_err(|_| malformed())?;
            rest = tail;
        }
        let [tag, slot, serial, delivery] = parts;
        if !rest.is_empty() || tag != u64::from(queue_tag) {
            return Err(malformed());
        }
        let slot = usize::try_from(slot).map_err(|_| malformed())?;
        let delivery = u32::try_from(delivery).map_err(|_| malformed())?;
        Ok(Self { queue_tag, slot, serial, delivery })
    }
}
