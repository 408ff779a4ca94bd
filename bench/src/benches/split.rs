//! A filter's workers, fed from standard input.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use heirloom_bench::measure::{routine, time};

use super::Results;
use super::command::HEIRLOOM;
use crate::table::Table;

/// The size of the input, about.
const INPUT: usize = 64 << 20;
const JOBS: &str = "2";

pub fn measure() -> Results {
    let mut results = Results::default();
    let mut table = Table::new(
        "split",
        "Feed a filter's workers from standard input",
        "",
        "Time until 64 MiB of lines, most of them 20 to 120 bytes long, went from a pipe through two workers at a time and in order \
         into another pipe. parallel is GNU parallel, which also starts a process for each block.",
    );
    let path = PathBuf::from(format!("/dev/shm/heirloom-lines-{}", std::process::id()));
    write_lines(&path);
    for (index, (size, filter)) in
        [("256K", "wc -l"), ("1M", "wc -l"), ("10M", "wc -l"), ("1M", "tr a-z A-Z"), ("10M", "tr a-z A-Z")]
            .into_iter()
            .enumerate()
    {
        let words: Vec<&str> = filter.split(' ').collect();
        let heirloom = [&["run", "--split", size, "--jobs", JOBS, "--"], &words[..]].concat();
        let parallel =
            [&["--will-cite", "--pipe", "--keep-order", "--block", size, "--jobs", JOBS], &words[..]].concat();
        let mut routines = vec![routine("heirloom run --split", || through(&path, HEIRLOOM, &heirloom))];
        if is_gnu_parallel() {
            routines.push(routine("parallel --pipe", || through(&path, "parallel", &parallel)));
        }
        table.add_row(index as f64, format!("{filter}, blocks of {size}"), routines);
        let metric = format!("split: {filter} by {size}, parallel to heirloom");
        results.at_least(metric, 1.0, table.ratio("parallel --pipe", "heirloom run --split", index), "");
    }
    std::fs::remove_file(path).unwrap();
    results.tables.push(table);
    results
}

fn write_lines(path: &Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let (mut written, mut number) = (0, 0_usize);
    while written < INPUT {
        let line = format!("{number} {}\n", "x".repeat(20 + number * number % 101));
        file.write_all(line.as_bytes()).unwrap();
        written += line.len();
        number += 1;
    }
    file.flush().unwrap();
}

/// Passes a file through a program, from one pipe into another, and returns the nanoseconds.
fn through(path: &Path, program: &str, args: &[&str]) -> f64 {
    time(1, || {
        let mut from = Command::new("cat").arg(path).stdout(Stdio::piped()).spawn().unwrap();
        let input = from.stdout.take().unwrap();
        let mut filter = Command::new(program).args(args).stdin(input).stdout(Stdio::piped()).spawn().unwrap();
        let output = filter.stdout.take().unwrap();
        let mut to = Command::new("cat").stdin(output).stdout(Stdio::null()).spawn().unwrap();
        for process in [&mut from, &mut filter, &mut to] {
            assert!(process.wait().unwrap().success());
        }
    })
}

/// Returns whether `parallel` is installed, and GNU's; moreutils has another.
fn is_gnu_parallel() -> bool {
    let version = Command::new("parallel").arg("--version").output();
    version.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains("GNU parallel"))
}
