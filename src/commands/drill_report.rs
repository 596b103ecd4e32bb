//! The page of `breaker drill run --report`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use drill::course::Course;
use drill::report::{Entry, Observer, Report};
use drill::sim::Time;
use drill::usage::Usage;
use tempfile::{Builder, NamedTempFile};

use crate::commands::drill_run::Timeline;
use crate::problem::Problem;
use crate::report_page::{Baseline, Story, render};

/// A place for the page that can be written, found before the drill begins. A page that is there already is replaced
/// when the new one is whole.
pub(super) struct Place {
    /// As the user wrote it.
    shown: PathBuf,
    path: PathBuf,
    draft: NamedTempFile,
}

impl Place {
    /// Looks whether the file can be written.
    ///
    /// # Errors
    /// A folder that does not exist or cannot be written, or a path that is no ordinary file.
    pub fn find(path: &Path) -> Result<Place, Problem> {
        let refuse = |problem: Problem| {
            problem
                .allowed("a file, new or existing, in a folder that exists and in which you may create files")
                .hint("choose another file with --report; the drill was not begun")
        };
        let cannot = format!("the report {} cannot be written", path.display());
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(refuse(Problem::error(format!("{cannot}: it is a folder"))));
            }
            // Replacing a device or a pipe would take it away from everybody else.
            Ok(found) if !found.is_file() => {
                return Err(refuse(Problem::error(format!("{cannot}: it is no ordinary file"))));
            }
            Ok(_) | Err(_) => {}
        }
        // What a symbolic link leads to is replaced, and not the link.
        let shown = path.to_owned();
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        if !folder.is_dir() {
            let folder = folder.display();
            return Err(refuse(Problem::error(format!("{cannot}: there is no folder {folder}"))));
        }
        // The error itself names the draft, of which nobody has heard.
        let draft = draft_in(folder)
            .map_err(|error| refuse(Problem::error(format!("{cannot}: {}", error.kind()))))?;
        Ok(Place { shown, path, draft })
    }

    /// Writes the page; answers where.
    ///
    /// # Errors
    /// A disk that is full, or a folder that has gone away.
    pub fn write(mut self, page: &str) -> Result<PathBuf, Problem> {
        let written = self
            .draft
            .write_all(page.as_bytes())
            .and_then(|()| self.draft.persist(&self.path).map(drop).map_err(|error| error.error));
        written.map_err(|error| {
            Problem::caused(format!("the report {} cannot be written", self.shown.display()), &error)
                .hint("the drill itself went on to its end; the same seed gives the same page")
        })?;
        Ok(self.shown)
    }
}

/// A file with the permissions that any new file gets.
fn draft_in(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".breaker-report-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Prints the timeline, and keeps what the page is made of, if there is to be one.
pub(super) struct Recorder<'a> {
    timeline: Timeline<'a>,
    keeps: bool,
    entries: Vec<Entry>,
    run: Option<(Course, Usage)>,
    baseline: Option<Baseline>,
}

impl<'a> Recorder<'a> {
    /// A recorder that has seen nothing yet.
    pub fn new(timeline: Timeline<'a>, keeps: bool) -> Recorder<'a> {
        Recorder { timeline, keeps, entries: Vec::new(), run: None, baseline: None }
    }

    /// The page, if a drill has come to its end.
    pub fn page(&self, report: &Report, summary: &str, command: &str) -> Option<String> {
        let (course, usage) = self.run.as_ref()?;
        let baseline = self.baseline.as_ref();
        let entries = &self.entries;
        Some(render(&Story { summary, command, report, course, usage, baseline, entries }))
    }
}

impl Observer for Recorder<'_> {
    fn entry(&mut self, entry: &Entry) {
        if self.keeps {
            self.entries.push(entry.clone());
        }
        self.timeline.entry(entry);
    }

    fn progress(&mut self, start: Time, now: Time, end: Time) {
        self.timeline.progress(start, now, end);
    }

    fn charted(&mut self, course: &Course, usage: &Usage) {
        self.run = Some((course.clone(), *usage));
    }

    fn charted_without_breaker(&mut self, report: &Report, course: &Course, usage: &Usage) {
        self.baseline = Some(Baseline { report: report.clone(), course: course.clone(), usage: *usage });
    }
}
