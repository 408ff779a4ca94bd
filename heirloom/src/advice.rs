//! Advice for each reason why the system refused a call.

use std::fmt::Display;

use crate::sys::{Failure, Reason};
use crate::{Error, ErrorKind};

impl Error {
    /// Makes the error of a failed system call; `tried` says what failed.
    pub(crate) fn system(tried: impl Display, failure: Failure) -> Self {
        let Failure { reason, os } = failure;
        let (kind, advice) = advice(reason);
        let message = match reason {
            Reason::LockedMemory(limit) => {
                format!("{tried}: {os}: this process may lock {limit} bytes in memory (RLIMIT_MEMLOCK)")
            }
            _ => format!("{tried}: {os}"),
        };
        Self::with_source(kind, message, advice, os)
    }
}

/// Returns the kind of the error and what the user can do about it; empty if nothing is known.
#[allow(clippy::too_many_lines)] // It is a table.
fn advice(reason: Reason) -> (ErrorKind, &'static str) {
    match reason {
        Reason::Other => (ErrorKind::System, ""),

        Reason::OutOfDescriptors => {
            (ErrorKind::OutOfDescriptors, "close some descriptors or raise the limit (ulimit -n)")
        }
        Reason::OutOfHandles => (ErrorKind::OutOfDescriptors, "close some handles"),
        Reason::OutOfMemory => (ErrorKind::OutOfMemory, "free some memory"),
        Reason::OutOfAddressSpace => {
            (ErrorKind::OutOfMemory, "address space or memory ran out: map a range of the region")
        }
        Reason::TooManyMappings => (
            ErrorKind::OutOfMemory,
            "this process has as many mappings as the sysctl vm.max_map_count allows: raise it, or unmap some",
        ),
        Reason::NoSpace => (ErrorKind::OutOfMemory, "free some space on the file system"),
        Reason::PagingFileFull => (ErrorKind::OutOfMemory, "enlarge the paging file"),
        Reason::MoreThanAvailable => (
            ErrorKind::OutOfMemory,
            "the size exceeds the memory that is available now: choose a smaller size or turn off populate",
        ),
        Reason::TooFewHugePages => (
            ErrorKind::OutOfMemory,
            "too few 2 MiB huge pages are free: raise the sysctl vm.nr_hugepages or turn off huge pages",
        ),
        Reason::FragmentedMemory => (
            ErrorKind::OutOfMemory,
            "too little free memory is contiguous for 2 MiB pages: create the region sooner after boot or turn off huge \
             pages",
        ),
        Reason::FileTooLarge => {
            (ErrorKind::TooLarge, "the size exceeds the limit of the file system or of this process (ulimit -f)")
        }

        Reason::LockedMemory(_) => (
            ErrorKind::OutOfMemory,
            "raise the limit (ulimit -l, prlimit --memlock), or unmap what is locked: a secret region counts as locked while it \
             is mapped",
        ),

        Reason::NoAnonymousMemory => (
            ErrorKind::Unsupported,
            "memfd_create is missing (Linux before 3.17, FreeBSD before 13, OpenBSD, NetBSD) or forbidden by a sandbox: \
             allow it, or use RegionOptions::unsealed_file_in if the region needs no seals",
        ),
        Reason::NoSecretMemory => (
            ErrorKind::Unsupported,
            "memfd_secret is missing (Linux before 5.14; before 6.5 without secretmem.enable=1 at boot, since then with \
             secretmem.enable=0; some processors) or forbidden by a sandbox: enable it, or use a FrozenRegion and \
             os::linux::set_undumpable in each holder",
        ),
        Reason::NoHugePages => (ErrorKind::Unsupported, "this kernel has no 2 MiB huge pages: turn off huge pages"),
        Reason::NoCollapse => (
            ErrorKind::Unsupported,
            "huge pages need anonymous memory with ordinary pages, Linux 6.1 or later, and transparent huge pages in the \
             kernel's configuration, and no sandbox that forbids mremap",
        ),
        Reason::NoHugePagePrivilege => (
            ErrorKind::Unsupported,
            "large pages need the privilege to lock pages in memory: ask an administrator to grant it to this user",
        ),
        Reason::NoCommit => (
            ErrorKind::Unsupported,
            "this system can't allocate all memory of a region at creation: turn off populate and huge pages",
        ),
        Reason::NoUnnamedFiles => {
            (ErrorKind::Unsupported, "the file system has no unnamed files: choose a directory on another one")
        }
        Reason::NoUnnamedFilesAnywhere => {
            (ErrorKind::Unsupported, "Windows has no unnamed files: create the region without a directory")
        }
        Reason::NoReservation => {
            (ErrorKind::Unsupported, "the file system can't reserve space: choose a directory on another one")
        }
        Reason::NoSeals => (ErrorKind::Unsupported, "this system, or memory of this type, has no such seal"),
        Reason::NoReadOnlySeal => (
            ErrorKind::Unsupported,
            "this system has no seal against new writers alone (Linux before 5.1, FreeBSD): freeze the region once it is \
             filled",
        ),
        Reason::NoCopyOnWrite => {
            (ErrorKind::Unsupported, "this system can't map shared memory copy-on-write: copy the bytes instead")
        }
        Reason::NoWaiting => (
            ErrorKind::Unsupported,
            "this system or sandbox can't wait for a number in this mapping: wait for a byte in a pipe instead",
        ),
        Reason::NoDoorbell => (
            ErrorKind::Unsupported,
            "channels need Linux or Android with /proc, to open a pipe anew, or Windows: use a pipe or a socket",
        ),
        Reason::NoLocks => (
            ErrorKind::Unsupported,
            "locks need Linux or Android, /proc and the right to open the memory anew, and no sandbox that forbids \
             F_OFD_SETLK: let one process own the data, and send it messages",
        ),
        Reason::NoLandlock => (
            ErrorKind::Unsupported,
            "confining needs Linux 5.13 or later with Landlock, turned on by its parameter lsm=, and no sandbox that \
             forbids it: start the child under another user ID, or call set_undumpable in every holder",
        ),
        Reason::NoCallFilter => (
            ErrorKind::Unsupported,
            "sealing a child off needs seccomp filters on x86-64, aarch64 or riscv64: use confine, which only keeps it \
             apart, or another user ID",
        ),
        Reason::TooManyDomains => (
            ErrorKind::System,
            "this process is in too many domains of Landlock already, of which the kernel nests 16: confine the child once",
        ),
        Reason::NoHoles => (
            ErrorKind::Unsupported,
            "the kernel takes pages back from regions that were not made read-only, pages that aren't locked, and file \
             systems with holes: write zeros instead",
        ),
        Reason::NoMappingSeals => (
            ErrorKind::Unsupported,
            "sealing a mapping needs Linux 6.10 or later on a 64-bit processor, and no sandbox that forbids mseal: go on with \
             the mapping as it is",
        ),
        Reason::NoDumpExclusion => (
            ErrorKind::Unsupported,
            "this system can't exclude pages from core dumps: turn off the dumps of this program (ulimit -c 0; on \
             Windows SetErrorMode and WerAddExcludedApplication)",
        ),

        Reason::StillMapped => (
            ErrorKind::StillWritable,
            "some process still maps it for writing, or has a page of it pinned (in a pipe, an io_uring): unmap it \
             there first, or take FrozenRegion::copy_of",
        ),
        Reason::StillMappedHere => (
            ErrorKind::StillWritable,
            "this process still maps it for writing: unmap it first, or take FrozenRegion::copy_of",
        ),
        Reason::MayBeHeldForWriting => (
            ErrorKind::StillWritable,
            "this system has no seals, and another process may have a writable descriptor: call into_read_only or \
             freeze before handing the region down, or take FrozenRegion::copy_of",
        ),
        Reason::Sealed => (
            ErrorKind::Sealed,
            "it is read-only or frozen by now: ReadOnlyRegion::try_from or Region::freeze make a handle that maps it for \
             reading",
        ),
        Reason::SealsForbidden => (
            ErrorKind::Sealed,
            "a holder forbade further seals, or the descriptor is read-only: take FrozenRegion::copy_of",
        ),
        Reason::SealsNotApplied => (
            ErrorKind::Unsupported,
            "a filter of system calls reports success for seals without applying them: allow fcntl with F_ADD_SEALS",
        ),
        Reason::SizeChanged => (
            ErrorKind::System,
            "another process changed its size while it was filled: on Linux, os::linux::set_undumpable keeps other \
             processes out",
        ),
        Reason::SecondName => (
            ErrorKind::System,
            "another process gave the file a second name: choose a directory that only this user can write",
        ),
        Reason::OutsideMapping => (ErrorKind::OutOfBounds, ""),

        Reason::InteriorNul => {
            (ErrorKind::InvalidInput, "a program, argument, directory or variable must not contain a NUL")
        }
        Reason::QuoteInProgramName => (ErrorKind::InvalidInput, "a program's name must not contain a quote"),
        Reason::BatchFilePath => {
            (ErrorKind::InvalidInput, "a batch file's path must not contain a quote or end with a backslash")
        }
        Reason::LineEndInBatchArgument => {
            (ErrorKind::InvalidInput, "an argument of a batch file must not contain a line break")
        }
        Reason::WorkingDirectory => (ErrorKind::System, "cannot enter the working directory"),
        Reason::NoSuchPath => (ErrorKind::ProgramNotFound, "is the path right?"),
        Reason::NotInPath => (ErrorKind::ProgramNotFound, "is it installed, and in the PATH?"),
        Reason::NoProgramName => (ErrorKind::ProgramNotFound, "the path has no file name"),
        Reason::NoInterpreter => {
            (ErrorKind::ProgramNotFound, "the file exists, but the interpreter that it names does not")
        }
        Reason::SealedOff => (
            ErrorKind::ProgramNotRunnable,
            "may this user execute it, and is it, with its interpreter and its loader, beneath a path that confine_to names?",
        ),
        Reason::NotExecutable => (ErrorKind::ProgramNotRunnable, "is it a file that this user may execute?"),
        Reason::NotAProgram => (
            ErrorKind::ProgramNotRunnable,
            "it is not a program for this machine, nor a script whose first line names its interpreter",
        ),
        Reason::NeedsAdministrator => (ErrorKind::ProgramNotRunnable, "run it as an administrator"),
        Reason::NotRunnable => (ErrorKind::ProgramNotRunnable, ""),
        Reason::ArgumentsTooLong => (
            ErrorKind::ProgramNotRunnable,
            "shorten its path, arguments or environment: they are larger than the kernel takes",
        ),
        Reason::ProcessGroup => (ErrorKind::System, "does the process_group exist in this session?"),
        Reason::DescriptorNumber => (
            ErrorKind::OutOfDescriptors,
            "the number of an inherited descriptor exceeds this process's limit: raise it (ulimit -n)",
        ),
        Reason::AlreadyWaitedFor => (
            ErrorKind::System,
            "other code in this process waited for it, or SIGCHLD is ignored and the system keeps no exit codes",
        ),

        Reason::OtherThreads => (
            ErrorKind::InvalidInput,
            "another thread may read the environment at the same time: call it before the first thread starts, or remove \
             the variable from each command (env_remove)",
        ),
        Reason::NoThreadCount => (
            ErrorKind::Unsupported,
            "this system doesn't tell whether another thread may read the environment at the same time: remove the \
             variable from each command (env_remove)",
        ),
    }
}
