//! Common to all Unix systems.

#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::{CStr, OsStr, c_void};
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::atomic::AtomicI32;
use std::sync::mpsc::{self, Sender};
use std::thread;

use heirloom::os::unix::CommandExt;
use heirloom::{Command, ExportedRegion};
use rustix::fs::OFlags;
use rustix::io::{Errno, FdFlags};
use rustix::mm::{self, Advice, MapFlags, ProtFlags};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus};

use crate::code::Code;

/// The lowest descriptor above standard input, output and error.
const LOWEST: RawFd = 3;

/// The size of a huge page in bytes.
const HUGE_PAGE: usize = 2 << 20;

pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// Returns the alignment of mapping offsets.
pub(crate) fn allocation_granularity() -> usize {
    page_size()
}

/// Reserves addresses permanently, with zero memory or inaccessible.
pub(crate) fn reserve(len: usize, has_memory: bool) -> io::Result<usize> {
    let prot = if has_memory { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::empty() };
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: The kernel chooses addresses that nothing else in this process uses.
    let start = unsafe { mm::mmap_anonymous(ptr::null_mut(), len, prot, flags) }?;
    Ok(start as usize)
}

/// Frees the memory of a page, which then reads as zero.
///
/// # Safety
/// It is a page of `reserve` whose content is no longer needed.
pub(crate) unsafe fn clear_page(page: *mut c_void) {
    // SAFETY: The caller no longer needs the content. On failure the memory stays as it is.
    let _ = unsafe { mm::madvise(page, page_size(), Advice::LinuxDontNeed) };
}

/// Passes the mapping at `address` to C, which unmaps it by `unmap`.
pub(crate) fn leak_mapping<T>(address: *mut u8, _len: usize, mapping: T) -> *mut u8 {
    mem::forget(mapping);
    address
}

/// Unmaps a mapping of C.
///
/// # Safety
/// These bytes are no longer used, and no Rust object owns them.
pub(crate) unsafe fn unmap(address: *mut c_void, len: usize) -> io::Result<()> {
    // SAFETY: The caller no longer uses these bytes.
    match unsafe { munmap(address, len) } {
        // Huge pages can only be unmapped as a whole.
        Err(error)
            if error.raw_os_error() == Some(libc::EINVAL)
                && address.addr() % HUGE_PAGE == 0
                && len % HUGE_PAGE != 0 =>
        {
            // SAFETY: As above: the mapping extends to the end of the huge page.
            unsafe { munmap(address, len.next_multiple_of(HUGE_PAGE)) }
        }
        answer => answer,
    }
}

/// By the C library, since `ThreadSanitizer` sees only its calls.
///
/// # Safety
/// As for `unmap`.
unsafe fn munmap(address: *mut c_void, len: usize) -> io::Result<()> {
    // SAFETY: The caller keeps the contract above.
    match unsafe { libc::munmap(address, len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether a descriptor is close-on-exec, or `None` if it is not open.
pub(crate) fn is_close_on_exec(number: RawFd) -> Option<bool> {
    with_descriptor(number, |fd| rustix::io::fcntl_getfd(fd)).ok().map(|flags| flags.contains(FdFlags::CLOEXEC))
}

/// A file's device and inode.
pub(crate) type Identity = (u64, u64);

/// Returns what an open descriptor refers to, or `None` if it is not open.
pub(crate) fn identity(file: &impl AsFd) -> Option<Identity> {
    #[allow(clippy::useless_conversion)] // Not on every processor.
    rustix::fs::fstat(file).ok().map(|stat| (stat.st_dev.into(), stat.st_ino.into()))
}

/// Returns the number of the descriptor that an export owns.
pub(crate) fn number_of(export: &ExportedRegion) -> RawFd {
    export.as_fd().as_raw_fd()
}

/// Makes the descriptor of an export inheritable by every child.
pub(crate) fn set_inheritable(export: &ExportedRegion) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(export, FdFlags::empty())?)
}

/// Sets or clears close-on-exec and returns the previous setting.
pub(crate) fn set_close_on_exec(number: RawFd, on: bool) -> io::Result<bool> {
    with_descriptor(number, |fd| {
        let mut flags = rustix::io::fcntl_getfd(fd)?;
        let was = flags.contains(FdFlags::CLOEXEC);
        flags.set(FdFlags::CLOEXEC, on);
        rustix::io::fcntl_setfd(fd, flags)?;
        Ok(was)
    })
}

/// Whether a number is not above those of standard input, output and error.
pub(crate) fn is_standard(number: RawFd) -> bool {
    number < LOWEST
}

/// Duplicates a descriptor.
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    with_descriptor(number, |fd| rustix::io::fcntl_dupfd_cloexec(fd, LOWEST))
}

