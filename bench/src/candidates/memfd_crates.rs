//! A combination of crates: rustix for `memfd_create`, memmap2 for the mapping, and command-fds for the inheritance.
//! command-fds makes the standard library fork.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use memmap2::MmapMut;
use rustix::fs::{MemfdFlags, memfd_create};

use super::{Candidate, Parent, child_args, child_program, running};

pub const CANDIDATE: Candidate = Candidate {
    name: "memfd, memmap2, command-fds",
    key: "crates",
    create: Some(create),
    parent: Some(parent),
    attach: Some(attach),
};

/// The descriptor number in the child.
const CHILD_FD: i32 = 3;

fn create_mapped(size: usize) -> (File, MmapMut) {
    let file = File::from(memfd_create("crates", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(size as u64).unwrap();
    // SAFETY: Only this program and its child have the file, and neither truncates it.
    let view = unsafe { MmapMut::map_mut(&file) }.unwrap();
    (file, view)
}

fn create(size: usize, touch: &dyn Fn(*mut u8)) {
    let (_file, mut view) = create_mapped(size);
    touch(view.as_mut_ptr());
}

fn parent(size: usize) -> Parent {
    let (file, mut view) = create_mapped(size);
    let memory = view.as_mut_ptr();
    let args = child_args(&CANDIDATE, &CHILD_FD.to_string());
    let start = move || {
        let _ = &view;
        let parent_fd = OwnedFd::from(file.try_clone().unwrap());
        let mut command = Command::new(child_program());
        command.args(&args).fd_mappings(vec![FdMapping { parent_fd, child_fd: CHILD_FD }]).unwrap();
        running(command.spawn().unwrap())
    };
    Parent { memory, start: Box::new(start) }
}

fn attach(argument: &str) -> *mut u8 {
    // SAFETY: The parent opened this descriptor for this function, and no other code uses it.
    let file = unsafe { File::from_raw_fd(argument.parse().unwrap()) };
    // SAFETY: Neither the parent nor this process truncates the file.
    ManuallyDrop::new(unsafe { MmapMut::map_mut(&file) }.unwrap()).as_mut_ptr()
}
