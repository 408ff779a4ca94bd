//! Tests that signals reach the workers: each once, whoever sent it, and to whichever process.

#![allow(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::heirloom;
use crate::linux::{on_terminal, terminal};

/// Returns a field of `/proc/self/status` as a program that the command starts sees it. `prepare` runs before the command.
fn status_field(task: &str, field: &str, prepare: fn()) -> u64 {
    let script = format!("s/^{field}:.//p");
    let mut command = heirloom(&[task, "--shared", "a=1", "--", "sed", "-n", &script, "/proc/self/status"]);
    // SAFETY: Between fork and exec only system calls are made.
    unsafe {
        command.pre_exec(move || {
            prepare();
            Ok(())
        });
    }
    let stdout = String::from_utf8(command.output().unwrap().stdout).unwrap();
    u64::from_str_radix(stdout.trim(), 16).unwrap()
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

#[test]
fn signals_reach_the_program_as_the_caller_left_them() {
    fn block() {
        // SAFETY: The set is initialized by `sigemptyset`.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGUSR1);
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        }
    }
    fn ignore() {
        // SAFETY: Ignoring a signal runs no code.
        unsafe {
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
        }
    }
    fn default() {
        // SAFETY: The default action runs no code of this process.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
    for task in ["run", "exec"] {
        assert_eq!(status_field(task, "SigBlk", block), bit(libc::SIGUSR1) | bit(libc::SIGCHLD), "{task}");
        let both = bit(libc::SIGPIPE) | bit(libc::SIGTERM);
        assert_eq!(status_field(task, "SigIgn", ignore) & both, both, "{task}");
        assert_eq!(status_field(task, "SigIgn", default) & both, 0, "{task}");
        assert_eq!(status_field(task, "SigBlk", default), 0, "{task}");
    }
}

#[test]
fn signal_to_the_group_is_delivered_once() {
    // It takes one signal at a time, SIGHUP before SIGTERM, so two of them are seen as two.
    let script = "import signal, sys\n\
                  wanted = {signal.SIGHUP, signal.SIGTERM}\n\
                  signal.pthread_sigmask(signal.SIG_BLOCK, wanted)\n\
                  print('ready', flush=True)\n\
                  n = 0\n\
                  while signal.sigwait(wanted) == signal.SIGHUP:\n    n += 1; print('got', n, flush=True)\n\
                  sys.exit(40 + n)";
    let mut command = heirloom(&["run", "--", "python3", "-c", script]);
    let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().unwrap();
    let id = i32::try_from(child.id()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "ready"));
    // Twice, since the second must be recognized as well as the first.
    for round in 1..=2 {
        // The command is stopped until the worker took the signal, so a second one isn't merged with it.
        // SAFETY: A child of this process that was not waited for, and its group.
        unsafe {
            libc::kill(id, libc::SIGSTOP);
            libc::waitpid(id, std::ptr::null_mut(), libc::WUNTRACED);
            libc::kill(-id, libc::SIGHUP);
        }
        assert_eq!(lines.next().unwrap(), format!("got {round}"));
        // SAFETY: As above.
        unsafe { libc::kill(id, libc::SIGCONT) };
    }
    // Sent to the command alone, after any signal that it forwarded.
    // SAFETY: A child of this process that was not waited for.
    unsafe { libc::kill(id, libc::SIGTERM) };
    assert_eq!(child.wait().unwrap().code(), Some(42));
}

#[test]
fn interrupted_program_interrupts_the_command() {
    for (signal, name) in [(libc::SIGINT, "INT"), (libc::SIGQUIT, "QUIT")] {
        let script = format!("ulimit -c 0; kill -{name} $$");
        let status = heirloom(&["run", "--", "sh", "-c", &script]).status().unwrap();
        assert_eq!((status.signal(), status.core_dumped()), (Some(signal), false));
    }
    // Control: any other signal is an exit code.
    let status = heirloom(&["run", "--", "sh", "-c", "kill -TERM $$"]).status().unwrap();
    assert_eq!(status.code(), Some(128 + libc::SIGTERM));
}

#[test]
fn interrupt_reaches_worker_in_another_group() {
    let (mut user, path) = terminal();
    let mut child =
        on_terminal(&["run", "--", "setsid", "sh", "-c", "echo ready; exec sleep 1000"], &path).spawn().unwrap();
    let mut lines = BufReader::new(user.try_clone().unwrap()).lines().map(|line| line.unwrap().trim().to_owned());
    assert!(lines.any(|line| line == "ready"));
    user.write_all(b"\x03").unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGINT));
}

#[test]
fn signals_are_forwarded_to_workers() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1] {
        let script = format!("trap 'exit 40' {signal}; echo ready; while :; do sleep 0.01; done");
        let mut child =
            heirloom(&["run", "--jobs", "2", "--", "sh", "-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!([lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap()], ["ready", "ready"]);
        // SAFETY: A child of this process that was not waited for.
        unsafe { libc::kill(i32::try_from(child.id()).unwrap(), signal) };
        assert_eq!(child.wait().unwrap().code(), Some(40), "signal {signal}");
    }
    // A signal without a handler ends the worker, and the exit code reports it.
    let mut child =
        heirloom(&["run", "--", "sh", "-c", "echo ready; exec sleep 1000"]).stdout(Stdio::piped()).spawn().unwrap();
    BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    // SAFETY: As above.
    unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGTERM) };
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(128 + libc::SIGTERM), None));
}

