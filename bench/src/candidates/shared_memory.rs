//! The crate `shared_memory`: named memory that every process of the same user can open.

use std::mem::ManuallyDrop;
use std::process::Command;

use shared_memory::ShmemConf;

use super::{Candidate, Parent, child_args, child_program, running};

pub const CANDIDATE: Candidate = Candidate {
    name: "shared_memory",
    key: "shared_memory",
    create: Some(create),
    parent: Some(parent),
    attach: Some(|name| ManuallyDrop::new(ShmemConf::new().os_id(name).open().unwrap()).as_ptr()),
};

fn create(size: usize, touch: &dyn Fn(*mut u8)) {
    let memory = ShmemConf::new().size(size).create().unwrap();
    touch(memory.as_ptr());
}

fn parent(size: usize) -> Parent {
    let shared = ShmemConf::new().size(size).create().unwrap();
    let args = child_args(&CANDIDATE, shared.get_os_id());
    let memory = shared.as_ptr();
    let start = move || {
        let _ = &shared;
        running(Command::new(child_program()).args(&args).spawn().unwrap())
    };
    Parent { memory, start: Box::new(start) }
}
