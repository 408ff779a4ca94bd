//! Filling frozen memory from files and pipes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;

use heirloom::FrozenRegion;
use heirloom::os::linux::FrozenOptionsExt;
use memmap2::{Mmap, MmapMut, MmapOptions};
use rustix::fs::{MemfdFlags, memfd_create, sendfile};
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};

use super::Results;
use super::command::{HEIRLOOM, time_program};
use crate::table::{Table, size_label};
use heirloom_bench::measure::{Routine, routine, time};

/// The name of a method and the function that fills new memory from a file of that size.
type Method = (&'static str, fn(&File, usize) -> File);

/// Methods that the kernel offers. They don't seal the memory.
const METHODS: [Method; 8] = [
    ("sendfile", by_sendfile),
    ("splice", by_splice),
    ("read, write, 64 KiB", |file, _| by_write(file, 64 << 10)),
    ("read, write, 128 KiB", |file, _| by_write(file, 128 << 10)),
    ("read, write, 1 MiB", |file, _| by_write(file, 1 << 20)),
    ("map, write", by_map_and_write),
    ("map both, copy", |file, size| by_copy(file, size, false)),
    ("map both, populate, copy", |file, size| by_copy(file, size, true)),
];

/// The methods for the largest file: the fastest with smaller ones.
const METHODS_FOR_LARGEST: [&str; 4] = ["sendfile", "splice", "map, write", "two threads: map, write"];

/// Methods with two threads, where the kernel allows them.
const METHODS_OF_TWO_THREADS: [Method; 2] =
    [("two threads: map, write", by_two_writers), ("two threads: map both, copy", by_two_copiers)];

pub fn measure() -> Results {
    let mut results = Results::default();
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"));
    from_file(&mut results, &directory.join("source"));
    from_pipe(&mut results);
    results
}

/// Creates a file of that size whose bytes are in the page cache.
fn create_source(path: &Path, size: usize) -> File {
    let block: Vec<u8> = (0..1 << 20).map(|number: u32| number.to_le_bytes()[1] ^ number.to_le_bytes()[0]).collect();
    let mut file = File::create(path).unwrap();
    for _ in 0..size >> 20 {
        file.write_all(&block).unwrap();
    }
    // Otherwise the kernel would write the file back during the measurement.
    file.sync_all().unwrap();
    File::open(path).unwrap()
}

fn from_file(results: &mut Results, path: &Path) {
    let mut table = Table::new(
        "fill",
        "Fill from a file",
        "size",
        "The file is in the page cache. The first column is heirloom, which also seals the memory. The kernel methods \
         that the goals compare it with don't. copy_file_range is missing because it can't copy between file systems \
         (EXDEV).",
    );
    let shm = PathBuf::from("/dev/shm/heirloom-bench");
    for size in [1 << 20, 64 << 20, 1 << 30, 4 << 30] {
        let file = &create_source(path, size);
        let calls = u32::try_from((4 << 20) / size).unwrap().max(1);
        let ours = || {
            std::io::Seek::rewind(&mut &*file).unwrap();
            drop(FrozenRegion::from_file(file).unwrap());
        };
        let mut routines = vec![routine("heirloom, from_file", move || time(calls, ours))];
        routines.push(routine("heirloom, huge pages", move || {
            time(calls, || {
                std::io::Seek::rewind(&mut &*file).unwrap();
                drop(FrozenRegion::options().use_huge_pages(true).from_file(file).unwrap());
            })
        }));
        let methods = METHODS.iter().chain(&METHODS_OF_TWO_THREADS);
        for (name, fill) in methods.filter(|(name, _)| size <= 1 << 30 || METHODS_FOR_LARGEST.contains(name)) {
            routines.push(routine(name, move || time(calls, || drop(fill(file, size)))));
        }
        let (from, to) = (path.to_str().unwrap(), shm.to_str().unwrap());
        routines.push(routine("cp into /dev/shm", move || {
            let elapsed = time_program("cp", &[from, to]);
            std::fs::remove_file(to).unwrap();
            elapsed
        }));
        let frozen = format!("a={from}");
        routines.push(routine("heirloom run --frozen", move || {
            time_program(HEIRLOOM, &["run", "--frozen", &frozen, "--", "true"])
        }));
        table.add_row(size as f64, size_label(size as u64), routines);
    }
    std::fs::remove_file(path).unwrap();
    for (row, (_, size)) in table.rows.iter().enumerate() {
        let fastest = METHODS.iter().filter_map(|(name, _)| table.median(name, row)).min_by(f64::total_cmp);
        let ratio = table.median("heirloom, from_file", row).zip(fastest).map(|(ours, fastest)| ours / fastest);
        let metric = format!("fill from a file of {size}, ratio to the fastest kernel method");
        let reason = "the host of a virtual machine takes free memory back, and whoever gets it next pays for that: bare \
                      sendfile varies as much";
        results.at_most(metric, 1.05, ratio, reason);
    }
    results.tables.push(table);
}

/// Starts a thread that writes `size` bytes to a pipe, 1 MiB at a time.
fn start_writer(size: usize) -> (OwnedFd, thread::JoinHandle<()>) {
    let (reader, writer) = pipe().unwrap();
    let thread = thread::spawn(move || {
        let block = vec![7; size.min(1 << 20)];
        let mut writer = File::from(writer);
        (0..size / block.len()).for_each(|_| writer.write_all(&block).unwrap());
    });
    (reader, thread)
}

/// Measures reading a pipe to its end.
fn drain(size: usize, fill: impl Fn(&File)) -> f64 {
    let (reader, thread) = start_writer(size);
    let elapsed = time(1, || fill(&File::from(reader.try_clone().unwrap())));
    drop(reader);
    thread.join().unwrap();
    elapsed
}

fn from_pipe(results: &mut Results) {
    let mut table = Table::new(
        "pipe",
        "Fill from a pipe",
        "size",
        "Another thread writes to the pipe. heirloom also seals the memory.",
    );
    for size in [1 << 20, 64 << 20, 1 << 30] {
        let routines: Vec<Routine> = vec![
            routine("heirloom, from_file", || drain(size, |pipe| drop(FrozenRegion::from_file(pipe).unwrap()))),
            routine("heirloom, from_reader", || drain(size, |pipe| drop(FrozenRegion::from_reader(pipe).unwrap()))),
            routine("read, write, 64 KiB", || drain(size, |pipe| drop(by_write(pipe, 64 << 10)))),
            routine("read, write, 128 KiB", || drain(size, |pipe| drop(by_write(pipe, 128 << 10)))),
            routine("splice", || drain(size, |pipe| drop(by_splice_from_pipe(pipe.as_fd(), size)))),
        ];
        table.add_row(size as f64, size_label(size as u64), routines);
    }
    let last = table.rows.len() - 1;
    let methods = ["read, write, 64 KiB", "read, write, 128 KiB", "splice"].map(|name| table.median(name, last));
    let fastest = methods.into_iter().flatten().min_by(f64::total_cmp);
    let ratio = table.median("heirloom, from_file", last).zip(fastest).map(|(ours, fastest)| ours / fastest);
    let reason =
        "both make the same system calls; the scheduler decides how the writer and the reader share the processors";
    let metric = format!("fill from a pipe, {}, ratio to the fastest kernel method", table.rows[last].1);
    results.at_most(metric, 1.05, ratio, reason);
    results.tables.push(table);
}

fn new_memory() -> File {
    memfd_create("methods", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap().into()
}

fn by_sendfile(file: &File, _size: usize) -> File {
    let (memory, mut from) = (new_memory(), 0);
    while sendfile(&memory, file, Some(&mut from), 1 << 30).unwrap() > 0 {}
    memory
}

fn by_splice(file: &File, size: usize) -> File {
    let (memory, mut from) = (new_memory(), 0);
    let (reader, writer) = pipe().unwrap();
    fcntl_setpipe_size(&writer, 1 << 20).unwrap();
    while from < size as u64 {
        let mut remaining = splice(file, Some(&mut from), &writer, None, 1 << 20, SpliceFlags::MOVE).unwrap();
        while remaining > 0 {
            remaining -= splice(&reader, None, &memory, None, remaining, SpliceFlags::MOVE).unwrap();
        }
    }
    memory
}

fn by_splice_from_pipe(from: std::os::fd::BorrowedFd<'_>, _size: usize) -> File {
    let memory = new_memory();
    while splice(from, None, &memory, None, 1 << 20, SpliceFlags::MOVE).unwrap() > 0 {}
    memory
}

fn by_write(file: &File, block: usize) -> File {
    let (mut memory, mut buffer) = (new_memory(), vec![0; block]);
    let mut file = file;
    // Fails for a pipe, which has no position.
    let _ = std::io::Seek::rewind(&mut file);
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return memory,
            read => memory.write_all(&buffer[..read]).unwrap(),
        }
    }
}

