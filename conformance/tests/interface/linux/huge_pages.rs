//! Huge pages without a pool, checked with the kernel's data.

#![allow(unsafe_code)]

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::ptr;
use std::time::Duration;

use heirloom::os::linux::{FrozenOptionsExt, MappingExt};
use heirloom::{ErrorKind, FrozenOptions, FrozenRegion, Mapping, Region};
use heirloom_conformance::{emulated, large_pages_are_used, skip};
use rustix::fs::{SealFlags, fcntl_get_seals};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

const HUGE: usize = 2 << 20;
const LONG: Duration = Duration::from_secs(60);

/// Puts a mapping into huge pages. Returns the number of bytes, or reports a skip where the system has none.
fn try_huge(mapping: &mut impl MappingExt) -> Option<usize> {
    if emulated() {
        skip("the emulator's answers to advice are its own");
        return None;
    }
    match mapping.use_huge_pages(LONG) {
        Ok(0) => skip("no 2 MiB of free memory are in one piece"),
        Ok(bytes) => return Some(bytes),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            skip(error);
        }
    }
    None
}

/// Returns the lines of a mapping at that address in `/proc/self/smaps`, by its name.
fn smaps(address: *const u8, name: &str) -> u64 {
    let all = fs::read_to_string("/proc/self/smaps").unwrap();
    let head = format!("{:x}-", address as usize);
    let (_, behind) = all.split_once(&head).unwrap();
    let line = behind.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

fn numbered(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at / 4096 + at).to_le_bytes()[0]).collect()
}

