//! What a hostile holder of a region may try, and what the kernel answers.
//!
//! Each attempt is one way to change bytes, size or seals, or to run them as a program. Beside it stand the exact answers
//! for each kind of region; the control is the same call on memory that nobody sealed, where it must succeed.

#![allow(clippy::useless_conversion)] // What the kernel answers has another type in 32 bits.

use std::ffi::{CString, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{EACCES, EFAULT, EINVAL, EIO, ENOEXEC, EOPNOTSUPP, EPERM, EXDEV};

use super::check;

/// Nothing refused the call.
pub const DONE: i32 = 0;

/// Which kind of region an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Frozen.
    Frozen,
    /// Published by somebody else.
    ReadOnly,
    /// One that every holder may write: only its size and what can be run are fixed.
    Writable,
}

/// A way in, and what becomes of it, as an errno.
pub struct Attempt {
    /// The call, and how it is used.
    pub name: &'static str,
    /// Tries it on a descriptor.
    pub act: fn(RawFd) -> io::Result<()>,
    /// The answer for each [`Target`].
    answers: [i32; 3],
    /// The same in huge pages, and the control's answer there, since some calls know no huge pages; `None` where all is as
    /// in ordinary ones.
    huge: Option<[i32; 4]>,
}

impl Attempt {
    /// The answer for a target.
    #[must_use]
    pub fn answer(&self, target: Target, huge: bool) -> i32 {
        match self.huge {
            Some(answers) if huge => answers[target as usize],
            _ => self.answers[target as usize],
        }
    }

    /// The answer for memory without seals.
    #[must_use]
    pub fn control(&self, huge: bool) -> i32 {
        self.huge.filter(|_| huge).map_or(DONE, |answers| answers[3])
    }
}

const fn attempt(
    name: &'static str,
    act: fn(RawFd) -> io::Result<()>,
    answers: [i32; 3],
    huge: Option<[i32; 4]>,
) -> Attempt {
    Attempt { name, act, answers, huge }
}

/// By a seal; who may write does.
const SEALED: [i32; 3] = [EPERM, EPERM, DONE];
/// A mapping that was made for reading can't be written.
const NO_WRITER: [i32; 3] = [EACCES, EACCES, DONE];
const FAULTS: [i32; 3] = [EFAULT, EFAULT, DONE];
const NO_WAY: [i32; 3] = [EIO, EIO, DONE];
/// By a seal, for everyone.
const FIXED: [i32; 3] = [EPERM; 3];
const SAME: Option<[i32; 4]> = None;

