//! Tests of `--secret`.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use heirloom::os::linux::SecretRegion;
use heirloom_conformance::old_kernels::{Refusal, refuse};
use heirloom_conformance::{MEMFD_SECRET, check, secret_memory, skip};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Resource, Rlimit, Signal, kill_process, setrlimit};

use crate::{HEIRLOOM, error_line, error_of, heirloom, stdout_of};

/// The bytes of a secret, none like its neighbour.
fn secret(len: usize) -> Vec<u8> {
    (0..len).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect()
}

/// Starts the command with these bytes as its standard input. The worker prints its process id and `{key}`, and sleeps.
fn start(options: &[&str], bytes: &[u8]) -> (Child, Pid, String) {
    let worker = ["--", "sh", "-c", "echo $$ $0; exec sleep 1000", "{key}"];
    let mut command = heirloom(&[options, &worker].concat());
    let mut run = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    run.stdin.take().unwrap().write_all(bytes).unwrap();
    let mut line = String::new();
    BufReader::new(run.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let Some((worker, key)) = line.trim().split_once(' ') else { panic!("{:?}", run.wait_with_output()) };
    (run, Pid::from_raw(worker.parse().unwrap()).unwrap(), key.to_owned())
}

/// Ends the worker, and with it the command.
fn end(run: Child, worker: Pid) {
    kill_process(worker, Signal::KILL).unwrap();
    error_line(&run.wait_with_output().unwrap(), 128 + 9);
}

/// Takes a descriptor from a process, as whoever may trace it can.
fn take(process: Pid, number: &str) -> OwnedFd {
    let pidfd = rustix::process::pidfd_open(process, PidfdFlags::empty()).unwrap();
    rustix::process::pidfd_getfd(pidfd, number.parse().unwrap(), PidfdGetfdFlags::empty()).unwrap()
}

/// Whether a process has a descriptor of secret memory.
fn has_secret(process: u32) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    links.into_iter().any(|link| link.to_string_lossy().contains("secretmem"))
}

#[test]
fn input_and_files_become_secret_regions() {
    if secret_memory().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // One part of what is read, several, and a bit more or less.
    for len in [1, 5, 16383, 16384, 16385, 49152, 100_000] {
        let bytes = secret(len);
        let path = directory.path().join(len.to_string());
        fs::write(&path, &bytes).unwrap();
        let from_file = format!("key={}", path.display());
        for option in ["key=-", &from_file] {
            let input: &[u8] = if option == "key=-" { &bytes } else { &[] };
            let (run, worker, key) = start(&["run", "--secret", option], input);
            // A number that scripts leave alone.
            assert_eq!(key, "100");
            let region = SecretRegion::try_from(take(worker, &key)).unwrap();
            assert_eq!(region.size(), len as u64);
            assert!(region.map().unwrap().to_vec() == bytes, "{len} {option}");
            end(run, worker);
        }
    }
}

#[test]
fn workers_inherit_the_secret_by_name() {
    if secret_memory().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, "hunter2").unwrap();
    let option = format!("key={}", path.display());
    let listed = " SIZE  KIND    NAME\n7 B    secret  key\n";
    assert_eq!(stdout_of(&["run", "--secret", &option, "--", HEIRLOOM, "list"]), listed);
    assert_eq!(stdout_of(&["run", "--jobs", "2", "--secret", &option, "--", HEIRLOOM, "list"]), listed.repeat(2));
    assert_eq!(stdout_of(&["exec", "--secret", &option, "--", HEIRLOOM, "list"]), listed);
    // One call inside another, which passes the secret on.
    let nested = ["run", "--secret", &option, "--", HEIRLOOM, "run", "--kill-on-exit", "--", HEIRLOOM, "list"];
    assert_eq!(stdout_of(&nested), listed);
    // If the name is given to another region, the descriptor stays open under its number.
    let script = "readlink /proc/self/fd/$0; \"$1\" list";
    let replaced = ["--", HEIRLOOM, "exec", "--shared", "key=4K", "--", "sh", "-c", script, "{key}", HEIRLOOM];
    assert_eq!(
        stdout_of(&[&["run", "--secret", &option], &replaced[..]].concat()),
        "/secretmem (deleted)\n SIZE  KIND      NAME\n4 KiB  writable  key\n"
    );
}

