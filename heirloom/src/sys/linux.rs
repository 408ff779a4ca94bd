//! Linux: memory from `memfd_create`, promises from file seals.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};

use rustix::fs::{self, FallocateFlags, FileType, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{self, Advice, MapFlags, ProtFlags};
use rustix::process::DumpableBehavior;

pub(crate) use super::descriptor::Memory;
pub(crate) use super::unix::*;
use super::{Access, Commit, Failure, Identity, Protection, Result, Seals, Status};
use crate::ErrorKind;

/// How many bytes one huge page holds.
pub(crate) const HUGE_PAGE: u64 = 2 << 20;

/// How many bytes one call moves at the most; the kernel's own limit is a page less than 2 GiB.
const MOST_AT_ONCE: usize = 1 << 30;

/// `f_type` of a file system of huge pages, see statfs(2).
const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;

/// Where in the kernel's listing of a process's descriptors the memory of this library stands.
const NAME_PREFIX: &str = "heirloom";

/// How many bytes a variable of the environment holds, with its name, the `=` and C's NUL: see `MAX_ARG_STRLEN` in
/// execve(2).
pub(crate) const LONGEST_VARIABLE: usize = 128 << 10;

impl Memory {
    /// Makes memory of that size for ever, all zero, that has no name, is close-on-exec, can be sealed and can't be executed.
    pub(crate) fn create(name: Option<&str>, size: u64, supply: Commit) -> Result<Self> {
        let fd = memfd(name, supply == Commit::HugePages)?;
        fix_size(fd.as_fd(), size)?;
        match supply {
            Commit::OnTouch => {}
            Commit::Now => reserve_memory(fd.as_fd(), size)?,
            Commit::HugePages => reserve_huge_pages(fd.as_fd(), size)?,
        }
        Ok(Self::over(fd))
    }

    /// Makes a file in `directory` that has no name and can't be given one, see open(2), `O_TMPFILE`.
    pub(crate) fn create_file(directory: &Path, size: u64) -> Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let fd = retry(|| fs::open(directory, flags, Mode::RUSR | Mode::WUSR)).map_err(|errno| match errno {
            Errno::OPNOTSUPP | Errno::ISDIR => Failure {
                kind: ErrorKind::Unsupported,
                os: errno.into(),
                hint: "its file system has no unnamed files: choose a directory on another one",
            },
            errno => errno.into(),
        })?;
        let fd = above_standard(fd)?;
        set_size(fd.as_fd(), size)?;
        reserve_space(fd.as_fd(), size)?;
        Ok(Self::over(fd))
    }

    /// From now on another process may have it. Nothing has to be remembered for that: the kernel itself knows who can write.
    #[allow(clippy::unused_self)] // Others need it.
    pub(crate) fn hand_out(&self) {}

    pub(crate) fn status(&self) -> Result<Status> {
        status(self)
    }

    /// Seals out every new writer.
    pub(crate) fn make_read_only(&self) -> Result<()> {
        add_seals(self.as_fd(), SealFlags::FUTURE_WRITE).map_err(|failure| match failure.kind {
            ErrorKind::Unsupported => {
                Failure { hint: "this kernel can't (Linux before 5.1): freeze it once it is filled", ..failure }
            }
            _ => failure,
        })
    }

    /// Seals out every writer, and every further seal.
    pub(crate) fn freeze(&self) -> Result<()> {
        freeze(self.as_fd())
    }

    /// Maps `len` bytes from `offset` on.
    pub(crate) fn map(&self, offset: u64, len: usize, protection: Protection, populate: bool) -> Result<View> {
        let (prot, mut flags) = match protection {
            Protection::Shared => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
            Protection::ReadOnly => (ProtFlags::READ, MapFlags::SHARED),
            Protection::CopyOnWrite => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE),
        };
        if populate {
            flags |= MapFlags::POPULATE;
        }
        // SAFETY: The kernel chooses an address that nothing else in this process uses.
        let answer = match unsafe { mm::mmap(ptr::null_mut(), len, prot, flags, self, offset) } {
            // Some kernels refuse any shared mapping of a sealed object through a writable descriptor, also a reading one.
            Err(Errno::PERM) if protection == Protection::ReadOnly => {
                let flags = flags.difference(MapFlags::SHARED) | MapFlags::PRIVATE;
                // SAFETY: As above.
                unsafe { mm::mmap(ptr::null_mut(), len, prot, flags, self, offset) }
            }
            answer => answer,
        };
        let address = answer.map_err(|errno| match errno {
            Errno::PERM => Failure {
                kind: ErrorKind::Sealed,
                os: errno.into(),
                hint: "it was published or frozen meanwhile: ReadOnlyRegion::try_from or Region::freeze make a handle that \
                       maps for reading",
            },
            Errno::NOMEM => Failure {
                kind: ErrorKind::OutOfMemory,
                os: errno.into(),
                hint: "address space or memory ran out: map a part of it",
            },
            errno => errno.into(),
        })?;
        let address = NonNull::new(address.cast()).ok_or(Errno::NOMEM)?;
        // SAFETY: The kernel made it just now, for nobody else.
        Ok(unsafe { View::new(address, len) })
    }

    /// The name that it was created under; for debugging only.
    pub(crate) fn debug_name(&self) -> Option<String> {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", self.number())).ok()?;
        let name = link.to_str()?.strip_prefix("/memfd:heirloom:")?;
        Some(name.strip_suffix(" (deleted)").unwrap_or(name).to_owned())
    }
}

