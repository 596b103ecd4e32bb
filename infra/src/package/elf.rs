//! Reads off a binary for which machine it was built and which glibc it needs.

use std::fmt;

use object::elf::{EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC};
use object::endian::LittleEndian;
use object::read::elf::{ElfFile64, FileHeader as _};

use crate::assets::Architecture;

/// How the names of glibc's symbol versions begin.
const VERSION_PREFIX: &[u8] = b"GLIBC_";

/// Relative relocations in their packed form. The name has no number; glibc knows it since 2.36.
const PACKED_RELOCATIONS: &[u8] = b"GLIBC_ABI_DT_RELR";

/// A version of glibc: `2.34`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GlibcVersion {
    /// The number before the point.
    pub major: u32,
    /// The number after it.
    pub minor: u32,
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What a binary asks of the machine on which it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Its machine; none for one that Lambda does not have.
    pub architecture: Option<Architecture>,
    /// The highest glibc of which it uses a symbol; none when it is linked statically.
    pub glibc: Option<GlibcVersion>,
}

/// Reads a binary. None when it is no executable ELF file of 64 bits, lowest byte first, which everything for Lambda is.
pub fn needs(bytes: &[u8]) -> Option<Needs> {
    let file = ElfFile64::<LittleEndian>::parse(bytes).ok()?;
    let header = file.elf_header();
    if ![ET_EXEC, ET_DYN].contains(&header.e_type(LittleEndian)) {
        return None;
    }
    let architecture = match header.e_machine(LittleEndian) {
        EM_AARCH64 => Some(Architecture::Arm64),
        EM_X86_64 => Some(Architecture::X86_64),
        _ => None,
    };
    Some(Needs { architecture, glibc: newest_glibc(&file)? })
}

/// The newest glibc in the version needs; the outer `None` when they cannot be read.
fn newest_glibc(file: &ElfFile64<'_, LittleEndian>) -> Option<Option<GlibcVersion>> {
    let sections = file.elf_section_table();
    let Some((mut libraries, strings)) = sections.gnu_verneed(LittleEndian, file.data()).ok()? else {
        return Some(None);
    };
    let names = sections.strings(LittleEndian, file.data(), strings).ok()?;
    let mut newest = None;
    while let Some((_, mut versions)) = libraries.next().ok()? {
        while let Some(version) = versions.next().ok()? {
            newest = newest.max(glibc_version(version.name(LittleEndian, names).ok()?));
        }
    }
    Some(newest)
}

/// `GLIBC_2.17` becomes 2.17, `GLIBC_2.2.5` becomes 2.2; versions of other libraries are none.
fn glibc_version(name: &[u8]) -> Option<GlibcVersion> {
    if name == PACKED_RELOCATIONS {
        return Some(GlibcVersion { major: 2, minor: 36 });
    }
    let numbers = std::str::from_utf8(name.strip_prefix(VERSION_PREFIX)?).ok()?;
    let mut numbers = numbers.split('.').map(str::parse);
    Some(GlibcVersion { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let newest = |names: &[&str]| names.iter().filter_map(|name| glibc_version(name.as_bytes())).max();
        let shown = |names| newest(names).map(|version| version.to_string());
        assert_eq!(shown(&["GLIBC_2.9", "GLIBC_2.34", "GLIBC_2.2.5"]).as_deref(), Some("2.34"));
        assert_eq!(shown(&["GLIBC_2.28", "GLIBC_ABI_DT_RELR"]).as_deref(), Some("2.36"));
        assert_eq!(shown(&["GCC_3.0", "GLIBC_PRIVATE", "CXXABI_1.3"]), None);
    }
}
