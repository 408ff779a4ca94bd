//! Every Unix.

#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::{CStr, OsStr, c_void};
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
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

use super::kill_child;
use crate::error::Code;

/// The lowest number of a descriptor that isn't standard input, output or error.
const LOWEST: RawFd = 3;

/// How many bytes one of the kernel's huge pages has.
const HUGE_PAGE: usize = 2 << 20;

pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// Of what offsets of mappings are multiples.
pub(crate) fn granule() -> usize {
    page_size()
}

/// Takes addresses for good: with memory behind them that is zero, or with nothing.
pub(crate) fn reserve(len: usize, usable: bool) -> io::Result<usize> {
    let prot = if usable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::empty() };
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: The kernel chooses addresses that nothing else in this process uses.
    let start = unsafe { mm::mmap_anonymous(ptr::null_mut(), len, prot, flags) }?;
    Ok(start as usize)
}

/// Gives the memory of a page back, which reads as zero from then on.
///
/// # Safety
/// It is a page of `reserve`, and nothing in it is needed any more.
pub(crate) unsafe fn clear_page(page: *mut c_void) {
    // SAFETY: By the caller. Should it fail, the memory stays as it is.
    let _ = unsafe { mm::madvise(page, page_size(), Advice::LinuxDontNeed) };
}

/// Leaves a mapping, which starts there, to C: `unmap` ends it.
pub(crate) fn give_away<T>(address: *mut u8, _len: usize, mapping: T) -> *mut u8 {
    mem::forget(mapping);
    address
}

/// # Safety
/// The caller's caller says that these bytes are a mapping of its own, and that it needs them no more.
pub(crate) unsafe fn unmap(address: *mut c_void, len: usize) -> io::Result<()> {
    // SAFETY: By the caller.
    Ok(match unsafe { mm::munmap(address, len) } {
        // Of huge pages, only whole ones go.
        Err(Errno::INVAL) if address.addr() % HUGE_PAGE == 0 && len % HUGE_PAGE != 0 => {
            // SAFETY: By the caller: the mapping goes on to the end of the huge page.
            unsafe { mm::munmap(address, len.next_multiple_of(HUGE_PAGE)) }
        }
        answer => answer,
    }?)
}

/// Whether what is open under that number is close-on-exec; `None` where nothing is.
pub(crate) fn is_close_on_exec(number: RawFd) -> Option<bool> {
    look_at(number, |fd| rustix::io::fcntl_getfd(fd)).ok().map(|flags| flags.contains(FdFlags::CLOEXEC))
}

/// From now on every child inherits it.
pub(crate) fn set_inheritable(export: &ExportedRegion) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(export, FdFlags::empty())?)
}

/// Makes what is open under that number close-on-exec, or not; tells whether it was.
pub(crate) fn set_close_on_exec(number: RawFd, on: bool) -> io::Result<bool> {
    look_at(number, |fd| {
        let mut flags = rustix::io::fcntl_getfd(fd)?;
        let was = flags.contains(FdFlags::CLOEXEC);
        flags.set(FdFlags::CLOEXEC, on);
        rustix::io::fcntl_setfd(fd, flags)?;
        Ok(was)
    })
}

/// Whether a descriptor of that number may be one of standard input, output and error.
pub(crate) fn is_standard(number: RawFd) -> bool {
    number < LOWEST
}

/// A descriptor of our own of what is open under that number.
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    look_at(number, |fd| rustix::io::fcntl_dupfd_cloexec(fd, LOWEST))
}

/// Looks at what is open under a number that somebody else wrote down.
fn look_at<T>(number: RawFd, look: impl FnOnce(BorrowedFd<'_>) -> Result<T, Errno>) -> io::Result<T> {
    if number < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: It is not -1. Where it isn't open, or not for long, the kernel says so to `look`.
    Ok(look(unsafe { BorrowedFd::borrow_raw(number) })?)
}

/// Makes reads and writes wait, or not; tells whether they did.
pub(crate) fn set_blocking(number: RawFd, blocking: bool) -> io::Result<bool> {
    look_at(number, |fd| {
        let mut flags = rustix::fs::fcntl_getfl(fd)?;
        let was = !flags.contains(OFlags::NONBLOCK);
        if was != blocking {
            flags.set(OFlags::NONBLOCK, !blocking);
            rustix::fs::fcntl_setfl(fd, flags)?;
        }
        Ok(was)
    })
}

/// Does something with every signal blocked in this thread, and in those that it starts meanwhile.
fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: `sigfillset` initializes the one set, and the mask that was there the other; neither can fail.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let answer = work();
    // SAFETY: Puts back what was there.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    answer
}

/// The function of that name in the libraries behind this one; null where there is none.
pub(crate) fn next_symbol(name: &CStr) -> *mut c_void {
    // SAFETY: A string with its NUL. What failed is nothing that the program should find by its own `dlerror`.
    unsafe {
        let symbol = libc::dlsym(libc::RTLD_NEXT, name.as_ptr());
        if symbol.is_null() {
            libc::dlerror();
        }
        symbol
    }
}

