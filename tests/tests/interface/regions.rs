//! Making regions, and turning one kind into another.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;

use heirloom::{ErrorKind, FrozenRegion, Kind, ReadOnlyRegion, Region};
use heirloom_tests::{emulated, skip};

use crate::{child, output};

#[test]
fn fresh_memory_is_zero_private_and_above_the_standard_streams() {
    let region = Region::create(100_000).unwrap();
    let mut bytes = vec![1; 100_000];
    region.map().unwrap().read_at(0, &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0));
    assert!(rustix::io::fcntl_getfd(&region).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    assert!(region.as_fd().as_raw_fd() > 2);
}

#[test]
fn sizes_that_no_region_can_have_are_refused() {
    for (size, kind) in [(0, ErrorKind::InvalidInput), (u64::MAX, ErrorKind::TooLarge), (1 << 63, ErrorKind::TooLarge)]
    {
        assert_eq!(Region::create(size).unwrap_err().kind(), kind, "{size}");
    }
    let largest = isize::MAX as u64;
    // The kernel's own limit is a page less.
    assert!(Region::create(largest - 4095).is_ok());
}

#[test]
fn names_that_no_kernel_takes_are_refused_and_odd_ones_work() {
    for name in ["", "a\0b", &"x".repeat(241)] {
        let error = Region::options().name(name).create(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
        let error = FrozenRegion::options().name(name).from_bytes("x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
    }
    for name in ["a=b:c%d,e", " \n", "🦀", &"x".repeat(240)] {
        let region = Region::options().name(name).create(1).unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", region.as_fd().as_raw_fd())).unwrap();
        assert_eq!(link.to_str().unwrap(), format!("/memfd:heirloom:{name} (deleted)"));
        assert!(format!("{region:?}").contains(&format!("{name:?}")));
    }
}

#[test]
fn debug_tells_name_size_and_kind_and_no_byte() {
    let secret = FrozenRegion::options().name("key").from_bytes("hunter2").unwrap();
    assert_eq!(format!("{secret:?}"), r#"FrozenRegion { name: Some("key"), size: 7, kind: Frozen }"#);
    let view = secret.map().unwrap();
    assert!(!format!("{view:?}").contains("hunter2") && format!("{view:?}").contains("len: 7"));
    let region = Region::create(4096).unwrap();
    assert_eq!(format!("{region:?}"), "Region { name: None, size: 4096, kind: Writable }");
}

#[test]
fn populate_takes_the_memory_at_once() {
    const SIZE: u64 = 8 << 20;
    let blocks = |region: &Region| u64::try_from(rustix::fs::fstat(region).unwrap().st_blocks).unwrap() * 512;
    assert_eq!(blocks(&Region::create(SIZE).unwrap()), 0);
    let region = Region::options().populate(true).create(SIZE).unwrap();
    assert_eq!(blocks(&region), SIZE);
    let mut first = [1; 8];
    region.map().unwrap().read_at(0, &mut first).unwrap();
    assert_eq!(first, [0; 8]);
}

/// More than any machine has. Of 32 bits, a program can't ask for that.
#[cfg(target_pointer_width = "64")]
const TOO_MUCH: u64 = 1 << 50;

#[test]
#[cfg(target_pointer_width = "64")]
fn populate_beyond_all_memory_is_an_error_of_create() {
    let error = Region::options().populate(true).create(TOO_MUCH).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
}

#[test]
fn huge_pages_are_there_at_create_or_never() {
    let error = Region::options().huge_pages(true).create(4096).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    if emulated() {
        return skip("the emulator has no mapping of huge pages");
    }
    let free = fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").unwrap_or_default();
    let free: u64 = free.trim().parse().unwrap_or(0);
    match Region::options().huge_pages(true).create(2 << 20) {
        Err(error) => {
            assert!(free == 0 || error.kind() == ErrorKind::Unsupported, "{error}");
            assert!(matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::Unsupported), "{error}");
            println!("no huge page is free here: only the error was seen");
        }
        Ok(region) => {
            let view = region.map().unwrap();
            view.write_at((2 << 20) - 1, b"x").unwrap();
            drop(view);
            assert_eq!(region.map_part(4096, 4096).unwrap_err().kind(), ErrorKind::Misaligned);
            // A part that is no multiple of the page is mapped, and unmapped without a trace.
            let maps = || fs::read_to_string("/proc/self/maps").unwrap().matches("memfd:heirloom:huge ").count();
            let named = Region::options().name("huge ").huge_pages(true).create(2 << 20);
            if let Ok(named) = named {
                let part = named.map_part(0, 5000).unwrap();
                part.write_at(4990, &[1; 10]).unwrap();
                assert_eq!(maps(), 1);
                drop(part);
                assert_eq!(maps(), 0);
            }
            assert!(region.freeze().is_ok());
        }
    }
    // A gigabyte more than is free.
    let error = Region::options().huge_pages(true).create((free << 21) + (1 << 30)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::Unsupported), "{error}");
}

#[test]
fn a_directory_backs_a_region_whose_space_is_reserved() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::options().unsealed_file_in(directory.path()).create(1 << 20).unwrap();
    assert_eq!(region.kind(), Kind::Unsealed);
    assert!(rustix::fs::fstat(&region).unwrap().st_blocks * 512 >= 1 << 20);
    region.map().unwrap().write_at(0, b"on disk").unwrap();
    let told = output(child(&["take", "region:a", "frozen:a"]).inherit("a", &region).unwrap());
    assert!(told.starts_with("ok 1048576\nWrongKind: "), "{told}");
    assert_eq!(Region::import(region.export().unwrap().as_str()).unwrap().kind(), Kind::Unsealed);

    // A holder that cuts it ends nobody who copies it.
    let cut = Region::options().unsealed_file_in(directory.path()).create(1 << 20).unwrap();
    assert_eq!(FrozenRegion::copy_of(&cut).unwrap().size(), 1 << 20);
    rustix::fs::ftruncate(&cut, 10).unwrap();
    assert_eq!(FrozenRegion::copy_of(&cut).unwrap_err().kind(), ErrorKind::NotThatRegion);

    // What it can't promise, it refuses.
    let refused = region.publish().unwrap_err();
    assert!(matches!(refused.error.kind(), ErrorKind::Unsupported | ErrorKind::Sealed), "{refused}");
    let refused = refused.handle.freeze().unwrap_err();
    assert!(matches!(refused.error.kind(), ErrorKind::Unsupported | ErrorKind::Sealed), "{refused}");
    let refused = Region::try_from(OwnedFd::try_from(refused.handle).unwrap()).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::NotThatRegion);
}

