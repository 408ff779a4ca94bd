//! The attempts of a hostile holder of a region, and the kernel's result of each.
//!
//! Each attempt tries to change bytes, size or seals, or to execute the bytes. The table gives the exact errno for each
//! kind of region. The control is the same call on unsealed memory, where it must succeed.

#![allow(clippy::useless_conversion)] // Some results have other types on 32-bit targets.

use std::ffi::{CString, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{EACCES, EFAULT, EINVAL, EIO, ENOEXEC, EOPNOTSUPP, EPERM, EXDEV};

use super::{check, in_a_fork};

/// The call succeeded.
pub const DONE: i32 = 0;

/// The kind of region that an attempt is made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A frozen region.
    Frozen,
    /// A read-only region, whose writer is another process.
    ReadOnly,
    /// A region that every holder may write. Only its size is fixed, and it is not executable.
    Writable,
}

/// An attempt, and its expected results as errno numbers.
pub struct Attempt {
    /// The call, and how it is made.
    pub name: &'static str,
    /// Makes the attempt on a descriptor.
    pub act: fn(RawFd) -> io::Result<()>,
    /// The result for each [`Target`].
    answers: [i32; 3],
    /// The results in huge pages, and the control's result there, because some calls do not support huge pages. `None`
    /// where all are the same as in ordinary pages.
    huge: Option<[i32; 4]>,
}

impl Attempt {
    /// Returns the expected result for a target.
    #[must_use]
    pub fn answer(&self, target: Target, huge: bool) -> i32 {
        match self.huge {
            Some(answers) if huge => answers[target as usize],
            _ => self.answers[target as usize],
        }
    }

