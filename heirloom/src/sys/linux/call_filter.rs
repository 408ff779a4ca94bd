//! A filter of the system calls of a process that is sealed off, see seccomp(2): it closes what Landlock leaves open.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The numbers of calls and of instructions are small.

use std::ffi::c_long;
use std::io;
use std::ptr;

use libc::{BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter, sock_fprog};
use linux_raw_sys::ptrace::{AUDIT_ARCH_AARCH64, AUDIT_ARCH_RISCV64, AUDIT_ARCH_X86_64};
use rustix::io::Errno;

use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::unix::errno::last_errno;

/// The processor, as the kernel names it for a filter; `None` where the table below has no calls for it.
const ARCHITECTURE: Option<u32> = if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
    Some(AUDIT_ARCH_X86_64)
} else if cfg!(all(target_arch = "aarch64", target_endian = "little", target_pointer_width = "64")) {
    Some(AUDIT_ARCH_AARCH64)
} else if cfg!(target_arch = "riscv64") {
    Some(AUDIT_ARCH_RISCV64)
} else {
    None
};

/// The calls that are denied, since they reach what is not a file that was opened.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
#[rustfmt::skip]
const DENIED: &[c_long] = &[
    // Sockets. An io_uring makes them without the call.
    libc::SYS_socket, libc::SYS_io_uring_setup,
    // The owner, the mode, the times and other attributes of files, which Landlock doesn't keep.
    libc::SYS_fchmod, libc::SYS_fchmodat, FCHMODAT2, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_utimensat,
    libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, SETXATTRAT,
    libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_fremovexattr, REMOVEXATTRAT, FILE_SETATTR,
    // Landlock keeps it from version 3 on.
    libc::SYS_truncate,
    // What happens in a directory.
    libc::SYS_inotify_add_watch, libc::SYS_fanotify_mark,
    // Priorities, processors and schedulers of other processes.
    libc::SYS_setpriority, libc::SYS_ioprio_set, libc::SYS_sched_setaffinity, libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler, libc::SYS_sched_setattr,
    // Keys, messages, semaphores and memory that every process of the user can name.
    libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl, libc::SYS_mq_open, libc::SYS_mq_unlink,
    libc::SYS_msgget, libc::SYS_msgsnd, libc::SYS_msgrcv, libc::SYS_msgctl,
    libc::SYS_semget, libc::SYS_semop, libc::SYS_semtimedop, libc::SYS_semctl,
    libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmctl,
];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
const DENIED: &[c_long] = &[];

/// The older forms of these calls.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const DENIED_OLD: &[c_long] = &[
    libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown, libc::SYS_utime, libc::SYS_utimes, libc::SYS_futimesat,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_OLD: &[c_long] = &[];

// From 424 on, every processor has the same numbers.
const FCHMODAT2: c_long = 452;
const SETXATTRAT: c_long = 463;
const REMOVEXATTRAT: c_long = 466;
const FILE_SETATTR: c_long = 469;

/// The first number of the calls with 32-bit pointers that x86-64 has beside its own (x32).
const X32: u32 = 0x4000_0000;

/// Where `seccomp_data` has the number of the call, the processor, and the first argument's low half (little-endian).
const NUMBER: u32 = 0;
const PROCESSOR: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// A program of the kernel's Berkeley packet filter.
pub(super) struct CallFilter(Vec<sock_filter>);

impl CallFilter {
    pub(super) fn new() -> Result<Self> {
        let unsupported = |why: &str| Failure::new(Reason::NoCallFilter, io::Error::other(why));
        let architecture = ARCHITECTURE.ok_or_else(|| unsupported("the table of calls lacks this processor"))?;
        // Without a program, a kernel that has filters answers EFAULT.
        match set_filter(ptr::null()) {
            Err(Errno::FAULT) => {}
            Err(errno) => return Err(Failure::new(Reason::NoCallFilter, errno)),
            Ok(()) => return Err(unsupported("the call does nothing")),
        }
        // As on a kernel that runs no programs for another processor.
        let (missing, denied) = (answer(libc::ENOSYS), answer(libc::EPERM));
        let mut program = vec![load(PROCESSOR), skip_one_if(BPF_JEQ, architecture), missing, load(NUMBER)];
        program.extend([skip_one_unless(BPF_JGE, X32), missing]);
        for number in DENIED.iter().chain(DENIED_OLD) {
            program.extend([skip_one_unless(BPF_JEQ, *number as u32), denied]);
        }
        // A process may read and set its own limits: its id is 0 then.
        let limits = libc::SYS_prlimit64 as u32;
        program.extend([
            load(NUMBER),
            jump(BPF_JEQ, limits, 0, 3),
            load(FIRST_ARGUMENT),
            skip_one_if(BPF_JEQ, 0),
            denied,
        ]);
        program.push(statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW));
        Ok(Self(program))
    }

    /// Filters the calls of this process, for ever. Allocates nothing.
    pub(super) fn enter(&self) -> std::result::Result<(), Errno> {
        // The kernel doesn't write the program.
        set_filter(&sock_fprog { len: self.0.len() as u16, filter: self.0.as_ptr().cast_mut() })
    }
}

fn set_filter(program: *const sock_fprog) -> std::result::Result<(), Errno> {
    // SAFETY: The program is null, or has the number of instructions that it says, and lives during the call.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, program, 0, 0) } {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

/// Loads a word of `seccomp_data`.
fn load(offset: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}

/// Ends with an error.
fn answer(errno: i32) -> sock_filter {
    statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs())
}

fn skip_one_if(comparison: u32, value: u32) -> sock_filter {
    jump(comparison, value, 1, 0)
}

fn skip_one_unless(comparison: u32, value: u32) -> sock_filter {
    jump(comparison, value, 0, 1)
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Compares the loaded word with a value, and skips `jt` instructions if it holds, or else `jf`.
fn jump(comparison: u32, value: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | comparison | BPF_K) as u16, jt, jf, k: value }
}