#[test]
fn a_directory_that_cannot_back_a_region_is_an_error_of_create() {
    let options = || Region::options();
    let error = options().unsealed_file_in("/nonexistent").create(4096).unwrap_err();
    assert_eq!((error.kind(), error.os_error()), (ErrorKind::System, Some(libc::ENOENT)));
    let error = options().unsealed_file_in("/proc").create(4096).unwrap_err();
    // Who isn't root may make nothing there anyway.
    let barred = !rustix::process::geteuid().is_root() && error.os_error() == Some(libc::EACCES);
    assert!(error.kind() == ErrorKind::Unsupported || barred, "{error}");
    let error = options().unsealed_file_in("/tmp").huge_pages(true).create(2 << 20).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_directory_that_is_full_is_an_error_of_create() {
    let error = Region::options().unsealed_file_in("/dev/shm").create(TOO_MUCH).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
}

#[test]
fn a_published_region_is_read_by_those_who_ask_and_written_by_one() {
    let region = Region::create(4096).unwrap();
    let other = region.clone();
    let (published, writer) = region.publish().unwrap();
    let reader = published.map().unwrap();
    writer.write_at(100, b"news").unwrap();
    let mut seen = [0; 4];
    reader.read_at(100, &mut seen).unwrap();
    assert_eq!(&seen, b"news");

    // A handle from before maps no more, and finds out what happened.
    assert_eq!(other.map().unwrap_err().kind(), ErrorKind::Sealed);
    assert_eq!(other.clone().publish().unwrap_err().error.kind(), ErrorKind::Sealed);
    assert_eq!(ReadOnlyRegion::try_from(other).unwrap().size(), 4096);

    let refused = published.freeze().unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::StillWritable);
    drop(writer);
    let frozen = refused.handle.freeze().unwrap();
    assert_eq!(&frozen.map().unwrap()[100..104], b"news");
}

#[test]
fn an_unpublished_region_is_not_taken_for_a_published_one() {
    let refused = ReadOnlyRegion::try_from(Region::create(4096).unwrap()).unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::WrongKind);
    assert!(refused.handle.map().is_ok());
}

#[test]
fn a_region_that_a_child_froze_is_recognised() {
    let region = Region::create(4096).unwrap();
    region.map().unwrap().write_at(0, b"results").unwrap();
    assert_eq!(output(child(&["freeze", "a"]).inherit("a", &region).unwrap()), "ok 4096\n");
    assert_eq!(region.map().unwrap_err().kind(), ErrorKind::Sealed);
    let copy = region.map_copy().unwrap();
    copy.write_at(0, b"private").unwrap();
    let frozen = region.freeze().unwrap();
    assert!(frozen.map().unwrap().starts_with(b"results"));
}

