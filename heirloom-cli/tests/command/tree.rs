//! Tests of `ps --tree`, and of the shares that it sums.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::{HEIRLOOM, heirloom, stdout_of};

/// Ends the process if the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

/// The rows of a region: the id, the command with its indentation, the share and how it is held.
fn rows(table: &str, name: &str) -> Vec<[String; 4]> {
    let header = table.lines().next().unwrap();
    let column = |title| header.find(title).unwrap();
    let (names, commands, held) = (column("NAME"), column("COMMAND"), column("HELD"));
    let of_region = table.lines().skip_while(|line| !line.contains(name));
    let mut rows = Vec::new();
    for line in of_region {
        let cell = |from: usize, to: usize| line.get(from..to.min(line.len())).unwrap_or_default();
        let ends = line.starts_with(|first: char| first.is_ascii_digit()) || !cell(0, names).trim().is_empty();
        if line.contains("could not be inspected") || ends && !rows.is_empty() {
            break;
        }
        let pid = cell(names, commands).split_whitespace().last().unwrap_or_default();
        // A share is two words at the end of its cell.
        let words: Vec<_> = cell(commands, held).split_whitespace().collect();
        let (command, share) = words.split_at(words.len() - 2);
        let indentation = cell(commands, held).len() - cell(commands, held).trim_start().len();
        let command = " ".repeat(indentation) + &command.join(" ");
        rows.push([pid.to_owned(), command, share.join(" "), cell(held, line.len()).to_owned()]);
    }
    rows
}

/// Returns the holders of a region in the JSON output.
fn holders(name: &str) -> Vec<Value> {
    let report: Value = serde_json::from_str(&stdout_of(&["ps", "--json"])).unwrap();
    let regions = report["regions"].as_array().unwrap().iter();
    regions
        .filter(|region| region["name"] == name)
        .flat_map(|region| region["holders"].as_array().unwrap().clone())
        .collect()
}

#[test]
fn workers_shares_add_up_to_one_copy() {
    const SIZE: u64 = 8 << 20;
    const JOBS: usize = 4;
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(SIZE).unwrap();
    let name = format!("tree-{}\n\u{1b}[31m (deleted)", std::process::id());
    let frozen = format!("{name}={}", file.path().display());
    let script = "import mmap, os, signal, sys
file = open(sys.argv[1], 'rb')
memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
sum(memory[::4096])
os.write(1, b'%d\\n' % os.getpid())
signal.pause()";
    let argument = format!("{{{name}}}");
    let mut command = heirloom(&["run", "--frozen", &frozen, "--jobs", "4", "--", "python3", "-c", script, &argument]);
    // It names the workers that the test ends.
    let mut run = Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let unrelated = Running(Command::new("sleep").arg("1000").spawn().unwrap());
    let mut ready = BufReader::new(run.0.stdout.take().unwrap()).lines();
    let mut workers: Vec<String> = ready.by_ref().take(JOBS).map(Result::unwrap).collect();
    assert_eq!(workers.len(), JOBS, "{workers:?}");
    workers.sort_by_key(|worker| worker.parse::<u32>().unwrap_or_else(|_| panic!("{worker:?}")));

    let table = stdout_of(&["ps", "--tree"]);
    assert!(!table.contains('\u{1b}'), "{table}");
    let found = rows(&table, &format!("tree-{}\\n\\u{{1b}}[31m (deleted)", std::process::id()));
    let row = |pid: &str, command: &str, share: &str, held: &str| [pid, command, share, held].map(str::to_owned);
    let mut expected = vec![row(&run.0.id().to_string(), "heirloom", "0 B", "open")];
    expected.extend(workers.iter().map(|worker| row(worker, "  python3", "2 MiB", "open, mapped")));
    expected.push(row("", "5 processes", "8 MiB", ""));
    assert_eq!(found, expected, "{table}");

    let holders = holders(&name);
    let ids: Vec<_> = holders.iter().map(|holder| holder["pid"].to_string()).collect();
    assert!(workers.iter().all(|worker| ids.contains(worker)) && !ids.contains(&unrelated.0.id().to_string()));
    let sum: u64 = holders.iter().map(|holder| holder["pss"].as_u64().unwrap()).sum();
    // The kernel rounds each share down to a KiB.
    assert!((SIZE - 1024 * JOBS as u64..=SIZE).contains(&sum), "{sum}");
}

#[test]
fn holder_is_beneath_its_nearest_ancestor_that_holds() {
    let rows_of = |kind: &str, words: &[&str]| {
        let name = format!("ancestors-{kind}-{}", std::process::id());
        let (shared, path) = (format!("{name}=1"), format!("{{{name}}}"));
        let table = stdout_of(&[&["run", "--shared", &shared, "--"], words, &[HEIRLOOM, &path]].concat());
        rows(&table, &name).into_iter().map(|[_, command, ..]| command).collect::<Vec<_>>()
    };
    let shell = ["sh", "-c", "\"$0\" ps --tree; :"];
    assert_eq!(rows_of("all", &shell), ["heirloom", "  sh", "    heirloom", "3 processes"]);
    // The child waits until its parent holds the region no more.
    let script = "import os, sys
(reader, writer), (command, path) = os.pipe(), sys.argv[1:]
child = os.fork()
if child == 0:
    os.read(reader, 1)
    os.execl(command, command, 'ps', '--tree')
os.close(int(os.path.basename(path)))
os.write(writer, b'x')
os.waitpid(child, 0)";
    assert_eq!(rows_of("without", &["python3", "-c", script]), ["heirloom", "  heirloom", "2 processes"]);
}

#[test]
fn mapping_without_descriptor_is_listed() {
    let name = format!("mapped-{}", std::process::id());
    let (shared, path) = (format!("{name}=64K"), format!("{{{name}}}"));
    // Python's own mappings keep a descriptor.
    let script = "import ctypes, os, subprocess, sys
command, number = sys.argv[1], int(os.path.basename(sys.argv[2]))
mmap = ctypes.CDLL(None).mmap
mmap.restype = ctypes.c_void_p
address = mmap(None, 1 << 16, 3, 1, number, ctypes.c_long(0))
os.close(number)
ctypes.memset(address, 1, 1 << 16)
subprocess.run([command, 'ps', '--tree'], check=True)";
    let table = stdout_of(&["run", "--shared", &shared, "--", "python3", "-c", script, HEIRLOOM, &path]);
    let found: Vec<_> = rows(&table, &name).into_iter().map(|[_, rest @ ..]| rest).collect();
    let expected = [["heirloom", "0 B", "open"], ["  python3", "64 KiB", "mapped"], ["2 processes", "64 KiB", ""]];
    assert_eq!(found, expected, "{table}");
}
