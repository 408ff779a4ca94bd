//! What a hostile holder of a region may try, and what the kernel answers.
//!
//! Each attempt is one way to change bytes, size or seals, or to run them as a program. Beside it stand the exact answers
//! for each kind of region; the control is the same call on memory that nobody sealed, where it must succeed.

use std::ffi::{CString, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{EACCES, EIO, EPERM, EXDEV};

use crate::check;

/// Nothing refused the call.
pub const DONE: i32 = 0;

/// A way in, and what becomes of it, as an errno.
pub struct Attempt {
    /// The call, and how it is used.
    pub name: &'static str,
    /// Tries it on a descriptor.
    pub act: fn(RawFd) -> io::Result<()>,
    /// The answer for a frozen region.
    pub frozen: i32,
    /// The answer for a published one.
    pub published: i32,
    /// The answer for one that every holder may write.
    pub writable: i32,
}

const fn attempt(
    name: &'static str,
    act: fn(RawFd) -> io::Result<()>,
    frozen: i32,
    published: i32,
    writable: i32,
) -> Attempt {
    Attempt { name, act, frozen, published, writable }
}

/// All of them. Those that change the size come last, since where they succeed the others would notice.
pub const ATTEMPTS: &[Attempt] = &[
    attempt("mmap, shared and writable", map_writable, EPERM, EPERM, DONE),
    attempt("mmap for reading, then mprotect", map_and_protect, EACCES, EACCES, DONE),
    attempt("write", write, EPERM, EPERM, DONE),
    attempt("pwrite", pwrite, EPERM, EPERM, DONE),
    attempt("pwritev", pwritev, EPERM, EPERM, DONE),
    attempt("splice from a pipe", splice, EPERM, EPERM, DONE),
    attempt("sendfile", sendfile, EPERM, EPERM, DONE),
    attempt("copy_file_range", copy_file_range, EPERM, EPERM, DONE),
    attempt("fallocate, punching a hole", punch, EPERM, EPERM, DONE),
    attempt("madvise, MADV_REMOVE", remove, EACCES, EACCES, DONE),
    attempt("opened again by /proc/self/fd, then write", reopen_and_write, EPERM, EPERM, DONE),
    attempt("fchmod, opened again, then write", chmod_and_write, EPERM, EPERM, DONE),
    attempt("/proc/self/mem over a mapping for reading", through_mem, EIO, EIO, DONE),
    attempt("linkat, to give it a name", link, EXDEV, EXDEV, EXDEV),
    attempt("fchmod, to make it executable", make_executable, EPERM, EPERM, EPERM),
    attempt("execveat", execute, EACCES, EACCES, EACCES),
    attempt("execve by /proc/self/fd", execute_by_path, EACCES, EACCES, EACCES),
    attempt("ftruncate, longer", grow, EPERM, EPERM, EPERM),
    attempt("fallocate past the end", allocate_more, EPERM, EPERM, EPERM),
    attempt("write past the end", write_past_end, EPERM, EPERM, EPERM),
    attempt("ftruncate, shorter", shrink, EPERM, EPERM, EPERM),
    attempt("opened again with O_TRUNC", reopen_truncated, EPERM, EPERM, EPERM),
    attempt("a seal of its own", seal, EPERM, DONE, DONE),
];

/// How large the memory is that they are tried on, in bytes.
pub const SIZE: usize = 64 << 10;

const EVIL: &[u8] = b"evil";

fn map(fd: RawFd, prot: i32) -> io::Result<*mut c_void> {
    // SAFETY: The kernel chooses an address that nothing else uses.
    let address = unsafe { libc::mmap(ptr::null_mut(), SIZE, prot, libc::MAP_SHARED, fd, 0) };
    if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(address) }
}

/// Nothing uses a mapping of these attempts but the attempt itself.
fn unmap(address: *mut c_void) {
    // SAFETY: One whole mapping that `map` made, no longer used.
    unsafe { libc::munmap(address, SIZE) };
}

fn map_writable(fd: RawFd) -> io::Result<()> {
    map(fd, libc::PROT_READ | libc::PROT_WRITE).map(unmap)
}

fn map_and_protect(fd: RawFd) -> io::Result<()> {
    let address = map(fd, libc::PROT_READ)?;
    // SAFETY: One whole mapping, which nobody reads or writes.
    let answer = check(unsafe { libc::mprotect(address, SIZE, libc::PROT_READ | libc::PROT_WRITE) });
    unmap(address);
    answer
}

