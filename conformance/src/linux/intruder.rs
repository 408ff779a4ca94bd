//! The ways by which a process reaches another one of its user, and the kernel's result of each where it is confined.
//!
//! The control is the same call of a process that is not confined: it must succeed, unless the system's settings refuse it.

#![allow(clippy::useless_conversion)] // Some results have other types on 32-bit targets.

use std::ffi::c_void;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::ptr;
use std::str::FromStr;

use libc::{EACCES, EPERM, c_int, c_long, pid_t};

use super::check;
pub use super::hostile::DONE;

/// The process that an intruder tries to reach.
#[derive(Debug)]
pub struct Target {
    /// Its id, which is also that of its first thread.
    pub id: pid_t,
    /// One of its descriptors: a file that has no name.
    pub descriptor: RawFd,
    /// The address of [`SECRET`].
    pub address: usize,
    /// A mapping, as `map_files` names it.
    pub mapping: String,
}

/// The number in the memory of a target.
pub const SECRET: u64 = 0x7365_6372_6574_2121;

/// The signal that a target blocks, so that it stays pending.
const PENDING: c_int = libc::SIGURG;

impl Target {
    /// Makes this process a target.
    ///
    /// # Panics
    /// If the system refuses memory.
    #[must_use]
    pub fn this_process() -> Self {
        let secret = Box::leak(Box::new(SECRET));
        // SAFETY: All arguments are integers, or a set of signals that outlives the calls.
        let descriptor = unsafe {
            // Where the system has Yama, this lets every process trace this one.
            libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0);
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, PENDING);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
            libc::memfd_create(c"of the target".as_ptr(), libc::MFD_CLOEXEC)
        };
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mapping = maps.lines().find(|line| line.contains('/')).unwrap().split(' ').next().unwrap().to_owned();
        let id = pid_t::try_from(std::process::id()).unwrap();
        Self { id, descriptor, address: ptr::from_mut(secret) as usize, mapping }
    }

    fn path(&self, of: &str) -> String {
        format!("/proc/{}/{of}", self.id)
    }

    /// The secret, in the target's memory.
    fn place(&self) -> libc::iovec {
        libc::iovec { iov_base: self.address as *mut c_void, iov_len: 8 }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.id, self.descriptor, self.address, self.mapping)
    }
}

impl FromStr for Target {
    type Err = Box<dyn std::error::Error>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fields: Vec<_> = text.split_whitespace().collect();
        let [id, descriptor, address, mapping] = fields[..] else { return Err(text.into()) };
        Ok(Self {
            id: id.parse()?,
            descriptor: descriptor.parse()?,
            address: address.parse()?,
            mapping: mapping.to_owned(),
        })
    }
}

/// A way to reach another process.
pub struct Way {
    /// The call, and how it is made.
    pub name: &'static str,
    /// Tries it.
    pub act: fn(&Target) -> io::Result<()>,
    /// The errno where the process is confined.
    pub answer: i32,
    /// The version of Landlock from which on it is refused.
    pub since: u32,
    /// Whether the system may refuse it to every process without privileges.
    pub may_be_refused: bool,
    /// Whether root's capability to measure other processes, `CAP_PERFMON`, allows it.
    pub root_may: bool,
}

const fn way(name: &'static str, act: fn(&Target) -> io::Result<()>, answer: i32) -> Way {
    Way { name, act, answer, since: 1, may_be_refused: false, root_may: false }
}

/// A call that settings of the system, or its configuration, may refuse.
const fn rare(name: &'static str, act: fn(&Target) -> io::Result<()>, answer: i32) -> Way {
    Way { may_be_refused: true, ..way(name, act, answer) }
}

/// A call that measures.
const fn measures(name: &'static str, act: fn(&Target) -> io::Result<()>, answer: i32) -> Way {
    Way { root_may: true, ..rare(name, act, answer) }
}

/// A signal.
const fn signal(name: &'static str, act: fn(&Target) -> io::Result<()>) -> Way {
    Way { since: 6, ..way(name, act, EPERM) }
}

