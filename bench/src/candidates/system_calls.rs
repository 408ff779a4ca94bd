//! Direct system calls: the baseline.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::{Candidate, Parent, Running, child_args, child_program};

pub const CANDIDATE: Candidate = Candidate {
    name: "system calls",
    key: "system_calls",
    create: Some(|size, touch| create(size, touch, false, false)),
    parent: Some(parent),
    attach: Some(attach),
};

fn create_memfd(size: usize, sealed: bool) -> OwnedFd {
    let fd = memfd_create("system_calls", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    if sealed {
        fcntl_add_seals(&fd, SealFlags::SHRINK).unwrap();
    }
    ftruncate(&fd, size as u64).unwrap();
    if sealed {
        fcntl_add_seals(&fd, SealFlags::GROW).unwrap();
    }
    fd
}

fn map(fd: &OwnedFd, size: usize) -> *mut u8 {
    // SAFETY: The kernel chooses an unused address.
    unsafe { mmap(ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, fd, 0) }.unwrap().cast()
}

/// Creates, maps, touches, unmaps and closes memory. `sealed` and `checked` add the system calls that heirloom's
/// guarantees need.
pub fn create(size: usize, touch: &dyn Fn(*mut u8), sealed: bool, checked: bool) {
    let fd = create_memfd(size, sealed);
    if checked {
        assert!(fcntl_get_seals(&fd).unwrap().contains(SealFlags::SHRINK | SealFlags::GROW));
    }
    let memory = map(&fd, size);
    touch(memory);
    // SAFETY: The mapping above has this size, and nothing uses it after `touch`.
    unsafe { munmap(memory.cast(), size) }.unwrap();
}

fn parent(size: usize) -> Parent {
    let fd = create_memfd(size, false);
    let memory = map(&fd, size);
    let args = child_args(&CANDIDATE, &fd.as_raw_fd().to_string());
    Parent { memory, start: Box::new(move || spawn(&args, &[fd.as_raw_fd()])) }
}

/// Starts the child program with those arguments and inherited descriptors.
pub fn spawn(args: &[String], inherited: &[i32]) -> Running {
    unsafe extern "C" {
        static environ: *const *mut libc::c_char;
    }
    let program = CString::new(child_program().as_os_str().as_bytes()).unwrap();
    let args: Vec<_> = args.iter().map(|arg| CString::new(arg.as_str()).unwrap()).collect();
    let strings = [&program].into_iter().chain(&args).map(|arg| arg.as_ptr().cast_mut());
    let list: Vec<_> = strings.chain([ptr::null_mut()]).collect();
    let mut pid = 0;
    // SAFETY: The strings end with NUL and the list with a null pointer; both outlive the call. The file actions are
    // initialized before they are used and destroyed afterwards.
    unsafe {
        let mut actions = std::mem::zeroed();
        libc::posix_spawn_file_actions_init(&raw mut actions);
        for number in inherited {
            // Duplicating a descriptor to itself clears close-on-exec in the child.
            libc::posix_spawn_file_actions_adddup2(&raw mut actions, *number, *number);
        }
        let result =
            libc::posix_spawn(&raw mut pid, program.as_ptr(), &raw const actions, ptr::null(), list.as_ptr(), environ);
        libc::posix_spawn_file_actions_destroy(&raw mut actions);
        assert_eq!(result, 0);
    }
    Box::new(move || {
        let mut status = 0;
        // SAFETY: The status pointer is valid.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert_eq!(status, 0);
    })
}

fn attach(argument: &str) -> *mut u8 {
    // SAFETY: The parent passes the number of an open descriptor, and this process doesn't close it.
    let inherited = unsafe { BorrowedFd::borrow_raw(argument.parse().unwrap()) };
    let fd = fcntl_dupfd_cloexec(inherited, 3).unwrap();
    let status = fstat(&fd).unwrap();
    fcntl_get_seals(&fd).unwrap();
    map(&fd, usize::try_from(status.st_size).unwrap())
}