fn write(fd: RawFd) -> io::Result<()> {
    // SAFETY: The bytes are a whole slice.
    check(unsafe { libc::write(fd, EVIL.as_ptr().cast(), EVIL.len()) } as i64)
}

fn pwrite(fd: RawFd) -> io::Result<()> {
    // SAFETY: The bytes are a whole slice.
    check(unsafe { libc::pwrite(fd, EVIL.as_ptr().cast(), EVIL.len(), 8) } as i64)
}

fn pwritev(fd: RawFd) -> io::Result<()> {
    let part = libc::iovec { iov_base: EVIL.as_ptr().cast_mut().cast(), iov_len: EVIL.len() };
    // SAFETY: One part, which is a whole slice.
    check(unsafe { libc::pwritev(fd, &raw const part, 1, 8) } as i64)
}

fn splice(fd: RawFd) -> io::Result<()> {
    let (reader, writer) = rustix::pipe::pipe()?;
    rustix::io::write(&writer, EVIL)?;
    let mut offset = 8;
    // SAFETY: Plain numbers, and an offset that lives during the call.
    let moved = unsafe { libc::splice(reader.as_raw_fd(), ptr::null_mut(), fd, &raw mut offset, EVIL.len(), 0) };
    check(moved as i64)
}

/// Memory of this process's own, as a source.
fn source() -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("source", rustix::fs::MemfdFlags::CLOEXEC)?;
    rustix::io::write(&fd, EVIL)?;
    rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(0))?;
    Ok(fd)
}

fn sendfile(fd: RawFd) -> io::Result<()> {
    let source = source()?;
    // SAFETY: Plain numbers.
    check(unsafe { libc::sendfile(fd, source.as_raw_fd(), ptr::null_mut(), EVIL.len()) } as i64)
}

fn copy_file_range(fd: RawFd) -> io::Result<()> {
    let source = source()?;
    let mut offset = 8;
    // SAFETY: Plain numbers, and an offset that lives during the call.
    let copied =
        unsafe { libc::copy_file_range(source.as_raw_fd(), ptr::null_mut(), fd, &raw mut offset, EVIL.len(), 0) };
    check(copied as i64)
}

fn punch(fd: RawFd) -> io::Result<()> {
    // SAFETY: Plain numbers.
    check(unsafe { libc::fallocate(fd, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, 0, 4096) })
}

/// As writable as it can be had.
fn map_best(fd: RawFd) -> io::Result<*mut c_void> {
    map(fd, libc::PROT_READ | libc::PROT_WRITE).or_else(|_| map(fd, libc::PROT_READ))
}

fn remove(fd: RawFd) -> io::Result<()> {
    let address = map_best(fd)?;
    // SAFETY: One whole mapping, which nobody reads or writes.
    let answer = check(unsafe { libc::madvise(address, SIZE, libc::MADV_REMOVE) });
    unmap(address);
    answer
}

fn open_again(fd: RawFd, flags: i32) -> io::Result<OwnedFd> {
    let path = CString::new(format!("/proc/self/fd/{fd}"))?;
    // SAFETY: A whole string.
    let again = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) };
    check(again)?;
    // SAFETY: Opened a moment ago, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(again) })
}

fn reopen_and_write(fd: RawFd) -> io::Result<()> {
    write(open_again(fd, libc::O_RDWR)?.as_raw_fd())
}

fn chmod_and_write(fd: RawFd) -> io::Result<()> {
    // SAFETY: Plain numbers.
    check(unsafe { libc::fchmod(fd, 0o666) })?;
    write(open_again(fd, libc::O_WRONLY)?.as_raw_fd())
}

fn through_mem(fd: RawFd) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let memory = File::options().write(true).open("/proc/self/mem")?;
    let address = map_best(fd)?;
    let answer = memory.write_all_at(EVIL, address as u64);
    unmap(address);
    answer
}

fn link(fd: RawFd) -> io::Result<()> {
    let old = CString::new(format!("/proc/self/fd/{fd}"))?;
    let new = CString::new(format!("/tmp/heirloom-linked-{}", std::process::id()))?;
    // SAFETY: Whole strings.
    unsafe {
        let flags = libc::AT_SYMLINK_FOLLOW;
        check(libc::linkat(libc::AT_FDCWD, old.as_ptr(), libc::AT_FDCWD, new.as_ptr(), flags))?;
        check(libc::unlink(new.as_ptr()))
    }
}

