//! The reason why a call of the operating system failed.
//!
//! The layer above maps each reason to the kind of its error and to advice for the user.

use std::io;

/// A failed call of the operating system.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) os: io::Error,
}

impl Failure {
    pub(crate) fn new(reason: Reason, os: impl Into<io::Error>) -> Self {
        Self { reason, os: os.into() }
    }
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// The cause of a failure, as far as the error code and the call tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // No system has them all.
pub(crate) enum Reason {
    /// None of the others.
    Other,

    /// The process, or the system, has no free descriptor.
    OutOfDescriptors,
    /// The process has no free handle (Windows).
    OutOfHandles,
    OutOfMemory,
    /// Neither memory nor address space for a mapping.
    OutOfAddressSpace,
    /// The process has as many mappings as the kernel allows (Linux).
    TooManyMappings,
    /// The file system is full, or a quota is used up.
    NoSpace,
    /// The paging file is full (Windows).
    PagingFileFull,
    /// More than the memory that is available now.
    MoreThanAvailable,
    /// Too few free huge pages.
    TooFewHugePages,
    /// Too little free memory in contiguous pieces of a huge page (Windows).
    FragmentedMemory,
    /// More than the file system, or the limit of the process, allows a file.
    FileTooLarge,
    /// More locked memory than this limit of the process, in bytes (Linux).
    LockedMemory(u64),

    /// The system, or a sandbox, has no anonymous memory whose size can be fixed.
    NoAnonymousMemory,
    /// The kernel, or a sandbox, has no memory that it shows to its holders only (Linux).
    NoSecretMemory,
    /// The kernel has no huge pages.
    NoHugePages,
    /// The kernel can't make huge pages of this memory's ordinary ones (Linux).
    NoCollapse,
    /// The user lacks the privilege that huge pages need (Windows).
    NoHugePagePrivilege,
    /// The system can't allocate all memory of a region at creation.
    NoCommit,
    /// The file system has no unnamed files.
    NoUnnamedFiles,
    /// The system has no unnamed files at all (Windows).
    NoUnnamedFilesAnywhere,
    /// The file system can't reserve space.
    NoReservation,
    /// The system has no seals, or the memory or the kernel lacks this one.
    NoSeals,
    /// The system has no seal against new writers alone.
    NoReadOnlySeal,
    /// The system can't map shared memory copy-on-write.
    NoCopyOnWrite,
    /// The system, or a sandbox, can't wait for a number that another process changes.
    NoWaiting,
    /// The system has no channels, or a sandbox forbids to open a pipe anew (Linux).
    NoDoorbell,
    /// The system has no locks that end with their process, or a sandbox forbids them.
    NoLocks,
    /// The kernel, or a sandbox, has no Landlock (Linux).
    NoLandlock,
    /// The kernel, or a sandbox, has no filter of system calls, or it is not known for this processor (Linux).
    NoCallFilter,
    /// The process is in as many domains of Landlock as the kernel allows (Linux).
    TooManyDomains,
    /// The memory can't have holes (Linux).
    NoHoles,
    /// The kernel can't seal mappings, or a sandbox forbids it (Linux).
    NoMappingSeals,
    /// The system can't exclude pages from core dumps.
    NoDumpExclusion,

    /// Some process still maps the memory for writing, or has pinned a page of it.
    StillMapped,
    /// This process still maps the memory for writing.
    StillMappedHere,
    /// Another process may have a descriptor that allows writing, and the system has no seals.
    MayBeHeldForWriting,
    /// The memory is read-only or frozen.
    Sealed,
    /// The memory accepts no further seal, or its descriptor is read-only.
    SealsForbidden,
    /// The call that adds seals succeeded without adding them.
    SealsNotApplied,
    /// Another process changed the size before the size was sealed.
    SizeChanged,
    /// Another process gave the file a second name before the first was removed.
    SecondName,
    /// An access outside of a mapping.
    OutsideMapping,

    /// A NUL in a string for the system.
    InteriorNul,
    /// A quote in the program's name (Windows).
    QuoteInProgramName,
    /// A quote in a batch file's path, or a backslash at its end (Windows).
    BatchFilePath,
    /// The end of a line in an argument of a batch file (Windows).
    LineEndInBatchArgument,
    /// The working directory doesn't exist or can't be entered.
    WorkingDirectory,
    /// No file has the path of the program.
    NoSuchPath,
    /// No directory of the `PATH` has the program.
    NotInPath,
    /// The path of the program has no file name.
    NoProgramName,
    /// The interpreter that the script names doesn't exist.
    NoInterpreter,
    /// The program, its interpreter or its loader is not among what a confined child may read.
    SealedOff,
    /// No permission to execute the file.
    NotExecutable,
    /// The file is no program for this machine.
    NotAProgram,
    /// The program needs an administrator's rights (Windows).
    NeedsAdministrator,
    /// Another reason why an existing program can't run.
    NotRunnable,
    /// The arguments and the environment exceed the limit of the system.
    ArgumentsTooLong,
    /// The process group doesn't exist in this session.
    ProcessGroup,
    /// The number of an inherited descriptor exceeds the limit of the process.
    DescriptorNumber,
    /// The exit status of the child is gone.
    AlreadyWaitedFor,

    /// Another thread may read the environment.
    OtherThreads,
    /// The system doesn't tell how many threads the process has.
    NoThreadCount,
}
