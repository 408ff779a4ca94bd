//! Regions, checked with the kernel's data, and Linux features: huge pages, directories, seals set by other holders.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;

use heirloom::{ErrorKind, FrozenRegion, Region, RegionKind};
use heirloom_conformance::{emulated, large_pages_are_used, open_regions, skip, text};

use crate::{child, output};

#[test]
fn region_is_close_on_exec_and_above_stdio() {
    let region = Region::create(4096).unwrap();
    assert!(rustix::io::fcntl_getfd(&region).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    assert!(region.as_fd().as_raw_fd() > 2);
}

#[test]
fn largest_region_is_one_page_below_isize_max() {
    let largest = isize::MAX as u64;
    assert!(Region::create(largest - 4095).is_ok());
}

#[test]
fn kernel_shows_the_region_name() {
    for name in ["a=b:c%d,e", " \n", "🦀", &"x".repeat(240)] {
        let region = Region::options().name(name).create(1).unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", region.as_fd().as_raw_fd())).unwrap();
        assert_eq!(link.to_str().unwrap(), format!("/memfd:heirloom/{name} (deleted)"));
    }
}

#[test]
fn maximum_is_compared_with_the_bytes_of_a_file_not_its_size() {
    // Files there have a size of a page, and fewer bytes.
    let Ok(file) = File::open("/sys/kernel/mm/transparent_hugepage/enabled") else {
        return skip("there are no huge pages");
    };
    let len = std::io::read_to_string(&file).unwrap().len() as u64;
    assert!(len < file.metadata().unwrap().len());
    let filled = |max| {
        (&file).seek(SeekFrom::Start(0)).unwrap();
        FrozenRegion::options().max_size(max).from_file(&file)
    };
    assert_eq!(filled(len).unwrap().size(), len);
    assert_eq!(filled(len - 1).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn descriptors_are_read_from_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, b"skipped text").unwrap();
    let mut file = File::open(&path).unwrap();
    let mut from_file = || {
        file.seek(SeekFrom::Start(8)).unwrap();
        FrozenRegion::from_file(&file).unwrap()
    };
    let written = |region: Region| {
        region.map().unwrap().write_at(0, b"text").unwrap();
        region
    };
    let fresh = || written(Region::create(4).unwrap());
    let in_directory = written(Region::options().unsealed_file_in(directory.path()).create(4).unwrap());
    let piped = || {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        File::from(writer).write_all(b"text").unwrap();
        File::from(reader)
    };
    let mut descriptors: BTreeMap<&str, OwnedFd> = BTreeMap::from([
        ("create", fresh().try_into().unwrap()),
        ("into_read_only", fresh().into_read_only().unwrap().0.try_into().unwrap()),
        ("freeze", fresh().freeze().unwrap().try_into().unwrap()),
        ("unsealed_file_in", in_directory.try_into().unwrap()),
        ("from_bytes", FrozenRegion::from_bytes("text").unwrap().try_into().unwrap()),
        ("from_reader", FrozenRegion::from_reader(piped()).unwrap().try_into().unwrap()),
        ("from_file", from_file().try_into().unwrap()),
        // The kernel can't move bytes from a pipe.
        ("from_file, a pipe", FrozenRegion::from_file(&piped()).unwrap().try_into().unwrap()),
        ("copy_of", FrozenRegion::copy_of(&fresh()).unwrap().try_into().unwrap()),
        ("copy_of a file", FrozenRegion::copy_of(&from_file()).unwrap().try_into().unwrap()),
        ("copy_on_write", from_file().copy_on_write().unwrap().try_into().unwrap()),
    ]);
    // A duplicate, since another handle exists. The handle shares the offset.
    let region = from_file();
    descriptors.insert("clone", region.clone().try_into().unwrap());
    for (name, descriptor) in descriptors {
        assert_eq!(std::io::read_to_string(File::from(descriptor)).unwrap(), "text", "{name}");
    }

    // As the standard input of a program.
    let input: OwnedFd = from_file().try_into().unwrap();
    let counted = std::process::Command::new("wc").arg("-c").stdin(input).output().unwrap();
    assert_eq!(text(counted), "4\n");
    drop(region);
}

#[test]
fn populate_allocates_memory_at_once() {
    const SIZE: u64 = 8 << 20;
    let blocks = |region: &Region| u64::try_from(rustix::fs::fstat(region).unwrap().st_blocks).unwrap() * 512;
    assert_eq!(blocks(&Region::create(SIZE).unwrap()), 0);
    let region = Region::options().populate(true).create(SIZE).unwrap();
    assert_eq!(blocks(&region), SIZE);
    let mut first = [1; 8];
    region.map().unwrap().read_at(0, &mut first).unwrap();
    assert_eq!(first, [0; 8]);
}

#[test]
fn huge_pages_are_reserved_in_create_or_fail() {
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
            println!("no huge page is free here, so only the error was checked");
        }
        Ok(region) => {
            let view = region.map().unwrap();
            view.write_at((2 << 20) - 1, b"x").unwrap();
            drop(view);
            assert_eq!(region.map_range(4096..8192).unwrap_err().kind(), ErrorKind::Misaligned);
            // A range whose length is no multiple of the huge page is mapped and unmapped completely.
            let maps = || fs::read_to_string("/proc/self/maps").unwrap().matches("memfd:heirloom/huge ").count();
            let named = Region::options().name("huge ").huge_pages(true).create(2 << 20);
            if let Ok(named) = named {
                let part = named.map_range(0..5000).unwrap();
                part.write_at(4990, &[1; 10]).unwrap();
                assert_eq!(maps(), 1);
                drop(part);
                assert_eq!(maps(), 0);
            }
            assert!(region.freeze().is_ok());
        }
    }
    // One GiB more than is free.
    let error = Region::options().huge_pages(true).create((free << 21) + (1 << 30)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::Unsupported), "{error}");
}

