//! Faults: rules that are asked wherever something in the model calls something else, and that answer with a verdict.
//!
//! A scenario without faults asks one flag per place and draws nothing, so that its course is the same with and without
//! this file.

mod kind;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;

use crate::sim::{SIM_START, Sim, SimRng, Time};

pub use self::kind::FaultKind;

/// One in this many.
pub const MILLION: u32 = 1_000_000;

/// How long a caller waits for an answer that never comes.
const UNANSWERED_MS: std::ops::RangeInclusive<u64> = 500..=8_000;

/// How long a late answer takes.
const LATE_MS: std::ops::RangeInclusive<u64> = 1_000..=25_000;

/// Largest difference between a service's clock and the truth.
pub const MAX_SKEW_MS: i64 = 3_000;

/// What goes wrong in a drill, and until when. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// How often each kind strikes where it is asked for, in a million. A kind that is not here never does.
    pub rates_ppm: BTreeMap<FaultKind, u32>,
    /// From here on nothing goes wrong any more, since the start; what is under way ends soon after.
    pub until: Duration,
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub fn is_empty(&self) -> bool {
        self.rates_ppm.is_empty()
    }

    /// This kind alone.
    pub fn only(kind: FaultKind, rate_ppm: u32, until: Duration) -> FaultPlan {
        FaultPlan { rates_ppm: BTreeMap::from([(kind, rate_ppm)]), until }
    }
}

/// What a rule says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallVerdict {
    /// It goes its way.
    Pass,
    /// The caller dies before it makes the call.
    Crash,
    /// 429, no effect.
    Throttle,
    /// 5xx, no effect.
    Fail,
    /// No effect, and no answer for so long.
    Lose(Duration),
    /// It takes effect; no answer for so long.
    LoseAnswer(Duration),
    /// It takes effect; the answer takes so long.
    Delay(Duration),
}

/// What a rule says of a task of the workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskVerdict {
    /// It goes its way.
    Pass,
    /// Throttled, no effect.
    Throttle,
    /// 5xx, no effect.
    Fail,
    /// It takes effect, and goes on to, but its caller gives up after so long.
    LoseAnswer(Duration),
}

/// The rules of one drill.
pub struct Faults {
    /// Whether anything can go wrong now.
    active: Cell<bool>,
    ends_at: Time,
    rules: Vec<Option<Rule>>,
    function_skew_ms: i64,
    workflow_skew_ms: i64,
}

struct Rule {
    rate_ppm: u32,
    rng: RefCell<SimRng>,
    struck_count: Cell<u64>,
}

impl Faults {
    /// The rules of `plan`.
    pub fn new(plan: &FaultPlan, sim: &Sim) -> Faults {
        let rule = |kind: &FaultKind| {
            let rate_ppm = plan.rates_ppm.get(kind).copied().filter(|rate| *rate > 0)?;
            let rng = RefCell::new(sim.rng(&format!("fault {}", kind.name())));
            Some(Rule { rate_ppm, rng, struck_count: Cell::new(0) })
        };
        let mut faults = Faults {
            active: Cell::new(!plan.is_empty()),
            ends_at: SIM_START + plan.until,
            rules: FaultKind::ALL.iter().map(rule).collect(),
            function_skew_ms: 0,
            workflow_skew_ms: 0,
        };
        if faults.strikes(FaultKind::ClockSkewed) {
            let skew = |faults: &Faults| {
                let drawn = faults.number(FaultKind::ClockSkewed, 0, 2 * MAX_SKEW_MS.unsigned_abs());
                drawn.cast_signed() - MAX_SKEW_MS
            };
            faults.function_skew_ms = skew(&faults);
            faults.workflow_skew_ms = skew(&faults);
        }
        faults
    }

    /// Whether anything can go wrong now.
    pub fn active(&self) -> bool {
        self.active.get()
    }

    /// When faults end; what is under way by then should end soon after.
    pub fn ends_at(&self) -> Time {
        self.ends_at
    }

    /// From now on nothing goes wrong any more. Clocks stay as they are: that they differ by seconds never ends.
    pub fn stop(&self) {
        self.active.set(false);
    }

    /// By how much a function's clock is ahead.
    pub fn function_skew_ms(&self) -> i64 {
        self.function_skew_ms
    }

    /// By how much the workflow's clock is ahead.
    pub fn workflow_skew_ms(&self) -> i64 {
        self.workflow_skew_ms
    }

