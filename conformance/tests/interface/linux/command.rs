//! `Command` and `Child`, checked with shell programs and the kernel's data.

#![allow(unsafe_code)]

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use heirloom::os::linux::ChildExt;
use heirloom::os::unix::CommandExt;
use heirloom::{Command, ErrorKind, Region, Stdio};
use heirloom_conformance::{emulated, skip, text};

use crate::{CHILD, child, output};

/// Writes an executable file and returns it open for writing.
fn executable(path: &Path, contents: &[u8]) -> File {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = File::options().write(true).create_new(true).mode(0o755).open(path).unwrap();
    file.write_all(contents).unwrap();
    file
}

#[test]
fn missing_program_is_diagnosed_where_it_was_searched() {
    let directory = tempfile::tempdir().unwrap();
    let (here, inner) = (directory.path(), directory.path().join("inner"));
    std::fs::create_dir(&inner).unwrap();
    drop(executable(&here.join("tool"), b"#!/bin/sh\n"));
    drop(executable(&inner.join("odd"), b"#!/nonexistent/interpreter\n"));
    std::os::unix::fs::symlink("/nonexistent/target", inner.join("dangling")).unwrap();
    let no_interpreter = "the interpreter that it names does not";
    for (program, path, advice) in [
        // It exists in this process's directory only, which is not the child's.
        ("./tool", None, "is the path right?"),
        ("./odd", None, no_interpreter),
        ("odd", Some(&*inner), no_interpreter),
        ("odd", Some(here), "is it installed, and in the PATH?"),
        ("./dangling", None, "is the path right?"),
    ] {
        let mut command = Command::new(program);
        command.current_dir(&inner);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        let error = command.status().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProgramNotFound, "{error}");
        assert!(error.advice().unwrap().ends_with(advice), "{error}");
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
    }
    // The control: in its own directory it runs.
    assert!(Command::new("./tool").current_dir(here).status().unwrap().success());
}

#[test]
fn busy_program_is_tried_again() {
    if emulated() {
        return skip(format_args!("the emulator, not the kernel, would be tested"));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    let file = executable(&path, &std::fs::read("/bin/true").unwrap());
    // The control: it stays busy while this process has it open for writing.
    let error = Command::new(&path).status().unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::ProgramNotRunnable, Some(libc::ETXTBSY)));
    // A child that holds it open for a moment.
    let mut holder = std::process::Command::new("sleep").arg("0.05").stdin(file).spawn().unwrap();
    assert!(Command::new(&path).status().unwrap().success());
    holder.wait().unwrap();
}

#[test]
fn traced_child_that_stops_has_not_ended() {
    if emulated() {
        return skip("the emulator has no ptrace");
    }
    let status = child(&["stop-traced"]).status().unwrap();
    assert!(status.success(), "{status}");
    let mut running = child(&["stop-traced"]).spawn().unwrap();
    let status = loop {
        if let Some(status) = running.try_wait().unwrap() {
            break status;
        }
        std::thread::yield_now();
    };
    assert!(status.success(), "{status}");
}

#[test]
fn kill_works_with_sigchld_ignored() {
    if emulated() {
        return skip(format_args!("the emulator, not the kernel, would be tested"));
    }
    assert_eq!(output(&mut child(&["kill-ignoring-sigchld"])), "ok \n");
    // Without pidfds.
    assert_eq!(output(&mut child(&["as-linux", "5.2", "kill-ignoring-sigchld"])), "ok \n");
}

#[test]
fn kill_after_pid_reuse_reaches_no_other_process() {
    if emulated() {
        return skip(format_args!("the emulator, not the kernel, would be tested"));
    }
    let output =
        std::process::Command::new("unshare").args(["-Urpf", "--mount-proc", CHILD, "kill-after-reuse"]).output();
    let output = output.unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    if !output.status.success() && report.is_empty() {
        let why = String::from_utf8_lossy(&output.stderr);
        return skip(format_args!("cannot create a PID namespace: {why}"));
    }
    let lines: Vec<_> = report.lines().collect();
    assert!(lines[0].starts_with("kill System: cannot kill process "), "{report}");
    assert_eq!(&lines[1..], ["pidfd ok ", "alive true", "control ok "]);
}

#[test]
fn arg0_environment_and_directory_are_applied() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.arg0("shell").args(["-c", "echo $0 $1 $A $B $HOME; pwd"]).arg("zero").arg("one");
    command.env("A", "1").envs([("B", "2")]).env_remove("HOME").current_dir(directory.path());
    let expected = format!("zero one 1 2\n{}\n", directory.path().canonicalize().unwrap().display());
    assert_eq!(output(&mut command), expected);
    // `arg0` changes the program's name, not which program runs.
    assert_eq!(output(Command::new("cat").arg0("dog").arg("/proc/self/cmdline")), "dog\0/proc/self/cmdline\0");
}