#[test]
fn interrupt_reaches_worker_once() {
    let (mut user, path) = terminal();
    let script = "n=0; trap 'n=$((n+1)); echo interrupt $n' INT; trap 'exit $((40 + n))' TERM; echo ready; while :; do sleep 0.01; done";
    let mut child = on_terminal(&["run", "--", "sh", "-c", script], &path).spawn().unwrap();
    let mut lines = BufReader::new(user.try_clone().unwrap()).lines().map(|line| line.unwrap().trim().to_owned());
    assert!(lines.any(|line| line == "ready"));
    user.write_all(b"\x03").unwrap();
    assert!(lines.any(|line| line.ends_with("interrupt 1")));
    // Sent to the command alone, after any signal that it forwarded.
    // SAFETY: A child of this process that was not waited for.
    unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGTERM) };
    assert_eq!(child.wait().unwrap().code(), Some(41));
}

/// Counts the SIGTERMs that arrive within half a second of the first, and ends with their number and 40.
const COUNTING: &str = "import signal, sys\n\
                        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n\
                        print('ready', flush=True)\n\
                        signal.sigwait({signal.SIGTERM})\n\
                        n = 1\n\
                        while signal.sigtimedwait({signal.SIGTERM}, 0.5): n += 1\n\
                        sys.exit(40 + n)";

/// Starts the command as the leader of a group, with a worker that has printed a line.
fn leader_of_group(args: &[&str]) -> (Child, i32) {
    let mut child = heirloom(args).process_group(0).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let id = i32::try_from(child.id()).unwrap();
    (child, id)
}

fn send(process: i32, signal: i32) {
    // SAFETY: A process that this test started and that was not waited for, or its group.
    assert_eq!(unsafe { libc::kill(process, signal) }, 0);
}

#[test]
fn signal_while_workers_start_ends_those_that_were_started() {
    let script = "echo; exec sleep 1000";
    let args = ["run", "--shared", "a=1", "--save", "a=-", "--jobs", "5000", "--", "sh", "-c", script];
    for to_group in [true, false] {
        let mut command = heirloom(&args);
        let mut child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        send(if to_group { -id } else { id }, libc::SIGTERM);
        // This reads their standard output, and so would block as long as any worker lives.
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(128 + libc::SIGTERM));
        let errors = String::from_utf8(output.stderr).unwrap();
        let first = errors.lines().next().unwrap();
        assert!(
            first.starts_with("heirloom: signal 15 ") && first.ends_with("of 5000 workers were started"),
            "{first}"
        );
        let last = errors.lines().last().unwrap();
        assert_eq!(last, "heirloom: \"a\" was not saved, because a signal ended the work");
    }
}

#[test]
fn signal_to_every_process_of_the_name_reaches_the_worker() {
    for by_command_line in [false, true] {
        let (mut child, id) = leader_of_group(&["run", "--", "python3", "-c", COUNTING]);
        let mut signalled = 0;
        for entry in fs::read_dir("/proc").unwrap() {
            let path = entry.unwrap().path();
            let Some(process) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
            // SAFETY: It only asks for a number.
            if unsafe { libc::getpgid(process) } != id {
                continue;
            }
            let file = if by_command_line { "cmdline" } else { "comm" };
            // One that ended meanwhile can't be read.
            if String::from_utf8_lossy(&fs::read(path.join(file)).unwrap_or_default()).contains("heirloom") {
                send(process, libc::SIGTERM);
                signalled += 1;
            }
        }
        // Not the child that watches the group: nothing would be forwarded.
        assert_eq!(signalled, 1);
        assert_eq!(child.wait().unwrap().code(), Some(41));
    }
}

#[test]
fn hang_up_of_the_terminal_reaches_the_worker() {
    let (mut user, path) = terminal();
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let script = "trap 'echo got >$0; exit 41' HUP; echo ready; while :; do sleep 0.01; done";
    let args = ["run", "--", "sh", "-c", script, pipe.to_str().unwrap()];
    let mut child = on_terminal(&args, &path).spawn().unwrap();
    let mut line = [0; 5];
    user.read_exact(&mut line).unwrap();
    assert_eq!(line, *b"ready");
    drop(user);
    assert_eq!(fs::read_to_string(&pipe).unwrap(), "got\n");
    assert_eq!(child.wait().unwrap().code(), Some(41));
}

#[test]
fn signal_to_the_command_and_then_its_group_is_delivered_once() {
    // `timeout` does so. On a busy machine the second may come too late, which is not judged.
    let mut judged = 0;
    while judged < 3 {
        let (mut child, id) = leader_of_group(&["run", "--", "python3", "-c", COUNTING]);
        let first = Instant::now();
        send(id, libc::SIGTERM);
        thread::sleep(Duration::from_millis(2));
        send(-id, libc::SIGTERM);
        let in_time = first.elapsed() < Duration::from_millis(20);
        let code = child.wait().unwrap().code();
        if in_time {
            assert_eq!(code, Some(41));
            judged += 1;
        }
    }
}

#[test]
fn command_that_was_stopped_with_its_group_forwards() {
    let script = "trap 'exit 41' USR1; echo ready; while :; do sleep 0.01; done";
    let (mut child, id) = leader_of_group(&["run", "--", "setsid", "sh", "-c", script]);
    for _ in 0..2 {
        send(-id, libc::SIGSTOP);
        // SAFETY: The command is a child of this process.
        assert_eq!(unsafe { libc::waitpid(id, std::ptr::null_mut(), libc::WUNTRACED) }, id);
        send(id, libc::SIGCONT);
    }
    send(id, libc::SIGUSR1);
    assert_eq!(child.wait().unwrap().code(), Some(41));
}
