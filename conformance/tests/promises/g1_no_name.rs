//! G1, no name, ever: no entry of a file system comes or goes while regions are made.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;

use heirloom::{FrozenRegion, Region};
use heirloom_conformance::skip;
use heirloom_conformance::watch::Watch;
use rustix::io::Errno;

use crate::{CHILD, child, output};

#[test]
fn g1_no_entry_comes_or_goes_in_the_directory_that_backs_a_region() {
    let directory = tempfile::tempdir().unwrap();
    let watch = Watch::over(directory.path());
    let region = Region::options().unsealed_file_in(directory.path()).create(1 << 20).unwrap();
    region.map().unwrap().write_at(0, b"here").unwrap();
    output(child(&["write", "a", "there"]).inherit("a", &region).unwrap());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    drop(region);
    assert_eq!(watch.names(), Vec::<String>::new());

    // The control: a file with a name is seen.
    File::create(directory.path().join("named")).unwrap();
    fs::remove_file(directory.path().join("named")).unwrap();
    assert_eq!(watch.names(), ["named", "named"]);
}

#[test]
fn g1_kernel_memory_has_no_directory_entry_either() {
    // Where a name of shared memory would be, and where files without an owner end up.
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
fn g1_a_file_that_backs_a_region_cannot_be_given_a_name() {
    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
    let directory = tempfile::tempdir().unwrap();
    let name = |fd: &dyn std::os::fd::AsRawFd| {
        let old = format!("/proc/self/fd/{}", fd.as_raw_fd());
        linkat(CWD, old, CWD, directory.path().join("name"), AtFlags::SYMLINK_FOLLOW)
    };
    let region = Region::options().unsealed_file_in(directory.path()).create(4096).unwrap();
    assert_eq!(name(&region.as_fd()), Err(Errno::NOENT));
    // The control: one that is not meant to stay unnamed.
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    assert_eq!(name(&open(directory.path(), flags, Mode::RUSR).unwrap()), Ok(()));
}

/// The calls by which a program that `child` runs gives names to files, or takes them away; `None` where they can't be seen.
fn naming_calls(args: &[&str]) -> Option<Vec<String>> {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut strace = std::process::Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(trace.path()).args(["-e", "trace=%file", CHILD]).args(args);
    match strace.output() {
        Ok(output) if output.status.success() => {}
        answer => {
            skip(format_args!("strace can't trace here: {answer:?}"));
            return None;
        }
    }
    let calls = ["O_CREAT", "creat(", "link(", "linkat(", "symlink", "rename", "mknod", "mkdir", "unlink"];
    let traced = fs::read_to_string(trace.path()).unwrap();
    let naming = traced.lines().filter(|line| calls.iter().any(|call| line.contains(call)));
    // Of reading a link, nothing comes to be.
    Some(naming.filter(|line| !line.contains("readlink")).map(str::to_owned).collect())
}

#[test]
fn g1_no_call_gives_a_name_or_takes_one_away() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().to_str().unwrap();
    let Some(calls) = naming_calls(&["make-all-kinds", directory]) else { return };
    assert_eq!(calls, Vec::<String>::new());
    // The control: a file with a name is seen to come and to go.
    assert_eq!(naming_calls(&["make-a-file", directory]).unwrap().len(), 2);
}