impl View {
    /// Keeps them out of core dumps.
    pub(crate) fn no_dump(&self) -> Result<()> {
        // SAFETY: The pages are this object's; the advice changes no byte.
        unsafe { mm::madvise(self.start().as_ptr().cast(), self.len(), Advice::LinuxDontDump) }?;
        Ok(())
    }
}

/// Memory that grows by what is written to it.
pub(crate) struct Filling(File);

impl Filling {
    pub(crate) fn new(name: Option<&str>) -> Result<Self> {
        Ok(Self(memfd(name, false)?.into()))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Moves up to `most` bytes out of a file inside the kernel: the copy from the one's page to the other's is the only
    /// one. 0 says that the file is at its end. Not every kind of file can do it: a pipe could by splice(2), which takes
    /// twice as long as reading where its writer has a processor of its own.
    pub(crate) fn transfer(&mut self, from: &File, most: u64) -> io::Result<u64> {
        let most = usize::try_from(most).map_or(MOST_AT_ONCE, |most| most.min(MOST_AT_ONCE));
        Ok(retry(|| fs::sendfile(&self.0, from, None, most))? as u64)
    }

    /// Seals what was filled, which must have that size: before, another process of the same user may have found it in
    /// /proc.
    pub(crate) fn freeze(self, size: u64) -> Result<Memory> {
        freeze(self.0.as_fd())?;
        if u64::try_from(fs::fstat(&self.0)?.st_size) == Ok(size) {
            return Ok(Memory::over(self.0.into()));
        }
        Err(Failure {
            kind: ErrorKind::System,
            os: Errno::STALE.into(),
            hint: "another process changed its size while it was filled: set_undumpable() shuts them out",
        })
    }
}

/// Makes memory of no size yet.
fn memfd(name: Option<&str>, huge: bool) -> Result<OwnedFd> {
    let name = name.map(|name| format!("{NAME_PREFIX}:{name}"));
    let name = name.as_deref().unwrap_or(NAME_PREFIX);
    let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    if huge {
        flags |= MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB;
    }
    let made = match fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Linux before 6.3 doesn't know the flag.
        Err(Errno::INVAL) => fs::memfd_create(name, flags),
        answer => answer,
    };
    let fd = made.map_err(|errno| match errno {
        Errno::NOSYS | Errno::PERM | Errno::ACCESS => Failure {
            kind: ErrorKind::Unsupported,
            os: errno.into(),
            hint: "this system has no memfd_create (Linux before 3.17), or its sandbox forbids it: allow it; a region that \
                   needs no seals can be an unnamed file, by RegionOptions::unsealed_file_in",
        },
        Errno::NODEV | Errno::INVAL if huge => {
            Failure { kind: ErrorKind::Unsupported, os: errno.into(), hint: "this kernel has no 2 MiB huge pages" }
        }
        errno => errno.into(),
    })?;
    Ok(above_standard(fd)?)
}

/// Of what offsets of mappings must be multiples, in bytes: how many an ordinary page holds.
pub(crate) fn allocation_granularity() -> u64 {
    rustix::param::page_size() as u64
}

