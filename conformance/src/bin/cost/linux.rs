//! Runs one operation, for the tests that count its cost: the system calls between two marks, which are calls that
//! nothing else makes, or the instructions in a function of the operation's name.

#![allow(missing_docs, unsafe_code)]

use std::fs::File;
use std::hint::black_box;
use std::io::Seek;

use heirloom::{Command, FrozenRegion, Region, SharedBytes};

/// The number of times that an operation repeats while its instructions are counted.
const TIMES: usize = 1000;

pub(super) fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["nothing"] => {}
        ["create"] => twice(|| marked(|| drop(Region::create(4096).unwrap().map().unwrap()))),
        ["spawn"] => spawn(&[]),
        ["spawn", name] => spawn(&[name]),
        ["spawn", one, other] => spawn(&[one, other]),
        ["attach-children"] => {
            let region = Region::create(4096).unwrap();
            let exported = region.export_inheritable().unwrap();
            let program = std::env::current_exe().unwrap();
            let by_name =
                Command::new(&program).args(["attach", "region"]).inherit("region", &region).unwrap().status().unwrap();
            let mut importing = std::process::Command::new(program);
            let by_string = importing.args(["import", exported.as_str()]).status().unwrap();
            assert!(by_name.success() && by_string.success());
        }
        ["attach", name] => marked(|| drop(Region::inherited(name).unwrap().map().unwrap())),
        ["import", string] => marked(|| drop(Region::import(string).unwrap().map().unwrap())),
        ["fill", path] => {
            let mut file = File::open(path).unwrap();
            twice(|| {
                file.rewind().unwrap();
                marked(|| drop(FrozenRegion::from_file(&file).unwrap()));
            });
        }
        [access, size] => count(access, size.parse().unwrap()),
        _ => panic!("unknown sub-command: {args:?}"),
    }
}

/// Runs an operation twice, because the first run includes one-time initialization.
fn twice(mut operation: impl FnMut()) {
    operation();
    operation();
}

/// Starts a child that inherits regions under those names.
fn spawn(names: &[&str]) {
    let regions: Vec<_> = names.iter().map(|_| Region::create(4096).unwrap()).collect();
    twice(|| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("nothing");
        let mut child = marked(|| {
            for (name, region) in names.iter().zip(&regions) {
                command.inherit(name, region).unwrap();
            }
            command.spawn().unwrap()
        });
        child.wait().unwrap();
    });
}

/// Runs an operation between two marks, which are calls that strace shows.
fn marked<T>(operation: impl FnOnce() -> T) -> T {
    let mark = || {
        // SAFETY: The argument is an integer, and no memory is accessed.
        unsafe { libc::getpgid(0) };
    };
    mark();
    let result = operation();
    mark();
    result
}

fn count(access: &str, size: usize) {
    let view = Region::create(1 << 16).unwrap().map().unwrap();
    let mut own = vec![0; size];
    match access {
        "read_at" => counted_read_at(&view, &mut own),
        "write_at" => counted_write_at(&view, &own),
        "load" => {
            counted_load(&view, size);
        }
        "store" => counted_store(&view, size),
        "fetch_add" => counted_fetch_add(&view, size),
        _ => panic!("unknown access: {access}"),
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "Rust" fn counted_read_at(bytes: &SharedBytes, own: &mut [u8]) {
    for _ in 0..TIMES {
        black_box(bytes).read_at(0, black_box(own)).unwrap();
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "Rust" fn counted_write_at(bytes: &SharedBytes, own: &[u8]) {
    for _ in 0..TIMES {
        black_box(bytes).write_at(0, black_box(own)).unwrap();
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "Rust" fn counted_load(bytes: &SharedBytes, numbers: usize) -> u64 {
    (0..TIMES).map(|_| (0..numbers).map(|at| bytes.load_u64(at * 8).unwrap()).sum::<u64>()).sum()
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "Rust" fn counted_store(bytes: &SharedBytes, numbers: usize) {
    for round in 0..TIMES as u64 {
        (0..numbers).for_each(|at| bytes.atomic_u64(at * 8).unwrap().store(round));
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "Rust" fn counted_fetch_add(bytes: &SharedBytes, numbers: usize) {
    for _ in 0..TIMES {
        for at in 0..numbers {
            bytes.atomic_u64(at * 8).unwrap().fetch_add(1);
        }
    }
}
