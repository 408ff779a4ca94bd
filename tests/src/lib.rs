//! What the tests and the programs that they start share.

#![allow(unsafe_code)]

pub mod c_library;
pub mod hostile;
pub mod old_kernels;
pub mod soundness;
pub mod watch;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;
use std::process::Output;

use heirloom::Command;

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

/// The regions among this process's descriptors, whoever put them there: number and inode.
///
/// # Panics
/// Where `/proc` can't be read.
#[must_use]
pub fn open_regions() -> BTreeMap<RawFd, u64> {
    let mut regions = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        // The directory that is being read is gone by now.
        let (Ok(link), Ok(status)) = (fs::read_link(&path), fs::metadata(&path)) else { continue };
        if link.to_string_lossy().starts_with("/memfd:heirloom") {
            let number = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            regions.insert(number, status.ino());
        }
    }
    regions
}

/// Every descriptor of this process and what it is, without the one that looks.
///
/// # Panics
/// Where `/proc` can't be read.
#[must_use]
pub fn descriptors() -> BTreeMap<RawFd, String> {
    let listed = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let link = fs::read_link(&path).ok()?;
        let number: RawFd = path.file_name()?.to_str()?.parse().ok()?;
        // SAFETY: A plain number; the answer is all that is used.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        (flags >= 0).then(|| (number, format!("{} {flags}", link.display())))
    });
    let listed: Vec<_> = listed.collect();
    // Only now is the directory itself closed again.
    listed.into_iter().filter(|(number, _)| fs::metadata(format!("/proc/self/fd/{number}")).is_ok()).collect()
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

/// The answer of a C function that returns -1 for an error.
///
/// # Errors
/// The thread's last error.
pub fn check(answer: impl Into<i64>) -> io::Result<()> {
    if answer.into() < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
