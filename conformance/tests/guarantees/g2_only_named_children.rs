//! G2, only named children inherit: a child gets a region only if its own command names it.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use heirloom::os::unix::InheritExt;
use heirloom::{FrozenRegion, Region};
use heirloom_conformance::rounds;

use crate::{CHILD, child, output};

fn inode(region: &impl AsFd) -> u64 {
    rustix::fs::fstat(region).unwrap().st_ino
}

/// The inodes in a child's list of the regions among its descriptors.
fn inodes(seen: &str) -> Vec<u64> {
    seen.lines().map(|line| line.split_once(' ').unwrap().1.parse().unwrap()).collect()
}

/// A child's descriptors: number and target.
fn found(output: std::process::Output) -> BTreeMap<String, String> {
    let text = heirloom_conformance::text(output);
    text.lines().filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

#[test]
fn g2_each_child_inherits_only_its_named_region() {
    // Eight threads create regions and start children at once, half of them through the standard library. Another one
    // forks.
    const THREADS: usize = 8;
    let rounds = rounds(25, 625);
    let bystander = Region::create(4096).unwrap();
    // The descriptors that every child of this process has.
    let always = found(Command::new(CHILD).arg("descriptors").output().unwrap());
    let always: Vec<_> = always.keys().collect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let children: Vec<_> = (0..THREADS)
            .map(|thread| {
                let always = &always;
                scope.spawn(move || {
                    for _ in 0..rounds {
                        let mine = Region::create(4096).unwrap();
                        let _other = FrozenRegion::from_bytes("not for the child").unwrap();
                        let seen = if thread % 2 == 0 {
                            child(&["descriptors"]).inherit("mine", &mine).unwrap().output().unwrap()
                        } else {
                            let mut command = Command::new(CHILD);
                            command.arg("descriptors").inherit("mine", &mine).unwrap().output().unwrap()
                        };
                        let number = mine.as_fd().as_raw_fd().to_string();
                        let mut seen = found(seen);
                        assert!(seen.remove(&number).unwrap().starts_with("/memfd:heirloom/"));
                        assert_eq!(seen.keys().collect::<Vec<_>>(), *always);
                        // A child whose command names no region gets none.
                        let seen = found(Command::new(CHILD).arg("descriptors").output().unwrap());
                        assert_eq!(seen.keys().collect::<Vec<_>>(), *always);
                    }
                })
            })
            .collect();
        let over = &over;
        scope.spawn(move || {
            while !over.load(Ordering::Acquire) {
                // SAFETY: The child makes one system call, `_exit`.
                let pid = unsafe { libc::fork() };
                if pid == 0 {
                    // SAFETY: `_exit` runs none of the parent's exit handlers.
                    unsafe { libc::_exit(0) };
                }
                // SAFETY: `pid` is a child of this process, and a null status is allowed.
                unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
            }
        });
        let ended: Vec<_> = children.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Release);
        assert!(ended.iter().all(Result::is_ok));
    });
    drop(bystander);
}

#[test]
fn g2_child_passes_nothing_on_after_claim_or_spawn() {
    let region = Region::create(4096).unwrap();
    // The control: without a claim, the child's own children inherit through the standard library.
    let seen = output(child(&["spawn", "std"]).inherit("a", &region).unwrap());
    assert_eq!(inodes(seen.trim()), [inode(&region)]);

    let seen = output(child(&["spawn", "heirloom"]).inherit("a", &region).unwrap());
    assert_eq!(seen.trim(), "");
    let seen = output(child(&["claim-and-spawn-std", "regions"]).inherit("a", &region).unwrap());
    assert_eq!(seen.trim(), "");
}

#[test]
fn g2_two_library_copies_hold_separate_descriptors() {
    let Some(library) = crate::c_library() else { return };
    for first in ["c", "rust"] {
        let region = Region::create(4096).unwrap();
        let report = output(child(&["claim-with-c-library", library, first]).inherit("a", &region).unwrap());
        // Both map the same memory through two descriptors. After both close, no descriptor is left, and a child
        // inherits none.
        assert_eq!(report, "42 2\ntrue\n0\n", "first: {first}");
    }
}

#[test]
fn g2_same_region_under_two_names_is_two_descriptors() {
    let region = Region::create(4096).unwrap();
    let mut command = child(&["regions"]);
    command.inherit("a", &region).unwrap().inherit("b", &region).unwrap();
    let seen = output(&mut command);
    assert_eq!(inodes(&seen), [inode(&region), inode(&region)]);
}

#[test]
fn g2_dropped_region_leaves_no_descriptor_in_child() {
    let region = Region::create(4096).unwrap();
    let seen = output(child(&["claim-then-regions"]).inherit("a", &region).unwrap());
    assert_eq!(inodes(&seen), [inode(&region)]);
    assert_eq!(output(child(&["drop-then-regions", "a"]).inherit("a", &region).unwrap()), "");
}

#[test]
fn g2_callers_inheritable_descriptors_stay_open() {
    // Some programs pass pipes to their children by number.
    let (reader, _writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let region = Region::create(4096).unwrap();
    rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::empty()).unwrap();
    let seen = output(child(&["descriptors"]).inherit("a", &region).unwrap());
    let pipe = format!("pipe:[{}]", rustix::fs::fstat(&reader).unwrap().st_ino);
    rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::CLOEXEC).unwrap();
    assert!(seen.lines().any(|line| line.contains(&pipe)), "{seen}");
}

#[test]
fn g2_set_undumpable_blocks_access_through_proc() {
    // An unprivileged user may be unable to read this program's own directory.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("child");
    // `cp` copies it: if this process did, a child forked by another thread could hold the copy open for writing
    // (ETXTBSY).
    assert!(Command::new("cp").arg(CHILD).arg(&program).status().unwrap().success());
    for (set_undumpable, opens) in [("no", true), ("yes", false)] {
        let mut holder = without_privileges(&program);
        holder.args(["hold-with-undumpable", set_undumpable]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = holder.spawn().unwrap();
        let mut number = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut number).unwrap();
        let path = format!("/proc/{}/fd/{}", holder.id(), number.trim());
        let intruder = without_privileges("cat".as_ref()).arg(&path).output().unwrap();
        assert_eq!(intruder.status.success(), opens, "set_undumpable: {set_undumpable}");
        drop(holder.stdin.take());
        assert!(holder.wait().unwrap().success());
    }
}

/// A command that runs as an unprivileged user, because root may open any `/proc/PID/fd`.
pub(crate) fn without_privileges(program: &Path) -> Command {
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    command
}

#[test]
fn g2_five_hundred_regions_reach_one_child() {
    let regions: Vec<_> = (0..500).map(|_| Region::create(4096).unwrap()).collect();
    let mut command = child(&["regions"]);
    for (index, region) in regions.iter().enumerate() {
        command.inherit(&format!("region {index}"), region).unwrap();
    }
    let mut expected: Vec<_> = regions.iter().map(inode).collect();
    // The command holds its own descriptors.
    drop(regions);
    let mut seen = inodes(&output(&mut command));
    expected.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, expected);
}