#[test]
fn command_keeps_neither_descriptor_nor_copy() {
    if secret_memory().is_none() {
        return;
    }
    let bytes = secret(20_000);
    let (run, worker, _) = start(&["run", "--secret", "key=-"], &bytes);
    // It closes the descriptor when the worker was started, which the worker can't wait for.
    let mut looks = 0;
    while has_secret(run.id()) {
        assert!(looks < 1000, "the command keeps the descriptor");
        looks += 1;
        thread::sleep(Duration::from_millis(10));
    }
    // The control: the worker has one.
    assert!(has_secret(worker.as_raw_nonzero().get().unsigned_abs()));

    let memory = File::open(format!("/proc/{}/mem", run.id())).unwrap();
    let maps = fs::read_to_string(format!("/proc/{}/maps", run.id())).unwrap();
    let found = |wanted: &[u8]| {
        maps.lines().any(|line| {
            let (range, rest) = line.split_once(' ').unwrap();
            let [start, end] = range.split_once('-').map(|(start, end)| [start, end]).unwrap();
            let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            let read = rest.starts_with('r') && memory.read_exact_at(&mut bytes, start).is_ok();
            read && bytes.windows(wanted.len()).any(|window| window == wanted)
        })
    };
    assert!(!found(&bytes[100..132]));
    // The control: its arguments are there.
    assert!(found(b"exec sleep 1000"));
    end(run, worker);
}

#[test]
fn secret_that_cannot_be_is_an_error() {
    if secret_memory().is_none() {
        return;
    }
    let of = |options: &[&str]| error_of(&[&["run"], options, &["--", "true"]].concat(), 125);
    assert_eq!(
        of(&["--secret", "key=/dev/null"]),
        "heirloom: cannot fill the secret region \"key\": there are no bytes\n"
    );
    assert_eq!(of(&["--secret", "key=/"]), "heirloom: cannot read /: it is a directory\n");
    for other in ["--secret", "--frozen"] {
        assert_eq!(
            of(&["--secret", "key=-", other, "other=-"]),
            "heirloom: only one region can be read from standard input\n"
        );
    }
    assert_eq!(of(&["--secret", "key=-", "--shared", "key=1"]), "heirloom: two regions are named \"key\"\n");
    assert_eq!(
        of(&["--secret", "key=-", "--save", "key=-"]),
        "heirloom: cannot save \"key\": it is a secret region, whose bytes are not written to files\n"
    );
    assert_eq!(
        of(&["--secret", "key=-", "--split", "1M"]),
        "heirloom: standard input is split into blocks, so it cannot fill region \"key\"\n"
    );
}

#[test]
fn missing_system_call_and_small_limit_are_named() {
    let refused = thread::spawn(|| {
        // For this thread, and what it starts.
        refuse(&[Refusal { call: MEMFD_SECRET, arguments: &[], errno: libc::ENOSYS }]);
        error_of(&["run", "--secret", "key=/etc/passwd", "--", "true"], 125)
    });
    let message = refused.join().unwrap();
    assert!(message.starts_with("heirloom: cannot create a secret region of 16384 bytes: "), "{message}");
    assert!(message.contains("; secret regions need Linux 5.14 or later") && !message.contains("Rust"), "{message}");
    assert!(message.ends_with("; --frozen needs neither\n"), "{message}");

    if secret_memory().is_none() {
        return;
    }
    let mut command = heirloom(&["run", "--secret", "key=/etc/passwd", "--", "true"]);
    let root = rustix::process::geteuid().is_root();
    // SAFETY: Between fork and exec only system calls are made.
    unsafe {
        command.pre_exec(move || {
            setrlimit(Resource::Memlock, Rlimit { current: Some(8192), maximum: Some(8192) })?;
            // The limit does not apply to root.
            if root { check(libc::setresuid(65534, 65534, 65534)) } else { Ok(()) }
        });
    }
    match command.output() {
        Err(error) => skip(format_args!("another user can't run the command: {error}")),
        Ok(output) => {
            let message = error_line(&output, 125);
            assert!(message.starts_with("heirloom: cannot map a secret region of 16384 bytes: "), "{message}");
            assert!(message.contains("this process may lock 8192 bytes in memory (RLIMIT_MEMLOCK)"), "{message}");
            assert!(
                message.ends_with("; raise the limit (ulimit -l, prlimit --memlock); filling takes twice the size\n")
            );
        }
    }
}
