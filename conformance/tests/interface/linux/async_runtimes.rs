//! tokio: its `Command` with the extension trait, and heirloom's `Child` through its pidfd.

#![allow(unsafe_code)]

use heirloom::os::linux::ChildExt;
use heirloom::os::unix::InheritExt;
use heirloom::{Command, Region};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;

use crate::CHILD;

#[test]
fn tokio_command_passes_regions() {
    let region = Region::create(4096).unwrap();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut command = tokio::process::Command::new(CHILD);
        command.args(["write", "a", "from tokio"]);
        command.as_std_mut().inherit("a", &region).unwrap();
        assert!(command.status().await.unwrap().success());
    });
    let mut seen = [0; 10];
    region.map().unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"from tokio");
}

#[test]
fn tokio_waits_for_child_by_pidfd() {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut child = Command::new("cat").stdin(heirloom::Stdio::piped()).spawn().unwrap();
        // SAFETY: An `OwnedFd` stays open under one number for its lifetime.
        let ended = unsafe { AsyncFd::register(child.pidfd().unwrap()) }.unwrap();
        drop(child.stdin.take());
        drop(ended.readable().await.unwrap());
        assert!(child.try_wait().unwrap().unwrap().success());
    });
}