    /// Returns the expected result for unsealed memory.
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

/// A seal rejects it; a holder of a writable region may write.
const SEALED: [i32; 3] = [EPERM, EPERM, DONE];
/// A read-only mapping cannot be made writable.
const NOT_WRITABLE: [i32; 3] = [EACCES, EACCES, DONE];
const FAULTS: [i32; 3] = [EFAULT, EFAULT, DONE];
const IO_ERROR: [i32; 3] = [EIO, EIO, DONE];
/// A seal rejects it on every kind of region.
const FIXED: [i32; 3] = [EPERM; 3];
const SAME: Option<[i32; 4]> = None;

/// All attempts. Those that change the size come last, because where they succeed they would affect the others.
pub const ATTEMPTS: &[Attempt] = &[
    attempt("mmap, shared and writable", map_writable, SEALED, SAME),
    attempt("mmap for reading, then mprotect", map_and_protect, NOT_WRITABLE, SAME),
    attempt("mmap for reading, then pkey_mprotect", map_and_protect_by_key, NOT_WRITABLE, SAME),
    attempt("mremap to a second view, then mprotect", remap_and_protect, NOT_WRITABLE, Some([EINVAL; 4])),
    attempt("remap_file_pages, then mprotect", remap_file_pages_and_protect, NOT_WRITABLE, SAME),
    attempt("madvise, MADV_POPULATE_WRITE", populate_for_writing, [EINVAL, EINVAL, DONE], SAME),
    attempt("write", write, SEALED, Some([EINVAL; 4])),
    attempt("writev", writev, SEALED, Some([EINVAL; 4])),
    attempt("pwrite", pwrite, SEALED, Some([EINVAL; 4])),
    attempt("pwritev", pwritev, SEALED, Some([EINVAL; 4])),
    attempt("pwritev2", pwritev2, SEALED, Some([EINVAL; 4])),
    attempt("write by io_uring", ring_write, SEALED, Some([EINVAL; 4])),
    attempt("write by io_submit", io_submit_write, SEALED, Some([EINVAL; 4])),
    attempt("splice from a pipe", splice, SEALED, Some([EINVAL; 4])),
    attempt("sendfile", sendfile, SEALED, Some([EINVAL; 4])),
    attempt("copy_file_range", copy_file_range, SEALED, Some([EXDEV; 4])),
    attempt("read into a mapping", read_into, FAULTS, SAME),
    attempt("vmsplice from a pipe into a mapping", vmsplice, FAULTS, SAME),
    attempt("process_vm_writev into a mapping", process_vm_writev, FAULTS, SAME),
    attempt("futex, FUTEX_WAKE_OP on a mapping", futex, FAULTS, SAME),
    attempt("userfaultfd, UFFDIO_COPY into a mapping", userfaultfd_copy, SEALED, SAME),
    attempt("ptrace, PTRACE_POKEDATA into a mapping", poke_by_ptrace, IO_ERROR, SAME),
    attempt("write through /proc/self/mem to a mapping", write_by_proc_mem, IO_ERROR, SAME),
    attempt("punch a hole by fallocate", punch, SEALED, SAME),
    attempt("punch a hole by io_uring", ring_punch, SEALED, SAME),
    attempt("madvise, MADV_REMOVE", madvise_remove, NOT_WRITABLE, SAME),
    attempt("reopen through /proc/self/fd, then write", reopen_and_write, SEALED, Some([EINVAL; 4])),
    attempt("reopen by openat2, then write", reopen_by_openat2, SEALED, Some([EINVAL; 4])),
    attempt("reopen through /dev/fd, then write", reopen_by_dev_fd, SEALED, Some([EINVAL; 4])),
    attempt("reopen through /proc/self/map_files, then write", reopen_by_map_files, SEALED, Some([EINVAL; 4])),
    attempt("open_by_handle_at, then write", open_by_handle, SEALED, Some([EOPNOTSUPP; 4])),
    attempt("pidfd_getfd, then write", get_by_pidfd, SEALED, Some([EINVAL; 4])),
    attempt("fchmod, reopen, then write", chmod_and_write, SEALED, Some([EINVAL; 4])),
    attempt("linkat, to give the file a name", link, [EXDEV, EXDEV, EXDEV], SAME),
    attempt("fchmod, to make it executable", make_executable, FIXED, Some([DONE; 4])),
    attempt("execveat", execute, [EACCES, EACCES, EACCES], Some([ENOEXEC; 4])),
    attempt("execve through /proc/self/fd", execute_by_path, [EACCES, EACCES, EACCES], Some([ENOEXEC; 4])),
    attempt("ftruncate, longer", grow, FIXED, SAME),
    attempt("fallocate past the end", allocate_more, FIXED, SAME),
    attempt("write past the end", write_past_end, FIXED, Some([EINVAL; 4])),
    attempt("ftruncate, shorter", shrink, FIXED, SAME),
    attempt("truncate through /proc/self/fd, shorter", shrink_by_path, FIXED, SAME),
    attempt("creat through /proc/self/fd", creat_by_path, FIXED, SAME),
    attempt("reopen with O_TRUNC", reopen_truncated, FIXED, SAME),
    attempt("add a seal", seal, [EPERM, DONE, DONE], SAME),
];

/// The size of the regions in bytes.
pub const SIZE: usize = 64 << 10;

/// `f_type` of a file system of huge pages, see statfs(2).
const HUGETLBFS_MAGIC: u32 = 0x9584_58f6;

/// The size in huge pages: one page.
pub const HUGE_SIZE: usize = 2 << 20;

const EVIL: &[u8] = b"evil";

/// A mapping of the whole region, for one attempt.
struct View {
    address: *mut c_void,
    len: usize,
}

impl View {
    fn new(fd: RawFd, prot: i32) -> io::Result<Self> {
        let len = if is_huge(fd)? { HUGE_SIZE } else { SIZE };
        // SAFETY: The kernel chooses the address, so no existing mapping is replaced.
        let address = unsafe { libc::mmap(ptr::null_mut(), len, prot, libc::MAP_SHARED, fd, 0) };
        if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Self { address, len }) }
    }

    /// Maps for writing if possible, otherwise for reading.
    fn best(fd: RawFd) -> io::Result<Self> {
        Self::new(fd, libc::PROT_READ | libc::PROT_WRITE).or_else(|_| Self::new(fd, libc::PROT_READ))
    }

    fn protect(&self) -> io::Result<()> {
        // SAFETY: One whole mapping of `View`, to which no reference exists.
        check(unsafe { libc::mprotect(self.address, self.len, libc::PROT_READ | libc::PROT_WRITE) })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: One whole mapping of this `View`, which is not used again.
        unsafe { libc::munmap(self.address, self.len) };
    }
}

