//! The sub-commands for mappings on Linux.

use std::ptr;
use std::time::Duration;

use heirloom::os::linux::MappingExt;
use heirloom::{Error, FrozenRegion, Region};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::describe;

/// Forks a process that runs `act` and ends, and returns its status.
fn status_of_fork(act: impl FnOnce()) -> i32 {
    // SAFETY: This process has one thread, so the child may run any code.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        act();
        // SAFETY: It ends this process, and drops nothing of its parent.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: `pid` is a child of this process, and `status` outlives the call.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    status
}

/// Excludes mappings of each type from forks, and prints which mappings a forked process has, how it ends if it reads one,
/// and whether a region can be frozen that it would write.
pub(super) fn fork_without() {
    let named = |name: &str| Region::options().name(name).create(4 << 20).unwrap();
    let reader = named("reader").into_read_only().unwrap().0.map().unwrap();
    let frozen = FrozenRegion::options().name("frozen").from_bytes([7; 100]).unwrap().map().unwrap();
    let (mut moved, kept) = (named("moved").map().unwrap(), named("kept").map().unwrap());
    let two = named("two");
    let (first, second) = (two.map_range(..8192).unwrap(), two.map_range(8192..).unwrap());
    // SAFETY: The processes that are forked below do not drop the mappings. Those that read one map nothing before.
    unsafe {
        reader.exclude_from_fork().unwrap();
        frozen.exclude_from_fork().unwrap();
        moved.exclude_from_fork().unwrap();
        first.exclude_from_fork().unwrap();
    }
    // It moves, and the kernel may lack huge pages.
    let _ = moved.use_huge_pages(Duration::from_secs(1));
    let print_mapped = |who: &str| {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mapped = |name: &str| maps.matches(&format!("/memfd:heirloom/{name} ")).count();
        println!("{who}: {:?}", ["reader", "frozen", "moved", "two", "kept"].map(mapped));
    };
    print_mapped("parent");
    status_of_fork(|| print_mapped("fork"));
    for start in [reader.as_ptr(), frozen.as_ptr(), moved.as_ptr(), first.as_ptr(), second.as_ptr(), kept.as_ptr()] {
        let status = status_of_fork(|| {
            setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
            // SAFETY: The action runs no code, and the pages are there, or nothing is.
            unsafe {
                libc::signal(libc::SIGSEGV, libc::SIG_DFL);
                start.read_volatile();
            }
        });
        println!("{status}");
    }
    for exclude in [true, false] {
        let region = Region::create(4096).unwrap();
        let view = region.map().unwrap();
        if exclude {
            // SAFETY: The process that is forked below ends without using it.
            unsafe { view.exclude_from_fork() }.unwrap();
        }
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        // SAFETY: The child only waits for the end of the pipe, and ends.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            drop(writer);
            let _ = rustix::io::read(&reader, &mut [0; 1]);
            // SAFETY: It ends this process, and drops nothing of its parent.
            unsafe { libc::_exit(0) };
        }
        drop(view);
        println!("{}", describe(region.freeze().map(|_| String::new()).map_err(Error::from)));
        drop(writer);
        // SAFETY: A null status is allowed.
        unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
    }
}