/// Keeps the library that has that function from being unloaded.
pub(crate) fn pin(function: *mut c_void) {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: `dladdr` fills in all of it where it succeeds, and a name with its NUL; nothing is loaded, and what is
    // opened here is never closed.
    unsafe {
        if libc::dladdr(function, info.as_mut_ptr()) != 0 {
            libc::dlopen(info.assume_init().dli_fname, libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
        }
    }
}

/// A library that this process has loaded, which stays from now on.
pub(crate) struct Library(*mut c_void);

/// The library of that name, if it is loaded.
pub(crate) fn loaded(name: &CStr) -> Option<Library> {
    // SAFETY: A string with its NUL; nothing is loaded, so no code of it runs.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    (!library.is_null()).then_some(Library(library))
}

impl Library {
    /// The function of that name; null where there is none.
    pub(crate) fn symbol(&self, name: &CStr) -> *mut c_void {
        // SAFETY: An open library, and a string with its NUL.
        unsafe { libc::dlsym(self.0, name.as_ptr()) }
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Exited(i32),
    Signalled,
}

/// Makes the kernel keep how children end, which it doesn't for a process that ignores SIGCHLD.
pub(crate) fn keep_exit_codes() {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: It only asks, and can't fail for a signal that there is.
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
    // SAFETY: What was there, but for what is changed above: the default, or the program's own handler.
    unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, ptr::null_mut()) };
}

/// What a child is known by, to C as well.
pub(crate) type AtomicNumber = AtomicI32;

/// A child that nobody waited for yet.
#[derive(Clone, Copy)]
pub(crate) struct Child(Pid);

impl Child {
    #[allow(clippy::needless_pass_by_value)] // Elsewhere it is a handle.
    pub(crate) fn new(child: heirloom::Child) -> Option<Self> {
        Self::of_number(i32::try_from(child.id()).ok()?)
    }

    pub(crate) fn of_number(number: i32) -> Option<Self> {
        Pid::from_raw(number).map(Self)
    }

    pub(crate) fn number(self) -> i32 {
        self.0.as_raw_nonzero().get()
    }

    /// What is waited for until it ended.
    #[allow(clippy::unnecessary_wraps)] // Elsewhere it takes a handle.
    pub(crate) fn end(self) -> io::Result<End> {
        Ok(End(self.0))
    }

    /// Waits until it ended, and tells how. From then on its number may be another process's.
    pub(crate) fn reap(self) -> io::Result<Ending> {
        let status = wait(self.0, WaitIdOptions::EXITED)?.ok_or(Errno::CHILD)?;
        Ok(status.exit_status().map_or(Ending::Signalled, Ending::Exited))
    }

    /// Ends it at once; `false` where that number is no such child's any more. For signal handlers, too: nothing but
    /// system calls.
    pub(crate) fn kill(self) -> io::Result<bool> {
        match kill_child(self.0) {
            Err(Errno::SRCH) => Ok(false),
            answer => Ok(answer.map(|()| true)?),
        }
    }
}

/// The end of a child.
pub(crate) struct End(Pid);

impl End {
    /// Waits for it. The child stays to be waited for, so that its number stays its own.
    pub(crate) fn wait(&self) -> io::Result<()> {
        wait(self.0, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).map(drop)
    }
}

fn wait(pid: Pid, options: WaitIdOptions) -> io::Result<Option<WaitIdStatus>> {
    Ok(retry(|| rustix::process::waitid(WaitId::Pid(pid), options))?)
}

/// What to say of a child that couldn't be waited for, where there is something to say.
pub(crate) fn why_not_waited_for(error: &io::Error) -> Option<&'static str> {
    let nobody = error.raw_os_error() == Some(Errno::CHILD.raw_os_error());
    nobody.then_some("it ended, but nobody knows how: the program waited for it by itself, or ignores SIGCHLD")
}

/// How much stack a reaper needs, and more.
const REAPER_STACK: usize = 64 << 10;

/// A thread that waits for a child, so that the kernel forgets it when it ends.
pub(crate) struct Reaper(Sender<Child>);

impl Reaper {
    pub(crate) fn new() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Child>();
        let reap = move || {
            if let Ok(child) = receiver.recv() {
                // Where somebody else waited for it, all is done too.
                let _ = child.reap();
            }
        };
        // No signal of the program's is ever handled on so small a stack.
        let thread = thread::Builder::new().name("heirloom-reaper".to_owned()).stack_size(REAPER_STACK);
        with_signals_blocked(|| thread.spawn(reap))?;
        Ok(Self(sender))
    }

    pub(crate) fn reap(self, child: Child) {
        // It waits for just this.
        let _ = self.0.send(child);
    }
}

/// Starts a program as NSPR does. What it hands down never looks like what nobody owns, so imports go on.
pub(crate) fn start<T>(command: &mut Command, _imports: impl FnOnce() -> T) -> heirloom::Result<heirloom::Child> {
    command.keep_signals(true).spawn()
}

/// Bytes from C as the system's own kind of string.
#[allow(clippy::unnecessary_wraps)] // Elsewhere they have an encoding.
pub(crate) fn os_string(bytes: &[u8]) -> io::Result<Cow<'_, OsStr>> {
    Ok(OsStr::from_bytes(bytes).into())
}

/// NSPR's code for one of the system's.
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

/// Does again what a signal interrupted.
pub(super) fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}
