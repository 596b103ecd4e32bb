//! Binaries that cannot run, but say what they need as real ones do.
#![allow(dead_code, reason = "each test binary uses its own part")]

/// Machine numbers of the ELF format.
pub const AARCH64: u16 = 183;
pub const X86_64: u16 = 62;
pub const RISCV: u16 = 243;

/// Sizes in the 64-bit format.
const HEADER: usize = 64;
const SECTION: usize = 64;
const VERSION: usize = 16;

/// An ELF executable for a machine that uses these symbol versions of libc.
pub fn elf(machine: u16, versions: &[&str]) -> Vec<u8> {
    let mut strings = b"\0libc.so.6\0".to_vec();
    let mut needs = Vec::new();
    let count = u16::try_from(versions.len()).expect("a few versions");
    // One library with all of them; without versions there is no library either.
    push(&mut needs, &[1, count.into(), 1, 16, 0], &[2, 2, 4, 4, 4]);
    for (index, version) in versions.iter().enumerate() {
        let next = if index + 1 == versions.len() { 0 } else { VERSION as u64 };
        push(&mut needs, &[0, 0, 2, strings.len() as u64, next], &[4, 2, 2, 4, 4]);
        strings.extend(version.bytes().chain([0]));
    }
    if versions.is_empty() {
        needs.clear();
    }
    let (strings_at, needs_at) = (HEADER, HEADER + strings.len());
    let sections_at = needs_at + needs.len();
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let header =
        [3, machine.into(), 1, 0, 0, sections_at as u64, 0, HEADER as u64, 56, 0, SECTION as u64, 3, 1];
    push(&mut file, &header, &[2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2]);
    file.extend(&strings);
    file.extend(&needs);
    file.extend([0; SECTION]);
    // Types: 3 is a string table, 0x6ffffffe the version needs, whose link names the string table.
    section(&mut file, 3, strings_at, strings.len(), 0);
    let kind = if versions.is_empty() { 0 } else { 0x6fff_fffe };
    section(&mut file, kind, needs_at, needs.len(), 1);
    file
}

fn section(file: &mut Vec<u8>, kind: u64, at: usize, size: usize, link: u64) {
    push(file, &[0, kind, 0, 0, at as u64, size as u64, link, 1, 1, 0], &[4, 4, 8, 8, 8, 8, 4, 4, 8, 8]);
}

/// Numbers of these widths, lowest byte first.
fn push(file: &mut Vec<u8>, numbers: &[u64], widths: &[usize]) {
    for (number, width) in numbers.iter().zip(widths) {
        file.extend(&number.to_le_bytes()[..*width]);
    }
}
