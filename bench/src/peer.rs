//! Forked peers, each on a processor of its own.

use std::mem;
use std::sync::atomic::AtomicU32;

use heirloom::Region;

/// Lets this thread run on one processor only, or on all.
pub fn pin(processor: Option<usize>) {
    // SAFETY: Zeros are an empty set, which the call only reads.
    unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        match processor {
            Some(processor) => libc::CPU_SET(processor, &mut set),
            None => (0..libc::CPU_SETSIZE as usize).for_each(|processor| libc::CPU_SET(processor, &mut set)),
        }
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
    }
}

/// Forks a peer that runs on this processor until it ends.
pub fn fork_peer(processor: usize, peer: impl FnOnce()) {
    // SAFETY: This program has one thread here, and the child ends without running destructors of the parent.
    unsafe {
        if libc::fork() == 0 {
            // It ends with this program at the latest.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            pin(Some(processor));
            peer();
            libc::_exit(0);
        }
    }
}

/// Sleeps while the number is `value`.
pub fn futex_wait(number: &AtomicU32, value: u32) {
    let timeout: *const libc::timespec = std::ptr::null();
    // SAFETY: The number lives during the call.
    unsafe { libc::syscall(libc::SYS_futex, number.as_ptr(), libc::FUTEX_WAIT, value, timeout) };
}

pub fn futex_wake(number: &AtomicU32) {
    // SAFETY: The kernel only takes note of the address.
    unsafe { libc::syscall(libc::SYS_futex, number.as_ptr(), libc::FUTEX_WAKE, 1) };
}

/// Returns zeroed memory that a forked process shares, and that is never unmapped.
pub fn shared<T>() -> &'static T {
    let view = Region::create(4096).unwrap().map().unwrap();
    let start = view.as_mut_ptr().cast();
    mem::forget(view);
    // SAFETY: The memory is large enough, aligned to a page and never unmapped, and zeros are valid for the types used here.
    unsafe { &*start }
}

/// Initializes a mutex in memory that processes share.
pub fn init_mutex(mutex: *mut libc::pthread_mutex_t, robust: bool) {
    // SAFETY: The attributes are initialized before they are used, and the mutex is not in use yet.
    unsafe {
        let mut attributes = mem::zeroed();
        assert_eq!(libc::pthread_mutexattr_init(&raw mut attributes), 0);
        assert_eq!(libc::pthread_mutexattr_setpshared(&raw mut attributes, libc::PTHREAD_PROCESS_SHARED), 0);
        if robust {
            assert_eq!(libc::pthread_mutexattr_setrobust(&raw mut attributes, libc::PTHREAD_MUTEX_ROBUST), 0);
        }
        assert_eq!(libc::pthread_mutex_init(mutex, &raw const attributes), 0);
    }
}

/// Initializes a condition variable in memory that processes share.
pub fn init_condition(condition: *mut libc::pthread_cond_t) {
    // SAFETY: The attributes are initialized before they are used, and the condition variable is not in use yet.
    unsafe {
        let mut attributes = mem::zeroed();
        assert_eq!(libc::pthread_condattr_init(&raw mut attributes), 0);
        assert_eq!(libc::pthread_condattr_setpshared(&raw mut attributes, libc::PTHREAD_PROCESS_SHARED), 0);
        assert_eq!(libc::pthread_cond_init(condition, &raw const attributes), 0);
    }
}