/// All of them. Those that change the size come last, since where they succeed the others would notice.
pub const ATTEMPTS: &[Attempt] = &[
    attempt("mmap, shared and writable", map_writable, SEALED, SAME),
    attempt("mmap for reading, then mprotect", map_and_protect, NO_WRITER, SAME),
    attempt("mmap for reading, then pkey_mprotect", map_and_protect_by_key, NO_WRITER, SAME),
    attempt("mremap to a second view, then mprotect", remap_and_protect, NO_WRITER, Some([EINVAL; 4])),
    attempt("remap_file_pages, then mprotect", remap_file_pages_and_protect, NO_WRITER, SAME),
    attempt("madvise, MADV_POPULATE_WRITE", populate_for_writing, [EINVAL, EINVAL, DONE], SAME),
    attempt("write", write, SEALED, Some([EINVAL; 4])),
    attempt("writev", writev, SEALED, Some([EINVAL; 4])),
    attempt("pwrite", pwrite, SEALED, Some([EINVAL; 4])),
    attempt("pwritev", pwritev, SEALED, Some([EINVAL; 4])),
    attempt("pwritev2", pwritev2, SEALED, Some([EINVAL; 4])),
    attempt("io_uring, a write", ring_write, SEALED, Some([EINVAL; 4])),
    attempt("io_submit, a write", submit, SEALED, Some([EINVAL; 4])),
    attempt("splice from a pipe", splice, SEALED, Some([EINVAL; 4])),
    attempt("sendfile", sendfile, SEALED, Some([EINVAL; 4])),
    attempt("copy_file_range", copy_file_range, SEALED, Some([EXDEV; 4])),
    attempt("read into a mapping", read_into, FAULTS, SAME),
    attempt("vmsplice from a pipe into a mapping", vmsplice, FAULTS, SAME),
    attempt("process_vm_writev into a mapping", process_vm_writev, FAULTS, SAME),
    attempt("futex, FUTEX_WAKE_OP on a mapping", futex, FAULTS, SAME),
    attempt("userfaultfd, UFFDIO_COPY into a mapping", userfault, SEALED, SAME),
    attempt("ptrace, PTRACE_POKEDATA into a mapping", traced, NO_WAY, SAME),
    attempt("/proc/self/mem over a mapping", through_mem, NO_WAY, SAME),
    attempt("fallocate, punching a hole", punch, SEALED, SAME),
    attempt("io_uring, punching a hole", ring_punch, SEALED, SAME),
    attempt("madvise, MADV_REMOVE", remove, NO_WRITER, SAME),
    attempt("opened again by /proc/self/fd, then write", reopen_and_write, SEALED, Some([EINVAL; 4])),
    attempt("opened again by openat2, then write", opened_by_openat2, SEALED, Some([EINVAL; 4])),
    attempt("opened again by /dev/fd, then write", opened_by_dev_fd, SEALED, Some([EINVAL; 4])),
    attempt("opened again by /proc/self/map_files, then write", opened_by_map_files, SEALED, Some([EINVAL; 4])),
    attempt("open_by_handle_at, then write", opened_by_handle, SEALED, Some([EOPNOTSUPP; 4])),
    attempt("pidfd_getfd, then write", taken_by_pidfd, SEALED, Some([EINVAL; 4])),
    attempt("fchmod, opened again, then write", chmod_and_write, SEALED, Some([EINVAL; 4])),
    attempt("linkat, to give it a name", link, [EXDEV, EXDEV, EXDEV], SAME),
    attempt("fchmod, to make it executable", make_executable, FIXED, Some([DONE; 4])),
    attempt("execveat", execute, [EACCES, EACCES, EACCES], Some([ENOEXEC; 4])),
    attempt("execve by /proc/self/fd", execute_by_path, [EACCES, EACCES, EACCES], Some([ENOEXEC; 4])),
    attempt("ftruncate, longer", grow, FIXED, SAME),
    attempt("fallocate past the end", allocate_more, FIXED, SAME),
    attempt("write past the end", write_past_end, FIXED, Some([EINVAL; 4])),
    attempt("ftruncate, shorter", shrink, FIXED, SAME),
    attempt("truncate by /proc/self/fd, shorter", shrink_by_path, FIXED, SAME),
    attempt("creat by /proc/self/fd", create_over, FIXED, SAME),
    attempt("opened again with O_TRUNC", reopen_truncated, FIXED, SAME),
    attempt("a seal of its own", seal, [EPERM, DONE, DONE], SAME),
];

/// How large the memory is that they are tried on, in bytes.
pub const SIZE: usize = 64 << 10;

/// The same in huge pages: one.
pub const HUGE_SIZE: usize = 2 << 20;

const EVIL: &[u8] = b"evil";

/// A view of all of it, for the length of an attempt.
struct View {
    address: *mut c_void,
    len: usize,
}

impl View {
    fn new(fd: RawFd, prot: i32) -> io::Result<Self> {
        let len = if is_huge(fd)? { HUGE_SIZE } else { SIZE };
        // SAFETY: The kernel chooses an address that nothing else uses.
        let address = unsafe { libc::mmap(ptr::null_mut(), len, prot, libc::MAP_SHARED, fd, 0) };
        if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Self { address, len }) }
    }

    /// As writable as it can be had.
    fn best(fd: RawFd) -> io::Result<Self> {
        Self::new(fd, libc::PROT_READ | libc::PROT_WRITE).or_else(|_| Self::new(fd, libc::PROT_READ))
    }

    fn protect(&self) -> io::Result<()> {
        // SAFETY: One whole mapping, which nobody reads or writes.
        check(unsafe { libc::mprotect(self.address, self.len, libc::PROT_READ | libc::PROT_WRITE) })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: One whole mapping, no longer used.
        unsafe { libc::munmap(self.address, self.len) };
    }
}