fn read(mapping: &Mapping) -> Vec<u8> {
    let mut bytes = vec![0; mapping.len()];
    mapping.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn fresh_mapping_has_huge_pages_and_all_seals() {
    let region = Region::create(4 * HUGE as u64 + 5000).unwrap();
    let seals = fcntl_get_seals(&region).unwrap();
    assert!(seals.contains(SealFlags::SHRINK | SealFlags::GROW));
    let mut mapping = region.map().unwrap();
    let Some(huge) = try_huge(&mut mapping) else { return };
    assert!(huge % HUGE == 0 && huge <= 4 * HUGE, "{huge}");
    assert_eq!(smaps(mapping.as_ptr(), "ShmemPmdMapped:") * 1024, huge as u64);
    assert_eq!(fcntl_get_seals(&region).unwrap(), seals);
    assert_eq!(read(&mapping), vec![0; 4 * HUGE + 5000]);
    // Control: a mapping that didn't ask has none before it is touched.
    assert_eq!(smaps(region.map().unwrap().as_ptr(), "Rss:"), 0);
}

#[test]
fn filled_memory_keeps_its_bytes_for_every_holder() {
    let bytes = numbered(3 * HUGE);
    let region = Region::create(bytes.len() as u64).unwrap();
    let mut mapping = region.map().unwrap();
    mapping.write_at(0, &bytes).unwrap();
    let other = region.map().unwrap();
    let Some(huge) = try_huge(&mut mapping) else { return };
    assert!(read(&mapping) == bytes && read(&other) == bytes);
    assert_eq!(smaps(mapping.as_ptr(), "ShmemPmdMapped:") * 1024, huge as u64);
    mapping.write_at(HUGE - 1, b"both").unwrap();
    assert_eq!(read(&other)[HUGE - 1..][..4], *b"both");
}

#[test]
fn readers_have_the_huge_pages_too() {
    let bytes = numbered(2 * HUGE);
    let frozen = FrozenRegion::from_bytes(&bytes).unwrap();
    let mut mapping = frozen.map().unwrap();
    let Some(huge) = try_huge(&mut mapping) else { return };
    assert!(*mapping == bytes);
    assert_eq!(smaps(mapping.as_ptr(), "ShmemPmdMapped:") * 1024, huge as u64);

    let (region, writer) = Region::create(2 * HUGE as u64).unwrap().into_read_only().unwrap();
    writer.write_at(0, &bytes).unwrap();
    let mut reader = region.map().unwrap();
    let Some(huge) = try_huge(&mut reader) else { return };
    assert_eq!(smaps(reader.as_ptr(), "ShmemPmdMapped:") * 1024, huge as u64);
    writer.write_at(HUGE, b"new").unwrap();
    let mut seen = [0; 3];
    reader.read_at(HUGE, &mut seen).unwrap();
    assert_eq!(&seen, b"new");
}

#[test]
fn range_is_aligned_like_its_offset() {
    let bytes = numbered(4 * HUGE);
    let region = Region::create(bytes.len() as u64).unwrap();
    region.map().unwrap().write_at(0, &bytes).unwrap();
    for start in [4096, HUGE - 4096, HUGE, HUGE + 8192] {
        let mut mapping = region.map_range(start as u64..).unwrap();
        let Some(huge) = try_huge(&mut mapping) else { return };
        assert_eq!(mapping.as_ptr() as usize % HUGE, start % HUGE);
        assert!(read(&mapping) == bytes[start..], "from {start}");
        assert_eq!(smaps(mapping.as_ptr(), "ShmemPmdMapped:") * 1024, huge as u64);
    }
}

#[test]
fn no_block_is_begun_after_the_limit() {
    let mut mapping = Region::create(8 * HUGE as u64).unwrap().map().unwrap();
    if try_huge(&mut Region::create(HUGE as u64).unwrap().map().unwrap()).is_some() {
        assert!(mapping.use_huge_pages(Duration::ZERO).unwrap() <= HUGE);
        assert!(smaps(mapping.as_ptr(), "Rss:") * 1024 <= HUGE as u64);
    }
}

#[test]
fn mapping_without_a_block_stays_where_it_is() {
    for size in [1, 4096, HUGE - 1] {
        let mut mapping = Region::create(size as u64).unwrap().map().unwrap();
        let address = mapping.as_ptr();
        assert_eq!(mapping.use_huge_pages(LONG).unwrap(), 0);
        assert_eq!(mapping.as_ptr(), address);
    }
    // The range has 2 MiB, but no whole block.
    let region = Region::create(4 * HUGE as u64).unwrap();
    let mut mapping = region.map_range(4096..4096 + HUGE as u64).unwrap();
    assert_eq!(mapping.use_huge_pages(LONG).unwrap(), 0);
    assert_eq!(FrozenRegion::from_bytes(b"").unwrap().map().unwrap().use_huge_pages(LONG).unwrap(), 0);
}

#[test]
fn moved_mapping_leaves_nothing_behind() {
    let region = Region::options().name("moved").create(2 * HUGE as u64).unwrap();
    let count = || fs::read_to_string("/proc/self/maps").unwrap().matches("memfd:heirloom/moved ").count();
    for _ in 0..3 {
        let mut mapping = region.map().unwrap();
        let before = mapping.as_ptr() as usize;
        if try_huge(&mut mapping).is_none() {
            return;
        }
        assert_eq!((count(), mapping.as_ptr() as usize % HUGE), (1, 0));
        // A second call finds it in place.
        let after = mapping.as_ptr();
        assert!(mapping.use_huge_pages(LONG).is_ok());
        assert_eq!(mapping.as_ptr(), after);
        drop(mapping);
        assert_eq!(count(), 0, "moved from {before:x}");
    }
}

#[test]
fn pages_of_the_pool_are_refused_and_stay_usable() {
    let Ok(region) = Region::options().huge_pages(true).create(HUGE as u64) else {
        return skip("no huge pages are reserved");
    };
    if emulated() {
        return skip("the emulator's answers to advice are its own");
    }
    let mut mapping = region.map().unwrap();
    assert_eq!(mapping.use_huge_pages(LONG).unwrap_err().kind(), ErrorKind::Unsupported);
    mapping.write_at(0, b"usable").unwrap();
}

/// Options for a region that is filled by huge pages.
fn filled_by_huge() -> FrozenOptions {
    let mut options = FrozenRegion::options();
    options.use_huge_pages(true);
    options
}

#[test]
fn every_fill_by_huge_pages_has_its_bytes_and_seals() {
    for size in [0, 1, HUGE - 1, HUGE, HUGE + 1, 2 * HUGE, 3 * HUGE + 5000] {
        let bytes = numbered(size);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file.rewind().unwrap();
        let copied = FrozenRegion::from_bytes(&bytes).unwrap();
        for (way, filled) in [
            ("bytes", filled_by_huge().from_bytes(&bytes)),
            ("reader", filled_by_huge().from_reader(&bytes[..])),
            ("file", filled_by_huge().from_file(&file)),
            ("region", filled_by_huge().copy_of(&copied)),
        ] {
            let filled = filled.unwrap();
            assert_eq!(filled.size(), size as u64, "{way}");
            assert!(*filled.map().unwrap() == bytes, "{size} bytes from {way}");
            assert_eq!(fcntl_get_seals(&filled).unwrap(), fcntl_get_seals(&copied).unwrap(), "{way}");
        }
    }
}

#[test]
fn region_filled_by_huge_pages_takes_no_more_memory() {
    if large_pages_are_used() {
        return skip("every region is in large pages");
    }
    for size in [0, 1, 5000, HUGE, HUGE + 1, 3 * HUGE + 5000] {
        let filled = filled_by_huge().from_bytes(numbered(size)).unwrap();
        let blocks = rustix::fs::fstat(&filled).unwrap().st_blocks;
        assert_eq!(u64::try_from(blocks).unwrap() * 512, size.next_multiple_of(4096) as u64, "{size}");
    }
}

/// Maps a frozen region at a multiple of 2 MiB, reads each page, and returns how many bytes are in huge pages.
fn huge_when_read(region: &FrozenRegion) -> u64 {
    let len = usize::try_from(region.size()).unwrap();
    // SAFETY: The kernel chooses addresses, and the second mapping is among them. They are unmapped at the end.
    unsafe {
        let all = mmap_anonymous(ptr::null_mut(), len + HUGE, ProtFlags::empty(), MapFlags::PRIVATE).unwrap();
        let at = all.map_addr(|address| address.next_multiple_of(HUGE));
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        assert_eq!(mmap(at, len, ProtFlags::READ, flags, region, 0).unwrap(), at);
        (0..len).step_by(4096).for_each(|offset| _ = at.cast::<u8>().add(offset).read_volatile());
        let huge = smaps(at.cast(), "ShmemPmdMapped:") * 1024;
        munmap(all, len + HUGE).unwrap();
        huge
    }
}

#[test]
fn filled_pages_are_huge_without_a_call_of_the_reader() {
    if try_huge(&mut Region::create(HUGE as u64).unwrap().map().unwrap()).is_none() {
        return;
    }
    let bytes = numbered(16 * HUGE);
    let huge = huge_when_read(&filled_by_huge().from_bytes(&bytes).unwrap());
    assert!(huge > 0 && huge <= bytes.len() as u64, "{huge}");
    // Control: a region that is filled by ordinary pages has none.
    if !large_pages_are_used() {
        assert_eq!(huge_when_read(&FrozenRegion::from_bytes(&bytes).unwrap()), 0);
    }
}

#[test]
fn fork_during_a_fill_by_huge_pages_does_not_prevent_the_freeze() {
    /// Returns bytes, and forks in the middle of them.
    struct Forking {
        left: usize,
        child: Option<OwnedFd>,
    }

    impl Read for Forking {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let read = into.len().min(self.left);
            into[..read].fill(7);
            self.left -= read;
            if self.child.is_none() && self.left < 3 * HUGE {
                let (theirs, ours) = rustix::pipe::pipe().unwrap();
                // SAFETY: The child only waits for the end of the pipe, by calls that are allowed after a fork, and ends.
                if unsafe { libc::fork() } == 0 {
                    drop(ours);
                    let _ = rustix::io::read(&theirs, &mut [0; 1]);
                    // SAFETY: It ends this process without running anything of its parent.
                    unsafe { libc::_exit(0) };
                }
                self.child = Some(ours);
            }
            Ok(read)
        }
    }

    let mut reader = Forking { left: 6 * HUGE, child: None };
    let filled = filled_by_huge().from_reader(&mut reader).unwrap();
    assert!(reader.child.is_some());
    assert!(*filled.map().unwrap() == vec![7; 6 * HUGE]);
    drop(reader);
    // SAFETY: A null status is allowed.
    unsafe { libc::wait(ptr::null_mut()) };
}