/// The ways that are closed.
pub const CLOSED: &[Way] = &[
    way("read /proc/PID/mem", read_memory, EACCES),
    way("write /proc/PID/mem", write_memory, EACCES),
    way("read /proc/PID/task/TID/mem", read_memory_of_thread, EACCES),
    way("open /proc/PID/fd/N", open_descriptor, EACCES),
    way("open /proc/PID/task/TID/fd/N", open_descriptor_of_thread, EACCES),
    way("open /proc/PID/fd/N with O_PATH", open_descriptor_as_path, EACCES),
    way("readlink of /proc/PID/fd/N", |target| read_link(target, &format!("fd/{}", target.descriptor)), EACCES),
    way("stat of /proc/PID/fd/N", stat_descriptor, EACCES),
    way("read /proc/PID/fdinfo/N", |target| read(target, &format!("fdinfo/{}", target.descriptor)), EACCES),
    way("list /proc/PID/fdinfo", |target| list(target, "fdinfo"), EACCES),
    measures("list /proc/PID/map_files", |target| list(target, "map_files"), EACCES),
    rare("open /proc/PID/map_files/…", open_mapping, EACCES),
    measures("read /proc/PID/maps", |target| read(target, "maps"), EACCES),
    measures("read /proc/PID/smaps", |target| read(target, "smaps"), EACCES),
    measures("read /proc/PID/smaps_rollup", |target| read(target, "smaps_rollup"), EACCES),
    measures("read /proc/PID/numa_maps", |target| read(target, "numa_maps"), EACCES),
    measures("read /proc/PID/pagemap", read_page_map, EACCES),
    measures("read /proc/PID/environ", |target| read(target, "environ"), EACCES),
    measures("read /proc/PID/auxv", |target| read(target, "auxv"), EACCES),
    rare("read /proc/PID/syscall", |target| read(target, "syscall"), EPERM),
    rare("read /proc/PID/stack", |target| read(target, "stack"), EPERM),
    rare("read /proc/PID/io", |target| read(target, "io"), EACCES),
    rare("read /proc/PID/personality", |target| read(target, "personality"), EPERM),
    rare("read /proc/PID/timers", |target| read(target, "timers"), EACCES),
    way("list /proc/PID/cwd", |target| list(target, "cwd"), EACCES),
    way("list /proc/PID/root", |target| list(target, "root"), EACCES),
    way("open a file beneath /proc/PID/root", |target| read(target, "root/dev/null"), EACCES),
    way("open /proc/PID/exe", |target| File::open(target.path("exe")).map(drop), EACCES),
    way("readlink of /proc/PID/exe", |target| read_link(target, "exe"), EACCES),
    way("open /proc/PID/ns/user", |target| File::open(target.path("ns/user")).map(drop), EACCES),
    way("readlink of /proc/PID/ns/pid", |target| read_link(target, "ns/pid"), EACCES),
    rare("PTRACE_ATTACH", attach, EPERM),
    rare("PTRACE_SEIZE", seize, EPERM),
    rare("process_vm_readv", read_by_call, EPERM),
    rare("process_vm_writev", write_by_call, EPERM),
    rare("pidfd_getfd", get_by_pidfd, EPERM),
    rare("kcmp of the memory", |target| compare(target, 1), EPERM),
    rare("kcmp of a descriptor", |target| compare(target, 0), EPERM),
    measures("process_madvise", advise, EACCES),
    measures("perf_event_open", measure, EACCES),
    rare("move_pages", move_pages, EPERM),
    rare("migrate_pages", migrate_pages, EPERM),
    way("get_robust_list", robust_list, EPERM),
    signal("kill with signal 0", |target| kill(target, 0)),
    signal("kill with SIGCONT", |target| kill(target, libc::SIGCONT)),
    signal("tkill", send_to_thread_by_number),
    signal("tgkill", send_to_thread),
    signal("rt_sigqueueinfo", |target| send_with_value(target, libc::SYS_rt_sigqueueinfo)),
    signal("rt_tgsigqueueinfo", |target| send_with_value(target, libc::SYS_rt_tgsigqueueinfo)),
    Way { may_be_refused: true, ..signal("pidfd_send_signal", send_by_pidfd) },
    signal("SIGURG as the owner of a pipe, F_SETOWN", |target| signal_by_pipe(target, Owner::Process)),
    signal("SIGURG as the owner of a pipe, F_SETOWN_EX to a thread", |target| signal_by_pipe(target, Owner::Thread)),
];

/// What [`confine`](heirloom::os::linux::CommandExt::confine) leaves open.
pub const OPEN: &[Way] = &[
    way("read /proc/PID/status", |target| read(target, "status"), DONE),
    way("read /proc/PID/cmdline", |target| read(target, "cmdline"), DONE),
    way("list /proc/PID/fd", |target| list(target, "fd"), DONE),
    way("read /proc/PID/mountinfo", |target| read(target, "mountinfo"), DONE),
    way("pidfd_open", |target| pidfd(target).map(drop), DONE),
    way("prlimit", |target| limits(target.id), DONE),
    way("setpriority", set_priority, DONE),
    way("ioprio_set", set_io_priority, DONE),
    way("sched_setaffinity", set_affinity, DONE),
    way("sched_setscheduler", set_scheduler, DONE),
    way("write /proc/PID/oom_score_adj", |target| rewrite(target, "oom_score_adj"), DONE),
    way("write /proc/PID/coredump_filter", |target| rewrite(target, "coredump_filter"), DONE),
    rare("write /proc/PID/clear_refs", |target| fs::write(target.path("clear_refs"), "1"), DONE),
];

