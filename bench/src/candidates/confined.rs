//! Ways to start a child that is kept apart from the user's other processes and files. It shares no memory.

use std::path::Path;
use std::process::Stdio;
use std::ptr;

use heirloom::Command;
use heirloom::os::linux::CommandExt;

use super::{Candidate, Parent, Running, child_program, running, spawn_by_system_calls};

/// The first two confine nothing.
pub static CONFINED: [Candidate; 7] = [
    candidate("posix_spawn", "posix_spawn", |_| parent(|| spawn_by_system_calls(&[], &[]))),
    candidate("heirloom", "ordinary", |_| parent(|| spawn(&mut ordinary()))),
    candidate("heirloom, confine", "confine", |_| parent(|| spawn(&mut apart()))),
    candidate("heirloom, confine, the same command", "confine_again", |_| parent(again(apart()))),
    candidate("heirloom, confine_to", "confine_to", |_| parent(|| spawn(&mut sealed_off()))),
    candidate("heirloom, confine_to, the same command", "confine_to_again", |_| parent(again(sealed_off()))),
    candidate("bwrap", BWRAP, |_| parent(|| running(bwrap(&child_program()).spawn().unwrap()))),
];

const BWRAP: &str = "bwrap";

/// Whether the kernel and the installed programs have what the candidate needs.
pub fn can_confine(candidate: &Candidate) -> bool {
    match candidate.key {
        BWRAP => bwrap(Path::new("true")).stderr(Stdio::null()).status().is_ok_and(|status| status.success()),
        key if key.starts_with("confine") => ordinary().confine_to(["/"]).is_ok(),
        _ => true,
    }
}

const fn candidate(name: &'static str, key: &'static str, parent: fn(usize) -> Parent) -> Candidate {
    Candidate { name, key, create: None, parent: Some(parent), attach: None }
}

fn parent(start: impl FnMut() -> Running + 'static) -> Parent {
    Parent { memory: ptr::null_mut(), start: Box::new(start) }
}

fn spawn(command: &mut Command) -> Running {
    let mut child = command.spawn().unwrap();
    Box::new(move || assert!(child.wait().unwrap().success()))
}

fn again(mut command: Command) -> impl FnMut() -> Running {
    move || spawn(&mut command)
}

fn ordinary() -> Command {
    Command::new(child_program())
}

fn apart() -> Command {
    let mut command = ordinary();
    command.confine().unwrap();
    command
}

/// The child can read its program and the libraries.
fn sealed_off() -> Command {
    let readable = ["/lib", "/lib64", "/usr/lib", "/etc/ld.so.cache"].map(Path::new);
    let mut command = ordinary();
    command.confine_to(readable.into_iter().filter(|path| path.exists()).chain([&*child_program()])).unwrap();
    command
}

/// Bubblewrap, with namespaces in which the child sees no other process and no network. It can read all files.
fn bwrap(program: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(BWRAP);
    command.args(["--ro-bind", "/", "/", "--unshare-pid", "--unshare-net", "--"]).arg(program);
    command
}