/// Returns whether memory is in huge pages of the pool.
///
/// # Errors
/// If the kernel reports no status.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The types differ between processors.
pub fn is_huge(fd: RawFd) -> io::Result<bool> {
    // Not by the block size, which is that of a huge page also where the kernel makes huge pages of ordinary ones.
    // SAFETY: All zeros is a valid `statfs`, which outlives the call.
    let status = unsafe {
        let mut status: libc::statfs = std::mem::zeroed();
        check(libc::fstatfs(fd, &raw mut status))?;
        status
    };
    // A negative number on some processors.
    Ok(status.f_type as u32 == HUGETLBFS_MAGIC)
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
    // SAFETY: One whole mapping of `View`, to which no reference exists; -1 means no key.
    check(unsafe { libc::syscall(PKEY_MPROTECT, view.address, view.len, prot, -1) })
}

fn remap_and_protect(fd: RawFd) -> io::Result<()> {
    let view = View::new(fd, libc::PROT_READ)?;
    // SAFETY: An old size of 0 duplicates a shared mapping; the kernel chooses the address.
    let second = unsafe { libc::mremap(view.address, 0, view.len, libc::MREMAP_MAYMOVE) };
    if second == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    View { address: second, len: view.len }.protect()
}

fn remap_file_pages_and_protect(fd: RawFd) -> io::Result<()> {
    let view = View::new(fd, libc::PROT_READ)?;
    // SAFETY: One whole mapping of `View`, whose pages stay in place.
    check(unsafe { libc::syscall(libc::SYS_remap_file_pages, view.address, view.len, 0, 0, 0) })?;
    view.protect()
}

fn write(fd: RawFd) -> io::Result<()> {
    // SAFETY: Pointer and length are those of a static slice.
    check(unsafe { libc::write(fd, EVIL.as_ptr().cast(), EVIL.len()) } as i64)
}

fn pwrite(fd: RawFd) -> io::Result<()> {
    // SAFETY: Pointer and length are those of a static slice.
    check(unsafe { libc::pwrite(fd, EVIL.as_ptr().cast(), EVIL.len(), 8) } as i64)
}

fn pwritev(fd: RawFd) -> io::Result<()> {
    // SAFETY: One `iovec` of a static slice.
    check(unsafe { libc::pwritev(fd, &raw const PART.0, 1, 8) } as i64)
}

fn splice(fd: RawFd) -> io::Result<()> {
    let (reader, _writer) = full_pipe()?;
    let mut offset = 8;
    // SAFETY: The offset outlives the call; the rest are integers.
    let moved = unsafe { libc::splice(reader.as_raw_fd(), ptr::null_mut(), fd, &raw mut offset, EVIL.len(), 0) };
    check(moved as i64)
}

/// A memfd with bytes to copy from.
fn source() -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("source", rustix::fs::MemfdFlags::CLOEXEC)?;
    rustix::io::write(&fd, EVIL)?;
    rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(0))?;
    Ok(fd)
}

fn sendfile(fd: RawFd) -> io::Result<()> {
    let source = source()?;
    // SAFETY: All arguments are integers.
    check(unsafe { libc::sendfile(fd, source.as_raw_fd(), ptr::null_mut(), EVIL.len()) } as i64)
}

fn copy_file_range(fd: RawFd) -> io::Result<()> {
    let source = source()?;
    let mut offset = 8;
    // SAFETY: The offset outlives the call; the rest are integers.
    let copied =
        unsafe { libc::copy_file_range(source.as_raw_fd(), ptr::null_mut(), fd, &raw mut offset, EVIL.len(), 0) };
    check(copied as i64)
}

fn punch(fd: RawFd) -> io::Result<()> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: All arguments are integers.
    check(unsafe { libc::fallocate(fd, mode, 0, step(fd)?) })
}

fn madvise_remove(fd: RawFd) -> io::Result<()> {
    let view = View::best(fd)?;
    // SAFETY: One whole mapping of `View`, to which no reference exists.
    check(unsafe { libc::madvise(view.address, view.len, libc::MADV_REMOVE) })
}