fn read_memory_at(target: &Target, path: &str) -> io::Result<()> {
    let mut bytes = [0; 8];
    File::open(target.path(path))?.read_exact_at(&mut bytes, target.address as u64)?;
    is_secret(u64::from_ne_bytes(bytes))
}

fn is_secret(number: u64) -> io::Result<()> {
    if number == SECRET { Ok(()) } else { Err(io::Error::other("other bytes")) }
}

fn read_memory(target: &Target) -> io::Result<()> {
    read_memory_at(target, "mem")
}

fn read_memory_of_thread(target: &Target) -> io::Result<()> {
    read_memory_at(target, &format!("task/{}/mem", target.id))
}

/// The same number, so that the next way finds it.
fn write_memory(target: &Target) -> io::Result<()> {
    let file = File::options().write(true).open(target.path("mem"))?;
    file.write_all_at(&SECRET.to_ne_bytes(), target.address as u64)
}

fn read(target: &Target, path: &str) -> io::Result<()> {
    fs::read(target.path(path)).map(drop)
}

fn read_link(target: &Target, path: &str) -> io::Result<()> {
    fs::read_link(target.path(path)).map(drop)
}

fn list(target: &Target, path: &str) -> io::Result<()> {
    fs::read_dir(target.path(path))?.try_for_each(|entry| entry.map(drop))
}

/// Reads a file, and writes what it has.
pub(super) fn rewrite(target: &Target, path: &str) -> io::Result<()> {
    let value = fs::read_to_string(target.path(path))?;
    let value = if path == "coredump_filter" { format!("0x{value}") } else { value };
    File::options().write(true).open(target.path(path))?.write_all(value.trim().as_bytes())
}

fn open_descriptor(target: &Target) -> io::Result<()> {
    File::options().read(true).write(true).open(target.path(&format!("fd/{}", target.descriptor))).map(drop)
}

fn open_descriptor_of_thread(target: &Target) -> io::Result<()> {
    File::open(target.path(&format!("task/{}/fd/{}", target.id, target.descriptor))).map(drop)
}