/// Runs `work` on the descriptor of an unchecked number.
fn with_descriptor<T>(number: RawFd, work: impl FnOnce(BorrowedFd<'_>) -> Result<T, Errno>) -> io::Result<T> {
    if number < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: It is not -1. If it is not open, or another thread closes it, the kernel returns an error to `work`.
    Ok(work(unsafe { BorrowedFd::borrow_raw(number) })?)
}

/// Makes a descriptor blocking or non-blocking, and returns whether it was blocking.
pub(crate) fn set_blocking(number: RawFd, blocking: bool) -> io::Result<bool> {
    with_descriptor(number, |fd| {
        let mut flags = rustix::fs::fcntl_getfl(fd)?;
        let was = !flags.contains(OFlags::NONBLOCK);
        if was != blocking {
            flags.set(OFlags::NONBLOCK, !blocking);
            rustix::fs::fcntl_setfl(fd, flags)?;
        }
        Ok(was)
    })
}

/// Calls `before` in this thread before each fork(2) of this process, and the others after it, see `pthread_atfork(3)`.
pub(crate) fn on_fork(before: extern "C" fn(), after_in_parent: extern "C" fn(), after_in_child: extern "C" fn()) {
    // It can only fail for lack of memory, and then a forked child may block as if it were not called.
    // SAFETY: The functions are valid until the C library removes them when this library is unloaded.
    unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
}

/// Runs `work` with every signal blocked in this thread and in the threads that `work` starts.
fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: `sigfillset` initializes the first set and `pthread_sigmask` the second; neither can fail.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let answer = work();
    // SAFETY: `before` was initialized above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    answer
}

/// Returns the function of that name in the libraries after this one, or null.
pub(crate) fn next_symbol(name: &CStr) -> *mut c_void {
    // SAFETY: The name is a string. `dlerror` is cleared, because the program must not see this failure in its own call.
    unsafe {
        let symbol = libc::dlsym(libc::RTLD_NEXT, name.as_ptr());
        if symbol.is_null() {
            libc::dlerror();
        }
        symbol
    }
}

/// Prevents the library with that function from being unloaded.
pub(crate) fn pin(function: *mut c_void) {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: A successful `dladdr` initializes all of `info`, with a name that is a string. The library is loaded
    // already, so no code of it runs.
    unsafe {
        if libc::dladdr(function, info.as_mut_ptr()) != 0 {
            libc::dlopen(info.assume_init().dli_fname, libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
        }
    }
}

/// A loaded library, which is never unloaded.
pub(crate) struct Library(*mut c_void);

/// Opens the library of that name if it is loaded.
pub(crate) fn open_loaded(name: &CStr) -> Option<Library> {
    // SAFETY: The name is a string. `RTLD_NOLOAD` loads nothing, so no code of the library runs.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    (!library.is_null()).then_some(Library(library))
}

impl Library {
    /// Returns the function of that name, or null.
    pub(crate) fn symbol(&self, name: &CStr) -> *mut c_void {
        // SAFETY: The library is open, and the name is a string.
        unsafe { libc::dlsym(self.0, name.as_ptr()) }
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Exited(i32),
    Signalled,
}

/// Makes the kernel keep exit codes, which it does not for a process that ignores SIGCHLD.
pub(crate) fn keep_exit_codes() {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: The call only reads the action, and cannot fail for a valid signal.
    let mut action = unsafe {
        libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    if action.sa_sigaction != libc::SIG_IGN && action.sa_flags & libc::SA_NOCLDWAIT == 0 {
        return;
    }
    if action.sa_sigaction == libc::SIG_IGN {
        action.sa_sigaction = libc::SIG_DFL;
    }
    action.sa_flags &= !libc::SA_NOCLDWAIT;
    // SAFETY: The action is the one read above, with the default handler or the program's own.
    unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, ptr::null_mut()) };
}

/// The atomic type of a PID.
pub(crate) type AtomicNumber = AtomicI32;

/// A child that was not waited for.
#[derive(Clone, Copy)]
pub(crate) struct Child(pub(super) Pid);

impl Child {
    #[allow(clippy::needless_pass_by_value)] // On Windows it is a handle.
    pub(crate) fn new(child: heirloom::Child) -> Option<Self> {
        Self::of_number(i32::try_from(child.id()).ok()?)
    }

    pub(crate) fn of_number(number: i32) -> Option<Self> {
        Pid::from_raw(number).map(Self)
    }

    pub(crate) fn number(self) -> i32 {
        self.0.as_raw_nonzero().get()
    }

    /// Returns an object that waits for its end.
    #[allow(clippy::unnecessary_wraps)] // On Windows it duplicates a handle.
    pub(crate) fn end(self) -> io::Result<End> {
        Ok(End(self.0))
    }

    /// Waits until it ends, and reaps it. Its number may then be reused.
    pub(crate) fn reap(self) -> io::Result<Ending> {
        let status = wait(self.0, WaitIdOptions::EXITED)?.ok_or(Errno::CHILD)?;
        Ok(status.exit_status().map_or(Ending::Signalled, Ending::Exited))
    }
}

/// The end of a child.
pub(crate) struct End(Pid);

impl End {
    /// Waits for it without reaping the child, so its number is not reused.
    pub(crate) fn wait(&self) -> io::Result<()> {
        wait(self.0, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).map(drop)
    }
}

fn wait(pid: Pid, options: WaitIdOptions) -> io::Result<Option<WaitIdStatus>> {
    Ok(retry(|| rustix::process::waitid(WaitId::Pid(pid), options))?)
}

/// Returns advice for a failed wait, if there is any.
pub(crate) fn wait_advice(error: &io::Error) -> Option<&'static str> {
    let reaped = error.raw_os_error() == Some(Errno::CHILD.raw_os_error());
    reaped.then_some("the program reaped it by its own wait or ignores SIGCHLD, so its exit code is lost")
}

