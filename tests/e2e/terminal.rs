//! A terminal in which a command runs, as a person would sit before it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::ministack::pause;

const ROWS: NonZeroU16 = NonZeroU16::new(30).expect("not zero");
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).expect("not zero");

/// How often the screen is looked at, and how many times at most: a minute.
const LOOK: Duration = Duration::from_millis(50);
const MAX_LOOKS: u32 = 1_200;

/// The terminal, with one command in it. The command ends with this value.
pub struct Terminal {
    keys: File,
    device: File,
    before: Termios,
    screen: Arc<Mutex<vt100::Parser>>,
    process: Child,
}

impl Terminal {
    /// Runs a command in a terminal of its own.
    pub fn run(command: &Command) -> Terminal {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("it can be opened");
        let path = ptsname(&ours, Vec::new()).expect("it has a name");
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
        let device = OpenOptions::new().read(true).write(true).open(path).expect("it can be opened");
        let size = Winsize { ws_row: ROWS.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&device, size).expect("a terminal has a size");
        let before = tcgetattr(&device).expect("a terminal has settings");

        // As the terminal of its session, so that nothing of ours is asked for its size.
        let mut inside = Command::new("setsid");
        inside.arg("--ctty").arg(command.get_program()).args(command.get_args());
        let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        inside.env_clear().env("PATH", "/usr/bin:/bin").envs(variables).env("TERM", "xterm-256color");
        let end = || Stdio::from(device.try_clone().expect("a file can be shared"));
        let process = inside.stdin(end()).stdout(end()).stderr(end()).spawn().expect("the command starts");

        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let (shown, reader) = (Arc::clone(&screen), File::from(copy(&ours)));
        std::thread::spawn(move || follow(reader, &shown));
        Terminal { keys: File::from(ours), device, before, screen, process }
    }

    /// What is on the screen.
    pub fn shown(&self) -> String {
        self.look(|screen| screen.contents())
    }

    /// Waits until the screen shows all of these words.
    ///
    /// # Panics
    /// If it does not.
    pub fn wait_for(&self, words: &[&str]) {
        let shows_all = || {
            let shown = self.shown();
            words.iter().all(|word| shown.contains(word))
        };
        assert!(soon(shows_all), "{words:?} do not come:\n{}", self.shown());
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str) {
        self.keys.write_all(key.as_bytes()).expect("the terminal takes keys");
    }

    /// Sends the command a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status();
        assert!(sent.expect("kill starts").success());
    }

    /// Waits for the command's end, and looks whether the terminal is as it was before.
    ///
    /// # Panics
    /// If the command goes on, or has left the terminal otherwise.
    pub fn end(mut self) -> ExitStatus {
        let process = &mut self.process;
        let has_ended = || process.try_wait().expect("the process can be asked").is_some();
        let ended = soon(has_ended);
        assert!(ended, "it does not end:\n{}", self.shown());
        let status = self.process.wait().expect("it has ended");
        let is_left = || self.look(|screen| !screen.alternate_screen() && !screen.hide_cursor());
        assert!(soon(is_left), "the other screen or a hidden cursor is left:\n{}", self.shown());
        let after = tcgetattr(&self.device).expect("a terminal has settings");
        let modes = |termios: &Termios| {
            (termios.input_modes, termios.output_modes, termios.control_modes, termios.local_modes)
        };
        assert_eq!(modes(&after), modes(&self.before), "the terminal's modes");
        status
    }

    fn look<T>(&self, at: impl FnOnce(&vt100::Screen) -> T) -> T {
        at(self.screen.lock().unwrap_or_else(PoisonError::into_inner).screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether it becomes so before the looks are used up.
fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    (0..MAX_LOOKS).any(|_| {
        let so = is_so();
        if !so {
            pause(LOOK);
        }
        so
    })
}

fn copy(fd: &OwnedFd) -> OwnedFd {
    fd.as_fd().try_clone_to_owned().expect("a file can be shared")
}

/// Draws what comes until the terminal is closed.
fn follow(mut reader: File, screen: &Mutex<vt100::Parser>) {
    let mut buffer = [0; 4_096];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        screen.lock().unwrap_or_else(PoisonError::into_inner).process(&buffer[..count]);
    }
}