#[test]
fn program_lookup_matches_standard_library() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let name = "heirloom-test-program";
    std::os::unix::fs::symlink(CHILD, directory.path().join(name)).unwrap();
    let error = Command::new(name).env("PATH", "/usr/bin:/bin").status().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProgramNotFound);
    // The search uses the child's PATH if it was changed, and continues past entries that are missing or have no such
    // program.
    for path in [path.to_owned(), format!("/nonexistent:/usr/bin:{path}"), format!("/etc/passwd:{path}")] {
        assert_eq!(output(Command::new(name).args(["print", "found"]).env("PATH", &path)), "found\n", "{path}");
    }
    // A file that may not be executed is skipped. Its error is returned if no later entry has the program.
    let not_executable = directory.path().join("not_executable");
    std::fs::create_dir(&not_executable).unwrap();
    File::create(not_executable.join(name)).unwrap();
    let not_executable = not_executable.to_str().unwrap();
    let both = format!("{not_executable}:{path}");
    assert_eq!(output(Command::new(name).args(["print", "found"]).env("PATH", both)), "found\n");
    let error = Command::new(name).env("PATH", not_executable).status().unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::ProgramNotRunnable, Some(libc::EACCES)));
    // Without a PATH, the system's default path is used.
    assert_eq!(output(Command::new("echo").arg("found").env_clear()), "found\n");
    // Relative paths, and relative entries of PATH, start at the child's directory.
    let relative = format!("./{name}");
    assert_eq!(output(Command::new(relative).args(["print", "x"]).current_dir(directory.path())), "x\n");
    let mut command = Command::new(name);
    assert_eq!(output(command.args(["print", "x"]).current_dir(directory.path()).env("PATH", "")), "x\n");
}

#[test]
fn failed_start_is_reported_under_valgrind() {
    // valgrind gives a vfork child a copy of its parent's memory, so glibc's posix_spawn cannot report a failed exec.
    // valgrind does that with every tool; without one, it starts in a fraction of the time.
    let under_valgrind =
        |args: &[&str]| Command::new("valgrind").args(["--tool=none", "--quiet"]).arg(CHILD).args(args).output();
    match under_valgrind(&["print", "started"]) {
        Ok(control) if control.stdout == b"started\n" => {}
        Ok(control) => return skip(format_args!("valgrind cannot run this program here: {}", control.status)),
        Err(error) => return skip(format_args!("valgrind is not installed: {error}")),
    }
    for (program, expected) in [
        ("/nonexistent/program", "ProgramNotFound: cannot start \"/nonexistent/program\": "),
        ("nonexistent-program", "ProgramNotFound: cannot start \"nonexistent-program\": "),
        ("/etc/passwd", "ProgramNotRunnable: cannot start \"/etc/passwd\": "),
        ("true", "ok exit status: 0 true"),
    ] {
        let output = under_valgrind(&["start", program]).unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(report.starts_with(expected), "{program}: {report}");
    }
}

#[test]
fn failed_start_leaves_nothing_behind() {
    let region = Region::create(1).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let garbage = directory.path().join("garbage");
    std::fs::write(&garbage, "\u{1}\u{2}").unwrap();
    let script = directory.path().join("script");
    std::fs::write(&script, "#!/nonexistent/interpreter\n").unwrap();
    for path in [&garbage, &script] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    for (program, kind, code) in [
        (Path::new("/nonexistent/program"), ErrorKind::ProgramNotFound, libc::ENOENT),
        (Path::new("nonexistent-program"), ErrorKind::ProgramNotFound, libc::ENOENT),
        (Path::new(""), ErrorKind::ProgramNotFound, libc::ENOENT),
        (Path::new("/etc/passwd"), ErrorKind::ProgramNotRunnable, libc::EACCES),
        (Path::new("/etc/passwd/program"), ErrorKind::ProgramNotRunnable, libc::ENOTDIR),
        (Path::new("/"), ErrorKind::ProgramNotRunnable, libc::EACCES),
        (&garbage, ErrorKind::ProgramNotRunnable, libc::ENOEXEC),
        (&script, ErrorKind::ProgramNotFound, libc::ENOENT),
    ] {
        let mut command = Command::new(program);
        // An entry of PATH that this user may not search would change the error.
        command.env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).inherit("a", &region).unwrap();
        let error = command.spawn().unwrap_err();
        assert_eq!((error.kind(), error.raw_os_error()), (kind, Some(code)), "{program:?}: {error}");
    }
    let error = Command::new("true").current_dir("/nonexistent").spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::System);
    assert!(error.to_string().contains("working directory"), "{error}");
    let error = Command::new("echo").arg("x".repeat(1 << 20)).spawn().unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::ProgramNotRunnable, Some(libc::E2BIG)));
    for group in [-1, 999_999] {
        let error = Command::new("true").process_group(group).spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::System, "{error}");
        assert_eq!(output(&mut child(&["exec-in-group", &group.to_string()])), "System\n");
    }
}

