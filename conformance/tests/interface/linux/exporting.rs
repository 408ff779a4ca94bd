//! Export strings, where the launcher clears close-on-exec between fork and exec.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use heirloom::Region;
use heirloom_conformance::{emulated, skip, text};

use crate::CHILD;

fn report_of(command: &mut Command) -> String {
    text(command.output().unwrap())
}

#[test]
fn forked_children_never_block_on_locks() {
    if emulated() {
        return skip(format_args!("the emulator, not the kernel, would be tested"));
    }
    let report = report_of(Command::new(CHILD).args(["fork-beside-threads", "1000"]));
    assert_eq!(report, "1000 imported, 0 blocked\n");
}

#[test]
fn export_needs_the_launcher_to_clear_close_on_exec() {
    let region = Region::create(4096).unwrap();
    let exported = region.export().unwrap();
    let mut command = Command::new(CHILD);
    command.args(["import", "region:FRAMES"]).env("FRAMES", exported.as_str());
    let refused = report_of(&mut command);
    assert!(refused.starts_with("Mismatch: ") && refused.contains("is not open in this process"), "{refused}");

    let number = exported.as_fd().as_raw_fd();
    // SAFETY: The closure makes one system call, which is async-signal-safe.
    unsafe {
        command.pre_exec(move || heirloom_conformance::check(libc::fcntl(number, libc::F_SETFD, 0)));
    }
    assert_eq!(report_of(&mut command), "ok 4096\n");
    // In this process the descriptor stays close-on-exec.
    assert!(rustix::io::fcntl_getfd(&exported).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn forked_child_imports() {
    assert_eq!(report_of(Command::new(CHILD).arg("fork-and-import")), "0 from the fork\n");
}
