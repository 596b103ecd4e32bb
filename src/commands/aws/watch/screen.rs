//! The terminal, for as long as the view has it.

use std::io::{self, IsTerminal};

use ratatui::crossterm::event::{self, Event};
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::problem::Problem;

/// The terminal in raw mode with its other screen. It gets back what it was when this goes, and when the program panics.
pub struct Screen(DefaultTerminal);

impl Screen {
    /// Whether there is a terminal to draw on.
    ///
    /// # Errors
    /// Standard output is none, or one that cannot place the cursor.
    pub fn is_there() -> Result<(), Problem> {
        let instead = "`breaker status --json` says the same for programs, `breaker status` in lines";
        if !io::stdout().is_terminal() {
            return Err(Problem::error("`breaker watch` draws on a terminal, and standard output is none")
                .allowed("a terminal as standard output")
                .hint(instead));
        }
        if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
            return Err(Problem::error("`breaker watch` cannot draw on this terminal: TERM is \"dumb\"")
                .allowed("a terminal that can place its cursor, such as TERM=xterm-256color")
                .hint(instead));
        }
        Ok(())
    }

    /// Takes the terminal.
    ///
    /// # Errors
    /// It cannot be switched.
    pub fn enter(has_colour: bool) -> Result<Screen, Problem> {
        // Whether there are colours was decided already; the library would look at NO_COLOR again.
        ratatui::crossterm::style::force_color_output(has_colour);
        ratatui::try_init().map(Screen).map_err(|error| {
            // It may have come half way.
            ratatui::restore();
            Problem::caused("the terminal cannot be switched to the view", &error)
                .hint("`breaker status` says the same in lines")
        })
    }

    /// Draws.
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub fn draw(&mut self, paint: impl FnOnce(&mut Frame<'_>)) -> Result<(), Problem> {
        let drawn = self.0.draw(paint);
        drawn.map(|_| ()).map_err(|error| Problem::caused("the terminal cannot be drawn on", &error))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nowhere left to say that the terminal cannot be written.
        let _ = self.0.show_cursor();
        let _ = ratatui::try_restore();
    }
}

/// What happens at the terminal, from here on. The sender ends when it cannot be read any more.
pub fn events() -> UnboundedReceiver<io::Result<Event>> {
    let (sender, receiver) = unbounded_channel();
    // The thread ends with the process: it waits for keys and holds nothing.
    std::thread::spawn(move || {
        loop {
            let event = event::read();
            let is_over = event.is_err();
            if sender.send(event).is_err() || is_over {
                return;
            }
        }
    });
    receiver
}