fn is_huge(fd: RawFd) -> io::Result<bool> {
    // SAFETY: All zeros is such a structure, which lives during the call.
    let status = unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        check(libc::fstat(fd, &raw mut status))?;
        status
    };
    Ok(usize::try_from(status.st_blksize).is_ok_and(|block| block == HUGE_SIZE))
}

fn map_writable(fd: RawFd) -> io::Result<()> {
    View::new(fd, libc::PROT_READ | libc::PROT_WRITE).map(drop)
}

fn map_and_protect(fd: RawFd) -> io::Result<()> {
    View::new(fd, libc::PROT_READ)?.protect()
}

#[cfg(not(target_arch = "s390x"))]
const PKEY_MPROTECT: libc::c_long = libc::SYS_pkey_mprotect;
#[cfg(target_arch = "s390x")]
const PKEY_MPROTECT: libc::c_long = 384;

fn map_and_protect_by_key(fd: RawFd) -> io::Result<()> {
    let view = View::new(fd, libc::PROT_READ)?;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: One whole mapping, which nobody reads or writes; -1 is no key.
    check(unsafe { libc::syscall(PKEY_MPROTECT, view.address, view.len, prot, -1) })
}

fn remap_and_protect(fd: RawFd) -> io::Result<()> {
    let view = View::new(fd, libc::PROT_READ)?;
    // SAFETY: Of a shared mapping a second view is made, by an old size of 0; the kernel chooses the address.
    let second = unsafe { libc::mremap(view.address, 0, view.len, libc::MREMAP_MAYMOVE) };
    if second == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    View { address: second, len: view.len }.protect()
}

fn remap_file_pages_and_protect(fd: RawFd) -> io::Result<()> {
    let view = View::new(fd, libc::PROT_READ)?;
    // SAFETY: One whole mapping, whose pages stay where they are.
    check(unsafe { libc::syscall(libc::SYS_remap_file_pages, view.address, view.len, 0, 0, 0) })?;
    view.protect()
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
    // SAFETY: One part, which is a whole slice.
    check(unsafe { libc::pwritev(fd, &raw const PART.0, 1, 8) } as i64)
}

fn splice(fd: RawFd) -> io::Result<()> {
    let (reader, _writer) = full_pipe()?;
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
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: Plain numbers.
    check(unsafe { libc::fallocate(fd, mode, 0, step(fd)?) })
}

fn remove(fd: RawFd) -> io::Result<()> {
    let view = View::best(fd)?;
    // SAFETY: One whole mapping, which nobody reads or writes.
    check(unsafe { libc::madvise(view.address, view.len, libc::MADV_REMOVE) })
}

fn populate_for_writing(fd: RawFd) -> io::Result<()> {
    let view = View::best(fd)?;
    // SAFETY: One whole mapping, which nobody reads or writes.
    check(unsafe { libc::madvise(view.address, view.len, libc::MADV_POPULATE_WRITE) })
}

fn writev(fd: RawFd) -> io::Result<()> {
    // SAFETY: One part, which is a whole slice.
    check(unsafe { libc::writev(fd, &raw const PART.0, 1) } as i64)
}

fn pwritev2(fd: RawFd) -> io::Result<()> {
    // SAFETY: One part, which is a whole slice; the offset comes in two halves. Not every C library has a name for it.
    check(unsafe { libc::syscall(libc::SYS_pwritev2, fd, &raw const PART.0, 1, 8, 0, 0) })
}

struct Part(libc::iovec);

// SAFETY: It is only read.
unsafe impl Sync for Part {}

static PART: Part = Part(libc::iovec { iov_base: EVIL.as_ptr().cast_mut().cast(), iov_len: EVIL.len() });

/// A pipe with something in it.
fn full_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe()?;
    rustix::io::write(&writer, EVIL)?;
    Ok((reader, writer))
}

