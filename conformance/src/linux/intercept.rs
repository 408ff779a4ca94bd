//! Runs code of another thread in the middle of a call of the library, by a filter that reports a system call to it before
//! the kernel runs it, see `seccomp_unotify(2)`.

use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::thread;

use super::old_kernels::{FCNTL, line};
use super::{check, old_kernels};

/// Runs `then` in another thread before the `fcntl` of this thread on that descriptor with that command, the one with the index
/// `nth` from 0.
///
/// # Panics
/// If the kernel rejects the filter.
pub fn before_fcntl(descriptor: RawFd, command: u32, nth: usize, then: impl FnOnce() + Send + 'static) {
    let (send, receive) = std::sync::mpsc::channel();
    // Before the filter, which applies to this thread and to those that it starts afterwards.
    thread::spawn(move || {
        let listener: OwnedFd = receive.recv().unwrap();
        let mut then = Some(then);
        let mut calls = 0;
        loop {
            // SAFETY: All zeros are valid values of these structures, and the kernel wants the first one so.
            let (mut call, mut answer): (libc::seccomp_notif, libc::seccomp_notif_resp) = unsafe { zeroed() };
            // SAFETY: The kernel fills in `call`, which lives during the call.
            if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) } < 0 {
                continue;
            }
            if let Some(then) = then.take_if(|_| calls == nth) {
                then();
            }
            calls += 1;
            answer.id = call.id;
            // SECCOMP_USER_NOTIF_FLAG_CONTINUE, whose type differs between systems.
            answer.flags = 1;
            // SAFETY: The kernel reads `answer`, which lives during the call.
            unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
        }
    });
    let number = u32::try_from(FCNTL).unwrap();
    let mut filter = [
        line(old_kernels::LOAD, 0, 0),
        line(old_kernels::IF_EQUAL, number, 5),
        line(old_kernels::LOAD, 16 + old_kernels::LOWER, 0),
        line(old_kernels::IF_EQUAL, descriptor.unsigned_abs(), 3),
        line(old_kernels::LOAD, 16 + 8 + old_kernels::LOWER, 0),
        line(old_kernels::IF_EQUAL, command, 1),
        line(old_kernels::RETURN, libc::SECCOMP_RET_USER_NOTIF, 0),
        line(old_kernels::RETURN, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let program = libc::sock_fprog { len: u16::try_from(filter.len()).unwrap(), filter: filter.as_mut_ptr() };
    let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    // SAFETY: `program` has the length of `filter`, which outlives the call; the kernel copies both. The rest are
    // integers. The kernel has just created the descriptor that it returns, so nothing else owns it.
    let listener = unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)).unwrap();
        let listener = libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program);
        check(listener).unwrap();
        OwnedFd::from_raw_fd(RawFd::try_from(listener).unwrap())
    };
    send.send(listener).unwrap();
}