/// More stack than a reaper needs.
const REAPER_STACK: usize = 64 << 10;

/// A thread that reaps a child.
pub(crate) struct Reaper(Sender<Child>);

impl Reaper {
    pub(crate) fn new() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Child>();
        let reap = move || {
            if let Ok(child) = receiver.recv() {
                // An error means that it is reaped already.
                let _ = child.reap();
            }
        };
        // All signals are blocked: the program's handlers must not run on this small stack.
        let thread = thread::Builder::new().name("heirloom-reaper".to_owned()).stack_size(REAPER_STACK);
        with_signals_blocked(|| thread.spawn(reap))?;
        Ok(Self(sender))
    }

    pub(crate) fn reap(self, child: Child) {
        // The thread is waiting for this message.
        let _ = self.0.send(child);
    }
}

/// Starts a program as NSPR does. On Unix no inherited descriptor is inheritable in this process, so imports go on.
pub(crate) fn start<T>(command: &mut Command, _block_imports: impl FnOnce() -> T) -> heirloom::Result<heirloom::Child> {
    command.keep_sigpipe(true).spawn()
}

/// Converts bytes from C into a string for the system.
#[allow(clippy::unnecessary_wraps)] // On Windows they have an encoding.
pub(crate) fn os_string(bytes: &[u8]) -> io::Result<Cow<'_, OsStr>> {
    Ok(OsStr::from_bytes(bytes).into())
}

/// Returns NSPR's code for an error number of the system.
pub(crate) fn code_of(errno: i32) -> Code {
    match errno {
        libc::EPERM | libc::EACCES => Code::NoAccessRights,
        libc::ENOENT => Code::FileNotFound,
        libc::ENOTDIR => Code::NotDirectory,
        libc::ELOOP => Code::Loop,
        libc::ENAMETOOLONG => Code::NameTooLong,
        libc::EBADF => Code::BadDescriptor,
        libc::ENOMEM => Code::OutOfMemory,
        libc::ENOSPC | libc::EDQUOT => Code::NoDeviceSpace,
        libc::EAGAIN => Code::InsufficientResources,
        libc::EMFILE => Code::ProcDescTableFull,
        libc::ENFILE => Code::SysDescTableFull,
        libc::EINVAL => Code::InvalidArgument,
        libc::ETXTBSY | libc::EBUSY => Code::FileIsBusy,
        _ => Code::Unknown,
    }
}

/// Repeats a call that a signal interrupted.
pub(super) fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}
