//! The stack: constructs that become a CloudFormation template.
//!
//! [`synth`] is pure: it does no IO and reads no clock, and the same configuration gives the same bytes. Logical ids
//! come from the path of a construct alone; no resource has a fixed physical name.

#[cfg(feature = "package")]
pub mod assembly;
pub mod assets;
#[cfg(feature = "aws")]
pub mod aws;
pub mod constructs;
pub mod definition;
pub mod diff;
mod error;
#[cfg(feature = "package")]
pub mod package;
pub mod policy;
pub mod resources;
mod synth;
pub mod template;
pub mod text;

pub use crate::error::SynthError;
pub use crate::synth::{Assembly, SynthOptions, synth, synth_with};
