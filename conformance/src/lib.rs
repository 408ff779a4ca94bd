//! Code shared by the tests and the programs that they start.

#[cfg(target_os = "linux")]
mod linux;
pub mod soundness;
#[cfg(windows)]
mod windows;

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Output};

use heirloom::Command;

#[cfg(target_os = "linux")]
pub use linux::*;
#[cfg(windows)]
pub use windows::*;

/// The number of times that a test repeats: `full` if `HEIRLOOM_FULL` is set, otherwise `few`.
#[must_use]
pub fn rounds(few: usize, full: usize) -> usize {
    if std::env::var_os("HEIRLOOM_FULL").is_some() { full } else { few }
}

/// Reports that a test, or a part of it, was skipped. The report bypasses the captured output.
pub fn skip(why: impl Display) {
    // The test harness captures `eprintln` and drops it when the test passes.
    let _ = writeln!(io::stderr(), "SKIPPED: {why}");
}

/// Whether an emulator of another processor runs the tests, as `HEIRLOOM_EMULATED` says. It does not pass every system
/// call on to the kernel.
#[must_use]
pub fn emulated() -> bool {
    std::env::var_os("HEIRLOOM_EMULATED").is_some()
}

/// Returns whether the kernel is set to put every region into large pages, so that sizes in memory are rounded up.
#[must_use]
pub fn large_pages_are_used() -> bool {
    let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/shmem_enabled").unwrap_or_default();
    ["[always]", "[within_size]", "[force]"].iter().any(|all| setting.contains(all))
}

/// Builds the C library and returns its path. `target` is cargo's target directory for this build.
///
/// # Panics
/// If the build fails.
#[must_use]
pub fn build_c_library(target: &Path) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = process::Command::new(cargo);
    // With CARGO_BUILD_TARGET, `target` is a directory inside cargo's own, which cargo appends by itself.
    let folder = if std::env::var_os("CARGO_BUILD_TARGET").is_some() { target.parent().unwrap() } else { target };
    command.args(["build", "--quiet", "--locked", "--package", "heirloom-nspr", "--target-dir"]).arg(folder);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(command.status().unwrap().success());
    let library = target.join("debug").join(format!("{DLL_PREFIX}heirloom_nspr{DLL_SUFFIX}"));
    // Programs look for the name with the version of its interface.
    #[cfg(target_os = "linux")]
    match std::os::unix::fs::symlink(&library, library.with_extension("so.0")) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => panic!("{error}"),
        _ => (),
    }
    library
}

/// Pseudorandom numbers, the same in every run. See Marsaglia, "Xorshift RNGs" (2003).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Creates the sequence of a seed, which must not be 0.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() >> 33) as usize % limit
    }
}

/// Makes the message of this index, of at most `longest` bytes.
pub fn fill_message(index: u32, chance: &mut Chance, longest: usize, message: &mut Vec<u8>) {
    // Mostly short ones.
    let limit = [16, 100, longest + 1][chance.below(3)];
    let len = chance.below(limit);
    message.clear();
    message
        .extend(index.to_ne_bytes().iter().cycle().zip(0_u8..=255).map(|(byte, place)| byte ^ place).cycle().take(len));
}

/// Checks the message of this index; `expected` is a buffer.
///
/// # Panics
/// If it is another.
pub fn check_message(index: u32, chance: &mut Chance, longest: usize, message: &[u8], expected: &mut Vec<u8>) {
    fill_message(index, chance, longest, expected);
    assert_eq!(message, expected, "message {index}");
}

/// Runs a program and returns its standard output.
///
/// # Panics
/// If the program fails.
pub fn output(command: &mut Command) -> String {
    text(command.output().unwrap())
}

/// Returns the standard output of a program that was started by other means.
///
/// # Panics
/// If the program failed.
#[must_use]
pub fn text(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
