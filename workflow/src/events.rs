//! Events on the bus: what the breaker announces, and what it listens to.

/// `source` of every event that the breaker emits.
pub const SOURCE: &str = "sqs-circuit-breaker";

/// `source` of the events by which anyone's automation asks for something.
pub const REQUEST_SOURCE: &str = "sqs-circuit-breaker.request";

/// `detail-type` of a request to trip a circuit; detail: `{"circuit": NAME, "reason": TEXT}`.
pub const TRIP_REQUESTED: &str = "Trip Requested";

/// `detail-type` of a recovery signal, by which a dependency, or whoever it trusts, says that it has recovered; detail:
/// [`crate::contract::SignalDetail`]. Its `source` is [`REQUEST_SOURCE`].
pub const DOWNSTREAM_RECOVERED: &str = "Downstream Recovered";

/// What the breaker announces. The detail of each has `circuit`, `epoch`, `execution` and `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Announcement {
    /// The mappings are disabled and quiet.
    Opened,
    /// A probe failed.
    ProbeFailed,
    /// Limited live traffic begins.
    HalfOpened,
    /// The circuit is closed; `close_reason` says why.
    Closed,
    /// The configured time or attempts are used up.
    Exhausted,
    /// Somebody else enabled a mapping while the circuit was open; the breaker yields.
    Overruled,
    /// A step failed for good.
    Faulted,
    /// Half, or three quarters, of the time has passed until the first message expires.
    RetentionAtRisk,
    /// The queue's retention was raised, or could not be; `outcome` says which.
    RetentionRaise,
    /// The queue has its own retention again, or was left alone; `outcome` says which.
    RetentionRestore,
    /// An operator keeps the circuit open; `until` and `held_by` say until when, and who.
    Held,
    /// The hold has ended.
    Released,
    /// A mapping is disabled, the circuit is closed, and the breaker did not do it. Said by the reconciler, from outside an
    /// execution: its detail has no `execution`.
    MappingDisabled,
    /// The signal that is to trip the circuit cannot fire; said by the reconciler.
    SignalBlind,
}

impl Announcement {
    /// Every announcement.
    pub const ALL: [Announcement; 14] = [
        Announcement::Opened,
        Announcement::ProbeFailed,
        Announcement::HalfOpened,
        Announcement::Closed,
        Announcement::Exhausted,
        Announcement::Overruled,
        Announcement::Faulted,
        Announcement::RetentionAtRisk,
        Announcement::RetentionRaise,
        Announcement::RetentionRestore,
        Announcement::Held,
        Announcement::Released,
        Announcement::MappingDisabled,
        Announcement::SignalBlind,
    ];

    /// The announcement with this `detail-type`, if there is one.
    pub fn from_detail_type(name: &str) -> Option<Announcement> {
        Announcement::ALL.into_iter().find(|what| what.detail_type() == name)
    }

    /// The event's `detail-type`.
    pub fn detail_type(self) -> &'static str {
        match self {
            Announcement::Opened => "Circuit Opened",
            Announcement::ProbeFailed => "Circuit Probe Failed",
            Announcement::HalfOpened => "Circuit Half Opened",
            Announcement::Closed => "Circuit Closed",
            Announcement::Exhausted => "Circuit Exhausted",
            Announcement::Overruled => "Circuit Overruled",
            Announcement::Faulted => "Circuit Faulted",
            Announcement::RetentionAtRisk => "Circuit Retention At Risk",
            Announcement::RetentionRaise => "Circuit Retention Raise",
            Announcement::RetentionRestore => "Circuit Retention Restore",
            Announcement::Held => "Circuit Held",
            Announcement::Released => "Circuit Released",
            Announcement::MappingDisabled => "Mapping Disabled",
            Announcement::SignalBlind => "Signal Blind",
        }
    }
}
