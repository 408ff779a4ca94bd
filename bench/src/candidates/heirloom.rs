//! heirloom, with each way to pass a region to a child.

use heirloom::os::unix::InheritExt;
use heirloom::{Command, Mapping, Region};

use super::{Candidate, Parent, Running, child_args, child_program, running};

/// `heirloom::Command`, by name.
pub const BY_NAME: Candidate = Candidate {
    name: "heirloom, by name",
    key: "name",
    create: Some(create),
    parent: Some(by_name),
    attach: Some(|name| map_and_leak(&Region::inherited(name).unwrap())),
};

/// The standard library's `Command`, by an export string.
pub const BY_STRING: Candidate = Candidate {
    name: "heirloom, by export string",
    key: "string",
    create: None,
    parent: Some(by_string),
    attach: Some(|string| map_and_leak(&Region::import(string).unwrap())),
};

/// The standard library's `Command`, by name. The standard library then forks.
pub const BY_STD: Candidate =
    Candidate { name: "heirloom, std Command", key: "std", create: None, parent: Some(by_std), attach: None };

const NAME: &str = "region";

fn create(size: usize, touch: &dyn Fn(*mut u8)) {
    let region = Region::create(size as u64).unwrap();
    let view = region.map().unwrap();
    touch(view.as_mut_ptr());
}

fn create_mapped(size: usize) -> (Region, Mapping) {
    let region = Region::create(size as u64).unwrap();
    let view = region.map().unwrap();
    (region, view)
}

fn map_and_leak(region: &Region) -> *mut u8 {
    let view = std::mem::ManuallyDrop::new(region.map().unwrap());
    view.as_mut_ptr()
}

fn by_name(size: usize) -> Parent {
    let (region, view) = create_mapped(size);
    let args = child_args(&BY_NAME, NAME);
    let memory = view.as_mut_ptr();
    let start = move || -> Running {
        let _ = &view;
        let mut command = Command::new(child_program());
        let mut child = command.args(&args).inherit(NAME, &region).unwrap().spawn().unwrap();
        Box::new(move || assert!(child.wait().unwrap().success()))
    };
    Parent { memory, start: Box::new(start) }
}

fn by_string(size: usize) -> Parent {
    let (region, view) = create_mapped(size);
    let exported = region.export_inheritable().unwrap();
    let args = child_args(&BY_STRING, exported.as_str());
    let memory = view.as_mut_ptr();
    let start = move || {
        let _ = (&view, &exported);
        running(std::process::Command::new(child_program()).args(&args).spawn().unwrap())
    };
    Parent { memory, start: Box::new(start) }
}

fn by_std(size: usize) -> Parent {
    let (region, view) = create_mapped(size);
    let args = child_args(&BY_NAME, NAME);
    let memory = view.as_mut_ptr();
    let start = move || {
        let _ = &view;
        let mut command = std::process::Command::new(child_program());
        running(command.args(&args).inherit(NAME, &region).unwrap().spawn().unwrap())
    };
    Parent { memory, start: Box::new(start) }
}