#[test]
fn directory_region_reserves_its_space() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::options().unsealed_file_in(directory.path()).create(1 << 20).unwrap();
    assert_eq!(region.kind(), RegionKind::Unsealed);
    assert!(rustix::fs::fstat(&region).unwrap().st_blocks * 512 >= 1 << 20);
    region.map().unwrap().write_at(0, b"on disk").unwrap();
    let report = output(child(&["take", "region:a", "frozen:a"]).inherit("a", &region).unwrap());
    assert!(report.starts_with("ok 1048576\nWrongKind: "), "{report}");
    assert_eq!(Region::import(region.export().unwrap().as_str()).unwrap().kind(), RegionKind::Unsealed);

    // If a holder truncates it, copying fails with an error, not a signal.
    let cut = Region::options().unsealed_file_in(directory.path()).create(1 << 20).unwrap();
    assert_eq!(FrozenRegion::copy_of(&cut).unwrap().size(), 1 << 20);
    rustix::fs::ftruncate(&cut, 10).unwrap();
    assert_eq!(FrozenRegion::copy_of(&cut).unwrap_err().kind(), ErrorKind::Mismatch);

    // Without seals, converting fails.
    let refused = region.into_read_only().unwrap_err();
    assert!(matches!(refused.error().kind(), ErrorKind::Unsupported | ErrorKind::Sealed), "{refused}");
    let refused = refused.into_inner().freeze().unwrap_err();
    assert!(matches!(refused.error().kind(), ErrorKind::Unsupported | ErrorKind::Sealed), "{refused}");
    let refused = Region::try_from(OwnedFd::try_from(refused.into_inner()).unwrap()).unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::Mismatch);
}

#[test]
fn unsuitable_directory_fails_in_create() {
    let options = || Region::options();
    let error = options().unsealed_file_in("/nonexistent").create(4096).unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::System, Some(libc::ENOENT)));
    let error = options().unsealed_file_in("/proc").create(4096).unwrap_err();
    // An unprivileged user may get EACCES instead.
    let not_permitted = !rustix::process::geteuid().is_root() && error.raw_os_error() == Some(libc::EACCES);
    assert!(error.kind() == ErrorKind::Unsupported || not_permitted, "{error}");
    let error = options().unsealed_file_in("/tmp").huge_pages(true).create(2 << 20).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn full_directory_fails_in_create() {
    let error = Region::options().unsealed_file_in("/dev/shm").create(1 << 50).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
}

