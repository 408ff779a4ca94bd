//! Linux and Android: memory from `memfd_create(2)`, with seals.

#![allow(unsafe_code)]

mod available;
mod call_filter;
pub(crate) mod confinement;
#[cfg_attr(heirloom_loom, allow(dead_code))]
pub(crate) mod doorbell;
#[cfg_attr(heirloom_loom, allow(dead_code))]
pub(crate) mod futex;
mod huge;
#[cfg_attr(heirloom_loom, allow(dead_code))]
pub(crate) mod lock_owner;
mod open_anew;
mod permanent;
pub(crate) mod process;
mod secret;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{self, FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, Stat};
use rustix::io::Errno;
use rustix::mm::{self, Advice};
use rustix::process::DumpableBehavior;

use super::failure::{Failure, Reason, Result};
use super::status::{Commit, Identity, Protection};
use super::unix::errno::retry;
use super::unix::fd::{above_standard, allocation_granularity, identity_of};
use super::unix::view::View;
use open_anew::open_anew;

pub(crate) use available::available_memory;
pub(crate) use huge::Blocks;
pub(crate) use secret::{create_secret, is_secret};

/// The size of a huge page in bytes.
pub(crate) const HUGE_PAGE: u64 = 2 << 20;

/// The most bytes that one call copies; the kernel's own limit is 2 GiB less one page.
const MAX_TRANSFER: usize = 1 << 30;

/// `f_type` of a file system of huge pages, see statfs(2).
const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;

/// The longest environment variable in bytes, with its name, the `=` and the NUL: see `MAX_ARG_STRLEN` in execve(2).
pub(crate) const LONGEST_VARIABLE: usize = 128 << 10;

/// The seal against new writers.
pub(crate) const READ_ONLY_SEAL: Option<SealFlags> = Some(SealFlags::FUTURE_WRITE);

/// The kernel counts the links of memory like those of a file.
pub(crate) const SEALED_IS_UNNAMED: bool = false;

/// Removes a variable from the environment, if no other thread can read it at the same time.
pub(crate) fn remove_variable(name: &str) -> Result<()> {
    let count = || std::fs::read_dir("/proc/self/task")?.try_fold(0, |count, task| task.map(|_| count + 1));
    match count().map_err(|error: io::Error| Failure::new(Reason::NoThreadCount, error))? {
        1 => {
            // SAFETY: This is the only thread.
            unsafe { std::env::remove_var(name) };
            Ok(())
        }
        threads => {
            Err(Failure::new(Reason::OtherThreads, io::Error::other(format!("this process has {threads} threads"))))
        }
    }
}

/// Creates memory of size 0 that accepts seals.
pub(crate) fn memfd(name: &str, commit: Commit) -> Result<OwnedFd> {
    let huge = commit == Commit::HugePages;
    let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    if huge {
        flags |= MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB;
    }
    let created = match fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Linux before 6.3 doesn't know the flag.
        Err(Errno::INVAL) => fs::memfd_create(name, flags),
        answer => answer,
    };
    let fd = created.map_err(|errno| match errno {
        Errno::NOSYS | Errno::PERM | Errno::ACCESS => Failure::new(Reason::NoAnonymousMemory, errno),
        Errno::NODEV | Errno::INVAL if huge => Failure::new(Reason::NoHugePages, errno),
        errno => errno.into(),
    })?;
    Ok(above_standard(fd)?)
}

/// Allocates the pages of new memory, as far as `commit` asks for it.
pub(crate) fn commit_memory(fd: BorrowedFd<'_>, size: u64, commit: Commit) -> Result<()> {
    match commit {
        Commit::OnTouch => Ok(()),
        Commit::Now => {
            // The kernel itself doesn't refuse: it allocates until it has to kill a process.
            if size > available_memory() {
                return Err(Failure::new(Reason::MoreThanAvailable, Errno::NOMEM));
            }
            Ok(allocate(fd, size, allocation_granularity())?)
        }
        // The first access to a page would raise SIGBUS if no huge page were free then.
        Commit::HugePages => allocate(fd, size, HUGE_PAGE).map_err(|errno| match errno {
            Errno::NOSPC | Errno::NOMEM => Failure::new(Reason::TooFewHugePages, errno),
            errno => errno.into(),
        }),
    }
}

