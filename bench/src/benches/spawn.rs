//! Starting children with shared memory.

use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use heirloom::Region;

use super::Results;
use crate::table::Table;
use crate::worker::Worker;
use heirloom_bench::candidates::{
    CONFINED, Running, by_key, can_confine, child_program, is_installed, spawn_by_system_calls,
};
use heirloom_bench::measure::{Routine, routine, time};

/// Starts a Python worker that uses `ballast` bytes, if Python is installed.
pub fn start_python(ballast: usize) -> Option<Worker> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/worker.py");
    let is_installed =
        Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    is_installed.then(|| Worker::start(Command::new("python3").arg(script).arg(ballast.to_string())))
}

pub fn measure() -> Results {
    let mut results = Results::default();
    by_parent_memory(&mut results);
    by_region_count(&mut results);
    by_child_count(&mut results);
    confined(&mut results);
    results
}

/// Starts a worker that uses `size` bytes and starts children.
fn start_parent(size: usize) -> Worker {
    Worker::start(Command::new(std::env::current_exe().unwrap()).args(["parent", &size.to_string()]))
}

/// Returns the routines in which `parent` starts children by the candidates with those keys.
fn routines<'a>(parent: &'a Worker, keys: &[&'static str]) -> Vec<Routine<'a>> {
    keys.iter().map(|key| routine(by_key(key).name, || parent.request(key))).collect()
}

fn by_parent_memory(results: &mut Results) {
    let mut table = Table::new(
        "spawn",
        "Spawn a child that maps 1 MiB, writes a byte and exits",
        "memory used by the parent",
        "The system calls are posix_spawn in the parent, and F_DUPFD_CLOEXEC, fstat, F_GET_SEALS and mmap in the \
         child. Candidates that fork copy the parent's page tables, so they are measured after the others and in \
         separate parents.",
    );
    for gibibytes in [0, 1, 4, 8] {
        let size = gibibytes << 30;
        let label = if gibibytes == 0 { "minimal".to_owned() } else { format!("{gibibytes} GiB") };
        // A logarithmic axis has no zero; a small program uses about 4 MiB.
        let position = (size as f64).max(4e6);
        table.add_row(
            position,
            label,
            routines(&start_parent(size), &["system_calls", "name", "string", "c", "shared_memory", "ipc"]),
        );
        table.extend_row(routines(&start_parent(size), &["std", "crates"]));
        // NSPR reaps every child of its process, so it gets a parent of its own.
        if is_installed(by_key("nspr")) {
            table.extend_row(routines(&start_parent(size), &["nspr"]));
        }
        if let Some(python) = start_python(size) {
            table.extend_row(vec![routine("Python multiprocessing", || python.request("spawn"))]);
        }
    }
    let largest = table.rows.len() - 1;
    let ours = "heirloom, by name";
    results.at_most(
        "spawn with a region from a parent that uses 8 GiB, ratio to posix_spawn",
        1.05,
        table.ratio(ours, "system calls", largest),
        "about 10 µs each for attaching in the child and for preparing the command, of a millisecond",
    );
    let growth = table.median(ours, largest).zip(table.median(ours, 0)).map(|(large, small)| large / small);
    results.at_most("spawn with a region from a parent that uses 8 GiB, ratio to a minimal parent", 1.1, growth, "");
    results.tables.push(table);
}

fn by_region_count(results: &mut Results) {
    let mut table = Table::new(
        "regions",
        "Spawn a child, by number of regions",
        "regions",
        "The child exits immediately, so the times show the work of the parent and the kernel for each region.",
    );
    let regions: Vec<_> = (0..500).map(|_| Region::create(4096).unwrap()).collect();
    let names: Vec<_> = (0..500).map(|number| format!("region-{number}")).collect();
    let counts = [1, 2, 5, 10, 20, 50, 100, 200, 500];
    for count in counts {
        let numbers: Vec<_> = regions[..count].iter().map(|region| region.as_fd().as_raw_fd()).collect();
        let ours = || {
            let mut command = heirloom::Command::new(child_program());
            for (name, region) in names.iter().zip(&regions[..count]) {
                command.inherit(name, region).unwrap();
            }
            assert!(command.status().unwrap().success());
        };
        let crates = || {
            let mapping = |(region, child_fd): (&Region, i32)| FdMapping {
                parent_fd: region.as_fd().try_clone_to_owned().unwrap(),
                child_fd,
            };
            let mut command = Command::new(child_program());
            command.fd_mappings(regions[..count].iter().zip(3..).map(mapping).collect()).unwrap();
            assert!(command.status().unwrap().success());
        };
        let routines = vec![
            routine("system calls", || time(1, || spawn_by_system_calls(&[], &numbers)())),
            routine("heirloom, by name", || time(1, ours)),
            routine("command-fds", || time(1, crates)),
        ];
        table.add_row(count as f64, count.to_string(), routines);
    }
    let last = counts.len() - 1;
    let per_region = |name: &str| {
        let difference = table.median(name, last)? - table.median(name, 0)?;
        Some(difference / 1e3 / (counts[last] - counts[0]) as f64)
    };
    results.at_most("each additional inherited region, in µs", 3.0, per_region("heirloom, by name"), "");
    let ratio = table.ratio("heirloom, by name", "system calls", last);
    results.at_most("spawn with 500 regions, ratio to posix_spawn", 1.08, ratio, "");
    results.tables.push(table);
}

fn by_child_count(results: &mut Results) {
    let mut table = Table::new(
        "children",
        "Concurrent children that share one region",
        "children",
        "Time per child. The parent starts all children, then waits for all. Each child maps 1 MiB and writes a byte.",
    );
    let mut parents: Vec<_> = ["system_calls", "name", "std", "c", "crates", "shared_memory"]
        .map(|key| (by_key(key).name, by_key(key).parent.expect("the candidate can start children")(1 << 20)))
        .into();
    for count in [1_u32, 5, 20, 50, 100, 200] {
        let routines = parents.iter_mut().map(|(name, parent)| {
            let start = &mut parent.start;
            let mut all = move || {
                let running: Vec<Running> = (0..count).map(|_| start()).collect();
                for wait in running {
                    wait();
                }
            };
            routine(name, move || time(1, &mut all) / f64::from(count))
        });
        table.add_row(f64::from(count), count.to_string(), routines.collect());
    }
    results.tables.push(table);
}

fn confined(results: &mut Results) {
    let mut table = Table::new(
        "confined",
        "Spawn a confined child",
        "memory used by the parent",
        "The child exits immediately and inherits no region. By `confine` it can't reach the memory of other processes, by \
         `confine_to` no files either but its program and libraries. A command is prepared for each child, or once for all. \
         `bwrap` gives the child namespaces of its own for process ids and the network, and all files for reading.",
    );
    let keys: Vec<_> =
        CONFINED.iter().filter(|candidate| can_confine(candidate)).map(|candidate| candidate.key).collect();
    for gibibytes in [0, 1] {
        let size = gibibytes << 30;
        let label = if gibibytes == 0 { "minimal".to_owned() } else { format!("{gibibytes} GiB") };
        table.add_row(size as f64, label, routines(&start_parent(size), &keys));
    }
    for column in ["heirloom, confine", "heirloom, confine_to"] {
        let metric = format!("{column}: confined spawn, ratio to a spawn without");
        results.at_most(metric, 1.25, table.ratio(column, "heirloom", 0), "");
    }
    results.tables.push(table);
}
