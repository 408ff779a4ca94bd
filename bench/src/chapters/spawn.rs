//! Starting children with memory.

use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use heirloom::Region;

use super::Findings;
use crate::sheet::Sheet;
use crate::worker::Worker;
use heirloom_bench::measure::{Candidate, candidate, time};
use heirloom_bench::ways::{Running, bare_spawn, child, is_there, way};

/// A Python that does what it is told, or none where there is none.
pub fn python(ballast: usize) -> Option<Worker> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/worker.py");
    let there =
        Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    there.then(|| Worker::start(Command::new("python3").arg(script).arg(ballast.to_string())))
}

pub fn measure() -> Findings {
    let mut findings = Findings::default();
    by_memory(&mut findings);
    by_regions(&mut findings);
    by_children(&mut findings);
    findings
}

/// A process of that size that starts children.
fn parent(size: usize) -> Worker {
    Worker::start(Command::new(std::env::current_exe().unwrap()).args(["parent", &size.to_string()]))
}

/// The ways of those keys, by that parent.
fn by<'a>(parent: &'a Worker, keys: &[&'static str]) -> Vec<Candidate<'a>> {
    keys.iter().map(|key| candidate(way(key).name, || parent.order(key))).collect()
}

fn by_memory(findings: &mut Findings) {
    let mut sheet = Sheet::new(
        "spawn",
        "Spawn a child that maps 1 MiB, writes a byte and exits",
        "memory that the parent uses",
        "The bare calls are posix_spawn of a child that duplicates, looks at and maps a memfd. What forks copies the parent's \
         page tables first, and so is measured after the others, in parents of its own.",
    );
    for gibibytes in [0, 1, 4, 8] {
        let size = gibibytes << 30;
        let label = if gibibytes == 0 { "almost none".to_owned() } else { format!("{gibibytes} GiB") };
        // On the axis, none is where a small program is: at 4 MiB.
        let place = (size as f64).max(4e6);
        sheet.row(place, label, by(&parent(size), &["bare", "name", "string", "c", "shared_memory", "ipc"]));
        sheet.more(by(&parent(size), &["std", "crates"]));
        // It reaps every child of its process, also those of others.
        if is_there(way("nspr")) {
            sheet.more(by(&parent(size), &["nspr"]));
        }
        if let Some(python) = python(size) {
            sheet.more(vec![candidate("Python multiprocessing", || python.order("spawn"))]);
        }
    }
    let large = sheet.places.len() - 1;
    let ours = "heirloom, by name";
    findings.at_most(
        "spawn with a region, parent of 8 GiB, to bare posix_spawn",
        1.05,
        sheet.ratio(ours, "bare calls", large),
        "of a millisecond, some 10 µs are the child's first steps, 10 the command's putting together",
    );
    let growth = sheet.median(ours, large).zip(sheet.median(ours, 0)).map(|(large, small)| large / small);
    findings.at_most("the same to a small parent", 1.1, growth, "");
    findings.sheets.push(sheet);
}

fn by_regions(findings: &mut Findings) {
    let mut sheet = Sheet::new(
        "regions",
        "Spawn a child with more and more regions",
        "regions",
        "The child does nothing and exits: this is what the parent and the kernel do for each region.",
    );
    let regions: Vec<_> = (0..500).map(|_| Region::create(4096).unwrap()).collect();
    let names: Vec<_> = (0..500).map(|number| format!("region-{number}")).collect();
    let counts = [1, 2, 5, 10, 20, 50, 100, 200, 500];
    for count in counts {
        let numbers: Vec<_> = regions[..count].iter().map(|region| region.as_fd().as_raw_fd()).collect();
        let ours = || {
            let mut command = heirloom::Command::new(child());
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
            let mut command = Command::new(child());
            command.fd_mappings(regions[..count].iter().zip(3..).map(mapping).collect()).unwrap();
            assert!(command.status().unwrap().success());
        };
        let candidates = vec![
            candidate("bare calls", || time(1, || bare_spawn(&[], &numbers)())),
            candidate("heirloom, by name", || time(1, ours)),
            candidate("command-fds", || time(1, crates)),
        ];
        sheet.row(count as f64, count.to_string(), candidates);
    }
    let last = counts.len() - 1;
    let further = |name: &str| {
        let further = sheet.median(name, last)? - sheet.median(name, 0)?;
        Some(further / 1e3 / (counts[last] - counts[0]) as f64)
    };
    findings.at_most("each further region handed down, in µs", 3.0, further("heirloom, by name"), "");
    findings.sheets.push(sheet);
}

fn by_children(findings: &mut Findings) {
    let mut sheet = Sheet::new(
        "children",
        "Children at once that share one region",
        "children",
        "All are started, and then waited for; for each child. Each maps 1 MiB and writes a byte.",
    );
    let mut parents: Vec<_> = ["bare", "name", "std", "c", "crates", "shared_memory"]
        .map(|key| (way(key).name, way(key).parent.expect("parents")(1 << 20)))
        .into();
    for count in [1_u32, 5, 20, 50, 100, 200] {
        let candidates = parents.iter_mut().map(|(name, parent)| {
            let start = &mut parent.start;
            let mut all = move || {
                let running: Vec<Running> = (0..count).map(|_| start()).collect();
                for wait in running {
                    wait();
                }
            };
            candidate(name, move || time(1, &mut all) / f64::from(count))
        });
        sheet.row(f64::from(count), count.to_string(), candidates.collect());
    }
    findings.sheets.push(sheet);
}