#[test]
fn a_holder_that_forbids_seals_makes_freezing_an_error_with_a_way_out() {
    let region = Region::create(4096).unwrap();
    rustix::fs::fcntl_add_seals(&region, rustix::fs::SealFlags::SEAL).unwrap();
    let refused = region.freeze().unwrap_err();
    assert_eq!((refused.error.kind(), refused.error.os_error()), (ErrorKind::Sealed, Some(libc::EPERM)));
    assert!(FrozenRegion::copy_of(&refused.handle).is_ok());
}

#[test]
fn frozen_regions_hold_just_what_they_were_given() {
    let text: Vec<u8> = (0..300_000_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
    for len in [0, 1, 4095, 4096, 4097, 131_071, 131_072, 131_073, 300_000] {
        let text = &text[..len];
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let piped = thread::scope(|scope| {
            scope.spawn(move || File::from(writer).write_all(text).unwrap());
            FrozenRegion::from_file(&File::from(reader)).unwrap()
        });
        for (way, region) in [
            ("bytes", FrozenRegion::from_bytes(text).unwrap()),
            ("reader", FrozenRegion::from_reader(Trickle(text)).unwrap()),
            ("file", FrozenRegion::from_file(&file).unwrap()),
            ("pipe", piped),
        ] {
            assert_eq!(region.size(), len as u64, "{way}");
            assert_eq!(*region.map().unwrap(), *text, "{way}");
            assert_eq!(&*FrozenRegion::copy_of(&region).unwrap().map().unwrap(), text, "{way}");
        }
    }
}

#[test]
fn a_file_is_taken_from_where_it_stands_and_left_at_its_end() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"read already, to be read").unwrap();
    io::Seek::seek(&mut file, io::SeekFrom::Start(14)).unwrap();
    let region = FrozenRegion::from_file(&file).unwrap();
    assert_eq!(&*region.map().unwrap(), b"to be read");
    assert_eq!(io::Seek::stream_position(&mut file).unwrap(), 24);
}

#[test]
fn files_that_pretend_to_be_empty_and_devices_are_read_too() {
    let status = FrozenRegion::from_file(&File::open("/proc/self/status").unwrap()).unwrap();
    assert!(status.map().unwrap().starts_with(b"Name:"));
    let nothing = FrozenRegion::from_file(&File::open("/dev/null").unwrap()).unwrap();
    assert_eq!(nothing.size(), 0);
}

#[test]
fn what_cannot_be_read_is_an_error_and_leaves_no_region() {
    let directory = FrozenRegion::from_file(&File::open("/").unwrap()).unwrap_err();
    assert_eq!(directory.os_error(), Some(libc::EISDIR));
    let error = FrozenRegion::from_reader(Broken).unwrap_err();
    assert!(error.to_string().contains("out of paper"), "{error}");
}

#[test]
fn a_frozen_region_of_no_bytes_is_fine() {
    let empty = FrozenRegion::from_bytes("").unwrap();
    assert_eq!(*empty.map().unwrap(), []);
    assert_eq!(*empty.map_copy().unwrap(), []);
    empty.map().unwrap().no_dump().unwrap();
    assert_eq!(output(child(&["print-frozen", "a"]).inherit("a", &empty).unwrap()), "");
    assert_eq!(empty.map_part(0, 1).unwrap_err().kind(), ErrorKind::OutOfBounds);
}

#[test]
fn a_handle_gives_up_its_descriptor_and_a_clone_keeps_its_own() {
    let region = Region::create(4096).unwrap();
    let number = region.as_fd().as_raw_fd();
    let fd = OwnedFd::try_from(region).unwrap();
    assert_eq!(fd.as_raw_fd(), number);
    let region = Region::try_from(fd).unwrap();
    let clone = region.clone();
    let fd = OwnedFd::try_from(region).unwrap();
    assert_ne!(fd.as_raw_fd(), clone.as_fd().as_raw_fd());
    assert!(clone.map().is_ok());
}

/// Gives a few bytes at a time.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = into.len().min(1_000).min(self.0.len());
        let (now, later) = self.0.split_at(len);
        into[..len].copy_from_slice(now);
        self.0 = later;
        Ok(len)
    }
}

/// Fails after a while.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("out of paper"))
    }
}