#[test]
fn reaped_child_is_never_signalled() {
    let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(3));
    // Another process may have the number by now.
    assert!(child.kill().is_ok());
    assert_eq!(child.pidfd().unwrap_err().kind(), ErrorKind::InvalidInput);

    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    assert!(child.try_wait().unwrap().is_none());
    assert!(Path::new(&format!("/proc/{}", child.id())).exists());
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
}

#[test]
fn child_reaped_elsewhere_is_never_signalled() {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap());
    rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
    let error = child.wait().unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::System, Some(libc::ECHILD)));
    // Another process may have the number by now.
    let refused = |error: heirloom::Error| (error.kind(), error.raw_os_error());
    assert_eq!(refused(child.kill().unwrap_err()), (ErrorKind::System, None));
    assert_eq!(refused(child.pidfd().unwrap_err()), (ErrorKind::System, None));
    assert_eq!(refused(child.wait().unwrap_err()), (ErrorKind::System, None));
}

#[test]
fn pidfd_is_readable_when_child_ends() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let pidfd = child.pidfd().unwrap();
    let ready = |timeout: Option<&Timespec>| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], timeout).unwrap();
    assert_eq!(ready(Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), 0);
    drop(child.stdin.take());
    assert_eq!(ready(None), 1);
    assert!(child.try_wait().unwrap().unwrap().success());
}

#[test]
fn child_starts_with_default_signals() {
    // Rust ignores SIGPIPE in this process, and a child must start with the default. The child is grep, because a Rust
    // program would ignore SIGPIPE by itself.
    const SIGPIPE: u64 = 1 << (libc::SIGPIPE - 1);
    let args = ["-E", "SigIgn|SigBlk", "/proc/self/status"];
    let ignored = |seen: &str| {
        let sets = seen.lines().map(|line| u64::from_str_radix(line.split_once('\t').unwrap().1, 16).unwrap());
        let [blocked, ignored] = sets.collect::<Vec<_>>()[..] else { panic!("{seen}") };
        assert_eq!(blocked, 0, "{seen}");
        ignored & SIGPIPE != 0
    };
    // The control: this process ignores it.
    assert!(std::fs::read_to_string("/proc/self/status").is_ok_and(|own| {
        let line = own.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
        u64::from_str_radix(line, 16).unwrap() & SIGPIPE != 0
    }));
    assert!(!ignored(&output(Command::new("grep").args(args))));
    assert!(!ignored(&output(&mut child(&["exec-grep-signals"]))));
    assert!(ignored(&output(Command::new("grep").args(args).keep_sigpipe(true))));
}

#[test]
fn signals_and_scripts_are_treated_as_by_std() {
    if emulated() {
        return skip("under the emulator, std's posix_spawn reports no failure");
    }
    let args = ["-E", "SigIgn|SigBlk", "/proc/self/status"];
    // SAFETY: Both change only the test's thread or an action that no other test needs, and run no code.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        libc::signal(libc::SIGUSR2, libc::SIG_IGN);
    }
    // Signals 32 and 33 are the C library's own: some ignore them in a program that they start.
    let sets = |seen: &str| -> Vec<_> {
        let sets = seen.lines().map(|line| u64::from_str_radix(line.split_once('\t').unwrap().1, 16).unwrap());
        sets.map(|set| set & !(0b11 << 31)).collect()
    };
    let ours = sets(&output(Command::new("grep").args(args)));
    let theirs = std::process::Command::new("grep").args(args).output().unwrap();
    assert_eq!(ours, sets(&text(theirs)));
    // The control: an ignored signal stays ignored.
    assert_ne!(ours[1] & 1 << (libc::SIGUSR2 - 1), 0);

    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    drop(executable(&script, b"exit 0\n"));
    let theirs = std::process::Command::new(&script).spawn().unwrap_err();
    let ours = Command::new(&script).spawn().unwrap_err();
    assert_eq!((ours.kind(), ours.raw_os_error()), (ErrorKind::ProgramNotRunnable, theirs.raw_os_error()));
    assert!(ours.to_string().contains("nor a script whose first line names its interpreter"), "{ours}");
}

#[test]
fn process_group_zero_makes_child_a_leader() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).process_group(0).spawn().unwrap();
    let group = rustix::process::getpgid(rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap())).unwrap();
    assert_eq!(group.as_raw_nonzero().get().unsigned_abs(), child.id());
    child.wait().unwrap();
    let own = rustix::process::getpgrp();
    assert_ne!(own, group);
}

#[test]
fn exec_passes_regions_and_failure_restores_state() {
    assert_eq!(output(&mut child(&["exec", "print-frozen", "text"])), "from before the exec");
    // A failed exec leaves the regions close-on-exec.
    assert_eq!(output(&mut child(&["exec-missing"])), "ProgramNotFound\ntrue\n");
    let error = Command::new("cat").stdin(Stdio::piped()).exec();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
