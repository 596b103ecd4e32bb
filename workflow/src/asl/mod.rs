//! Types of the Amazon States Language (JSONata, Standard), as far as the breaker's workflow uses it.
//!
//! An impossible machine does not compile or is refused: a state is only a [`State`] once it says where it goes, a
//! terminal state has no way on, and [`StateMachine::new`] refuses duplicate names, dangling targets and states that
//! nothing reaches.
//!
//! ```
//! use serde_json::json;
//! use workflow::asl::{Pass, StateMachine, succeed};
//!
//! let machine = StateMachine::new(
//!     "two steps",
//!     "Begin",
//!     vec![Pass::new("Begin").assign("tries", json!(0)).next("Done"), succeed("Done", json!({"ok": true}))],
//! )
//! .expect("every state is reached");
//! assert_eq!(machine.to_value()["StartAt"], "Begin");
//! ```
//!
//! Going on from a terminal state does not compile:
//!
//! ```compile_fail
//! workflow::asl::succeed("Done", serde_json::json!({})).next("Begin");
//! ```
//!
//! Nor does a machine with a state that goes nowhere:
//!
//! ```compile_fail
//! use workflow::asl::{Pass, StateMachine};
//! StateMachine::new("dangling", "Begin", vec![Pass::new("Begin")]);
//! ```

mod machine;
mod states;

pub use self::machine::{Flaw, Flaws, StateMachine};
pub use self::states::{
    Catcher, Choice, ForEach, Pass, Retrier, Rule, State, Task, Wait, fail, jsonata, succeed,
};
