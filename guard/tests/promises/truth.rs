//! What the store held from when to when, and a plain reading of it. Nothing in here uses the guard's own judgement.

use std::time::Duration;

use guard::record::{GuardState, Item};
use workflow::circuit::CircuitState;

/// What a plain reader makes of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Calls pass.
    Closed,
    /// None does: tripped, the workflow's, or isolated.
    Open,
    /// Samples do.
    HalfOpen,
}

pub fn plain(item: &Item) -> Plain {
    if item.record.isolation.is_some() || item.workflow.state != CircuitState::Closed {
        return Plain::Open;
    }
    if item.record.outage_ms != item.workflow.opened_at_ms {
        return Plain::Closed;
    }
    match item.record.state {
        GuardState::Closed => Plain::Closed,
        GuardState::Open { .. } => Plain::Open,
        GuardState::HalfOpen { .. } => Plain::HalfOpen,
    }
}

/// The store's states by true time.
#[derive(Debug, Default)]
pub struct Truth(Vec<(Duration, Plain)>);

impl Truth {
    pub fn note(&mut self, at: Duration, item: &Item) {
        let now = plain(item);
        if self.0.last().is_none_or(|(_, last)| *last != now) {
            self.0.push((at, now));
        }
    }

    /// Whether it was `wanted` at any moment of this stretch.
    pub fn was(&self, wanted: Plain, from: Duration, to: Duration) -> bool {
        let before_all = (Duration::ZERO, Plain::Closed);
        let states: Vec<_> = std::iter::once(before_all).chain(self.0.iter().copied()).collect();
        states.iter().enumerate().any(|(at, (began, state))| {
            let ended = states.get(at + 1).map_or(Duration::MAX, |next| next.0);
            *state == wanted && *began <= to && ended >= from
        })
    }

    pub fn at_end(&self) -> Plain {
        self.0.last().map_or(Plain::Closed, |(_, state)| *state)
    }

    pub fn openings(&self) -> usize {
        self.0.iter().filter(|(_, state)| *state == Plain::Open).count()
    }
}