fn populate_for_writing(fd: RawFd) -> io::Result<()> {
    let view = View::best(fd)?;
    // SAFETY: One whole mapping of `View`, to which no reference exists.
    check(unsafe { libc::madvise(view.address, view.len, libc::MADV_POPULATE_WRITE) })
}

fn writev(fd: RawFd) -> io::Result<()> {
    // SAFETY: One `iovec` of a static slice.
    check(unsafe { libc::writev(fd, &raw const PART.0, 1) } as i64)
}

fn pwritev2(fd: RawFd) -> io::Result<()> {
    // SAFETY: One `iovec` of a static slice; the offset is passed in two halves. Not every C library declares pwritev2.
    check(unsafe { libc::syscall(libc::SYS_pwritev2, fd, &raw const PART.0, 1, 8, 0, 0) })
}

struct Part(libc::iovec);

// SAFETY: The bytes that it points to are static and only read.
unsafe impl Sync for Part {}

static PART: Part = Part(libc::iovec { iov_base: EVIL.as_ptr().cast_mut().cast(), iov_len: EVIL.len() });

/// A pipe that holds some bytes.
fn full_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe()?;
    rustix::io::write(&writer, EVIL)?;
    Ok((reader, writer))
}

fn vmsplice(fd: RawFd) -> io::Result<()> {
    let (view, (reader, _writer)) = (View::best(fd)?, full_pipe()?);
    let part = libc::iovec { iov_base: view.address, iov_len: EVIL.len() };
    // SAFETY: One `iovec` inside the mapping of `view`, to which no reference exists.
    check(unsafe { libc::vmsplice(reader.as_raw_fd(), &raw const part, 1, 0) } as i64)
}

fn read_into(fd: RawFd) -> io::Result<()> {
    let (view, (reader, _writer)) = (View::best(fd)?, full_pipe()?);
    // SAFETY: The buffer lies inside the mapping of `view`, to which no reference exists.
    check(unsafe { libc::read(reader.as_raw_fd(), view.address, EVIL.len()) } as i64)
}

fn process_vm_writev(fd: RawFd) -> io::Result<()> {
    let view = View::best(fd)?;
    let there = libc::iovec { iov_base: view.address, iov_len: EVIL.len() };
    // SAFETY: One `iovec` on each side: a static slice, and bytes inside the mapping of `view`, to which no reference
    // exists.
    let written = unsafe { libc::process_vm_writev(libc::getpid(), &raw const PART.0, 1, &raw const there, 1, 0) };
    check(written as i64)
}

fn futex(fd: RawFd) -> io::Result<()> {
    const FUTEX_WAKE_OP: i32 = 5;
    // Sets the second word to 1, see futex(2).
    const SET_TO_1: i32 = 1 << 12;
    let (view, own) = (View::best(fd)?, 0_u32);
    // SAFETY: Two words: a local variable, and one inside the mapping of `view`, to which no reference exists.
    let woken = unsafe { libc::syscall(libc::SYS_futex, &raw const own, FUTEX_WAKE_OP, 0, 0, view.address, SET_TO_1) };
    check(woken)
}

fn userfaultfd_copy(fd: RawFd) -> io::Result<()> {
    const UFFDIO_API: u32 = 0xc018_aa3f;
    const UFFDIO_REGISTER: u32 = 0xc020_aa00;
    const UFFDIO_COPY: u32 = 0xc028_aa03;
    // A missing page, where a hole can be punched.
    let _ = punch(fd);
    let view = View::best(fd)?;
    let (start, len) = (view.address as u64, view.len as u64);
    let page = vec![EVIL[0]; view.len];
    // SAFETY: The structures have the layouts of ioctl_userfaultfd(2) and outlive the calls; the pages are those of
    // `view`.
    unsafe {
        let faults = libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC);
        check(faults)?;
        let faults = OwnedFd::from_raw_fd(i32::try_from(faults).unwrap_or(-1));
        #[allow(clippy::cast_lossless, clippy::cast_possible_wrap)] // The type differs between C libraries.
        let call =
            |request: u32, argument: *mut u64| check(libc::ioctl(faults.as_raw_fd(), request as libc::Ioctl, argument));
        call(UFFDIO_API, [0xaa, 0, 0].as_mut_ptr())?;
        call(UFFDIO_REGISTER, [start, len, 1, 0].as_mut_ptr())?;
        let size = if view.len == HUGE_SIZE { len } else { 4096 };
        call(UFFDIO_COPY, [start, page.as_ptr() as u64, size, 0, 0].as_mut_ptr())
    }
}