fn vmsplice(fd: RawFd) -> io::Result<()> {
    let (view, (reader, _writer)) = (View::best(fd)?, full_pipe()?);
    let part = libc::iovec { iov_base: view.address, iov_len: EVIL.len() };
    // SAFETY: One part, which lies in a mapping that nobody else uses.
    check(unsafe { libc::vmsplice(reader.as_raw_fd(), &raw const part, 1, 0) } as i64)
}

fn read_into(fd: RawFd) -> io::Result<()> {
    let (view, (reader, _writer)) = (View::best(fd)?, full_pipe()?);
    // SAFETY: Room in a mapping that nobody else uses.
    check(unsafe { libc::read(reader.as_raw_fd(), view.address, EVIL.len()) } as i64)
}

fn process_vm_writev(fd: RawFd) -> io::Result<()> {
    let view = View::best(fd)?;
    let there = libc::iovec { iov_base: view.address, iov_len: EVIL.len() };
    // SAFETY: One part on each side, the one a whole slice, the other in a mapping that nobody else uses.
    let written = unsafe { libc::process_vm_writev(libc::getpid(), &raw const PART.0, 1, &raw const there, 1, 0) };
    check(written as i64)
}

fn futex(fd: RawFd) -> io::Result<()> {
    const FUTEX_WAKE_OP: i32 = 5;
    // Sets the second word to 1, see futex(2).
    const SET_TO_1: i32 = 1 << 12;
    let (view, own) = (View::best(fd)?, 0_u32);
    // SAFETY: Two words, one of this function's own and one in a mapping that nobody else uses.
    let woken = unsafe { libc::syscall(libc::SYS_futex, &raw const own, FUTEX_WAKE_OP, 0, 0, view.address, SET_TO_1) };
    check(woken)
}

fn userfault(fd: RawFd) -> io::Result<()> {
    const UFFDIO_API: u32 = 0xc018_aa3f;
    const UFFDIO_REGISTER: u32 = 0xc020_aa00;
    const UFFDIO_COPY: u32 = 0xc028_aa03;
    // Where it can be had, a page that isn't there.
    let _ = punch(fd);
    let view = View::best(fd)?;
    let (start, len) = (view.address as u64, view.len as u64);
    let page = vec![EVIL[0]; view.len];
    // SAFETY: Structures as ioctl_userfaultfd(2) has them, which live during the calls; the pages are the mapping's.
    unsafe {
        let faults = libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC);
        check(faults)?;
        let faults = OwnedFd::from_raw_fd(i32::try_from(faults).unwrap_or(-1));
        #[allow(clippy::cast_lossless, clippy::cast_possible_wrap)] // Its type is each C library's own.
        let call =
            |request: u32, argument: *mut u64| check(libc::ioctl(faults.as_raw_fd(), request as libc::Ioctl, argument));
        call(UFFDIO_API, [0xaa, 0, 0].as_mut_ptr())?;
        call(UFFDIO_REGISTER, [start, len, 1, 0].as_mut_ptr())?;
        let size = if view.len == HUGE_SIZE { len } else { 4096 };
        call(UFFDIO_COPY, [start, page.as_ptr() as u64, size, 0, 0].as_mut_ptr())
    }
}

/// The answer that a ring gives: an errno, negated, where it failed.
fn ring_answer(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
}

fn by_ring(entry: &io_uring::squeue::Entry) -> io::Result<()> {
    let mut ring = io_uring::IoUring::new(4)?;
    // SAFETY: What the entry names lives until its answer is there.
    unsafe { ring.submission().push(entry) }.map_err(io::Error::other)?;
    ring.submit_and_wait(1)?;
    let answer = ring.completion().next();
    ring_answer(answer.map_or(-libc::EIO, |answer| answer.result()))
}

fn ring_write(fd: RawFd) -> io::Result<()> {
    let length = u32::try_from(EVIL.len()).unwrap_or(0);
    by_ring(&io_uring::opcode::Write::new(io_uring::types::Fd(fd), EVIL.as_ptr(), length).offset(8).build())
}

fn ring_punch(fd: RawFd) -> io::Result<()> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let length = if is_huge(fd)? { HUGE_SIZE } else { 4096 };
    by_ring(&io_uring::opcode::Fallocate::new(io_uring::types::Fd(fd), length as u64).mode(mode).build())
}

