//! Reading files that the user names.

use std::io::{self, Read};
use std::path::Path;

use crate::problem::Problem;

/// The name that stands for standard input.
pub const STDIN: &str = "-";

/// The text of a file, or of standard input for `-`. `what` names it in messages: "the configuration".
///
/// # Errors
/// A file that is missing, cannot be read, is a folder, or is not UTF-8.
pub fn read_text(what: &str, path: &Path) -> Result<String, Problem> {
    let read = if path == Path::new(STDIN) {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = read.map_err(|error| unreadable(what, path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::error(format!("{what} {} is not text", path.display()))
            .allowed(format!("UTF-8; byte {at} is not"))
            .hint("give the path of a text file")
    })
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Problem {
    let shown = path.display();
    let cannot = format!("{what} {shown} cannot be read");
    match error.kind() {
        io::ErrorKind::NotFound => Problem::error(format!("{what} {shown} does not exist"))
            .allowed("the path of a file that can be read")
            .hint("check the path; a relative one starts at the current folder"),
        io::ErrorKind::IsADirectory => Problem::error(format!("{what} {shown} is a folder"))
            .allowed("the path of a file")
            .hint("name a file in that folder"),
        io::ErrorKind::PermissionDenied => Problem::error(format!("{cannot}: permission denied"))
            .allowed("the path of a file that can be read")
            .hint("check the file's permissions"),
        _ => Problem::caused(cannot, error)
            .allowed("the path of a file that can be read")
            .hint("check the path and the disk it is on"),
    }
}
