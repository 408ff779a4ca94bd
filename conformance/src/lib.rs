//! What the tests and the programs that they start share.

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

/// How often a proof repeats: few times, or as many as it promises where `HEIRLOOM_FULL` is set.
#[must_use]
pub fn rounds(few: usize, full: usize) -> usize {
    if std::env::var_os("HEIRLOOM_FULL").is_some() { full } else { few }
}

/// Says, past what catches a test's output, that a test proved nothing here.
pub fn skip(why: impl Display) {
    // Not `eprintln`, which the tests' harness keeps to itself where all goes well.
    let _ = writeln!(io::stderr(), "SKIPPED: {why}");
}

/// Whether an emulator of another processor runs this, which passes not every call on to the kernel: `HEIRLOOM_EMULATED`
/// says so.
#[must_use]
pub fn emulated() -> bool {
    std::env::var_os("HEIRLOOM_EMULATED").is_some()
}

/// Builds the C library, and tells where it is. `target` is cargo's folder for what it builds here.
///
/// # Panics
/// Where it can't be built.
#[must_use]
pub fn build_c_library(target: &Path) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = process::Command::new(cargo);
    // Of another system, that folder is one within cargo's own, which cargo finds by itself.
    let folder = if std::env::var_os("CARGO_BUILD_TARGET").is_some() { target.parent().unwrap() } else { target };
    command.args(["build", "--quiet", "--locked", "--package", "heirloom-nspr", "--target-dir"]).arg(folder);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(command.status().unwrap().success());
    target.join("debug").join(format!("{DLL_PREFIX}heirloom_nspr{DLL_SUFFIX}"))
}

/// Numbers that look random and are the same in every run, see Marsaglia's "Xorshift RNGs" (2003).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of that number, which isn't 0.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next of them.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One of the numbers below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() >> 33) as usize % limit
    }
}

/// What a program wrote, if it ended well.
///
/// # Panics
/// Where it didn't.
pub fn output(command: &mut Command) -> String {
    text(command.output().unwrap())
}

/// The same of a program that was started in some other way.
///
/// # Panics
/// Where it didn't end well.
#[must_use]
pub fn text(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
