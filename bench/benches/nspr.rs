//! The C library beside the bare system calls and the real NSPR: `cargo bench --bench nspr`, which takes 8 GiB.

#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;

use heirloom_bench::{Candidate, Worker, compare};

/// What the large parent uses, in bytes.
const LARGE: usize = 4 << 30;

/// The real NSPR, where it is installed.
const NSPR: &str = "libnspr4.so";

fn main() {
    let (program, heirloom) = (compile(), library());
    let heirloom = heirloom.to_str().unwrap();
    let nspr = Path::new("/usr/include/nspr").exists();
    if !nspr {
        println!("NSPR is not installed (Debian: libnspr4-dev)");
    }
    for size in [0, LARGE] {
        let parent = || Worker::start(Command::new(&program).arg(size.to_string()));
        let ours = parent();
        let title =
            format!("PR_CreateProcess, PR_WaitProcess in a C program of {} GiB: ratio to the bare calls", size >> 30);
        let candidates: &mut [Candidate] = &mut [
            ("posix_spawn, waitpid", Box::new(|| ours.order("bare"))),
            ("heirloom", Box::new(|| ours.order(heirloom))),
        ];
        compare(&title, 300, candidates);
        if nspr {
            // NSPR reaps every child of its process, also those of others: it has one for itself.
            let theirs = parent();
            let candidates: &mut [Candidate] = &mut [
                ("posix_spawn, waitpid", Box::new(|| ours.order("bare"))),
                ("NSPR", Box::new(|| theirs.order(NSPR))),
            ];
            compare("the same by the real NSPR", 30, candidates);
        }
    }
}

fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

fn compile() -> PathBuf {
    let program = target().join("tmp/bench_parent");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/c/parent.c");
    let status =
        Command::new("cc").args(["-O2", "-Wall", "-Wextra", "-Werror", source, "-ldl", "-o"]).arg(&program).status();
    assert!(status.unwrap().success());
    program
}

/// Our library, as it is released.
fn library() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    let status =
        build.args(["build", "--locked", "--release", "-p", "heirloom-nspr", "--target-dir"]).arg(target()).status();
    assert!(status.unwrap().success());
    target().join("release/libheirloom_nspr.so")
}
