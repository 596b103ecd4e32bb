//! A package: a zip file whose bytes depend on the binary alone.

use std::io::{self, Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::assets::ENTRY;

/// Read and execute for everybody: Lambda does not run the program as the user who unpacks it.
const MODE: u32 = 0o755;

/// The densest that deflate has; it is also part of what makes two packages the same.
const COMPRESSION_LEVEL: i64 = 9;

/// Zips a binary as `bootstrap`, with the oldest time that a zip file can hold.
pub fn zip(binary: &[u8]) -> io::Result<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(COMPRESSION_LEVEL))
        .last_modified_time(DateTime::default())
        .unix_permissions(MODE);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(ENTRY, options).map_err(io::Error::from)?;
    writer.write_all(binary)?;
    Ok(writer.finish().map_err(io::Error::from)?.into_inner())
}
