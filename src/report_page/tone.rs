//! How a state looks: by height and pattern as much as by colour, so that the page can be read without colours.

/// How a state is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// As it should be: a thin line.
    Calm,
    /// Something is wrong, or stopped: the full height, with lines to the right.
    Stopped,
    /// Tried out with few messages: two thirds of the height, with dots.
    Tried,
    /// On its way from one state to another, or not known: a third of the height, with upright lines.
    Between,
    /// Kept so by a person: the full height, with crossed lines.
    Kept,
}

impl Tone {
    /// Every tone, in the order of the legend.
    pub const ALL: [Tone; 5] = [Tone::Calm, Tone::Stopped, Tone::Tried, Tone::Between, Tone::Kept];

    /// The class in the style sheet, and the name of the pattern.
    pub fn class(self) -> &'static str {
        match self {
            Tone::Calm => "calm",
            Tone::Stopped => "stopped",
            Tone::Tried => "tried",
            Tone::Between => "between",
            Tone::Kept => "kept",
        }
    }

    /// Part of a lane's height that it takes.
    pub fn height(self) -> f64 {
        match self {
            Tone::Calm => 0.16,
            Tone::Stopped | Tone::Kept => 1.0,
            Tone::Tried => 0.66,
            Tone::Between => 0.36,
        }
    }

    /// What it means, for the legend.
    pub fn meaning(self) -> &'static str {
        match self {
            Tone::Calm => {
                "thin line: as it should be (dependency healthy, alarm OK, circuit closed, mapping Enabled)"
            }
            Tone::Stopped => {
                "full height: stopped or failing (dependency down, alarm ALARM, circuit open, mapping Disabled)"
            }
            Tone::Tried => {
                "two thirds: tried with few messages (circuit half-open, mapping with limited concurrency, backlog that arrives bit by bit)"
            }
            Tone::Between => {
                "one third: between two states, or not known (mapping Disabling, Enabling, Updating; alarm without data)"
            }
            Tone::Kept => "full height, crossed: an operator keeps the circuit open (held)",
        }
    }

    /// The tone of a state, whichever lane it is in.
    pub fn of(state: &str) -> Tone {
        match state {
            "healthy" | "OK" | "closed" | "Enabled" => Tone::Calm,
            "half_open" => Tone::Tried,
            "held" => Tone::Kept,
            "INSUFFICIENT_DATA" => Tone::Between,
            _ if state.starts_with("Enabled, at most") => Tone::Tried,
            _ if ["Disabling", "Enabling", "Updating"].iter().any(|begun| state.starts_with(begun)) => {
                Tone::Between
            }
            _ => Tone::Stopped,
        }
    }
}

/// A state as it is written in its band.
pub fn label(state: &str) -> String {
    match state {
        "half_open" => "half-open".to_owned(),
        "INSUFFICIENT_DATA" => "no data".to_owned(),
        _ => state.replace("Enabled, at most", "max"),
    }
}