/// How long a file of this process may get.
pub(crate) fn size_limit() -> u64 {
    let mut limit = libc::rlimit64 { rlim_cur: u64::MAX, rlim_max: u64::MAX };
    // Not rustix's, which panics where a sandbox refuses. Here the limit then stays none.
    // SAFETY: Fills in what lives during the call.
    unsafe { libc::getrlimit64(libc::RLIMIT_FSIZE, &raw mut limit) };
    limit.rlim_cur
}

fn set_size(fd: BorrowedFd<'_>, size: u64) -> Result<()> {
    retry(|| fs::ftruncate(fd, size)).map_err(Failure::from)
}

/// Takes all the memory now.
fn reserve_memory(fd: BorrowedFd<'_>, size: u64) -> Result<()> {
    // Nothing else would refuse: the kernel gives until it has to kill somebody.
    if size > available_memory() {
        return Err(Failure {
            kind: ErrorKind::OutOfMemory,
            os: Errno::NOMEM.into(),
            hint: "that is more than this machine has available now: ask for less, or do without populate",
        });
    }
    Ok(allocate(fd, size, allocation_granularity())?)
}

/// Takes all the huge pages now, since a touch without one would end the process.
fn reserve_huge_pages(fd: BorrowedFd<'_>, size: u64) -> Result<()> {
    allocate(fd, size, HUGE_PAGE).map_err(|errno| match errno {
        Errno::NOSPC | Errno::NOMEM => Failure {
            kind: ErrorKind::OutOfMemory,
            os: errno.into(),
            hint: "too few 2 MiB huge pages are free: raise the sysctl vm.nr_hugepages, or do without",
        },
        errno => errno.into(),
    })
}

/// Takes all the space of a file now, since a touch on a full disk would end the process.
fn reserve_space(fd: BorrowedFd<'_>, size: u64) -> Result<()> {
    allocate(fd, size, allocation_granularity()).map_err(|errno| match errno {
        Errno::OPNOTSUPP => Failure {
            kind: ErrorKind::Unsupported,
            os: errno.into(),
            hint: "its file system can't reserve space: choose a directory on another one",
        },
        errno => errno.into(),
    })
}

fn allocate(fd: BorrowedFd<'_>, size: u64, granularity: u64) -> rustix::io::Result<()> {
    let (mut done, mut step) = (0, size);
    while done < size {
        let part = step.min(size - done);
        match fs::fallocate(fd, FallocateFlags::empty(), done, part) {
            Ok(()) => done += part,
            // A signal undoes the whole call, and a timer's signals never end: ask for what fits between two.
            Err(Errno::INTR) => step = (step / 2).next_multiple_of(granularity),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// How many bytes could be had without anybody being killed for them: of the machine's, see `proc_meminfo(5)`, and of each
/// cgroup's that this process is in, see the kernel's pages on memory cgroups.
pub(crate) fn available_memory() -> u64 {
    let number = |path: &Path| -> Option<u64> { std::fs::read_to_string(path).ok()?.trim().parse().ok() };
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let swap = field(&meminfo, "SwapFree:").unwrap_or(0);
    let mut available = field(&meminfo, "MemAvailable:").map_or(u64::MAX, |memory| (memory + swap) << 10);
    for line in std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default().lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (root, most, used) = match fields.next() {
            Some("") => ("/sys/fs/cgroup", "memory.max", "memory.current"),
            // The first version, where each controller has a tree of its own.
            Some("memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
            _ => continue,
        };
        let group = Path::new(root).join(fields.next().unwrap_or_default().trim_start_matches('/'));
        for group in group.ancestors().take_while(|group| group.starts_with(root)) {
            // Where there is no limit, the file says so in a word.
            if let (Some(most), Some(used)) = (number(&group.join(most)), number(&group.join(used))) {
                // The kernel adds up its statistics to tell the cache, which takes it up to a millisecond.
                if most.saturating_sub(used) < available {
                    let used = used.saturating_sub(file_cache(group));
                    available = available.min(most.saturating_sub(used));
                }
            }
        }
    }
    available
}

/// How much of a cgroup's memory is copies of files, which the kernel gives up before it kills anybody.
fn file_cache(group: &Path) -> u64 {
    let stat = std::fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    // The second version counts what is below in each field, the first in fields of its own.
    let names = if stat.contains("\ntotal_") {
        ["total_active_file", "total_inactive_file"]
    } else {
        ["active_file", "inactive_file"]
    };
    names.iter().filter_map(|name| field(&stat, name)).sum()
}

/// The number in the line that begins with that word.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_ascii_whitespace);
    lines.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()?.parse().ok())?)
}

