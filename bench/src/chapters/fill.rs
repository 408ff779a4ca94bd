//! Getting bytes into frozen memory.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;

use heirloom::FrozenRegion;
use memmap2::{Mmap, MmapMut, MmapOptions};
use rustix::fs::{MemfdFlags, memfd_create, sendfile};
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};

use super::Findings;
use super::command::{HEIRLOOM, run};
use crate::sheet::{Sheet, size_label};
use heirloom_bench::measure::{Candidate, candidate, time};

/// A name, and what fills new memory from a file of that size.
type Fill = (&'static str, fn(&File, usize) -> File);

/// The ways of the kernel that are tried, which leave what they filled as it is: unsealed.
const WAYS: [Fill; 8] = [
    ("sendfile", by_sendfile),
    ("splice", by_splice),
    ("read, write, 64 KiB", |file, _| by_write(file, 64 << 10)),
    ("read, write, 128 KiB", |file, _| by_write(file, 128 << 10)),
    ("read, write, 1 MiB", |file, _| by_write(file, 1 << 20)),
    ("map, write", by_mapped_source),
    ("map both, copy", |file, size| by_copy(file, size, false)),
    ("map both, populate, copy", |file, size| by_copy(file, size, true)),
];

/// Which of them are tried with the largest file: the best of those before.
const LARGE: [&str; 4] = ["sendfile", "splice", "map, write", "two threads: map, write"];

/// The same by two threads, where the kernel lets them.
const BY_TWO: [Fill; 2] = [("two threads: map, write", two_write), ("two threads: map both, copy", two_copy)];

pub fn measure() -> Findings {
    let mut findings = Findings::default();
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"));
    from_file(&mut findings, &directory.join("source"));
    from_pipe(&mut findings);
    findings
}

/// A file of that size whose bytes are in memory already.
fn source(path: &Path, size: usize) -> File {
    let block: Vec<u8> = (0..1 << 20).map(|number: u32| number.to_le_bytes()[1] ^ number.to_le_bytes()[0]).collect();
    let mut file = File::create(path).unwrap();
    for _ in 0..size >> 20 {
        file.write_all(&block).unwrap();
    }
    // What is still to be written would be, in the midst of it.
    file.sync_all().unwrap();
    File::open(path).unwrap()
}

fn from_file(findings: &mut Findings, path: &Path) {
    let mut sheet = Sheet::new(
        "fill",
        "Fill from a file",
        "size",
        "The file is in memory already. The first column is heirloom, which also seals; the ways of the kernel, which it is \
         measured by, don't. copy_file_range refuses to go from one file system to another (EXDEV).",
    );
    let shm = PathBuf::from("/dev/shm/heirloom-bench");
    for size in [1 << 20, 64 << 20, 1 << 30, 4 << 30] {
        let file = &source(path, size);
        let calls = u32::try_from((4 << 20) / size).unwrap().max(1);
        let ours = || {
            std::io::Seek::rewind(&mut &*file).unwrap();
            drop(FrozenRegion::from_file(file).unwrap());
        };
        let mut candidates = vec![candidate("heirloom, from_file", move || time(calls, ours))];
        for (name, fill) in WAYS.iter().chain(&BY_TWO).filter(|(name, _)| size <= 1 << 30 || LARGE.contains(name)) {
            candidates.push(candidate(name, move || time(calls, || drop(fill(file, size)))));
        }
        let (from, to) = (path.to_str().unwrap(), shm.to_str().unwrap());
        candidates.push(candidate("cp into /dev/shm", move || {
            let spent = run("cp", &[from, to]);
            std::fs::remove_file(to).unwrap();
            spent
        }));
        let frozen = format!("a={from}");
        candidates.push(candidate("heirloom run --frozen", move || {
            run(HEIRLOOM, &["run", "--frozen", &frozen, "--", "true"])
        }));
        sheet.row(size as f64, size_label(size as u64), candidates);
    }
    std::fs::remove_file(path).unwrap();
    for (row, (_, size)) in sheet.places.iter().enumerate() {
        let best = WAYS.iter().filter_map(|(name, _)| sheet.median(name, row)).min_by(f64::total_cmp);
        let ratio = sheet.median("heirloom, from_file", row).zip(best).map(|(ours, best)| ours / best);
        findings.at_most(format!("fill from a file of {size}, to the kernel's best"), 1.05, ratio, "");
    }
    findings.sheets.push(sheet);
}

/// What another thread writes into it, 1 MiB at a time.
fn pipe_of(size: usize) -> (OwnedFd, thread::JoinHandle<()>) {
    let (reader, writer) = pipe().unwrap();
    let writing = thread::spawn(move || {
        let block = vec![7; size.min(1 << 20)];
        let mut writer = File::from(writer);
        (0..size / block.len()).for_each(|_| writer.write_all(&block).unwrap());
    });
    (reader, writing)
}

/// How long it takes to empty a pipe.
fn drain(size: usize, fill: impl Fn(&File)) -> f64 {
    let (reader, writing) = pipe_of(size);
    let spent = time(1, || fill(&File::from(reader.try_clone().unwrap())));
    drop(reader);
    writing.join().unwrap();
    spent
}

fn from_pipe(findings: &mut Findings) {
    let mut sheet = Sheet::new(
        "pipe",
        "Fill from a pipe",
        "size",
        "Another thread writes into the pipe. The first column is heirloom, which also seals.",
    );
    for size in [1 << 20, 64 << 20, 1 << 30] {
        let candidates: Vec<Candidate> = vec![
            candidate("heirloom, from_file", || drain(size, |pipe| drop(FrozenRegion::from_file(pipe).unwrap()))),
            candidate("heirloom, from_reader", || drain(size, |pipe| drop(FrozenRegion::from_reader(pipe).unwrap()))),
            candidate("read, write, 64 KiB", || drain(size, |pipe| drop(by_write(pipe, 64 << 10)))),
            candidate("read, write, 128 KiB", || drain(size, |pipe| drop(by_write(pipe, 128 << 10)))),
            candidate("splice", || drain(size, |pipe| drop(spliced(pipe.as_fd(), size)))),
        ];
        sheet.row(size as f64, size_label(size as u64), candidates);
    }
    let last = sheet.places.len() - 1;
    let best = ["read, write, 64 KiB", "read, write, 128 KiB", "splice"].map(|name| sheet.median(name, last));
    let best = best.into_iter().flatten().min_by(f64::total_cmp);
    let ratio = sheet.median("heirloom, from_file", last).zip(best).map(|(ours, best)| ours / best);
    let why = "both make the same calls; writer and reader share the processors as the scheduler has it";
    findings.at_most(format!("fill from a pipe, {}, to the kernel's best", sheet.places[last].1), 1.05, ratio, why);
    findings.sheets.push(sheet);
}

fn memory() -> File {
    memfd_create("bare", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap().into()
}

fn by_sendfile(file: &File, _size: usize) -> File {
    let (memory, mut from) = (memory(), 0);
    while sendfile(&memory, file, Some(&mut from), 1 << 30).unwrap() > 0 {}
    memory
}

fn by_splice(file: &File, size: usize) -> File {
    let (memory, mut from) = (memory(), 0);
    let (reader, writer) = pipe().unwrap();
    fcntl_setpipe_size(&writer, 1 << 20).unwrap();
    while from < size as u64 {
        let mut there = splice(file, Some(&mut from), &writer, None, 1 << 20, SpliceFlags::MOVE).unwrap();
        while there > 0 {
            there -= splice(&reader, None, &memory, None, there, SpliceFlags::MOVE).unwrap();
        }
    }
    memory
}

fn spliced(from: std::os::fd::BorrowedFd<'_>, _size: usize) -> File {
    let memory = memory();
    while splice(from, None, &memory, None, 1 << 20, SpliceFlags::MOVE).unwrap() > 0 {}
    memory
}

fn by_write(file: &File, block: usize) -> File {
    let (mut memory, mut buffer) = (memory(), vec![0; block]);
    let mut file = file;
    // A pipe has no beginning.
    let _ = std::io::Seek::rewind(&mut file);
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return memory,
            read => memory.write_all(&buffer[..read]).unwrap(),
        }
    }
}

