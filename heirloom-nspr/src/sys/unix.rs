//! Every Unix.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use rustix::fs::OFlags;
use rustix::io::{Errno, FdFlags};
use rustix::mm::{self, Advice, MapFlags, ProtFlags};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus};

/// The lowest number of a descriptor that isn't standard input, output or error.
const LOWEST: RawFd = 3;

/// How many bytes one of the kernel's huge pages has.
const HUGE_PAGE: usize = 2 << 20;

pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// Takes addresses for good: with memory behind them that is zero, or with nothing.
pub(crate) fn reserve(len: usize, usable: bool) -> Result<usize, Errno> {
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

/// # Safety
/// The caller's caller says that these bytes are a mapping of its own, and that it needs them no more.
pub(crate) unsafe fn unmap(address: *mut c_void, len: usize) -> Result<(), Errno> {
    // SAFETY: By the caller.
    match unsafe { mm::munmap(address, len) } {
        // Of huge pages, only whole ones go.
        Err(Errno::INVAL) if address.addr() % HUGE_PAGE == 0 && len % HUGE_PAGE != 0 => {
            // SAFETY: By the caller: the mapping goes on to the end of the huge page.
            unsafe { mm::munmap(address, len.next_multiple_of(HUGE_PAGE)) }
        }
        answer => answer,
    }
}

/// Whether what is open under that number is close-on-exec; `None` where nothing is.
pub(crate) fn is_close_on_exec(number: RawFd) -> Option<bool> {
    look_at(number, |fd| rustix::io::fcntl_getfd(fd)).ok().map(|flags| flags.contains(FdFlags::CLOEXEC))
}

/// From now on every child inherits it.
pub(crate) fn set_inheritable(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::io::fcntl_setfd(fd, FdFlags::empty())
}

/// Makes what is open under that number close-on-exec, or not; tells whether it was.
pub(crate) fn set_close_on_exec(number: RawFd, on: bool) -> Result<bool, Errno> {
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
pub(crate) fn duplicate(number: RawFd) -> Result<OwnedFd, Errno> {
    look_at(number, |fd| rustix::io::fcntl_dupfd_cloexec(fd, LOWEST))
}

/// Looks at what is open under a number that somebody else wrote down.
fn look_at<T>(number: RawFd, look: impl FnOnce(BorrowedFd<'_>) -> Result<T, Errno>) -> Result<T, Errno> {
    if number < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: It is not -1. Where it isn't open, or not for long, the kernel says so to `look`.
    look(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Makes reads and writes wait, or not; tells whether they did.
pub(crate) fn set_blocking(number: RawFd, blocking: bool) -> Result<bool, Errno> {
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
pub(crate) fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
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

/// This process's number.
pub(crate) fn own_number() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
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

/// Waits until a child ended. It stays to be waited for, so that its number stays its own.
pub(crate) fn wait_until_ended(pid: Pid) -> Result<(), Errno> {
    wait(pid, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).map(drop)
}

/// Waits until a child ended, and tells how. From then on its number may be another process's.
pub(crate) fn reap(pid: Pid) -> Result<Ending, Errno> {
    let status = wait(pid, WaitIdOptions::EXITED)?.ok_or(Errno::CHILD)?;
    Ok(status.exit_status().map_or(Ending::Signalled, Ending::Exited))
}

fn wait(pid: Pid, options: WaitIdOptions) -> Result<Option<WaitIdStatus>, Errno> {
    retry(|| rustix::process::waitid(WaitId::Pid(pid), options))
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
