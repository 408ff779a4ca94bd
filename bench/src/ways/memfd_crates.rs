//! `memfd_create` by rustix, memmap2 to map it, and command-fds to hand it down, which makes the standard library fork.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use memmap2::MmapMut;
use rustix::fs::{MemfdFlags, memfd_create};

use super::{Parent, Way, child, child_args, running};

pub const WAY: Way = Way {
    name: "memfd, memmap2, command-fds",
    key: "crates",
    create: Some(create),
    parent: Some(parent),
    attach: Some(attach),
};

/// Under what number the child gets it.
const NUMBER: i32 = 3;

fn make(size: usize) -> (File, MmapMut) {
    let file = File::from(memfd_create("crates", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(size as u64).unwrap();
    // SAFETY: Nobody makes it shorter.
    let view = unsafe { MmapMut::map_mut(&file) }.unwrap();
    (file, view)
}

fn create(size: usize, touch: &dyn Fn(*mut u8)) {
    let (_file, mut view) = make(size);
    touch(view.as_mut_ptr());
}

fn parent(size: usize) -> Parent {
    let (file, mut view) = make(size);
    let memory = view.as_mut_ptr();
    let args = child_args(&WAY, &NUMBER.to_string());
    let start = move || {
        let _ = &view;
        let parent_fd = OwnedFd::from(file.try_clone().unwrap());
        let mut command = Command::new(child());
        command.args(&args).fd_mappings(vec![FdMapping { parent_fd, child_fd: NUMBER }]).unwrap();
        running(command.spawn().unwrap())
    };
    Parent { memory, start: Box::new(start) }
}

fn attach(argument: &str) -> *mut u8 {
    // SAFETY: The parent put it there for this.
    let file = unsafe { File::from_raw_fd(argument.parse().unwrap()) };
    // SAFETY: Nobody makes it shorter.
    ManuallyDrop::new(unsafe { MmapMut::map_mut(&file) }.unwrap()).as_mut_ptr()
}
