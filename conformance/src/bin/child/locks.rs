//! The sub-commands about locks. The lock is at offset 0, and protects the two numbers behind it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use heirloom::os::unix::CommandExt;
use heirloom::{Command, LockMapping, Locked, Region};
use heirloom_conformance::single_step;
use rustix::process::{Signal, getpid, kill_process};

use super::channels_on_linux::print_processor_time;
use super::describe;

/// The call that takes offsets of 64 bits on 32-bit x86.
const FCNTL_64: libc::c_long = 221;

const LOCK: usize = 0;
const FIRST: usize = 8;
const SECOND: usize = 16;

fn map(name: &str) -> LockMapping {
    Region::inherited(name).unwrap().map_with_locks().unwrap()
}

fn number(view: &LockMapping, offset: usize) -> u64 {
    let mut bytes = [0; 8];
    view.read_at(offset, &mut bytes).unwrap();
    u64::from_ne_bytes(bytes)
}

/// Adds one to both numbers, by plain copies.
fn add(view: &LockMapping) {
    let next = number(view, FIRST) + 1;
    view.write_at(FIRST, &next.to_ne_bytes()).unwrap();
    view.write_at(SECOND, &next.to_ne_bytes()).unwrap();
}

/// Says that it has come so far, and waits until standard input ends.
fn wait_for_parent() {
    println!("ready");
    io::stdout().flush().unwrap();
    let _ = io::stdin().read_to_end(&mut Vec::new());
}

pub(super) fn run(args: &[&str]) {
    match args {
        ["add", name, count] => {
            let view = map(name);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for _ in 0..count.parse().unwrap() {
                            match view.lock(LOCK).unwrap() {
                                Locked::Clean(_guard) => add(&view),
                                Locked::OwnerDied(_guard) => panic!("nobody died"),
                            }
                        }
                    });
                }
            });
        }
        // Adds one, and mends the numbers where another died.
        ["traced-add", name] => {
            let view = map(name);
            // Once before, so that the dynamic linker has found every function. A lock of a dead owner that others wait for.
            view.atomic_u32(LOCK + 4).unwrap().store(1 << 31 | 1);
            drop(view.lock(LOCK + 4).unwrap());
            single_step::begin();
            let locked = view.lock(LOCK).unwrap();
            if let Locked::OwnerDied(_) = locked {
                view.write_at(SECOND, &number(&view, FIRST).to_ne_bytes()).unwrap();
            }
            add(&view);
            drop(locked);
            single_step::end();
        }
        ["hold", name] => {
            let view = map(name);
            let _locked = view.lock(LOCK).unwrap();
            wait_for_parent();
        }
        // Panics while it has the lock, and lives on.
        ["panic", name] => {
            let view = map(name);
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _locked = view.lock(LOCK).unwrap();
                resume_unwind(Box::new(()));
            }));
            assert!(panicked.is_err());
            wait_for_parent();
        }
        // Takes the lock while another panic unwinds, which is no death of this owner.
        ["lock-in-panic", name] => {
            struct Locks<'a>(&'a LockMapping);
            impl Drop for Locks<'_> {
                fn drop(&mut self) {
                    drop(self.0.lock(LOCK).unwrap());
                }
            }
            let view = map(name);
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _locks = Locks(&view);
                resume_unwind(Box::new(()));
            }));
            assert!(panicked.is_err());
            wait_for_parent();
        }
        // Forgets the lock, drops the mapping, and lives on.
        ["forget", name] => {
            let view = map(name);
            std::mem::forget(view.lock(LOCK).unwrap());
            drop(view);
            wait_for_parent();
        }
        // Executes another program while it has the lock.
        ["exec", name] => {
            let view = map(name);
            let _locked = view.lock(LOCK).unwrap();
            println!("{}", Command::new("cat").exec());
        }
        ["fork", name] => lock_and_fork(&Region::inherited(name).unwrap()),
        // Waits two seconds for a lock that the parent has.
        ["idle", name] => {
            let view = map(name);
            print_processor_time(|| view.lock_timeout(LOCK, Duration::from_secs(2)).unwrap().is_none());
        }
        ["die", name] => {
            let view = map(name);
            let _locked = view.lock(LOCK).unwrap();
            kill_process(getpid(), Signal::KILL).unwrap();
        }
        ["go-on-writing", name] => go_on_writing(&Region::inherited(name).unwrap()),
        ["claim-every-number", name] => claim_every_number(&Region::inherited(name).unwrap()),
        _ => panic!("unknown arguments {args:?}"),
    }
}

/// Forks while it has the lock, and uses both copies.
fn lock_and_fork(region: &Region) {
    let view = region.map_with_locks().unwrap();
    let locked = view.lock(LOCK).unwrap();
    // SAFETY: The program has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        println!("{}", describe(view.try_lock(LOCK + 4).map(|_| String::new())));
        drop(locked);
        let again = region.map_with_locks().unwrap();
        println!("the parent's: {}", again.try_lock(LOCK).unwrap().is_some());
        println!("a free one: {}", again.try_lock(LOCK + 4).unwrap().is_some());
        io::stdout().flush().unwrap();
        // SAFETY: This ends the process.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: The call writes the status only.
    unsafe { assert_eq!((libc::waitpid(child, &raw mut status, 0), status), (child, 0)) };
    drop(locked);
    println!("released: {}", matches!(view.try_lock(LOCK).unwrap(), Some(Locked::Clean(_))));
}

/// Locks the bytes of `count` numbers by which owners are known, or unlocks them.
fn claim_numbers(file: &File, kind: libc::c_int, first: i64, count: i64) {
    // SAFETY: Zeros are valid for these integers.
    let mut lock: libc::flock64 = unsafe { std::mem::zeroed() };
    lock.l_type = kind.try_into().unwrap();
    (lock.l_start, lock.l_len) = ((1 << 60) + first, count);
    let call = if cfg!(target_pointer_width = "64") { libc::SYS_fcntl } else { FCNTL_64 };
    // SAFETY: The call reads `lock`, which outlives it.
    assert_eq!(unsafe { libc::syscall(call, file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) }, 0);
}

fn open_anew(region: &Region) -> File {
    let path = format!("/proc/self/fd/{}", region.as_fd().as_raw_fd());
    File::options().read(true).write(true).open(path).unwrap()
}

fn claim_every_number(region: &Region) {
    let file = open_anew(region);
    claim_numbers(&file, libc::F_WRLCK, 0, 1 << 30);
    wait_for_parent();
}

/// Makes the kernel slow, by many locks, and writes numbers into the lock that no owner has, until standard input ends.
fn go_on_writing(region: &Region) {
    let file = open_anew(region);
    // Every second one, since the kernel merges neighbours. From the last on, since it searches from the first.
    claim_numbers(&file, libc::F_WRLCK, 0, 2_000_000);
    (0..1_000_000).rev().for_each(|number| claim_numbers(&file, libc::F_UNLCK, 2 * number, 1));
    let view = region.map().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(wait_for_parent);
        let mut number = (1 << 29) + 1;
        while !waiting.is_finished() {
            view.atomic_u32(0).unwrap().store(number);
            number += 1;
            std::thread::sleep(Duration::from_micros(100));
        }
    });
}
