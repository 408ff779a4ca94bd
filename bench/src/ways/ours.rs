//! heirloom, in each way it hands a region down.

use heirloom::os::unix::InheritExt;
use heirloom::{Command, Mapping, Region};

use super::{Parent, Running, Way, child, child_args, running};

/// By our own command, under a name.
pub const BY_NAME: Way = Way {
    name: "heirloom, by name",
    key: "name",
    create: Some(create),
    parent: Some(by_name),
    attach: Some(|name| leak(&Region::inherited(name).unwrap())),
};

/// As a string, through a process that is started by the standard library.
pub const BY_STRING: Way = Way {
    name: "heirloom, by string",
    key: "string",
    create: None,
    parent: Some(by_string),
    attach: Some(|string| leak(&Region::import(string).unwrap())),
};

/// Under a name, by the standard library's command, which then forks.
pub const BY_STD: Way =
    Way { name: "heirloom, by std's Command", key: "std", create: None, parent: Some(by_std), attach: None };

const NAME: &str = "region";

fn create(size: usize, touch: &dyn Fn(*mut u8)) {
    let region = Region::create(size as u64).unwrap();
    let view = region.map().unwrap();
    touch(view.as_mut_ptr());
}

fn make(size: usize) -> (Region, Mapping) {
    let region = Region::create(size as u64).unwrap();
    let view = region.map().unwrap();
    (region, view)
}

fn leak(region: &Region) -> *mut u8 {
    let view = std::mem::ManuallyDrop::new(region.map().unwrap());
    view.as_mut_ptr()
}

fn by_name(size: usize) -> Parent {
    let (region, view) = make(size);
    let args = child_args(&BY_NAME, NAME);
    let memory = view.as_mut_ptr();
    let start = move || -> Running {
        let _ = &view;
        let mut command = Command::new(child());
        let mut child = command.args(&args).inherit(NAME, &region).unwrap().spawn().unwrap();
        Box::new(move || assert!(child.wait().unwrap().success()))
    };
    Parent { memory, start: Box::new(start) }
}

fn by_string(size: usize) -> Parent {
    let (region, view) = make(size);
    let exported = region.export_inheritable().unwrap();
    let args = child_args(&BY_STRING, exported.as_str());
    let memory = view.as_mut_ptr();
    let start = move || {
        let _ = (&view, &exported);
        running(std::process::Command::new(child()).args(&args).spawn().unwrap())
    };
    Parent { memory, start: Box::new(start) }
}

fn by_std(size: usize) -> Parent {
    let (region, view) = make(size);
    let args = child_args(&BY_NAME, NAME);
    let memory = view.as_mut_ptr();
    let start = move || {
        let _ = &view;
        let mut command = std::process::Command::new(child());
        running(command.args(&args).inherit(NAME, &region).unwrap().spawn().unwrap())
    };
    Parent { memory, start: Box::new(start) }
}