fn make_executable(fd: RawFd) -> io::Result<()> {
    // SAFETY: Plain numbers.
    check(unsafe { libc::fchmod(fd, 0o777) })
}

/// Runs `exec` in a process of its own, and gives its error back as that process's exit code.
fn in_a_fork(exec: impl FnOnce()) -> io::Result<()> {
    // SAFETY: The child makes system calls only, and ends.
    let pid = unsafe { libc::fork() };
    check(pid)?;
    if pid == 0 {
        exec();
        let code = io::Error::last_os_error().raw_os_error().unwrap_or(255);
        // SAFETY: Ends the child without running what belongs to the parent.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: A child of this process, and a status that lives during the call.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    match libc::WEXITSTATUS(status) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Executes what a descriptor names.
///
/// # Errors
/// What the system answers.
pub fn execute(fd: RawFd) -> io::Result<()> {
    let args = [c"true".as_ptr(), ptr::null()];
    in_a_fork(|| {
        // SAFETY: Whole strings, and a list that ends with its null.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                fd,
                c"".as_ptr(),
                args.as_ptr(),
                ptr::null::<*const i8>(),
                libc::AT_EMPTY_PATH,
            )
        };
    })
}

fn execute_by_path(fd: RawFd) -> io::Result<()> {
    let path = CString::new(format!("/proc/self/fd/{fd}"))?;
    let args = [c"true".as_ptr(), ptr::null()];
    in_a_fork(|| {
        // SAFETY: Whole strings, and a list that ends with its null.
        unsafe { libc::execve(path.as_ptr(), args.as_ptr(), args[1..].as_ptr()) };
    })
}

fn size(fd: RawFd) -> io::Result<i64> {
    // SAFETY: A plain number; the position is nobody's but these attempts'.
    let end = unsafe { libc::lseek(fd, 0, libc::SEEK_END) };
    check(end)?;
    Ok(end)
}

fn grow(fd: RawFd) -> io::Result<()> {
    let size = size(fd)?;
    // SAFETY: Plain numbers.
    check(unsafe { libc::ftruncate(fd, size + 4096) })
}

fn allocate_more(fd: RawFd) -> io::Result<()> {
    let size = size(fd)?;
    // SAFETY: Plain numbers.
    check(unsafe { libc::fallocate(fd, 0, size, 4096) })
}

fn write_past_end(fd: RawFd) -> io::Result<()> {
    let size = size(fd)?;
    // SAFETY: The bytes are a whole slice.
    check(unsafe { libc::pwrite(fd, EVIL.as_ptr().cast(), EVIL.len(), size) } as i64)
}

fn shrink(fd: RawFd) -> io::Result<()> {
    // SAFETY: Plain numbers.
    check(unsafe { libc::ftruncate(fd, 4096) })
}

fn reopen_truncated(fd: RawFd) -> io::Result<()> {
    open_again(fd, libc::O_RDWR | libc::O_TRUNC).map(drop)
}

fn seal(fd: RawFd) -> io::Result<()> {
    // SAFETY: Plain numbers.
    check(unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, libc::F_SEAL_GROW) })
}

/// Memory that nobody sealed, holding a program that can be run: here every attempt must succeed but `linkat`, whose control
/// is [`linkable`].
///
/// # Errors
/// What the system answers.
pub fn control() -> io::Result<OwnedFd> {
    // SAFETY: A whole string.
    let fd = unsafe {
        libc::memfd_create(c"control".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | libc::MFD_EXEC)
    };
    check(fd)?;
    // SAFETY: Made a moment ago, and nobody else knows it.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    io::copy(&mut File::open("/bin/true")?, &mut file)?;
    if size(fd)? < i64::try_from(SIZE).unwrap_or(i64::MAX) {
        file.set_len(SIZE as u64)?;
    }
    // Writing goes on at the start, as with a region.
    io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

/// A file that can be given a name, as the control for `linkat`.
///
/// # Errors
/// What the system answers.
pub fn linkable() -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    Ok(rustix::fs::open("/tmp", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?)
}