/// Converts an asynchronous result, which is a negated errno on failure.
fn ring_result(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
}

fn submit_to_ring(entry: &io_uring::squeue::Entry) -> io::Result<()> {
    let mut ring = io_uring::IoUring::new(4)?;
    // SAFETY: The buffers of the entry live until its completion is received below.
    unsafe { ring.submission().push(entry) }.map_err(io::Error::other)?;
    ring.submit_and_wait(1)?;
    let answer = ring.completion().next();
    ring_result(answer.map_or(-libc::EIO, |answer| answer.result()))
}

fn ring_write(fd: RawFd) -> io::Result<()> {
    let length = u32::try_from(EVIL.len()).unwrap_or(0);
    submit_to_ring(&io_uring::opcode::Write::new(io_uring::types::Fd(fd), EVIL.as_ptr(), length).offset(8).build())
}

fn ring_punch(fd: RawFd) -> io::Result<()> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let length = if is_huge(fd)? { HUGE_SIZE } else { 4096 };
    submit_to_ring(&io_uring::opcode::Fallocate::new(io_uring::types::Fd(fd), length as u64).mode(mode).build())
}

fn io_submit_write(fd: RawFd) -> io::Result<()> {
    const IOCB_CMD_PWRITE: u64 = 1;
    let mut context: libc::c_ulong = 0;
    // SAFETY: The structures have the layouts of io_submit(2) and live until the event is received.
    unsafe {
        check(libc::syscall(libc::SYS_io_setup, 1, &raw mut context))?;
        // data; key and flags; operation, priority and descriptor; buffer; length; offset; two unused.
        let number = u64::from(fd.unsigned_abs());
        let block = [0, 0, IOCB_CMD_PWRITE | number << 32, EVIL.as_ptr() as u64, EVIL.len() as u64, 8, 0, 0];
        let blocks = [block.as_ptr()];
        let mut event = [0_i64; 4];
        let answer = check(libc::syscall(libc::SYS_io_submit, context, 1, blocks.as_ptr())).and_then(|()| {
            check(libc::syscall(libc::SYS_io_getevents, context, 1, 1, event.as_mut_ptr(), 0))?;
            ring_result(i32::try_from(event[2]).unwrap_or(-libc::EIO))
        });
        libc::syscall(libc::SYS_io_destroy, context);
        answer
    }
}

fn own_pidfd() -> io::Result<OwnedFd> {
    // SAFETY: All arguments are integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    check(fd)?;
    // SAFETY: Just opened, and owned by nothing else.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) })
}

fn get_by_pidfd(fd: RawFd) -> io::Result<()> {
    let own = own_pidfd()?;
    // SAFETY: All arguments are integers.
    let taken = unsafe { libc::syscall(libc::SYS_pidfd_getfd, own.as_raw_fd(), fd, 0) };
    check(taken)?;
    // SAFETY: Just opened, and owned by nothing else.
    write(unsafe { OwnedFd::from_raw_fd(i32::try_from(taken).unwrap_or(-1)) }.as_raw_fd())
}

fn open_by_handle(fd: RawFd) -> io::Result<()> {
    // Size, type and buffer, see open_by_handle_at(2).
    let mut handle = [0_u32; 34];
    handle[0] = 128;
    let mut mount = 0_i32;
    // SAFETY: The buffer has the size in its first word, and outlives the calls.
    let opened = unsafe {
        let handle = handle.as_mut_ptr();
        let named =
            libc::syscall(libc::SYS_name_to_handle_at, fd, c"".as_ptr(), handle, &raw mut mount, libc::AT_EMPTY_PATH);
        check(named)?;
        libc::syscall(libc::SYS_open_by_handle_at, fd, handle, libc::O_RDWR | libc::O_CLOEXEC)
    };
    check(opened)?;
    // SAFETY: Just opened, and owned by nothing else.
    write(unsafe { OwnedFd::from_raw_fd(i32::try_from(opened).unwrap_or(-1)) }.as_raw_fd())
}

