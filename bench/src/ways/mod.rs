//! The ways to share memory with a child that are compared, one a file.

mod bare;
mod ipc;
mod memfd_crates;
mod nspr;
mod ours;
mod shared_memory;

use std::path::PathBuf;
use std::process::Child;

pub use bare::{create as bare_create, spawn as bare_spawn};

/// One way.
pub struct Way {
    pub name: &'static str,
    /// What names it on a command line.
    pub key: &'static str,
    /// Makes memory, maps it, has it touched, and gives all back.
    pub create: Option<Create>,
    /// Makes memory of that size, to start children with.
    pub parent: Option<fn(size: usize) -> Parent>,
    /// In the child: maps what that argument names.
    pub attach: Option<fn(argument: &str) -> *mut u8>,
}

/// Makes memory of a size for a moment, and calls what touches it.
pub type Create = fn(size: usize, touch: &dyn Fn(*mut u8));

/// Memory, and how to start a child with it.
pub struct Parent {
    /// Where it is mapped.
    pub memory: *mut u8,
    pub start: Box<dyn FnMut() -> Running>,
}

/// Waits for a child.
pub type Running = Box<dyn FnOnce()>;

/// The first is the limit.
pub const WAYS: [&Way; 9] = [
    &bare::WAY,
    &ours::BY_NAME,
    &ours::BY_STRING,
    &ours::BY_STD,
    &nspr::OURS,
    &nspr::THEIRS,
    &memfd_crates::WAY,
    &shared_memory::WAY,
    &ipc::WAY,
];

/// The way of that key.
pub fn way(key: &str) -> &'static Way {
    WAYS.iter().find(|way| way.key == key).unwrap_or_else(|| panic!("what is {key}?"))
}

/// Whether it is installed here.
pub fn is_there(way: &Way) -> bool {
    way.key != nspr::THEIRS.key || nspr::is_installed()
}

/// What is started: it is told a way's key and what names the memory, or nothing, and then does nothing.
pub fn child() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name("child")
}

/// What it is to be told in order to be a child of that way.
fn child_args(way: &Way, argument: &str) -> [String; 2] {
    [way.key.to_owned(), argument.to_owned()]
}

/// Waits for a child of the standard library's.
fn running(mut child: Child) -> Running {
    Box::new(move || assert!(child.wait().unwrap().success()))
}