/// Gives memory its size for ever.
fn fix_size(fd: BorrowedFd<'_>, size: u64) -> Result<()> {
    // In this order, since another process of the same user may find the memory in /proc meanwhile: never can it make it
    // shorter than `size`, and who made it longer before makes this fail.
    add_seals(fd, SealFlags::SHRINK)?;
    set_size(fd, size)?;
    add_seals(fd, SealFlags::GROW)
}

/// Seals out every writer, and every further seal.
fn freeze(fd: BorrowedFd<'_>) -> Result<()> {
    let all = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    add_seals(fd, all)
}

fn add_seals(fd: BorrowedFd<'_>, seals: SealFlags) -> Result<()> {
    fs::fcntl_add_seals(fd, seals).map_err(|errno| match errno {
        Errno::BUSY => Failure {
            kind: ErrorKind::StillWritable,
            os: errno.into(),
            hint: "some process still maps it for writing, or has a page of it pinned (in a pipe, an io_uring): unmap \
                   it there first, or take FrozenRegion::copy_of",
        },
        Errno::PERM => Failure {
            kind: ErrorKind::Sealed,
            os: errno.into(),
            hint: "a holder forbade any further seal, or it was opened for reading only: take FrozenRegion::copy_of",
        },
        Errno::INVAL => Failure {
            kind: ErrorKind::Unsupported,
            os: errno.into(),
            hint: "this backing or this kernel has no such seal",
        },
        errno => errno.into(),
    })
}

/// Asks the kernel what a descriptor is.
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)] // Each processor has its own types.
pub(crate) fn status(fd: impl AsFd) -> Result<Status> {
    let fd = fd.as_fd();
    let stat = fs::fstat(fd)?;
    let flags = fs::fcntl_getfl(fd)?;
    let seals = match fs::fcntl_get_seals(fd) {
        Ok(seals) => seals,
        // What can't be sealed at all takes no more.
        Err(Errno::INVAL | Errno::BADF) => SealFlags::SEAL,
        Err(errno) => return Err(errno.into()),
    };
    let page = allocation_granularity();
    let block = u64::try_from(stat.st_blksize).unwrap_or(page);
    // A block size alone doesn't tell: ordinary memory that the kernel may join into huge pages has one of 2 MiB too.
    let huge = block > page && u64::try_from(fs::fstatfs(fd)?.f_type) == Ok(HUGETLBFS_MAGIC);
    Ok(Status {
        identity: identity_of(&stat),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        granularity: if huge { block } else { page },
        unnamed: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 0,
        access: if flags.contains(OFlags::PATH) {
            Access::None
        } else {
            match flags & OFlags::RWMODE {
                OFlags::RDWR => Access::ReadWrite,
                OFlags::RDONLY => Access::Read,
                _ => Access::None,
            }
        },
        // Newer kernels add seals of their own, so ask for those that are needed, never for equality.
        seals: Seals {
            size: seals.contains(SealFlags::SHRINK | SealFlags::GROW),
            new_writers: seals.intersects(SealFlags::FUTURE_WRITE | SealFlags::WRITE),
            writing: seals.contains(SealFlags::WRITE),
        },
        sealable: !seals.contains(SealFlags::SEAL),
    })
}

/// Whether this process's parent still holds that object under that number, open to its children.
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

/// Shuts this process's memory and descriptors to other processes of the same user.
pub(crate) fn set_undumpable() -> Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Whether this process runs with rights that its caller doesn't have (setuid, for one).
pub(crate) fn is_privileged() -> bool {
    // SAFETY: Reads the process's auxiliary vector and nothing else.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// A descriptor that becomes readable when the child ends, see `pidfd_open(2)`.
pub(crate) fn process_descriptor(process: &Process) -> Result<OwnedFd> {
    // Not rustix's, which has none for Android.
    // SAFETY: Plain numbers in, a new descriptor, close-on-exec, or -1 out.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, process.id(), 0) };
    match RawFd::try_from(number) {
        // SAFETY: The kernel made it a moment ago, and nobody else knows it.
        Ok(number) if number >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        _ => Err(io::Error::last_os_error().into()),
    }
}