/// The path of a descriptor in `/proc`.
fn path_of(fd: RawFd) -> io::Result<CString> {
    Ok(CString::new(format!("/proc/self/fd/{fd}"))?)
}

fn reopen_by_openat2(fd: RawFd) -> io::Result<()> {
    let path = path_of(fd)?;
    // Flags, mode and resolve flags, see openat2(2).
    let how = [u64::from((libc::O_RDWR | libc::O_CLOEXEC).unsigned_abs()), 0, 0];
    // SAFETY: A NUL-terminated string, and a structure of the size passed.
    let opened = unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path.as_ptr(), how.as_ptr(), 24) };
    check(opened)?;
    // SAFETY: Just opened, and owned by nothing else.
    write(unsafe { OwnedFd::from_raw_fd(i32::try_from(opened).unwrap_or(-1)) }.as_raw_fd())
}

fn reopen_by_dev_fd(fd: RawFd) -> io::Result<()> {
    use std::io::Write;
    File::options().write(true).open(format!("/dev/fd/{fd}"))?.write_all(EVIL)
}

fn reopen_by_map_files(fd: RawFd) -> io::Result<()> {
    use std::io::Write;
    let view = View::best(fd)?;
    let (start, end) = (view.address as usize, view.address as usize + view.len);
    File::options().write(true).open(format!("/proc/self/map_files/{start:x}-{end:x}"))?.write_all(EVIL)
}

fn poke_by_ptrace(fd: RawFd) -> io::Result<()> {
    let view = View::best(fd)?;
    // SAFETY: After the fork, the child makes only system calls.
    let child = unsafe { libc::fork() };
    check(child)?;
    if child == 0 {
        // SAFETY: All arguments are integers.
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
            libc::_exit(0);
        }
    }
    let mut status = 0;
    // SAFETY: `child` is a stopped child of this process, with a copy of the mapping; `status` outlives the calls.
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
    // SAFETY: A NUL-terminated string.
    let again = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) };
    check(again)?;
    // SAFETY: Just opened, and owned by nothing else.
    Ok(unsafe { OwnedFd::from_raw_fd(again) })
}

fn reopen_and_write(fd: RawFd) -> io::Result<()> {
    write(open_again(fd, libc::O_RDWR)?.as_raw_fd())
}

fn chmod_and_write(fd: RawFd) -> io::Result<()> {
    // SAFETY: All arguments are integers.
    check(unsafe { libc::fchmod(fd, 0o666) })?;
    write(open_again(fd, libc::O_WRONLY)?.as_raw_fd())
}

fn write_by_proc_mem(fd: RawFd) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let memory = File::options().write(true).open("/proc/self/mem")?;
    let view = View::best(fd)?;
    memory.write_all_at(EVIL, view.address as u64)
}

fn link(fd: RawFd) -> io::Result<()> {
    let old = path_of(fd)?;
    let new = CString::new(format!("/tmp/heirloom-linked-{}", std::process::id()))?;
    // SAFETY: NUL-terminated strings.
    unsafe {
        let flags = libc::AT_SYMLINK_FOLLOW;
        check(libc::linkat(libc::AT_FDCWD, old.as_ptr(), libc::AT_FDCWD, new.as_ptr(), flags))?;
        check(libc::unlink(new.as_ptr()))
    }
}

fn make_executable(fd: RawFd) -> io::Result<()> {
    // SAFETY: All arguments are integers.
    check(unsafe { libc::fchmod(fd, 0o777) })
}

/// Executes the file of a descriptor.
///
/// # Errors
/// Returns the system's error.
pub fn execute(fd: RawFd) -> io::Result<()> {
    let args = [c"true".as_ptr(), ptr::null()];
    in_a_fork(|| {
        // SAFETY: NUL-terminated strings and a null-terminated list.
        check(unsafe {
            libc::syscall(
                libc::SYS_execveat,
                fd,
                c"".as_ptr(),
                args.as_ptr(),
                ptr::null::<*const i8>(),
                libc::AT_EMPTY_PATH,
            )
        })
    })
}

