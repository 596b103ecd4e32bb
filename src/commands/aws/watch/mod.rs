//! `breaker watch`: how the circuits stand, live on the terminal.
//!
//! [`view`] is what is known, [`draw`] what is drawn of it; neither does any input or output. [`reader`] asks the account,
//! [`screen`] holds the terminal, and here they are brought together.

mod draw;
mod reader;
mod screen;
mod timeline;
mod view;

use std::time::Duration;

use infra::aws::{self, Target};
use ratatui::crossterm::event::Event;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{MissedTickBehavior, interval};

use self::draw::Theme;
use self::reader::Reader;
use self::screen::Screen;
use self::view::{Asked, View};
use super::status::find;
use super::{connect_to, listen_for_interrupts, problem, runtime, target_of};
use crate::args::WatchArgs;
use crate::exit::ExitCode;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};

/// How often it is drawn without news, so that what counts down does.
const TICK: Duration = Duration::from_secs(1);

/// Attempts of one call: the next reading is another one.
const ATTEMPT_COUNT: u32 = 3;

/// Shows the circuits until somebody quits.
pub fn run(args: &WatchArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    Screen::is_there()?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(watch(args, printer));
    // A name that is still being looked up would hold the end up.
    runtime.shutdown_background();
    outcome
}

async fn watch(args: &WatchArgs, printer: &mut Printer) -> Result<ExitCode, Refusal> {
    let target = Target { attempt_count: Some(ATTEMPT_COUNT), ..target_of(&args.target) };
    let account = connect_to(&target, printer).await?;
    let circuits = match &args.circuit {
        Some(_) => vec![find(&account, &args.stack, args.circuit.as_deref()).await?],
        None => aws::circuits(&account, &args.stack).await.map_err(problem)?,
    };
    let place = format!("stack {}, account {}, Region {}", args.stack, account.id, account.region);
    let names = circuits.iter().map(|circuit| circuit.wiring.circuit.clone());
    let mut view = View::new(place, args.every, names);
    let theme = Theme { has_colour: printer.has_colour() };

    let (news_sender, mut news) = unbounded_channel();
    let (asked, asked_receiver) = unbounded_channel();
    let reader = Reader::new(target, account, circuits, args.every, news_sender, asked_receiver);
    let reading = reader.run();
    tokio::pin!(reading);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);

    let mut interrupts = listen_for_interrupts()?;
    let mut screen = Screen::enter(theme.has_colour)?;
    let mut events = screen::events();
    loop {
        screen.draw(|frame| draw::draw(frame, &view, aws::now_ms(), theme))?;
        tokio::select! {
            never = &mut reading => match never {},
            Some(news) = news.recv() => view.take(news),
            _ = tick.tick() => {}
            _ = interrupts.changed() => return Ok(ExitCode::Done),
            event = events.recv() => match event {
                Some(Ok(Event::Key(key))) => match view.press(key) {
                    Asked::Quit => return Ok(ExitCode::Done),
                    Asked::Nothing => {}
                    // The reader lives as long as this loop.
                    wish => drop(asked.send(wish)),
                },
                // A new size, for example: it is drawn again.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Problem::caused("the terminal's keys cannot be read", &error).into()),
                None => return Err(Problem::error("the terminal's keys cannot be read any more").into()),
            },
        }
    }
}
