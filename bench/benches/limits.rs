//! heirloom beside the bare system calls: `cargo bench`.

#![allow(unsafe_code, missing_docs)]

use std::process::Command;
use std::ptr;

use heirloom::Region;
use heirloom_bench::{Worker, compare, time};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// What the large parent holds, in bytes.
const LARGE: usize = 4 << 30;

fn main() {
    if let Some(size) = std::env::args().skip_while(|arg| arg != "parent").nth(1) {
        return parent(size.parse().unwrap());
    }
    for size in [4 << 10, 1 << 20, 64 << 20] {
        create(size);
    }
    spawn();
}

fn touch(start: *mut u8, size: usize) {
    for offset in (0..size).step_by(4096) {
        // SAFETY: Inside a mapping of that size that nobody else uses.
        unsafe { start.add(offset).write_volatile(1) };
    }
}

fn create(size: usize) {
    let calls = u32::try_from((8 << 20) / size.max(64 << 10)).unwrap().max(1);
    let title = format!("create, map, touch, unmap, close {} KiB: ratio to the bare calls", size >> 10);
    let bare = |seals| time(calls, || bare_create(size, seals));
    let ours = || {
        time(calls, || {
            let region = Region::create(size as u64).unwrap();
            let view = region.map().unwrap();
            touch(view.as_mut_ptr(), size);
        })
    };
    compare(
        &title,
        300,
        &mut [
            ("memfd_create, ftruncate, mmap", Box::new(|| bare(SealFlags::empty()))),
            ("the same, with the seals of a region", Box::new(|| bare(SealFlags::SHRINK | SealFlags::GROW))),
            ("Region::create, map", Box::new(ours)),
        ],
    );
}

fn bare_create(size: usize, seals: SealFlags) {
    let fd = memfd_create("bare", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&fd, size as u64).unwrap();
    if !seals.is_empty() {
        fcntl_add_seals(&fd, seals).unwrap();
    }
    // SAFETY: The kernel chooses the address, and nobody uses it after the unmapping.
    unsafe {
        let start = mmap(ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &fd, 0).unwrap();
        touch(start.cast(), size);
        munmap(start, size).unwrap();
    }
}

/// This program, as a parent of that size.
fn parent_of_size(size: usize) -> Worker {
    Worker::start(Command::new(std::env::current_exe().unwrap()).args(["parent", &size.to_string()]))
}

fn parent(size: usize) {
    let ballast = vec![1_u8; size];
    let region = Region::create(1 << 20).unwrap();
    for how in std::io::stdin().lines() {
        let spent = match how.unwrap().as_str() {
            "bare" => time(1, bare_spawn),
            "heirloom" => time(1, || {
                let mut command = heirloom::Command::new("/bin/true");
                command.inherit("region", &region).unwrap().status().unwrap();
            }),
            "fork" => time(1, || {
                let mut command = Command::new("/bin/true");
                heirloom::os::unix::InheritExt::inherit(&mut command, "region", &region).unwrap().status().unwrap();
            }),
            how => panic!("{how}"),
        };
        println!("{spent}");
    }
    drop(ballast);
}

fn bare_spawn() {
    unsafe extern "C" {
        static environ: *const *mut libc::c_char;
    }
    let args = [c"/bin/true".as_ptr().cast_mut(), ptr::null_mut()];
    let (mut pid, mut status) = (0, 0);
    // SAFETY: Whole strings, lists that end with their null, and a child that is waited for once.
    unsafe {
        let program = c"/bin/true".as_ptr();
        let code = libc::posix_spawn(&raw mut pid, program, ptr::null(), ptr::null(), args.as_ptr(), environ);
        assert_eq!(code, 0);
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
    }
}

fn spawn() {
    let (small, large) = (parent_of_size(0), parent_of_size(LARGE));
    let title = "spawn and wait for /bin/true: ratio to the bare posix_spawn";
    compare(
        title,
        300,
        &mut [
            ("posix_spawn", Box::new(|| small.order("bare"))),
            ("Command with a region", Box::new(|| small.order("heirloom"))),
        ],
    );
    let title = format!("the same in a parent of {} GiB: ratio to a small parent", LARGE >> 30);
    compare(
        &title,
        300,
        &mut [
            ("Command with a region, small parent", Box::new(|| small.order("heirloom"))),
            ("Command with a region, large parent", Box::new(|| large.order("heirloom"))),
            ("posix_spawn, large parent", Box::new(|| large.order("bare"))),
        ],
    );
    compare(
        "the same by std::process::Command, which forks: ratio to the small parent",
        10,
        &mut [
            ("std with a region, small parent", Box::new(|| small.order("fork"))),
            ("std with a region, large parent", Box::new(|| large.order("fork"))),
        ],
    );
}