#[test]
fn region_frozen_by_a_child_is_recognised() {
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
fn seal_against_sealing_fails_freeze_but_not_copy() {
    let region = Region::create(4096).unwrap();
    rustix::fs::fcntl_add_seals(&region, rustix::fs::SealFlags::SEAL).unwrap();
    let refused = region.freeze().unwrap_err();
    assert_eq!((refused.error().kind(), refused.error().raw_os_error()), (ErrorKind::Sealed, Some(libc::EPERM)));
    assert!(FrozenRegion::copy_of(&refused.into_inner()).is_ok());
}

#[test]
fn from_file_reads_proc_files_and_devices() {
    let status = FrozenRegion::from_file(&File::open("/proc/self/status").unwrap()).unwrap();
    assert!(status.map().unwrap().starts_with(b"Name:"));
    let nothing = FrozenRegion::from_file(&File::open("/dev/null").unwrap()).unwrap();
    assert_eq!(nothing.size(), 0);
}

#[test]
fn from_file_reads_pipes_and_rejects_directories() {
    for len in [0, 1, 65_536, 300_000] {
        let text: Vec<u8> = (0..len).map(|at: u32| (at % 251).to_le_bytes()[0]).collect();
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let piped = thread::scope(|scope| {
            scope.spawn(|| File::from(writer).write_all(&text).unwrap());
            FrozenRegion::from_file(&File::from(reader)).unwrap()
        });
        assert_eq!(*piped.map().unwrap(), *text);
    }
    let directory = FrozenRegion::from_file(&File::open("/").unwrap()).unwrap_err();
    assert_eq!(directory.raw_os_error(), Some(libc::EISDIR));
}

/// Returns the entries of the census with this debugging name.
fn listed(name: &str) -> Vec<heirloom::os::linux::RegionInfo> {
    let regions = heirloom::os::linux::regions().unwrap().regions;
    regions.into_iter().filter(|region| region.name.as_deref() == Some(name)).collect()
}

#[test]
fn census_ignores_files_with_forged_names() {
    let name = format!("forged-{}", std::process::id());
    let directory = "/memfd:heirloom";
    if std::fs::create_dir(directory).is_err() {
        return skip(format_args!("only root can create a directory in the root directory"));
    }
    let path = format!("{directory}/{name}");
    let file = std::fs::File::create_new(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_dir(directory).unwrap();
    assert!(listed(&name).is_empty());
    drop(file);
    // The control: a region of that name is listed.
    let region = Region::options().name(&name).create(4096).unwrap();
    assert_eq!(listed(&name).len(), 1);
    drop(region);
}

#[test]
#[allow(unsafe_code)]
fn census_sees_descriptors_of_single_threads() {
    let name = format!("thread-{}", std::process::id());
    let (ready, wait) = std::sync::mpsc::channel();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread_name = name.clone();
    let thread = std::thread::spawn(move || {
        // SAFETY: The thread gets a descriptor table of its own; it takes no descriptor of the others with it.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_FILES) }, 0);
        let _region = Region::options().name(thread_name).create(4096).unwrap();
        ready.send(()).unwrap();
        let _ = stopped.recv();
    });
    wait.recv().unwrap();
    let found = listed(&name);
    drop(stop);
    thread.join().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].size, found[0].kind), (Some(4096), Some(RegionKind::Writable)));
    assert!(found[0].holders[0].open && !found[0].holders[0].mapped);
}

#[test]
fn dropped_writer_leaves_nothing() {
    let before = open_regions().len();
    let mut writer = FrozenRegion::options().writer().unwrap();
    writer.write_all(&vec![1; 100_000]).unwrap();
    // The control: the memory exists while the writer does.
    assert_eq!(open_regions().len(), before + 1);
    drop(writer);
    assert_eq!(open_regions().len(), before);
}

#[test]
fn census_tells_shares() {
    // A process without other threads, which could fork while it counts.
    let report = output(&mut child(&["shares"]));
    let shares: Vec<u64> = report.split_whitespace().map(|share| share.parse().unwrap()).collect();
    let [open, mapped, written, mapped_twice, copied, unmapped] = shares[..] else { panic!("{report}") };
    assert!(large_pages_are_used() && written >= 1 << 19 || written == 1 << 19, "{report}");
    // Two mappings of one process share a page as those of two do. A copy is the process's own.
    assert_eq!((open, mapped, mapped_twice, copied, unmapped), (0, 0, written, written + (1 << 19), 0));
}
