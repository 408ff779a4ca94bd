//! The exact system calls of each operation. A change that adds a call fails a test here.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use heirloom_conformance::{large_pages_are_used, skip};

use crate::program;

/// The call by which the program marks the start and end of its work.
const MARK: &str = "getpgid";

/// Each system call of the program and of its children: the process and the name. `None` where strace cannot run.
fn trace(args: &[&str]) -> Option<Vec<(String, String)>> {
    if cfg!(not(all(target_arch = "x86_64", target_env = "gnu"))) {
        skip("the listed system calls are those of x86-64 and glibc");
        return None;
    }
    let traced = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    match strace.args(["-f", "-qq", "-o"]).arg(traced.path()).arg(program()).args(args).output() {
        Ok(output) if output.status.success() => {}
        answer => {
            skip(format_args!("strace cannot trace here: {answer:?}"));
            return None;
        }
    }
    let traced = fs::read_to_string(traced.path()).unwrap();
    let calls = traced.lines().filter_map(|line| {
        let (process, call) = line.split_once(' ')?;
        // A resumed call was counted where it began.
        let name = call.trim_start().split_once('(')?.0;
        (!name.starts_with('<')).then(|| (process.to_owned(), name.to_owned()))
    });
    Some(calls.collect())
}

/// The calls between each pair of marks.
fn marked(calls: &[(String, String)]) -> Vec<Vec<&str>> {
    // Where every region gets huge pages (shmem_enabled), this call tells them from those of the pool.
    let names: Vec<_> = calls
        .iter()
        .map(|(_, name)| name.as_str())
        .filter(|name| *name != "fstatfs" || !large_pages_are_used())
        .collect();
    names.split(|name| *name == MARK).skip(1).step_by(2).map(<[_]>::to_vec).collect()
}

/// Asserts the calls between the last pair of marks.
fn assert_calls(args: &[&str], expected: &[&str]) {
    let Some(calls) = trace(args) else { return };
    assert_eq!(marked(&calls).last().unwrap(), expected);
}

#[test]
fn create_map_and_drop() {
    assert_calls(&["create"], &["memfd_create", "fcntl", "ftruncate", "fcntl", "fcntl", "mmap", "munmap", "close"]);
}

#[test]
fn fill_from_small_file() {
    // The second sendfile finds the end of the file. Then the file offset returns to the start.
    let fill = ["memfd_create", "sendfile", "sendfile", "lseek", "fcntl", "fcntl", "fstat", "close"];
    assert_calls(&["fill", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")], &fill);
}

#[test]
fn attach_by_name_and_by_string() {
    let Some(calls) = trace(&["attach-children"]) else { return };
    let [by_name, by_string] = &marked(&calls)[..] else { panic!("{calls:?}") };
    // F_GETFD; fstat, F_GETFL, F_GET_SEALS; F_GETFD, F_SETFD; fstat, since another thread may have replaced the descriptor.
    let name = ["fcntl", "fstat", "fcntl", "fcntl", "fcntl", "fcntl", "fstat", "mmap", "munmap", "close"];
    assert_eq!(by_name[..], name);
    // F_GETFD, fstat, F_GETFL, F_GET_SEALS; F_DUPFD_CLOEXEC; the same for the duplicate; F_GETFD, F_SETFD.
    let string = ["fcntl", "fstat", "fcntl", "fcntl", "fcntl", "fstat", "fcntl", "fcntl", "fcntl", "fcntl"];
    assert_eq!(by_string[..string.len()], string);
    assert_eq!(by_string[string.len()..], ["mmap", "munmap", "close"]);
}

/// The number of calls of each name, by the parent during the spawn and by the child before its exec.
fn spawning(names: &[&str]) -> Option<BTreeMap<String, usize>> {
    let calls = trace(&[&["spawn"], names].concat())?;
    let marks = calls.iter().enumerate().filter(|(_, (_, name))| name == MARK).map(|(at, _)| at);
    let [begin, end] = marks.skip(2).collect::<Vec<_>>()[..] else { panic!("{calls:?}") };
    let parent = &calls[begin].0;
    let mut counts = BTreeMap::new();
    let mut exec = false;
    for (at, (process, name)) in calls.iter().enumerate().skip(begin + 1) {
        if process != parent {
            exec |= name == "execve";
        }
        if (process == parent && at < end) || (process != parent && !exec) {
            *counts.entry(name.clone()).or_insert(0) += 1;
        }
    }
    Some(counts)
}

#[test]
fn calls_per_inherited_region() {
    let (Some(none), Some(one), Some(two)) = (spawning(&[]), spawning(&["a"]), spawning(&["a", "b"])) else { return };
    let more = |few: &BTreeMap<String, usize>, many: &BTreeMap<String, usize>| -> Vec<(String, usize)> {
        let more = many.iter().map(|(name, count)| (name.clone(), count - few.get(name).unwrap_or(&0)));
        more.filter(|(_, count)| *count > 0).collect()
    };
    // fstat for the identity; fcntl in the child, to clear close-on-exec.
    let each = [("fcntl".to_owned(), 1), ("fstat".to_owned(), 1)];
    assert_eq!(more(&one, &two), each);
    assert_eq!(more(&none, &one), each);
}