fn open_descriptor_as_path(target: &Target) -> io::Result<()> {
    let path = target.path(&format!("fd/{}", target.descriptor));
    rustix::fs::open(path, rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
    Ok(())
}

fn stat_descriptor(target: &Target) -> io::Result<()> {
    fs::metadata(target.path(&format!("fd/{}", target.descriptor))).map(drop)
}

fn open_mapping(target: &Target) -> io::Result<()> {
    File::open(target.path(&format!("map_files/{}", target.mapping))).map(drop)
}

fn read_page_map(target: &Target) -> io::Result<()> {
    let offset = target.address / rustix::param::page_size() * 8;
    File::open(target.path("pagemap"))?.read_exact_at(&mut [0; 8], offset as u64)
}

fn attach(target: &Target) -> io::Result<()> {
    // SAFETY: All arguments are integers, and a null status is allowed. The target goes on afterwards.
    unsafe {
        check(libc::ptrace(libc::PTRACE_ATTACH, target.id, 0, 0))?;
        check(libc::waitpid(target.id, ptr::null_mut(), libc::__WALL))?;
        check(libc::ptrace(libc::PTRACE_DETACH, target.id, 0, 0))
    }
}

fn seize(target: &Target) -> io::Result<()> {
    // SAFETY: As above.
    unsafe {
        check(libc::ptrace(libc::PTRACE_SEIZE, target.id, 0, 0))?;
        check(libc::ptrace(libc::PTRACE_INTERRUPT, target.id, 0, 0))?;
        check(libc::waitpid(target.id, ptr::null_mut(), libc::__WALL))?;
        check(libc::ptrace(libc::PTRACE_DETACH, target.id, 0, 0))
    }
}

fn read_by_call(target: &Target) -> io::Result<()> {
    let mut number = 0_u64;
    let here = libc::iovec { iov_base: (&raw mut number).cast(), iov_len: 8 };
    let there = target.place();
    // SAFETY: The bytes here outlive the call; those there are another process's.
    let read = unsafe { libc::process_vm_readv(target.id, &raw const here, 1, &raw const there, 1, 0) };
    check(read as i64)?;
    is_secret(number)
}

fn write_by_call(target: &Target) -> io::Result<()> {
    let mut number = SECRET;
    let here = libc::iovec { iov_base: (&raw mut number).cast(), iov_len: 8 };
    let there = target.place();
    // SAFETY: As above.
    let written = unsafe { libc::process_vm_writev(target.id, &raw const here, 1, &raw const there, 1, 0) };
    check(written as i64)
}

fn pidfd(target: &Target) -> io::Result<OwnedFd> {
    // SAFETY: All arguments are integers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, target.id, 0) })
}

/// Takes ownership of a descriptor that the kernel has just opened, or returns its error.
pub(super) fn owned(number: c_long) -> io::Result<OwnedFd> {
    check(number)?;
    // SAFETY: Just opened, and owned by nothing else.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(number).unwrap_or(-1)) })
}

fn get_by_pidfd(target: &Target) -> io::Result<()> {
    let process = pidfd(target)?;
    // SAFETY: All arguments are integers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), target.descriptor, 0) }).map(drop)
}

/// Compares this process's memory or standard input with the target's.
fn compare(target: &Target, kind: c_int) -> io::Result<()> {
    // SAFETY: All arguments are integers.
    check(unsafe { libc::syscall(libc::SYS_kcmp, libc::getpid(), target.id, kind, 0, 0) })
}

fn advise(target: &Target) -> io::Result<()> {
    let process = pidfd(target)?;
    let place = libc::iovec { iov_base: (target.address & !0xfff) as *mut c_void, iov_len: 4096 };
    // SAFETY: The `iovec` outlives the call; what it names is another process's.
    let advised = unsafe {
        libc::syscall(libc::SYS_process_madvise, process.as_raw_fd(), &raw const place, 1, libc::MADV_COLD, 0)
    };
    check(advised)
}

/// `perf_event_attr` of its version 5, see `perf_event_open(2)`.
#[repr(C)]
#[derive(Default)]
struct Measured {
    kind: u32,
    size: u32,
    config: u64,
    period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    rest: [u64; 8],
}

fn measure(target: &Target) -> io::Result<()> {
    // The task clock, without the kernel's part.
    let exclude_kernel = if cfg!(target_endian = "big") { 1 << 58 } else { 1 << 5 };
    let measured = Measured { kind: 1, size: 112, config: 1, flags: exclude_kernel, ..Measured::default() };
    // SAFETY: The structure has its size in it, and outlives the call.
    owned(unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const measured, target.id, -1, -1, 8) }).map(drop)
}

fn move_pages(target: &Target) -> io::Result<()> {
    let (page, mut status) = ((target.address & !0xfff) as *const c_void, 0_i32);
    let (pages, nodes) = (&raw const page, ptr::null::<c_int>());
    // SAFETY: One page, which another process has, and one status, which outlives the call.
    check(unsafe { libc::syscall(libc::SYS_move_pages, target.id, 1_usize, pages, nodes, &raw mut status, 0) })
}

fn migrate_pages(target: &Target) -> io::Result<()> {
    let node: libc::c_ulong = 1;
    let (bits, node) = (usize::BITS as usize, &raw const node);
    // SAFETY: The sets of nodes have that many bits, and outlive the call.
    check(unsafe { libc::syscall(libc::SYS_migrate_pages, target.id, bits, node, node) })
}

fn robust_list(target: &Target) -> io::Result<()> {
    let (mut head, mut len) = (0_usize, 0_usize);
    // SAFETY: Both numbers outlive the call.
    check(unsafe { libc::syscall(libc::SYS_get_robust_list, target.id, &raw mut head, &raw mut len) })
}

pub(super) fn kill(target: &Target, signal: c_int) -> io::Result<()> {
    // SAFETY: All arguments are integers.
    check(unsafe { libc::kill(target.id, signal) })
}

fn send_to_thread_by_number(target: &Target) -> io::Result<()> {
    // SAFETY: All arguments are integers.
    check(unsafe { libc::syscall(libc::SYS_tkill, target.id, libc::SIGCONT) })
}

fn send_to_thread(target: &Target) -> io::Result<()> {
    // SAFETY: All arguments are integers.
    check(unsafe { libc::syscall(libc::SYS_tgkill, target.id, target.id, libc::SIGCONT) })
}

