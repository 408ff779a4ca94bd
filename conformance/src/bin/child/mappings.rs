//! The sub-commands for mappings on Linux.

use std::collections::BTreeSet;
use std::io;
use std::ptr;
use std::time::Duration;

use heirloom::os::linux::MappingExt;
use heirloom::{Error, FrozenRegion, Region};
use heirloom_conformance::check;
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

/// Seals a mapping, and prints the result. Then prints how many mappings the region has: of a failed call before and after
/// dropping the mapping that came back.
pub(super) fn seal() {
    let region = Region::options().name("sealed").create(4096).unwrap();
    let count = || std::fs::read_to_string("/proc/self/maps").unwrap().matches("/memfd:heirloom/sealed ").count();
    match region.map().unwrap().seal_for_ever() {
        Ok(_) => println!("ok\n{}", count()),
        Err(failed) => {
            let (error, mapping) = failed.into_parts();
            mapping.write_at(0, b"usable").unwrap();
            println!("{}\n{}", describe(Err(error)), count());
            drop(mapping);
            println!("{}", count());
        }
    }
}

const PAGE: usize = 4096;

/// A call that changes mapped pages, given by their address and length.
type Change = (&'static str, fn(*mut libc::c_void, usize) -> io::Result<()>);

/// The changes that seals forbid.
const CHANGES: [Change; 5] = [
    // SAFETY: Where the call succeeds, nothing uses the pages any more.
    ("munmap", |start, len| check(unsafe { libc::munmap(start, len) })),
    // SAFETY: As above.
    ("mprotect", |start, len| check(unsafe { libc::mprotect(start, len, libc::PROT_NONE) })),
    ("mmap", |start, len| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: As above.
        let mapped = unsafe { libc::mmap(start, len, libc::PROT_NONE, flags, -1, 0) };
        if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }),
    ("mremap", |start, len| moved(start, len, len)),
    ("mremap to another length", |start, len| moved(start, len, len + PAGE)),
];

/// Moves pages to other addresses, with another length.
fn moved(start: *mut libc::c_void, len: usize, new_len: usize) -> io::Result<()> {
    // SAFETY: The kernel chooses addresses that nothing uses; nothing uses the pages any more where the call succeeds.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let to = libc::mmap(ptr::null_mut(), new_len, libc::PROT_NONE, flags, -1, 0);
        let moved = libc::mremap(start, len, new_len, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, to);
        if moved == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Returns the addresses of all sealed mappings, as `/proc` shows them.
fn sealed_ranges() -> BTreeSet<String> {
    let all = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut sealed = BTreeSet::new();
    let mut range = "";
    for line in all.lines() {
        let first = line.split(' ').next().unwrap();
        if !first.ends_with(':') {
            range = first;
        } else if first == "VmFlags:" && line.split(' ').any(|flag| flag == "sl") {
            sealed.insert(range.to_owned());
        }
    }
    sealed
}

/// Makes each change to pages of a sealed mapping, and to pages of one that is not sealed. Prints the type of the mapping, the
/// pages, the change and both results.
fn change<M: MappingExt + 'static>(kind: &str, map: impl Fn() -> M, start: impl Fn(&M) -> *const u8) {
    let before = sealed_ranges();
    let sealed = map().seal_for_ever().map_err(Error::from).unwrap();
    let address = start(sealed).addr();
    let after = sealed_ranges();
    let added: Vec<_> = after.difference(&before).collect();
    println!("{kind} sealed {}", added == [&format!("{address:x}-{:x}", address + 4 * PAGE)]);
    for (pages, first, count) in [("all pages", 0, 4), ("first page", 0, 1), ("last page", 3, 1)] {
        for (name, change) in CHANGES {
            let change = |mapping: &M| {
                let start = start(mapping).cast_mut().wrapping_add(first * PAGE);
                change(start.cast(), count * PAGE).map_or_else(|error| error.raw_os_error().unwrap(), |()| 0)
            };
            let control = std::mem::ManuallyDrop::new(map());
            println!("{kind} {pages} {name} {} {}", change(sealed), change(&control));
        }
    }
    assert_eq!(sealed_ranges(), after);
}

/// Makes all changes to mappings of each type, between neighbours, and prints whether the bytes are still there and the
/// neighbours can be unmapped.
pub(super) fn change_sealed() {
    let len = 12 * PAGE as u64;
    let (first, last) = (4 * PAGE as u64, 7 * PAGE as u64 + 100);
    let filled = || {
        let region = Region::options().name("shared").create(len).unwrap();
        region.map().unwrap().write_at(0, &vec![7; 12 * PAGE]).unwrap();
        region
    };
    let writable = filled();
    change("Mapping", || writable.map_range(first..last).unwrap(), |mapping| mapping.as_ptr());
    let (read_only, _writer) = filled().into_read_only().unwrap();
    change("ReadOnlyMapping", || read_only.map_range(first..last).unwrap(), |mapping| mapping.as_ptr());
    let frozen = filled().freeze().unwrap();
    change("FrozenMapping", || frozen.map_range(first..last).unwrap(), |mapping| mapping.as_ptr());

    // The kernel places each below the one before, and shows neighbours as one.
    let region = FrozenRegion::options().name("between").from_bytes(vec![7; 12 * PAGE]).unwrap();
    let behind = region.map_range(8 * PAGE as u64..).unwrap();
    let sealed = region.map_range(first..last).unwrap();
    let before = region.map_range(..first).unwrap();
    let sealed: &'static [u8] = sealed.seal_for_ever().map_err(Error::from).unwrap();
    let reader = std::thread::spawn(|| sealed.iter().all(|byte| *byte == 7));
    println!("bytes {} {}", sealed.len(), reader.join().unwrap());
    drop((before, behind));
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let (start, end) = (sealed.as_ptr().addr(), sealed.as_ptr().addr() + 4 * PAGE);
    let left: Vec<_> = maps.lines().filter(|line| line.contains("/memfd:heirloom/between ")).collect();
    println!("left {}", left.len() == 1 && left[0].starts_with(&format!("{start:x}-{end:x} r--s ")));
    println!("empty {}", FrozenRegion::from_bytes("").unwrap().map().unwrap().seal_for_ever().unwrap().len());
    // Of a shared mapping, this discards no byte.
    // SAFETY: No byte changes.
    let discarded = unsafe { libc::madvise(sealed.as_ptr().cast_mut().cast(), 4 * PAGE, libc::MADV_DONTNEED) };
    println!("discarded {discarded} {}", sealed.iter().all(|byte| *byte == 7));
}

/// Prints this process's share of a region: without a mapping, with one, when its first half is written, with a second
/// mapping of that, with a copy of it, and without them again.
pub fn shares() {
    const SIZE: usize = 1 << 20;
    let name = format!("shares-{}", std::process::id());
    let region = Region::options().name(&name).create(SIZE as u64).unwrap();
    let print = || {
        let regions = heirloom::os::linux::regions().unwrap().regions;
        let found = regions.iter().find(|region| region.name.as_deref() == Some(&name)).unwrap();
        println!("{}", found.holders[0].pss.unwrap());
    };
    print();
    let mapping = region.map().unwrap();
    print();
    mapping.write_at(0, &vec![1; SIZE / 2]).unwrap();
    print();
    let second = region.map().unwrap();
    second.read_at(0, &mut vec![0; SIZE / 2]).unwrap();
    print();
    let copy = region.map_copy().unwrap();
    copy.write_at(0, &vec![2; SIZE / 2]).unwrap();
    print();
    drop((mapping, second, copy));
    print();
}
