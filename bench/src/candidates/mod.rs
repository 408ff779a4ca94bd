//! The compared ways to share memory with a child process, one per file.

mod confined;
mod heirloom;
mod ipc_channel;
mod memfd_crates;
mod nspr;
mod shared_memory;
mod system_calls;

use std::path::PathBuf;
use std::process::Child;

pub use confined::{CONFINED, can_confine};
pub use system_calls::{create as create_by_system_calls, spawn as spawn_by_system_calls};

/// A way to share memory with a child process.
pub struct Candidate {
    /// The column header.
    pub name: &'static str,
    /// The name on a command line.
    pub key: &'static str,
    pub create: Option<Create>,
    /// Creates memory of that size and prepares to start children with it.
    pub parent: Option<fn(size: usize) -> Parent>,
    /// Maps, in the child, the memory that the argument names.
    pub attach: Option<fn(argument: &str) -> *mut u8>,
}

/// Creates and maps memory of that size, calls `touch` on it, then unmaps and closes it.
pub type Create = fn(size: usize, touch: &dyn Fn(*mut u8));

/// Shared memory, and the function that starts a child with it.
pub struct Parent {
    /// The address of the parent's mapping.
    pub memory: *mut u8,
    pub start: Box<dyn FnMut() -> Running>,
}

/// Waits for a child.
pub type Running = Box<dyn FnOnce()>;

/// All candidates. The first is the baseline.
pub const CANDIDATES: [&Candidate; 9] = [
    &system_calls::CANDIDATE,
    &heirloom::BY_NAME,
    &heirloom::BY_STRING,
    &heirloom::BY_STD,
    &nspr::HEIRLOOM,
    &nspr::NSPR,
    &memfd_crates::CANDIDATE,
    &shared_memory::CANDIDATE,
    &ipc_channel::CANDIDATE,
];

/// Returns the candidate with that key.
pub fn by_key(key: &str) -> &'static Candidate {
    let mut all = CANDIDATES.into_iter().chain(&CONFINED);
    all.find(|candidate| candidate.key == key).unwrap_or_else(|| panic!("unknown candidate {key}"))
}

/// Whether the candidate's library is installed.
pub fn is_installed(candidate: &Candidate) -> bool {
    candidate.key != nspr::NSPR.key || nspr::is_installed()
}

/// Returns the path of the child program. Its arguments are a candidate's key and the name of the memory; without
/// arguments it exits immediately.
pub fn child_program() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name("child")
}

/// Returns the arguments of a child that attaches by that candidate.
fn child_args(candidate: &Candidate, argument: &str) -> [String; 2] {
    [candidate.key.to_owned(), argument.to_owned()]
}

/// Waits for a child that the standard library started.
fn running(mut child: Child) -> Running {
    Box::new(move || assert!(child.wait().unwrap().success()))
}