/// Creates a file in `directory` that has no name and can't be given one, see `O_TMPFILE` in open(2).
pub(crate) fn unnamed_file(directory: &Path, size: u64) -> Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    let fd = retry(|| fs::open(directory, flags, Mode::RUSR | Mode::WUSR)).map_err(|errno| match errno {
        Errno::OPNOTSUPP | Errno::ISDIR => Failure::new(Reason::NoUnnamedFiles, errno),
        errno => errno.into(),
    })?;
    let fd = above_standard(fd)?;
    retry(|| fs::ftruncate(&fd, size))?;
    // Reserve the space, since an access on a full file system would raise SIGBUS.
    allocate(fd.as_fd(), size, allocation_granularity()).map_err(|errno| match errno {
        Errno::OPNOTSUPP => Failure::new(Reason::NoReservation, errno),
        errno => errno.into(),
    })?;
    Ok(fd)
}

fn allocate(fd: BorrowedFd<'_>, size: u64, granularity: u64) -> rustix::io::Result<()> {
    let (mut done, mut step) = (0, size);
    while done < size {
        let part = step.min(size - done);
        match fs::fallocate(fd, FallocateFlags::empty(), done, part) {
            Ok(()) => done += part,
            // A signal undoes the whole call, and a timer may send signals for ever: try a part that fits between two.
            Err(Errno::INTR) => step = (step / 2).next_multiple_of(granularity),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Maps `len` bytes from `offset` on.
pub(crate) fn map(fd: BorrowedFd<'_>, offset: u64, len: usize, protection: Protection, populate: bool) -> Result<View> {
    let mapped = match View::map(fd, offset, len, protection, populate) {
        // Some kernels (before Linux 6.7) refuse every shared mapping of sealed memory through a writable descriptor, even for
        // reading. A private mapping is the last choice: a write forced through /proc/PID/mem would change it.
        Err(Errno::PERM) if protection == Protection::ReadOnly => {
            let reopened = open_anew(fd, OFlags::RDONLY, Reason::Other).ok();
            let mapped = reopened.and_then(|fd| View::map(fd, offset, len, protection, populate).ok());
            mapped.map_or_else(|| View::map_private_read_only(fd, offset, len, populate), Ok)
        }
        answer => answer,
    };
    mapped.map_err(cannot_map)
}

/// Returns why a mapping failed.
fn cannot_map(errno: Errno) -> Failure {
    match errno {
        Errno::PERM => Failure::new(Reason::Sealed, errno),
        Errno::AGAIN => Failure::new(Reason::LockedMemory(lock_limit()), errno),
        Errno::NOMEM if mappings_are_exhausted() => Failure::new(Reason::TooManyMappings, errno),
        Errno::NOMEM => Failure::new(Reason::OutOfAddressSpace, errno),
        errno => errno.into(),
    }
}

/// Returns whether this process has as many mappings as `vm.max_map_count` allows. It allocates nothing, since an allocation
/// may need a mapping.
fn mappings_are_exhausted() -> bool {
    let count = |file: &str| -> Option<usize> {
        let (mut file, mut buffer, mut lines) = (File::open(file).ok()?, [0; 4096], 0);
        loop {
            match file.read(&mut buffer).ok()? {
                0 => return Some(lines),
                read => buffer[..read].iter().for_each(|byte| lines += usize::from(*byte == b'\n')),
            }
        }
    };
    let limit = || -> Option<usize> {
        let (mut file, mut buffer) = (File::open("/proc/sys/vm/max_map_count").ok()?, [0; 32]);
        let read = file.read(&mut buffer).ok()?;
        std::str::from_utf8(&buffer[..read]).ok()?.trim().parse().ok()
    };
    // The list has a line or two, such as vsyscall, that don't count.
    limit().zip(count("/proc/self/maps")).is_some_and(|(limit, mappings)| mappings + 2 >= limit)
}

impl View {
    /// Excludes the pages from core dumps.
    pub(crate) fn no_dump(&self) -> Result<()> {
        // SAFETY: This object owns the pages, and the advice changes no byte of them.
        unsafe { mm::madvise(self.start().as_ptr().cast(), self.len(), Advice::LinuxDontDump) }?;
        Ok(())
    }

    /// Leaves the pages out of every process that a fork makes of this one.
    ///
    /// # Safety
    /// Such a process neither accesses nor drops this object.
    pub(crate) unsafe fn exclude_from_fork(&self) -> Result<()> {
        // SAFETY: This object owns the pages, and the advice changes no byte of them. The caller answers for other processes.
        unsafe { mm::madvise(self.start().as_ptr().cast(), self.len(), Advice::LinuxDontFork) }?;
        Ok(())
    }

    /// Gives whole pages back to the system, for all holders: they are zero afterwards.
    pub(crate) fn discard(&self, offset: usize, len: usize) -> Result<()> {
        // SAFETY: The caller checked the range. Its bytes are shared: every access to them is sound, whoever changes them.
        let removed = unsafe { mm::madvise(self.start().as_ptr().add(offset).cast(), len, Advice::LinuxRemove) };
        removed.map_err(|errno| match errno {
            Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP => Failure::new(Reason::NoHoles, errno),
            errno => errno.into(),
        })
    }
}

/// Moves up to `most` bytes out of a file inside the kernel, which copies them once, from page to page. Returns 0 at the
/// end of the file. Fails on some types of files: a pipe, for example, could only do it by splice(2), which takes twice as
/// long as reading if the writer has a processor of its own.
pub(crate) fn transfer(to: &File, from: &File, most: u64) -> io::Result<u64> {
    let most = usize::try_from(most).map_or(MAX_TRANSFER, |most| most.min(MAX_TRANSFER));
    Ok(retry(|| fs::sendfile(to, from, None, most))? as u64)
}

/// Returns the seals; memory that can't have any counts as closed to further seals.
pub(crate) fn seals(fd: BorrowedFd<'_>) -> Result<SealFlags> {
    match fs::fcntl_get_seals(fd) {
        Ok(seals) => Ok(seals),
        Err(Errno::INVAL | Errno::BADF) => Ok(SealFlags::SEAL),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns the alignment of mapping offsets: the page size, or the size of a huge page.
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)] // The types differ between processors.
pub(crate) fn granularity(fd: BorrowedFd<'_>, stat: &Stat) -> Result<u64> {
    let page = allocation_granularity();
    let block = u64::try_from(stat.st_blksize).unwrap_or(page);
    // The block size alone isn't enough: transparent huge pages give ordinary memory one of 2 MiB too.
    let huge = block > page && u64::try_from(fs::fstatfs(fd)?.f_type) == Ok(HUGETLBFS_MAGIC);
    Ok(if huge { block } else { page })
}

/// Returns the name that memory was created with.
pub(crate) fn memory_name(fd: BorrowedFd<'_>) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
    let name = link.to_str()?.strip_prefix("/memfd:")?;
    Some(name.strip_suffix(" (deleted)").unwrap_or(name).to_owned())
}

/// Returns this process's limit on the size of a file. A process that had none is not asked again: most never set one, and
/// it would be one more call for each region.
pub(crate) fn size_limit() -> u64 {
    static UNLIMITED: AtomicBool = AtomicBool::new(false);

    if UNLIMITED.load(Ordering::Relaxed) {
        return u64::MAX;
    }
    let mut limit = libc::rlimit64 { rlim_cur: u64::MAX, rlim_max: u64::MAX };
    // rustix's function panics if a sandbox forbids the call. Here, `limit` stays unlimited then.
    // SAFETY: The call fills in `limit`, which lives until it returns.
    unsafe { libc::getrlimit64(libc::RLIMIT_FSIZE, &raw mut limit) };
    UNLIMITED.store(limit.rlim_cur == u64::MAX, Ordering::Relaxed);
    limit.rlim_cur
}

/// Returns how many bytes this process may lock in memory.
fn lock_limit() -> u64 {
    let mut limit = libc::rlimit64 { rlim_cur: u64::MAX, rlim_max: u64::MAX };
    // SAFETY: As above.
    unsafe { libc::getrlimit64(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    limit.rlim_cur
}

/// Returns whether this process's parent still has that object open under that number, without close-on-exec.
pub(crate) fn parent_passes(number: i32, identity: Identity) -> bool {
    let Some(parent) = rustix::process::getppid() else {
        return false;
    };
    let process = PathBuf::from(format!("/proc/{}", parent.as_raw_nonzero()));
    let held = fs::stat(process.join(format!("fd/{number}"))).is_ok_and(|stat| identity_of(&stat) == identity);
    let info = std::fs::read_to_string(process.join(format!("fdinfo/{number}"))).unwrap_or_default();
    let flags = info
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    held && flags.is_some_and(|flags| flags & OFlags::CLOEXEC.bits() == 0)
}

/// Returns the ids of the mounts that anonymous memory is on: one for ordinary pages, and one for huge pages if there are any.
pub(crate) fn memory_mounts() -> Vec<u64> {
    let mount = |huge| mount_of(fs::memfd_create(c"heirloom-probe", MemfdFlags::CLOEXEC | huge).ok()?);
    [MemfdFlags::empty(), MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB].into_iter().filter_map(mount).collect()
}

/// Returns the id of the mount that a file is on, without asking its file system: see `proc_pid_fdinfo(5)`.
pub(crate) fn mount_of(fd: impl AsFd) -> Option<u64> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
}

/// Hides this process's memory and descriptors from other processes of the same user.
pub(crate) fn set_undumpable() -> Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Returns whether this process has rights that its caller lacks, for example by setuid.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: `getauxval` only reads the process's auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
