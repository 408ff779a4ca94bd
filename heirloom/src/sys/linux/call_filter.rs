//! A filter of the system calls of a process that is sealed off, see seccomp(2): it closes what Landlock leaves open.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The numbers of calls and of instructions are small.

use std::ffi::c_long;
use std::io;
use std::iter;
use std::ptr;

use libc::{c_int, sock_filter, sock_fprog};
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
    // Sockets, and their names. An io_uring makes them without the call.
    libc::SYS_socket, libc::SYS_bind, libc::SYS_io_uring_setup,
    // Making the parent a tracer, whose waits return then.
    libc::SYS_ptrace,
    // The owner, the mode, the times and other attributes of files, which Landlock doesn't keep.
    libc::SYS_fchmod, libc::SYS_fchmodat, FCHMODAT2, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_utimensat,
    libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, SETXATTRAT,
    libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_fremovexattr, REMOVEXATTRAT, FILE_SETATTR,
    // Landlock keeps it from version 3 on; see `OPENING` too.
    TRUNCATE,
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
    libc::SYS_creat,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_OLD: &[c_long] = &[];

// From 424 on, every processor has the same numbers.
#[allow(dead_code)] // Only the table uses it, which not every processor has.
const FCHMODAT2: c_long = 452;
#[allow(dead_code)]
const SETXATTRAT: c_long = 463;
#[allow(dead_code)]
const REMOVEXATTRAT: c_long = 466;
#[allow(dead_code)]
const FILE_SETATTR: c_long = 469;

/// The calls that the kernel seems not to have: a filter can't look at what they point to. With them, a process would leave its
/// control group (`clone3`), or empty a file (`openat2`).
const MISSING: [c_long; 2] = [libc::SYS_clone3, libc::SYS_openat2];

/// The calls that open a file, and where they have the flags. Before version 3, Landlock lets who may read a file empty it.
#[cfg(target_arch = "x86_64")]
const OPENING: &[(c_long, u32)] = &[(libc::SYS_open, SECOND_ARGUMENT), (libc::SYS_openat, THIRD_ARGUMENT)];
#[cfg(not(target_arch = "x86_64"))]
const OPENING: &[(c_long, u32)] = &[(libc::SYS_openat, THIRD_ARGUMENT)];

/// The requests of fcntl(2) that hold up those who write a file, or tell what happens in a directory.
const WATCHING: [c_int; 2] = [libc::F_SETLEASE, libc::F_NOTIFY];

/// libc has no name for it on Android.
#[allow(dead_code)]
const TRUNCATE: c_long = if cfg!(target_arch = "x86_64") { 76 } else { 45 };

/// Parts of an instruction, which libc has not on Android: classes, sizes, operations, and a constant as the operand.
const BPF_LD: u32 = 0x00;
const BPF_ALU: u32 = 0x04;
const BPF_JMP: u32 = 0x05;
const BPF_RET: u32 = 0x06;
const BPF_W: u32 = 0x00;
const BPF_ABS: u32 = 0x20;
const BPF_AND: u32 = 0x50;
const BPF_JEQ: u32 = 0x10;
const BPF_JGE: u32 = 0x30;
const BPF_JSET: u32 = 0x40;
const BPF_K: u32 = 0x00;

/// The kinds of sockets that a pair may have. Those without a connection can send to any socket's path.
const CONNECTED: [c_int; 2] = [libc::SOCK_STREAM, libc::SOCK_SEQPACKET];

/// The bits of a kind of socket, beside which are flags.
const KIND: u32 = 0xf;

/// The second bytes of the requests of file systems, see ioctl(2): the general ones and ext4's, XFS's, those of btrfs and of
/// clones, FAT's, those of versions, and F2FS's. With a file that was opened for reading, they set attributes, and make and
/// delete snapshots.
const FILE_SYSTEMS: [u32; 6] = [b'f' as u32, b'X' as u32, 0x94, b'r' as u32, b'v' as u32, 0xf5];