    /// How often a kind struck.
    pub fn struck_counts(&self) -> impl Iterator<Item = (FaultKind, u64)> + '_ {
        let count = |rule: &Option<Rule>| rule.as_ref().map_or(0, |rule| rule.struck_count.get());
        FaultKind::ALL.into_iter().zip(self.rules.iter().map(count))
    }

    /// Whether a fault of this kind strikes here and now.
    pub fn strikes(&self, kind: FaultKind) -> bool {
        if !self.active.get() {
            return false;
        }
        let Some(rule) = &self.rules[kind as usize] else { return false };
        let strikes = rule.rng.borrow_mut().random_range(0..MILLION) < rule.rate_ppm;
        if strikes {
            rule.struck_count.set(rule.struck_count.get() + 1);
        }
        strikes
    }

    /// How often a kind strikes, in a million, while anything can go wrong.
    pub fn rate_ppm(&self, kind: FaultKind) -> u32 {
        if !self.active.get() {
            return 0;
        }
        self.rules[kind as usize].as_ref().map_or(0, |rule| rule.rate_ppm)
    }

    /// A number from the stream of a kind that has just struck; `low` without such a rule.
    pub fn number(&self, kind: FaultKind, low: u64, high: u64) -> u64 {
        let Some(rule) = &self.rules[kind as usize] else { return low };
        rule.rng.borrow_mut().random_range(low..=high)
    }

    /// A duration from the stream of a kind that has just struck.
    pub fn duration(&self, kind: FaultKind, range_ms: std::ops::RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(kind, *range_ms.start(), *range_ms.end()))
    }

    /// What becomes of a call that a function makes.
    pub fn call(&self) -> CallVerdict {
        if !self.active.get() {
            return CallVerdict::Pass;
        }
        if self.strikes(FaultKind::FunctionCrashed) {
            CallVerdict::Crash
        } else if self.strikes(FaultKind::CallThrottled) {
            CallVerdict::Throttle
        } else if self.strikes(FaultKind::CallFailed) {
            CallVerdict::Fail
        } else if self.strikes(FaultKind::CallLost) {
            CallVerdict::Lose(self.duration(FaultKind::CallLost, UNANSWERED_MS))
        } else if self.strikes(FaultKind::AnswerLost) {
            CallVerdict::LoseAnswer(self.duration(FaultKind::AnswerLost, UNANSWERED_MS))
        } else if self.strikes(FaultKind::AnswerLate) {
            CallVerdict::Delay(self.duration(FaultKind::AnswerLate, LATE_MS))
        } else {
            CallVerdict::Pass
        }
    }

    /// What becomes of a task that invokes one of the breaker's functions.
    pub fn invocation(&self) -> TaskVerdict {
        if !self.active.get() {
            TaskVerdict::Pass
        } else if self.strikes(FaultKind::InvokeThrottled) {
            TaskVerdict::Throttle
        } else if self.strikes(FaultKind::InvokeAnswerLost) {
            TaskVerdict::LoseAnswer(self.duration(FaultKind::InvokeAnswerLost, 10..=60_000))
        } else {
            TaskVerdict::Pass
        }
    }

    /// What becomes of a task that calls another service.
    pub fn task(&self) -> TaskVerdict {
        if !self.active.get() {
            TaskVerdict::Pass
        } else if self.strikes(FaultKind::TaskFailed) {
            if self.number(FaultKind::TaskFailed, 0, 1) == 0 {
                TaskVerdict::Throttle
            } else {
                TaskVerdict::Fail
            }
        } else if self.strikes(FaultKind::TaskAnswerLost) {
            TaskVerdict::LoseAnswer(self.duration(FaultKind::TaskAnswerLost, UNANSWERED_MS))
        } else {
            TaskVerdict::Pass
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_own_place() {
        for (at, kind) in FaultKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at, "{}", kind.name());
        }
    }

    #[test]
    fn a_rule_strikes_as_often_as_it_says_until_faults_end() {
        let sim = Sim::new(3);
        let plan = FaultPlan::only(FaultKind::CallFailed, 250_000, Duration::from_secs(60));
        let faults = Faults::new(&plan, &sim);
        let failed = (0..4_000).filter(|_| faults.call() == CallVerdict::Fail).count();
        assert!((800..1_200).contains(&failed), "{failed} of 4000 at 25 %");
        let counted: u64 = faults.struck_counts().map(|(_, count)| count).sum();
        assert_eq!(counted, failed as u64);
        faults.stop();
        assert!((0..1_000).all(|_| faults.call() == CallVerdict::Pass));
    }

    #[test]
    fn a_kind_more_shifts_no_other() {
        let sim = Sim::new(3);
        let one = FaultPlan::only(FaultKind::EventLate, 500_000, Duration::from_secs(60));
        let mut two = one.clone();
        two.rates_ppm.insert(FaultKind::EventLost, 500_000);
        let course = |plan: &FaultPlan| -> Vec<bool> {
            let faults = Faults::new(plan, &sim);
            let ask = |_| {
                faults.strikes(FaultKind::EventLost);
                faults.strikes(FaultKind::EventLate)
            };
            (0..100).map(ask).collect()
        };
        assert_eq!(course(&one), course(&two));
    }
}
