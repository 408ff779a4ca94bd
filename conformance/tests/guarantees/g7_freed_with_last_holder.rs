//! G7, freed with the last holder: parents and children are killed at random moments, and no memory stays allocated.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use heirloom_conformance::{Chance, rounds};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::CHILD;

/// The size of each parent's region in bytes.
const SIZE: u64 = 8 << 20;

/// The shared memory of the whole system in KiB (`Shmem`).
fn shared_memory() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let line = meminfo.lines().find_map(|line| line.strip_prefix("Shmem:")).unwrap();
    line.split_ascii_whitespace().next().unwrap().parse().unwrap()
}

/// The number of threads that start and kill processes.
const THREADS: usize = 2;

/// The name of a thread's regions. Without a thread's number, the part that the names of all threads share.
fn name(thread: &str) -> String {
    format!("killed-{}-{thread}", std::process::id())
}

/// The processes that hold or map a region whose name contains `name`.
fn holders(name: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    // Numbers only: `self` is a second path to one of them.
    let processes = processes.filter(|path| path.to_string_lossy().ends_with(|end: char| end.is_ascii_digit()));
    let name = format!("heirloom/{name}");
    let holds = |process: &std::path::Path| {
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let mut links = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
        let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
        links.any(|link| link.to_string_lossy().contains(&name)) || maps.contains(&name)
    };
    processes.filter(|process| holds(process)).map(|process| process.display().to_string()).collect()
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

/// Starts parents and their children, and kills them at random moments. Returns whether `holders` found both processes
/// in one round.
fn kill_at_random(rounds: usize, seed: u64, name: &str) -> bool {
    let mut chance = Chance::new(seed);
    let mut found = false;
    for _ in 0..rounds {
        // A process group, to kill the child if it outlives its parent.
        let mut command = Command::new(CHILD);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut parent = command
            .args(["fill-and-hold", name, &SIZE.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let wait_for_child = chance.below(3) > 0;
        let mut line = String::new();
        if wait_for_child {
            BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
        }
        // The control: `holders` finds both processes while they run.
        if wait_for_child && !found {
            found = holders(name).len() == 2;
        }
        let moment = Instant::now() + Duration::from_micros(chance.below(3000) as u64);
        while Instant::now() < moment {
            thread::yield_now();
        }
        // Kills the child, the parent, both or neither.
        let child = line.trim().parse().ok().filter(|_| chance.below(2) == 0);
        if let Some(child) = child {
            let _ = kill_process(pid(child), Signal::KILL);
        }
        if chance.below(2) == 0 {
            let _ = kill_process(pid(parent.id()), Signal::KILL);
        }
        // Kills the rest of the group.
        let _ = kill_process_group(pid(parent.id()), Signal::KILL);
        parent.wait().unwrap();
    }
    found
}

#[test]
fn g7_memory_is_freed_when_last_holder_is_killed() {
    let before = shared_memory();
    assert_eq!(holders(&name("")), Vec::<String>::new());
    // Threads, because each one mostly waits for its processes.
    thread::scope(|scope| {
        let threads: Vec<_> = (1..=THREADS)
            .map(|number| {
                let (rounds, seed) = (rounds(150, 10_000) / THREADS, 6 + number as u64);
                scope.spawn(move || kill_at_random(rounds, seed, &name(&number.to_string())))
            })
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    });
    let end = Instant::now() + Duration::from_secs(60);
    // The kernel may still be freeing the last region.
    while !holders(&name("")).is_empty() || shared_memory() > before + SIZE / 1024 / 2 {
        assert!(Instant::now() < end, "{:?} {} {before}", holders(&name("")), shared_memory());
        thread::yield_now();
    }
}

#[test]
fn g7_mapping_keeps_memory_alive() {
    let region = heirloom::Region::options().name(name("mapped")).create(SIZE).unwrap();
    let view = region.map().unwrap();
    drop(region);
    assert_eq!(holders(&name("mapped")).len(), 1);
    view.write_at(view.len() - 4, b"here").unwrap();
    drop(view);
    assert_eq!(holders(&name("mapped")), Vec::<String>::new());
}
