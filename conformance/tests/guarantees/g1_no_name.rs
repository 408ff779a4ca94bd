//! G1, no name: creating a region adds no file system entry, not even for a moment.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use heirloom::{FrozenRegion, Region};
use heirloom_conformance::skip;
use heirloom_conformance::watch::Watch;
use rustix::fs::MemfdFlags;
use rustix::io::Errno;

use crate::{CHILD, child, output};

#[test]
fn g1_backing_directory_never_shows_an_entry() {
    let directory = tempfile::tempdir().unwrap();
    let watch = Watch::over(directory.path());
    let region = Region::options().unsealed_file_in(directory.path()).create(1 << 20).unwrap();
    region.map().unwrap().write_at(0, b"here").unwrap();
    output(child(&["write", "a", "there"]).inherit("a", &region).unwrap());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    drop(region);
    assert_eq!(watch.names(), Vec::<String>::new());

    // The control: inotify reports a named file.
    File::create(directory.path().join("named")).unwrap();
    fs::remove_file(directory.path().join("named")).unwrap();
    assert_eq!(watch.names(), ["named", "named"]);
}

#[test]
fn g1_kernel_memory_has_no_directory_entry() {
    // Where named shared memory and temporary files appear.
    let watches = ["/dev/shm", "/tmp", "/var/tmp", "."].map(|directory| Watch::over(Path::new(directory)));
    let watch = &watches[0];
    let region = Region::options().name("heirloom-g1").create(1 << 20).unwrap();
    FrozenRegion::options().name("heirloom-g1").from_bytes("x").unwrap();
    output(child(&["write", "a", "there"]).inherit("a", &region).unwrap());
    let (_region, _writer) = region.into_read_only().unwrap();
    for watch in &watches {
        assert!(!watch.names().iter().any(|name| name.contains("heirloom")));
    }

    File::create("/dev/shm/heirloom-g1").unwrap();
    fs::remove_file("/dev/shm/heirloom-g1").unwrap();
    assert_eq!(watch.names().iter().filter(|name| *name == "heirloom-g1").count(), 2);
}

#[test]
fn g1_no_file_can_be_created_at_the_path_that_the_kernel_shows() {
    // A program may resolve the path of a descriptor and create what it finds missing; root may do so in `/`.
    let shown = |fd: &dyn AsRawFd| fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
    let create = |path: &Path| File::create_new(path).map(drop).map_err(|error| error.raw_os_error());
    let (mut options, mut frozen) = (Region::options(), FrozenRegion::options());
    let paths = [
        shown(&options.create(4096).unwrap().as_fd()),
        shown(&options.name("g1").create(4096).unwrap().as_fd()),
        shown(&frozen.from_bytes("x").unwrap().as_fd()),
        shown(&frozen.name("g1").from_bytes("x").unwrap().as_fd()),
    ];
    // The control, in a directory that everybody can write: memory with another name.
    let directory = tempfile::tempdir().unwrap();
    let below = |path: &Path| directory.path().join(path.strip_prefix("/").unwrap());
    for path in paths {
        assert_eq!(create(&below(&path)), Err(Some(libc::ENOENT)), "{path:?}");
        assert_eq!(create(&path), Err(Some(libc::ENOENT)), "{path:?}");
    }
    let other = rustix::fs::memfd_create("heirloom:g1", MemfdFlags::CLOEXEC).unwrap();
    assert_eq!(create(&below(&shown(&other))), Ok(()));
}

#[test]
fn g1_backing_file_cannot_be_linked() {
    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
    let directory = tempfile::tempdir().unwrap();
    let name = |fd: &dyn std::os::fd::AsRawFd| {
        let old = format!("/proc/self/fd/{}", fd.as_raw_fd());
        linkat(CWD, old, CWD, directory.path().join("name"), AtFlags::SYMLINK_FOLLOW)
    };
    let region = Region::options().unsealed_file_in(directory.path()).create(4096).unwrap();
    assert_eq!(name(&region.as_fd()), Err(Errno::NOENT));
    // The control: a file opened without O_EXCL can be linked.
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    assert_eq!(name(&open(directory.path(), flags, Mode::RUSR).unwrap()), Ok(()));
}

/// The system calls by which `child` creates, links, renames or removes files. `None` where strace cannot run.
fn naming_calls(args: &[&str]) -> Option<Vec<String>> {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut strace = std::process::Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(trace.path()).args(["-e", "trace=%file", CHILD]).args(args);
    match strace.output() {
        Ok(output) if output.status.success() => {}
        answer => {
            skip(format_args!("strace cannot trace here: {answer:?}"));
            return None;
        }
    }
    let calls = ["O_CREAT", "creat(", "link(", "linkat(", "symlink", "rename", "mknod", "mkdir", "unlink"];
    let traced = fs::read_to_string(trace.path()).unwrap();
    let naming = traced.lines().filter(|line| calls.iter().any(|call| line.contains(call)));
    // `readlink` matches `link` but changes nothing.
    Some(naming.filter(|line| !line.contains("readlink")).map(str::to_owned).collect())
}

#[test]
fn g1_no_system_call_names_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().to_str().unwrap();
    let Some(calls) = naming_calls(&["create-all-kinds", directory]) else { return };
    assert_eq!(calls, Vec::<String>::new());
    // The control: strace reports creating and removing a named file.
    assert_eq!(naming_calls(&["create-named-file", directory]).unwrap().len(), 2);
}