/// The requests that type into a terminal, or paste (`TIOCSTI`, `TIOCLINUX`): who inherits the terminal of a shell would give it
/// commands.
const INPUT_OF_TERMINALS: [u32; 2] = [0x5412, 0x541c];

/// The first number of the calls with 32-bit pointers that x86-64 has beside its own (x32).
const X32: u32 = 0x4000_0000;

/// Where `seccomp_data` has the number of the call, the processor, and the low halves of arguments (little-endian).
const NUMBER: u32 = 0;
const PROCESSOR: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
const SECOND_ARGUMENT: u32 = 24;
const THIRD_ARGUMENT: u32 = 32;

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
        Ok(Self::for_processor(architecture))
    }

    /// Makes the program.
    fn for_processor(architecture: u32) -> Self {
        // As on a kernel that runs no programs for another processor.
        let (missing, denied) = (answer(libc::ENOSYS), answer(libc::EPERM));
        let mut program = vec![load(PROCESSOR), skip_one_if(BPF_JEQ, architecture), missing, load(NUMBER)];
        program.extend([skip_one_unless(BPF_JGE, X32), missing]);
        for number in DENIED.iter().chain(DENIED_OLD) {
            program.extend([skip_one_unless(BPF_JEQ, *number as u32), denied]);
        }
        for number in MISSING {
            program.extend([skip_one_unless(BPF_JEQ, number as u32), missing]);
        }
        let allowed = statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW);
        for (number, flags) in OPENING {
            let emptying = libc::O_TRUNC as u32;
            program.extend(only(*number, &[load(*flags), skip_one_unless(BPF_JSET, emptying), denied, allowed]));
        }
        let mut requests = vec![load(SECOND_ARGUMENT)];
        for request in WATCHING {
            requests.extend([skip_one_unless(BPF_JEQ, request as u32), denied]);
        }
        requests.push(allowed);
        program.extend(only(libc::SYS_fcntl, &requests));
        // A process may read and set its own limits: its id is 0 then.
        program.extend(only(libc::SYS_prlimit64, &[load(FIRST_ARGUMENT), skip_one_if(BPF_JEQ, 0), denied, allowed]));
        let [stream, packets] = CONNECTED.map(|kind| kind as u32);
        let pair = [
            load(FIRST_ARGUMENT),
            skip_one_if(BPF_JEQ, libc::AF_UNIX as u32),
            denied,
            load(SECOND_ARGUMENT),
            keep(KIND),
            skip_one_unless(BPF_JEQ, stream),
            allowed,
            skip_one_if(BPF_JEQ, packets),
            denied,
            allowed,
        ];
        program.extend(only(libc::SYS_socketpair, &pair));
        let mut requests = vec![load(SECOND_ARGUMENT)];
        for request in INPUT_OF_TERMINALS {
            requests.extend([skip_one_unless(BPF_JEQ, request), denied]);
        }
        requests.push(keep(0xff00));
        for file_system in FILE_SYSTEMS {
            requests.extend([skip_one_unless(BPF_JEQ, file_system << 8), denied]);
        }
        requests.push(allowed);
        program.extend(only(libc::SYS_ioctl, &requests));
        program.push(allowed);
        Self(program)
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

/// Runs instructions, which end with an answer, for one call only. The number of the call is loaded.
fn only(number: c_long, instructions: &[sock_filter]) -> impl Iterator<Item = sock_filter> {
    iter::once(jump(BPF_JEQ, number as u32, 0, instructions.len() as u8)).chain(instructions.iter().copied())
}

/// Loads a word of `seccomp_data`.
fn load(offset: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}

/// Clears the other bits of the loaded word.
fn keep(bits: u32) -> sock_filter {
    statement(BPF_ALU | BPF_AND | BPF_K, bits)
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

#[cfg(all(
    test,
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
    target_pointer_width = "64"
))]
mod tests {
    use super::*;