fn submit(fd: RawFd) -> io::Result<()> {
    const IOCB_CMD_PWRITE: u64 = 1;
    let mut context: libc::c_ulong = 0;
    // SAFETY: Structures as io_submit(2) has them, which live until the answer is there.
    unsafe {
        check(libc::syscall(libc::SYS_io_setup, 1, &raw mut context))?;
        // data, key and flags, operation with priority and descriptor, buffer, length, offset, two unused.
        let number = u64::from(fd.unsigned_abs());
        let block = [0, 0, IOCB_CMD_PWRITE | number << 32, EVIL.as_ptr() as u64, EVIL.len() as u64, 8, 0, 0];
        let blocks = [block.as_ptr()];
        let mut event = [0_i64; 4];
        let answer = check(libc::syscall(libc::SYS_io_submit, context, 1, blocks.as_ptr())).and_then(|()| {
            check(libc::syscall(libc::SYS_io_getevents, context, 1, 1, event.as_mut_ptr(), 0))?;
            ring_answer(i32::try_from(event[2]).unwrap_or(-libc::EIO))
        });
        libc::syscall(libc::SYS_io_destroy, context);
        answer
    }
}

fn own_pidfd() -> io::Result<OwnedFd> {
    // SAFETY: Plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    check(fd)?;
    // SAFETY: Opened a moment ago, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) })
}

fn taken_by_pidfd(fd: RawFd) -> io::Result<()> {
    let own = own_pidfd()?;
    // SAFETY: Plain numbers.
    let taken = unsafe { libc::syscall(libc::SYS_pidfd_getfd, own.as_raw_fd(), fd, 0) };
    check(taken)?;
    // SAFETY: Opened a moment ago, and nobody else knows it.
    write(unsafe { OwnedFd::from_raw_fd(i32::try_from(taken).unwrap_or(-1)) }.as_raw_fd())
}

fn opened_by_handle(fd: RawFd) -> io::Result<()> {
    // Its size, its type, and room for it, see open_by_handle_at(2).
    let mut handle = [0_u32; 34];
    handle[0] = 128;
    let mut mount = 0_i32;
    // SAFETY: The structure has the room that its first word says, and lives during the calls.
    let opened = unsafe {
        let handle = handle.as_mut_ptr();
        let named =
            libc::syscall(libc::SYS_name_to_handle_at, fd, c"".as_ptr(), handle, &raw mut mount, libc::AT_EMPTY_PATH);
        check(named)?;
        libc::syscall(libc::SYS_open_by_handle_at, fd, handle, libc::O_RDWR | libc::O_CLOEXEC)
    };
    check(opened)?;
    // SAFETY: Opened a moment ago, and nobody else knows it.
    write(unsafe { OwnedFd::from_raw_fd(i32::try_from(opened).unwrap_or(-1)) }.as_raw_fd())
}

/// The path by which the kernel shows a descriptor.
fn path_of(fd: RawFd) -> io::Result<CString> {
    Ok(CString::new(format!("/proc/self/fd/{fd}"))?)
}

fn opened_by_openat2(fd: RawFd) -> io::Result<()> {
    let path = path_of(fd)?;
    // Flags, mode, and how to resolve, see openat2(2).
    let how = [u64::from((libc::O_RDWR | libc::O_CLOEXEC).unsigned_abs()), 0, 0];
    // SAFETY: A whole string, and a structure of the size that is told.
    let opened = unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path.as_ptr(), how.as_ptr(), 24) };
    check(opened)?;
    // SAFETY: Opened a moment ago, and nobody else knows it.
    write(unsafe { OwnedFd::from_raw_fd(i32::try_from(opened).unwrap_or(-1)) }.as_raw_fd())
}

fn opened_by_dev_fd(fd: RawFd) -> io::Result<()> {
    use std::io::Write;
    File::options().write(true).open(format!("/dev/fd/{fd}"))?.write_all(EVIL)
}

fn opened_by_map_files(fd: RawFd) -> io::Result<()> {
    use std::io::Write;
    let view = View::best(fd)?;
    let (start, end) = (view.address as usize, view.address as usize + view.len);
    File::options().write(true).open(format!("/proc/self/map_files/{start:x}-{end:x}"))?.write_all(EVIL)
}

