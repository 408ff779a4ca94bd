//! Tests that the command is a transparent launcher on Linux: a program finds what it would find without it.

#![allow(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;

use heirloom_conformance::skip;

use crate::{HEIRLOOM, error_of, heirloom, stdout_of};

#[test]
fn scripts_own_descriptors_leave_regions_alone() {
    let directory = tempfile::tempdir().unwrap();
    let script = "for n in 3 4 5 6 7 8 9; do eval \"exec $n>log\"; done; printf result 1<>$0";
    let run = ["run", "--shared", "out=6", "--save", "out=-", "--", "sh", "-c", script, "{out}"];
    let output = heirloom(&run).current_dir(directory.path()).output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"result"[..]));
    assert_eq!(fs::read(directory.path().join("log")).unwrap(), b"");
    // Under a small limit on open files, the numbers are lower.
    let output = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64; exec \"$0\" run --shared a=1 -- sh -c 'echo $0; exec 3>&-; cat $0' '{a}'",
            HEIRLOOM,
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "/proc/self/fd/20\n\0");
}

#[test]
fn each_worker_reads_from_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("text");
    fs::write(&file, "text\n").unwrap();
    let frozen = format!("text={}", file.display());
    // The descriptor itself, not the path, which opens another.
    let script = "import os, sys, fcntl; n = int(sys.argv[1].split('/')[-1]); \
                  read_only = fcntl.fcntl(n, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY; \
                  os.write(1, b'%s %d\\n' % (os.read(n, 9).strip(), read_only))";
    let stdout = stdout_of(&["run", "--frozen", &frozen, "--jobs", "3", "--", "python3", "-c", script, "{text}"]);
    assert_eq!(stdout, "text 1\n".repeat(3));
}

#[test]
fn mode_of_the_path_is_private_unless_asked_for() {
    let mode = |options: &[&str]| {
        let program = ["--", "stat", "-Lc", "%a", "{a}"];
        stdout_of(&[&["run", "--shared", "a=1"], options, &program].concat())
    };
    assert_eq!(mode(&[]), "600\n");
    assert_eq!(mode(&["--mode", "644"]), "644\n");
    for bad in ["755", "8", "", "-600", "1666"] {
        error_of(&["run", &format!("--mode={bad}"), "--", "true"], 125);
    }
}

#[test]
fn one_command_in_another_keeps_the_outer_regions() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("text");
    fs::write(&file, "text").unwrap();
    let outer = ["--frozen", &format!("key={}", file.display()), "--", HEIRLOOM];
    for (first, second) in [("run", "run"), ("run", "exec"), ("exec", "run"), ("exec", "exec")] {
        let inner = [second, "--shared", "other=1", "--"];
        assert_eq!(stdout_of(&[&[first], &outer[..], &inner, &["cat", "{key}"]].concat()), "text");
        let list = stdout_of(&[&[first], &outer[..], &inner, &[HEIRLOOM, "list", "--json"]].concat());
        assert!(list.contains("\"key\"") && list.contains("\"other\"") && !list.contains("cannot"), "{list}");
        // A region of the same name hides the outer one, but not its path.
        let inner = [second, "--shared", "key=1", "--", "sh", "-c", "cat $0; \"$1\" list", "{key}", HEIRLOOM];
        let stdout = stdout_of(&[&[first], &outer[..], &inner].concat());
        assert!(stdout.starts_with("text") && stdout.contains("writable") && !stdout.contains("frozen"), "{stdout}");
    }
}

#[test]
fn words_from_the_program_on_are_its_own() {
    for task in ["run", "exec"] {
        let words = ["echo", "-h", "--jobs", "3", "--", "--frozen", "a=b", "--version"];
        assert_eq!(stdout_of(&[&[task], &words[..]].concat()), "-h --jobs 3 -- --frozen a=b --version\n");
    }
}

#[test]
fn orphans_are_reaped_by_process_one() {
    let script = "for i in 1 2 3; do (exec sleep 0.1 &); done; sleep 0.5; \
                  cat /proc/[0-9]*/status | grep -c '^State:.Z'; cat /proc/1/comm";
    let mut command = Command::new("unshare");
    let output = command.args(["-Urpf", "--mount-proc", HEIRLOOM, "run", "--", "sh", "-c", script]).output().unwrap();
    if output.stderr.starts_with(b"unshare") {
        return skip(format_args!("an unprivileged user cannot make a process namespace: {output:?}"));
    }
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\nheirloom\n");
}

#[test]
fn kill_on_exit_ends_workers() {
    for (option, ends) in [(&["--kill-on-exit"][..], true), (&[], false)] {
        let run = [&["run", "--shared", "a=1"], option, &["--", "sh", "-c", "echo $$ $0; exec cat", "{a}"]].concat();
        let mut command = heirloom(&run);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, mut stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.trim().ends_with("/proc/self/fd/100"), "{line}");
        let worker: i32 = line.split(' ').next().unwrap().parse().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        if ends {
            // The worker holds the last writing end; its input is still open.
            stdout.read_to_string(&mut line).unwrap();
            drop(input);
        } else {
            // SAFETY: The worker waits for its input, which this process holds.
            assert_eq!(unsafe { libc::kill(worker, 0) }, 0);
            drop(input);
        }
    }
    // Its own failures are those of the worker.
    error_of(&["run", "--kill-on-exit", "--", "heirloom-nonexistent-program"], 127);
    assert_eq!(stdout_of(&["run", "--kill-on-exit", "--", "echo", "-h", "{job}"]), "-h 0\n");
}

#[test]
fn streams_that_do_not_wait_are_waited_for() {
    let mut command = heirloom(&["run", "--frozen", "k=-", "--save", "k=-", "--", "true"]);
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let ((reader, writer), (output, stdout)) = (pipe(), pipe());
    let (mut writer, mut output) = (fs::File::from(writer), fs::File::from(output));
    for end in [reader.as_raw_fd(), stdout.as_raw_fd()] {
        // SAFETY: Both are open.
        assert_eq!(unsafe { libc::fcntl(end, libc::F_SETFL, libc::O_NONBLOCK) }, 0);
    }
    let mut child = command.stdin(reader).stdout(stdout).spawn().unwrap();
    drop(command);
    // More than a pipe holds, so that both ends have to wait.
    let sent = vec![b'x'; 300_000];
    let expected = sent.clone();
    let sender = thread::spawn(move || {
        for part in sent.chunks(50_000) {
            writer.write_all(part).unwrap();
            thread::yield_now();
        }
    });
    let mut received = Vec::new();
    output.read_to_end(&mut received).unwrap();
    sender.join().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(received == expected);
}

#[test]
fn script_without_interpreter_runs_by_the_shell() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    fs::write(&script, "echo ran $0 $1").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let shown = script.display().to_string();
    for options in [&["run"][..], &["exec"], &["run", "--kill-on-exit"]] {
        let by_path = stdout_of(&[options, &["--shared", "a=1", "--", &shown, "{a}"]].concat());
        assert_eq!(by_path, format!("ran {shown} /proc/self/fd/100\n"));
        let search = format!("{}:/usr/bin:/bin", directory.path().display());
        let by_name = heirloom(&[options, &["--", "script", "x"]].concat()).env("PATH", search).output().unwrap();
        assert_eq!(String::from_utf8(by_name.stdout).unwrap(), format!("ran {shown} x\n"));
    }
}