    /// Runs the program for a call, as the kernel does.
    fn run(program: &[sock_filter], call: c_long, processor: u32, arguments: [u32; 3]) -> u32 {
        let (mut word, mut at) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let holds = match u32::from(code) & !BPF_K {
                code if code == BPF_LD | BPF_W | BPF_ABS => {
                    word = match k {
                        NUMBER => call as u32,
                        PROCESSOR => processor,
                        FIRST_ARGUMENT => arguments[0],
                        SECOND_ARGUMENT => arguments[1],
                        THIRD_ARGUMENT => arguments[2],
                        _ => panic!("{k}"),
                    };
                    continue;
                }
                code if code == BPF_ALU | BPF_AND => {
                    word &= k;
                    continue;
                }
                code if code == BPF_JMP | BPF_JEQ => word == k,
                code if code == BPF_JMP | BPF_JGE => word >= k,
                code if code == BPF_JMP | BPF_JSET => word & k != 0,
                BPF_RET => return k,
                code => panic!("{code}"),
            };
            at += usize::from(if holds { jt } else { jf });
        }
    }

    #[test]
    fn only_the_calls_of_this_processor_exist() {
        let (here, allowed) = (ARCHITECTURE.unwrap(), libc::SECCOMP_RET_ALLOW);
        let CallFilter(program) = CallFilter::for_processor(here);
        let (missing, denied) = (answer(libc::ENOSYS).k, answer(libc::EPERM).k);
        let answer = |call, processor| run(&program, call, processor, [1, libc::SOCK_STREAM as u32, 0]);
        assert_eq!(answer(libc::SYS_getpid, here), allowed);
        assert_eq!(answer(libc::SYS_socket, here), denied);
        for call in [libc::SYS_getpid, libc::SYS_socket] {
            assert_eq!(answer(call, here ^ 1), missing);
            // Kernels without x32 answer the same by themselves, so no process can show it there.
            assert_eq!(answer(call | c_long::from(X32), here), missing);
        }
        assert_eq!(answer(c_long::from(u32::MAX), here), missing);
    }

    #[test]
    fn arguments_decide_on_some_calls() {
        let (here, allowed, denied) = (ARCHITECTURE.unwrap(), libc::SECCOMP_RET_ALLOW, answer(libc::EPERM).k);
        let CallFilter(program) = CallFilter::for_processor(here);
        let answer = |call, [first, second]: [u32; 2]| run(&program, call, here, [first, second, 0]);
        let (family, flags) = (libc::AF_UNIX as u32, libc::SOCK_CLOEXEC as u32);
        for (kind, expected) in [
            (libc::SOCK_STREAM, allowed),
            (libc::SOCK_SEQPACKET, allowed),
            (libc::SOCK_DGRAM, denied),
            (libc::SOCK_RAW, denied),
        ] {
            assert_eq!(answer(libc::SYS_socketpair, [family, kind as u32]), expected, "{kind}");
            assert_eq!(answer(libc::SYS_socketpair, [family, kind as u32 | flags]), expected, "{kind}");
            assert_eq!(answer(libc::SYS_socketpair, [libc::AF_TIPC as u32, kind as u32]), denied, "{kind}");
        }
        let open = |flags: c_int| run(&program, libc::SYS_openat, here, [0, 0, flags as u32]);
        assert_eq!(open(libc::O_RDONLY | libc::O_CLOEXEC), allowed);
        assert_eq!(open(libc::O_RDONLY | libc::O_TRUNC), denied);
        for (request, expected) in [(libc::F_GETFD, allowed), (libc::F_SETLEASE, denied), (libc::F_NOTIFY, denied)] {
            assert_eq!(answer(libc::SYS_fcntl, [0, request as u32]), expected, "{request}");
        }
        assert_eq!(answer(libc::SYS_prlimit64, [0, 1]), allowed);
        assert_eq!(answer(libc::SYS_prlimit64, [1, 1]), denied);
        // TCGETS, FIONREAD; TIOCSTI, TIOCLINUX, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR, BTRFS_IOC_SNAP_CREATE.
        for (request, expected) in
            [(0x5401, allowed), (0x541b, allowed), (0x4008_6602, denied), (0x401c_5820, denied), (0x5000_9401, denied)]
        {
            assert_eq!(answer(libc::SYS_ioctl, [0, request]), expected, "{request:#x}");
        }
    }
}