fn execute_by_path(fd: RawFd) -> io::Result<()> {
    let path = path_of(fd)?;
    let args = [c"true".as_ptr(), ptr::null()];
    in_a_fork(|| {
        // SAFETY: NUL-terminated strings and a null-terminated list.
        check(unsafe { libc::execve(path.as_ptr(), args.as_ptr(), args[1..].as_ptr()) })
    })
}

fn size(fd: RawFd) -> io::Result<libc::off_t> {
    // SAFETY: All arguments are integers. Only these attempts use the position.
    let end = unsafe { libc::lseek(fd, 0, libc::SEEK_END) };
    check(end)?;
    Ok(end)
}

/// The size of one page: the step by which sizes change, and the size of a punched hole.
fn step(fd: RawFd) -> io::Result<libc::off_t> {
    Ok(if is_huge(fd)? { 2 << 20 } else { 4096 })
}

fn grow(fd: RawFd) -> io::Result<()> {
    let size = size(fd)? + step(fd)?;
    // SAFETY: All arguments are integers.
    check(unsafe { libc::ftruncate(fd, size) })
}

fn allocate_more(fd: RawFd) -> io::Result<()> {
    let size = size(fd)?;
    // SAFETY: All arguments are integers.
    check(unsafe { libc::fallocate(fd, 0, size, step(fd)?) })
}

fn write_past_end(fd: RawFd) -> io::Result<()> {
    let size = size(fd)?;
    // SAFETY: Pointer and length are those of a static slice.
    check(unsafe { libc::pwrite(fd, EVIL.as_ptr().cast(), EVIL.len(), size) } as i64)
}

fn shrink(fd: RawFd) -> io::Result<()> {
    // SAFETY: All arguments are integers.
    check(unsafe { libc::ftruncate(fd, 0) })
}

fn shrink_by_path(fd: RawFd) -> io::Result<()> {
    let path = path_of(fd)?;
    // SAFETY: A NUL-terminated string.
    check(unsafe { libc::truncate(path.as_ptr(), 0) })
}

fn creat_by_path(fd: RawFd) -> io::Result<()> {
    let path = path_of(fd)?;
    // SAFETY: A NUL-terminated string.
    let opened = unsafe { libc::creat(path.as_ptr(), 0o600) };
    check(opened)?;
    // SAFETY: Just opened, and owned by nothing else.
    drop(unsafe { OwnedFd::from_raw_fd(opened) });
    Ok(())
}

fn reopen_truncated(fd: RawFd) -> io::Result<()> {
    open_again(fd, libc::O_RDWR | libc::O_TRUNC).map(drop)
}

fn seal(fd: RawFd) -> io::Result<()> {
    // SAFETY: All arguments are integers.
    check(unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, libc::F_SEAL_GROW) })
}

/// Creates unsealed memory that holds an executable program. Every attempt must succeed on it but `linkat`, whose
/// control is [`linkable`].
///
/// # Errors
/// Returns the system's error.
pub fn control() -> io::Result<OwnedFd> {
    // SAFETY: A NUL-terminated string.
    let fd = unsafe {
        libc::memfd_create(c"control".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | libc::MFD_EXEC)
    };
    check(fd)?;
    // SAFETY: Just created, and owned by nothing else.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    io::copy(&mut File::open("/bin/true")?, &mut file)?;
    if file.metadata()?.len() < SIZE as u64 {
        file.set_len(SIZE as u64)?;
    }
    // The position is 0, as a region's.
    io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

/// Creates unsealed memory in huge pages.
///
/// # Errors
/// Returns the system's error.
pub fn huge_control() -> io::Result<OwnedFd> {
    // SAFETY: A NUL-terminated string.
    let fd = unsafe {
        let flags =
            libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | libc::MFD_HUGETLB | libc::MFD_HUGE_2MB | libc::MFD_EXEC;
        libc::memfd_create(c"control".as_ptr(), flags)
    };
    check(fd)?;
    // SAFETY: Just created, and owned by nothing else.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.set_len(HUGE_SIZE as u64)?;
    Ok(file.into())
}

/// Opens an unnamed file that can be linked, as the control for `linkat`.
///
/// # Errors
/// Returns the system's error.
pub fn linkable() -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    Ok(rustix::fs::open("/tmp", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?)
}