fn traced(fd: RawFd) -> io::Result<()> {
    let view = View::best(fd)?;
    // SAFETY: The child makes system calls only, until it is killed.
    let child = unsafe { libc::fork() };
    check(child)?;
    if child == 0 {
        // SAFETY: As above.
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
            libc::_exit(0);
        }
    }
    let mut status = 0;
    // SAFETY: A child of this process, stopped; the word lies in a mapping that nobody else uses.
    unsafe {
        check(libc::waitpid(child, &raw mut status, 0))?;
        let poked = check(libc::ptrace(libc::PTRACE_POKEDATA, child, view.address, 7));
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, &raw mut status, 0);
        poked
    }
}

fn open_again(fd: RawFd, flags: i32) -> io::Result<OwnedFd> {
    let path = path_of(fd)?;
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
    let view = View::best(fd)?;
    memory.write_all_at(EVIL, view.address as u64)
}

fn link(fd: RawFd) -> io::Result<()> {
    let old = path_of(fd)?;
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
    let path = path_of(fd)?;
    let args = [c"true".as_ptr(), ptr::null()];
    in_a_fork(|| {
        // SAFETY: Whole strings, and a list that ends with its null.
        unsafe { libc::execve(path.as_ptr(), args.as_ptr(), args[1..].as_ptr()) };
    })
}

fn size(fd: RawFd) -> io::Result<libc::off_t> {
    // SAFETY: A plain number; the position is nobody's but these attempts'.
    let end = unsafe { libc::lseek(fd, 0, libc::SEEK_END) };
    check(end)?;
    Ok(end)
}

/// By how much a size is changed, and what a hole is: one page.
fn step(fd: RawFd) -> io::Result<libc::off_t> {
    Ok(if is_huge(fd)? { 2 << 20 } else { 4096 })
}

fn grow(fd: RawFd) -> io::Result<()> {
    let size = size(fd)? + step(fd)?;
    // SAFETY: Plain numbers.
    check(unsafe { libc::ftruncate(fd, size) })
}

fn allocate_more(fd: RawFd) -> io::Result<()> {
    let size = size(fd)?;
    // SAFETY: Plain numbers.
    check(unsafe { libc::fallocate(fd, 0, size, step(fd)?) })
}

fn write_past_end(fd: RawFd) -> io::Result<()> {
    let size = size(fd)?;
    // SAFETY: The bytes are a whole slice.
    check(unsafe { libc::pwrite(fd, EVIL.as_ptr().cast(), EVIL.len(), size) } as i64)
}

fn shrink(fd: RawFd) -> io::Result<()> {
    // SAFETY: Plain numbers.
    check(unsafe { libc::ftruncate(fd, 0) })
}

fn shrink_by_path(fd: RawFd) -> io::Result<()> {
    let path = path_of(fd)?;
    // SAFETY: A whole string.
    check(unsafe { libc::truncate(path.as_ptr(), 0) })
}

fn create_over(fd: RawFd) -> io::Result<()> {
    let path = path_of(fd)?;
    // SAFETY: A whole string.
    let opened = unsafe { libc::creat(path.as_ptr(), 0o600) };
    check(opened)?;
    // SAFETY: Opened a moment ago, and nobody else knows it.
    drop(unsafe { OwnedFd::from_raw_fd(opened) });
    Ok(())
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
    if file.metadata()?.len() < SIZE as u64 {
        file.set_len(SIZE as u64)?;
    }
    // Writing goes on at the start, as with a region.
    io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

/// Memory in huge pages that nobody sealed.
///
/// # Errors
/// What the system answers.
pub fn huge_control() -> io::Result<OwnedFd> {
    // SAFETY: A whole string.
    let fd = unsafe {
        let flags =
            libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | libc::MFD_HUGETLB | libc::MFD_HUGE_2MB | libc::MFD_EXEC;
        libc::memfd_create(c"control".as_ptr(), flags)
    };
    check(fd)?;
    // SAFETY: Made a moment ago, and nobody else knows it.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.set_len(HUGE_SIZE as u64)?;
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