fn map_source(file: &File) -> Mmap {
    // SAFETY: Only this program has the file, and it doesn't change it while it is mapped.
    unsafe { MmapOptions::new().populate().map(file) }.unwrap()
}

fn by_map_and_write(file: &File, _size: usize) -> File {
    let mut memory = new_memory();
    memory.write_all(&map_source(file)).unwrap();
    memory
}

fn map_both(file: &File, size: usize, populate: bool) -> (File, Mmap, MmapMut) {
    let memory = new_memory();
    memory.set_len(size as u64).unwrap();
    let mut options = MmapOptions::new();
    if populate {
        options.populate();
    }
    // SAFETY: Only this function has the memory, and it doesn't truncate it.
    let view = unsafe { options.map_mut(&memory) }.unwrap();
    (memory, map_source(file), view)
}

fn by_copy(file: &File, size: usize, populate: bool) -> File {
    let (memory, from, mut to) = map_both(file, size, populate);
    to.copy_from_slice(&from);
    memory
}

fn by_two_writers(file: &File, size: usize) -> File {
    let (memory, from) = (new_memory(), map_source(file));
    let (first, second) = from.split_at(size / 2);
    thread::scope(|scope| {
        let write = |bytes, at| std::os::unix::fs::FileExt::write_all_at(&memory, bytes, at).unwrap();
        scope.spawn(move || write(first, 0));
        write(second, (size / 2) as u64);
    });
    memory
}

fn by_two_copiers(file: &File, size: usize) -> File {
    let (memory, from, mut to) = map_both(file, size, false);
    let (first, second) = from.split_at(size / 2);
    let (to_first, to_second) = to.split_at_mut(size / 2);
    thread::scope(|scope| {
        scope.spawn(|| to_first.copy_from_slice(first));
        to_second.copy_from_slice(second);
    });
    memory
}