fn send_with_value(target: &Target, call: c_long) -> io::Result<()> {
    // `siginfo_t`: the signal, an error, and who sent it.
    let mut info = [0_i32; 32];
    (info[0], info[2]) = (libc::SIGCONT, libc::SI_QUEUE);
    // SAFETY: A structure of its size, which outlives the call.
    check(unsafe {
        if call == libc::SYS_rt_sigqueueinfo {
            libc::syscall(call, target.id, libc::SIGCONT, info.as_ptr())
        } else {
            libc::syscall(call, target.id, target.id, libc::SIGCONT, info.as_ptr())
        }
    })
}

fn send_by_pidfd(target: &Target) -> io::Result<()> {
    let process = pidfd(target)?;
    let (signal, no_info) = (libc::SIGCONT, ptr::null::<c_void>());
    // SAFETY: All arguments are integers or null.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, no_info, 0) })
}

/// Whom the kernel sends the signal of a pipe to.
#[derive(Clone, Copy, PartialEq)]
enum Owner {
    Process,
    Thread,
}

/// Lets the kernel send a signal, and looks whether the target, which blocks it, has it. The kernel tells nothing of it.
fn signal_by_pipe(target: &Target, owner: Owner) -> io::Result<()> {
    const F_SETOWN_EX: c_int = 15;
    const F_SETSIG: c_int = 10;
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let number = reader.as_raw_fd();
    // `f_owner_ex`: F_OWNER_TID.
    let thread = [0, target.id];
    // SAFETY: All arguments are integers, or a structure that outlives the call.
    unsafe {
        match owner {
            Owner::Process => check(libc::fcntl(number, libc::F_SETOWN, target.id))?,
            Owner::Thread => check(libc::fcntl(number, F_SETOWN_EX, thread.as_ptr()))?,
        }
        check(libc::fcntl(number, F_SETSIG, PENDING))?;
        check(libc::fcntl(number, libc::F_SETFL, libc::O_ASYNC))?;
    }
    rustix::io::write(&writer, b"x")?;
    let status = fs::read_to_string(target.path("status"))?;
    let set = if owner == Owner::Process { "ShdPnd:" } else { "SigPnd:" };
    let set = status.lines().find_map(|line| line.strip_prefix(set)).unwrap_or_default();
    let pending = u64::from_str_radix(set.trim(), 16).map_err(io::Error::other)?;
    if pending >> (PENDING - 1) & 1 == 1 { Ok(()) } else { Err(io::Error::from_raw_os_error(EPERM)) }
}

/// Reads a process's limit, and sets it to that.
///
/// # Errors
/// Returns the system's error.
pub fn limits(id: pid_t) -> io::Result<()> {
    let mut limit = [0_u64; 2];
    let nothing = ptr::null::<u64>();
    // SAFETY: `rlimit64` is two numbers, which outlive the calls.
    unsafe {
        check(libc::syscall(libc::SYS_prlimit64, id, 4, nothing, limit.as_mut_ptr()))?;
        check(libc::syscall(libc::SYS_prlimit64, id, 4, limit.as_ptr(), nothing))
    }
}

/// Sets a process's priority to what it has.
///
/// # Errors
/// Returns the system's error.
pub fn set_priority(target: &Target) -> io::Result<()> {
    // SAFETY: All arguments are integers.
    unsafe {
        // The system call, unlike the C library, returns 20 minus the priority.
        let priority = 20 - libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, target.id);
        check(libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, target.id, priority))
    }
}

/// Sets a process's priority at disks to what it has.
///
/// # Errors
/// Returns the system's error.
pub fn set_io_priority(target: &Target) -> io::Result<()> {
    const IOPRIO_WHO_PROCESS: c_int = 1;
    // SAFETY: All arguments are integers.
    unsafe {
        let priority = libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, target.id);
        check(priority)?;
        check(libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, target.id, priority))
    }
}

/// Lets a process run on the processors that it runs on.
///
/// # Errors
/// Returns the system's error.
pub fn set_affinity(target: &Target) -> io::Result<()> {
    // SAFETY: The set outlives the calls.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        check(libc::sched_getaffinity(target.id, size_of_val(&set), &raw mut set))?;
        check(libc::sched_setaffinity(target.id, size_of_val(&set), &raw const set))
    }
}

/// Sets a process's scheduler to the usual one.
///
/// # Errors
/// Returns the system's error.
pub fn set_scheduler(target: &Target) -> io::Result<()> {
    let priority = 0;
    // SAFETY: `sched_param` is a number, which outlives the call. musl has no such function.
    check(unsafe { libc::syscall(libc::SYS_sched_setscheduler, target.id, libc::SCHED_OTHER, &raw const priority) })
}