fn mapped(file: &File) -> Mmap {
    // SAFETY: Nobody changes the file.
    unsafe { MmapOptions::new().populate().map(file) }.unwrap()
}

fn by_mapped_source(file: &File, _size: usize) -> File {
    let mut memory = memory();
    memory.write_all(&mapped(file)).unwrap();
    memory
}

fn both_mapped(file: &File, size: usize, populate: bool) -> (File, Mmap, MmapMut) {
    let memory = memory();
    memory.set_len(size as u64).unwrap();
    let mut options = MmapOptions::new();
    if populate {
        options.populate();
    }
    // SAFETY: Nobody else has the memory.
    let view = unsafe { options.map_mut(&memory) }.unwrap();
    (memory, mapped(file), view)
}

fn by_copy(file: &File, size: usize, populate: bool) -> File {
    let (memory, from, mut to) = both_mapped(file, size, populate);
    to.copy_from_slice(&from);
    memory
}

fn two_write(file: &File, size: usize) -> File {
    let (memory, from) = (memory(), mapped(file));
    let (first, second) = from.split_at(size / 2);
    thread::scope(|scope| {
        let write = |bytes, at| std::os::unix::fs::FileExt::write_all_at(&memory, bytes, at).unwrap();
        scope.spawn(move || write(first, 0));
        write(second, (size / 2) as u64);
    });
    memory
}

fn two_copy(file: &File, size: usize) -> File {
    let (memory, from, mut to) = both_mapped(file, size, false);
    let (first, second) = from.split_at(size / 2);
    let (to_first, to_second) = to.split_at_mut(size / 2);
    thread::scope(|scope| {
        scope.spawn(|| to_first.copy_from_slice(first));
        to_second.copy_from_slice(second);
    });
    memory
}
