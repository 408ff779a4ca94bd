//! G2, only the heirs: no process inherits a region unless its spawn named it.

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

/// The inodes of the regions that a child found among its descriptors.
fn inodes(seen: &str) -> Vec<u64> {
    seen.lines().map(|line| line.split_once(' ').unwrap().1.parse().unwrap()).collect()
}

/// The numbers of the descriptors that a child found, and the inodes of the regions among them.
fn found(output: std::process::Output) -> BTreeMap<String, String> {
    let text = heirloom_conformance::text(output);
    text.lines().filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

#[test]
fn g2_each_child_gets_the_one_region_that_its_spawn_named() {
    // Many threads make regions and start children at once, half of them by the standard library, and another forks.
    const THREADS: usize = 8;
    let rounds = rounds(25, 625);
    let bystander = Region::create(4096).unwrap();
    // What every child of this process has, whoever starts it.
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
                        assert!(seen.remove(&number).unwrap().starts_with("/memfd:heirloom"));
                        assert_eq!(seen.keys().collect::<Vec<_>>(), *always);
                        // And nothing for a child that nothing was named for.
                        let seen = found(Command::new(CHILD).arg("descriptors").output().unwrap());
                        assert_eq!(seen.keys().collect::<Vec<_>>(), *always);
                    }
                })
            })
            .collect();
        let over = &over;
        scope.spawn(move || {
            while !over.load(Ordering::Acquire) {
                // SAFETY: The child ends at once.
                let pid = unsafe { libc::fork() };
                if pid == 0 {
                    // SAFETY: Without running what belongs to the parent.
                    unsafe { libc::_exit(0) };
                }
                // SAFETY: A child of this process, and nobody asks how it ended.
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
fn g2_a_child_that_claims_or_spawns_through_us_hands_nothing_on() {
    let region = Region::create(4096).unwrap();
    // The control: before any claim the standard library's children get all that the child got.
    let seen = output(child(&["spawn", "std"]).inherit("a", &region).unwrap());
    assert_eq!(inodes(seen.trim()), [inode(&region)]);

    let seen = output(child(&["spawn", "ours"]).inherit("a", &region).unwrap());
    assert_eq!(seen.trim(), "");
    let seen = output(child(&["claim-and-spawn-std", "regions"]).inherit("a", &region).unwrap());
    assert_eq!(seen.trim(), "");
}

#[test]
fn g2_two_copies_of_the_library_in_one_process_each_have_their_own() {
    let Some(library) = crate::c_library() else { return };
    for first in ["c", "rust"] {
        let region = Region::create(4096).unwrap();
        let told = output(child(&["both-claim", library, first]).inherit("a", &region).unwrap());
        // Both see the same memory, over two descriptors; in the end nothing is left, for children neither.
        assert_eq!(told, "42 2\ntrue\n0\n", "first: {first}");
    }
}

#[test]
fn g2_the_same_region_under_two_names_is_two_descriptors_and_nothing_more() {
    let region = Region::create(4096).unwrap();
    let mut command = child(&["regions"]);
    command.inherit("a", &region).unwrap().inherit("b", &region).unwrap();
    let seen = output(&mut command);
    assert_eq!(inodes(&seen), [inode(&region), inode(&region)]);
}

#[test]
fn g2_a_claimed_region_is_gone_from_the_child_once_it_is_dropped() {
    let region = Region::create(4096).unwrap();
    let seen = output(child(&["claim-then-regions"]).inherit("a", &region).unwrap());
    assert_eq!(inodes(&seen), [inode(&region)]);
    assert_eq!(output(child(&["drop-then-regions", "a"]).inherit("a", &region).unwrap()), "");
}

#[test]
fn g2_no_descriptor_of_the_callers_is_closed_in_the_child() {
    // Some programs find their own pipes by number.
    let (reader, _writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let region = Region::create(4096).unwrap();
    rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::empty()).unwrap();
    let seen = output(child(&["descriptors"]).inherit("a", &region).unwrap());
    let pipe = format!("pipe:[{}]", rustix::fs::fstat(&reader).unwrap().st_ino);
    rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::CLOEXEC).unwrap();
    assert!(seen.lines().any(|line| line.contains(&pipe)), "{seen}");
}

#[test]
fn g2_the_open_door_is_open_without_a_shield_and_shut_with_it() {
    // Another user may not get to where this program lies.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("child");
    // By another process: a child that another thread forks meanwhile would keep the copy open for writing.
    assert!(Command::new("cp").arg(CHILD).arg(&program).status().unwrap().success());
    for (set_undumpable, opens) in [("no", true), ("yes", false)] {
        let mut holder = without_privileges(&program);
        holder.args(["shielded-hold", set_undumpable]).stdin(Stdio::piped()).stdout(Stdio::piped());
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

/// As a user without rights, even where this process is root, which gets in everywhere.
fn without_privileges(program: &Path) -> Command {
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    command
}

#[test]
fn g2_heirs_of_every_kind_and_number_arrive() {
    let regions: Vec<_> = (0..500).map(|_| Region::create(4096).unwrap()).collect();
    let mut command = child(&["regions"]);
    for (index, region) in regions.iter().enumerate() {
        command.inherit(&format!("region {index}"), region).unwrap();
    }
    let mut expected: Vec<_> = regions.iter().map(inode).collect();
    // The parent's handles are not needed any more.
    drop(regions);
    let mut seen = inodes(&output(&mut command));
    expected.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, expected);
}
