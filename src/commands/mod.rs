//! One module per command. Each turns arguments into calls of the crates, and their answers into print.

pub mod asl;
#[cfg(feature = "aws")]
pub mod aws;
pub mod balance;
pub mod config;
pub mod drill_asl;
pub mod drill_list;
pub mod drill_live;
pub mod drill_report;
pub mod drill_run;
pub mod drill_swarm;
pub mod package;
pub mod shell;
pub mod synth;
pub mod tune;
