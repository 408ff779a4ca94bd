//! Tests for Linux.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use heirloom_conformance::{large_pages_are_used, skip};
use serde_json::Value;

use crate::{HEIRLOOM, error_line, error_of, heirloom, stdout_of};

/// Makes the command start as from an interactive shell.
pub(super) fn as_from_shell(command: &mut Command) {
    // A shell ignores these signals in background jobs, and the command would inherit that from the tests.
    // SAFETY: Between fork and exec only system calls are made.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        })
    };
}

#[test]
fn workers_open_frozen_file_by_path() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("text");
    fs::write(&file, "one two three\n").unwrap();
    let frozen = format!("text={}", file.display());
    let stdout = stdout_of(&["run", "--frozen", &frozen, "--jobs", "3", "--", "sh", "-c", "wc -w < {text}"]);
    assert_eq!(stdout, "3\n3\n3\n");
    // Opening it for writing fails.
    let output = heirloom(&["run", "--frozen", &frozen, "--", "sh", "-c", "echo no 1<>{text}"]).output().unwrap();
    assert!(!output.status.success());
    assert_eq!(fs::read_to_string(&file).unwrap(), "one two three\n");
}

#[test]
fn standard_input_streams_into_region() {
    let mut command = heirloom(&["run", "--frozen", "in=-", "--", "cat", "{in}"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = "line\n".repeat(100_000);
    let writer = thread::spawn(move || {
        input.write_all(text.as_bytes()).unwrap();
        text
    });
    let mut seen = String::new();
    child.stdout.take().unwrap().read_to_string(&mut seen).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(seen, writer.join().unwrap());
}

#[test]
fn only_known_placeholders_are_replaced() {
    let script = "echo {job}/{jobs} $0 $1";
    let stdout = stdout_of(&["run", "--jobs", "1", "--", "sh", "-c", script, "{} {x} ${HOME} {", "a{job}b"]);
    assert_eq!(stdout, "0/1 {} {x} ${HOME} { a0b\n");
    let stdout = stdout_of(&["run", "--shared", "key=4K", "--", "env", "KEY={key}", "sh", "-c", "echo $KEY"]);
    assert!(stdout.starts_with("/proc/self/fd/"), "{stdout}");
    let mut workers: Vec<_> =
        stdout_of(&["run", "--jobs", "4", "--", "echo", "{job}"]).lines().map(str::to_owned).collect();
    workers.sort();
    assert_eq!(workers, ["0", "1", "2", "3"]);
}

#[test]
fn only_a_single_worker_reads_standard_input() {
    for (jobs, seen) in [("1", "given"), ("2", "")] {
        let mut command = heirloom(&["run", "--jobs", jobs, "--", "cat"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // The write may fail, because two workers don't read it.
        let _ = child.stdin.take().unwrap().write_all(b"given");
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), seen);
    }
}

#[test]
fn results_are_saved_after_success() {
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("saved");
    let save = format!("out={}", saved.display());
    let script = "printf {job} | dd of={out} bs=1 seek={job} conv=notrunc 2>/dev/null";
    let run = ["run", "--shared", "out=4", "--save", &save, "--save", "out=-", "--jobs", "4", "--", "sh", "-c"];
    assert_eq!(stdout_of(&[&run[..], &[script]].concat()), "0123");
    assert_eq!(fs::read(&saved).unwrap(), b"0123");

    // After a failure nothing is saved, and the exit code is the failed worker's. The other workers run to their end.
    fs::remove_file(&saved).unwrap();
    let script = format!("{script}; echo ended {{job}}; test {{job}} != 2 || exit 7");
    let output = heirloom(&[&run[..], &[&script]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 4);
    assert!(!saved.exists());
}

#[test]
fn exit_code_is_that_of_first_failure() {
    let code = |args: &[&str]| heirloom(args).output().unwrap().status.code();
    assert_eq!(code(&["run", "--", "true"]), Some(0));
    assert_eq!(code(&["run", "--", "sh", "-c", "exit 42"]), Some(42));
    assert_eq!(code(&["run", "--", "sh", "-c", "kill -TERM $$"]), Some(128 + libc::SIGTERM));
    assert_eq!(code(&["run", "--jobs", "3", "--", "sh", "-c", "test {job} != 1 || exit 9"]), Some(9));
    assert_eq!(code(&["exec", "--", "sh", "-c", "exit 42"]), Some(42));
    // The same if the parent ignores SIGCHLD, which discards exit statuses.
    let mut command = heirloom(&["run", "--", "sh", "-c", "exit 42"]);
    // SAFETY: Between fork and exec only one system call is made.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            Ok(())
        });
    }
    assert_eq!(command.output().unwrap().status.code(), Some(42));
}

#[test]
fn failed_workers_are_named() {
    let errors_of = |args: &[&str], code: i32| {
        let output = heirloom(args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let script = "test {job} != 1 || exit 7";
    let errors = errors_of(&["run", "--jobs", "3", "--", "sh", "-c", script], 7);
    assert_eq!(errors, "heirloom: worker 1 failed: exit code 7\n");
    let script = "test {job} != 2 || kill -SEGV $$";
    let errors = errors_of(&["run", "--jobs", "3", "--", "sh", "-c", script], 128 + libc::SIGSEGV);
    assert_eq!(errors, "heirloom: worker 2 failed: killed by signal 11\n");
    // By the numbers that the workers know themselves by.
    let script = "test {job} != 4294967296 || exit 7";
    let errors = errors_of(&["run", "--jobs", "3", "--first-job", "4294967295", "--", "sh", "-c", script], 7);
    assert_eq!(errors, "heirloom: worker 4294967296 failed: exit code 7\n");
    // A single program is silent about its own exit code, but can't report a signal.
    assert_eq!(errors_of(&["run", "--", "sh", "-c", "exit 7"], 7), "");
    let errors = errors_of(&["run", "--", "sh", "-c", "kill -KILL $$"], 128 + libc::SIGKILL);
    assert_eq!(errors, "heirloom: the program was killed by signal 9\n");
    // The end of a pipeline is not reported.
    assert_eq!(errors_of(&["run", "--", "sh", "-c", "kill -PIPE $$"], 128 + libc::SIGPIPE), "");
}

#[test]
fn exec_keeps_pid_and_regions() {
    let mut child = heirloom(&["exec", "--shared", "a=4K", "--", "sh", "-c", "echo $$; \"$0\" list", HEIRLOOM])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(stdout.starts_with(&format!("{id}\n")), "{stdout}");
    assert!(stdout.contains("4 KiB  writable  a\n"), "{stdout}");
}

#[test]
fn own_failures_exit_125() {
    let directory = tempfile::tempdir().unwrap();
    let directory = format!("a={}", directory.path().display());
    for (args, says) in [
        (&["run", "--shared", "a=12Q", "--", "true"][..], "12Q"),
        (&["run", "--shared", "a=", "--", "true"], "not a size"),
        (&["run", "--shared", "a", "--", "true"], "NAME=SIZE"),
        (&["run", "--shared", "a=0", "--", "true"], "the size must be at least 1"),
        (&["run", "--shared", "a=9000000000000000000T", "--", "true"], "more than a region can hold"),
        (&["run", "--shared", "a=16000000T", "--", "true"], "it exceeds the address space"),
        (&["run", "--shared", "=4K", "--", "true"], "a name must not be empty"),
        (&["run", "--shared", "job=4K", "--", "true"], "is reserved"),
        (&["run", "--frozen", "jobs=/etc/passwd", "--", "true"], "is reserved"),
        (&["run", "--shared", "a=4K", "--frozen", "a=/etc/passwd", "--", "true"], "two regions"),
        (&["run", "--frozen", "a=-", "--frozen", "b=-", "--", "true"], "only one region"),
        (&["run", "--frozen", "a=/nonexistent", "--", "true"], "/nonexistent"),
        (&["run", "--frozen", "a=/nonexistent/\nodd", "--", "true"], "\\nodd"),
        (&["run", "--frozen", &directory, "--", "true"], "is a directory"),
        (&["run", "--frozen", "a=", "--", "true"], "expected a file"),
        (&["run", "--shared", "a=4K", "--save", "b=-", "--", "true"], "the regions are \"a\"\n"),
        (&["run", "--shared", "a=4K", "--save", "a=/dev/full", "--", "true"], "No space left"),
        (&["run", "--shared", "a=4K", "--save", "a=/nonexistent/a", "--", "true"], "/nonexistent/a"),
        (&["run", "--shared", "a=4K", "--save", "a=/", "--", "nonexistent-program"], "Is a directory"),
        (&["run", "--jobs", "0", "--", "true"], "heirloom run --help"),
        (&["run", "--jobs", "many", "--", "true"], "--jobs"),
        (&["run"], "PROGRAM"),
        (&["exec"], "PROGRAM"),
        (&["frobnicate"], "frobnicate"),
        (&["ps", "--frobnicate"], "--frobnicate"),
        (&[], "--help"),
    ] {
        let message = error_of(args, 125);
        assert!(message.contains(says), "{args:?}: {message}");
    }
    let odd = std::ffi::OsStr::from_bytes(b"\xff");
    error_line(&Command::new(HEIRLOOM).arg(odd).arg0(odd).output().unwrap(), 125);
    // If standard error cannot be written, the exit code still reports the failure.
    let full = || File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(heirloom(&["frobnicate"]).stderr(full()).output().unwrap().status.code(), Some(125));
    for task in ["run", "exec"] {
        assert!(error_of(&[task, "--", "/etc/passwd/program"], 126).contains("/etc/passwd/program"));
        let output = heirloom(&[task, "--", "nonexistent-program"]).env("PATH", "/usr/bin:/bin").output().unwrap();
        let message = error_line(&output, 127);
        assert!(message.contains("nonexistent-program"), "{message}");
        let message = error_of(&[task, "--", "/etc/passwd"], 126);
        assert!(message.contains("/etc/passwd"), "{message}");
    }
}

#[test]
fn help_and_version_succeed() {
    assert!(stdout_of(&["--help"]).contains("run"));
    assert!(stdout_of(&["run", "--help"]).contains("/proc/self/fd/N"));
    // They don't read the variable, so a malformed one doesn't matter.
    assert!(heirloom(&["--help"]).env("HEIRLOOM_REGIONS", "x").output().unwrap().status.success());
    assert_eq!(stdout_of(&["--version"]), concat!("heirloom ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn unwritable_standard_output_fails() {
    for args in [
        &["list"][..],
        &["ps"],
        &["--help"],
        &["--version"],
        &["run", "--shared", "a=4K", "--save", "a=-", "--", "true"],
    ] {
        let mut closed = heirloom(args);
        // SAFETY: Between fork and exec only one system call is made.
        unsafe {
            closed.pre_exec(|| {
                libc::close(1);
                Ok(())
            });
        }
        assert!(
            error_line(&closed.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap(), 125)
                .contains("closed")
        );
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = heirloom(args).stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert!(error_line(&output, 125).contains("No space left"));
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        drop(reader);
        let output = heirloom(args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert!(error_line(&output, 125).contains("Broken pipe"));
    }
}

#[test]
fn file_that_changes_during_read_fails() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("changing");
    let file = File::create(&path).unwrap();
    // A sparse file takes long to read, but no time to create.
    file.set_len(256 << 20).unwrap();
    let mut child = heirloom(&["run", "--frozen", &format!("a={}", path.display()), "--", "true"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while child.try_wait().unwrap().is_none() {
        std::os::unix::fs::FileExt::write_all_at(&file, b"x", 0).unwrap();
        // Without a pause the writes hold the file's lock most of the time, which slows the reader down.
        thread::sleep(Duration::from_millis(1));
    }
    assert!(error_line(&child.wait_with_output().unwrap(), 125).contains("changed while it was read"));
}

#[test]
fn endless_and_huge_inputs_end_at_max() {
    let directory = tempfile::tempdir().unwrap();
    let sparse = directory.path().join("sparse");
    File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
    let sparse = format!("a={}", sparse.display());
    for frozen in ["a=/dev/zero", &sparse] {
        for more in [&[][..], &["--huge-pages"]] {
            let args = [&["run", "--max", "3M", "--frozen", frozen][..], more, &["--", "true"]].concat();
            let message = error_of(&args, 125);
            assert!(message.contains(&frozen[2..]) && message.contains("--max 3145728: "), "{message}");
        }
    }
    // On a terminal, a copy with a progress bar would first reach the maximum.
    let (mut user, terminal) = terminal();
    let args = ["run", "--max", "64M", "--frozen", &sparse, "--", "true"];
    assert!(!on_terminal(&args, &terminal).spawn().unwrap().wait().unwrap().success());
    let mut seen = vec![0; 4096];
    let read = user.read(&mut seen).unwrap();
    let seen = String::from_utf8_lossy(&seen[..read]).into_owned();
    assert!(seen.contains("with 1099511627776 bytes"), "{seen}");
}

#[test]
fn files_with_a_wrong_size_are_read_whole() {
    for file in ["/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled"] {
        if !Path::new(file).exists() {
            skip(format_args!("there is no {file}"));
            continue;
        }
        assert!(!stdout_of(&["run", "--frozen", &format!("a={file}"), "--", "cat", "{a}"]).is_empty());
    }
}

#[test]
fn workers_in_other_languages_map_huge_pages() {
    let script = r"
import mmap, re, sys
size = 32 << 20
with open(sys.argv[1], 'rb') as region:
    view = mmap.mmap(region.fileno(), size, prot=mmap.PROT_READ)
assert view[::4096] == bytes(range(256)) * (size >> 20)
maps = open('/proc/self/smaps').read()
start, huge = re.search(r'(?m)^([0-9a-f]+)-[^\n]* /memfd:heirloom/data [^$]*?ShmemPmdMapped: *(\d+)', maps).groups()
print(int(start, 16) % (2 << 20), int(huge) > 0)
";
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, (0..32 << 20).map(|at: usize| (at / 4096).to_le_bytes()[0]).collect::<Vec<_>>()).unwrap();
    let frozen = format!("data={}", file.path().display());
    let run = |options: &[&str]| {
        let worker = ["--frozen", &frozen, "--", "python3", "-c", script, "{data}"];
        stdout_of(&[&["run"], options, &worker[..]].concat())
    };
    match &*run(&["--huge-pages"]) {
        "0 True\n" if large_pages_are_used() => {}
        "0 True\n" => assert_eq!(run(&[]), "0 False\n"),
        other if other.starts_with("0 ") => panic!("no page is huge"),
        _ => skip("this kernel maps large files at any address (shmem_enabled)"),
    }
}

#[test]
fn closed_standard_input_fails() {
    let mut command = heirloom(&["run", "--frozen", "a=-", "--", "true"]);
    // SAFETY: Between fork and exec only one system call is made.
    unsafe {
        command.pre_exec(|| {
            libc::close(0);
            Ok(())
        });
    }
    assert!(error_line(&command.output().unwrap(), 125).contains("closed"));
    assert_eq!(stdout_of(&["run", "--frozen", "a=-", "--", "cat", "{a}"]), "");
}

#[test]
fn failed_start_kills_other_workers() {
    // Worker 10 has a second digit in `{job}`, which makes its argument longer than the kernel accepts.
    const LONGEST: usize = (128 << 10) - 1;
    let path = stdout_of(&["run", "--shared", "a=1", "--", "echo", "{a}"]);
    let paths = 120_000 / path.trim().len();
    let padding = LONGEST - paths * path.trim().len() - 100;
    let argument = "{a}".repeat(paths) + &"{job}".repeat(100) + &"x".repeat(padding);
    let run = |jobs: &str, script: &str| {
        heirloom(&["run", "--shared", "a=1", "--jobs", jobs, "--", "sh", "-c", script, &argument]).output().unwrap()
    };
    // Control: ten workers can be started.
    assert_eq!(run("10", "true").status.code(), Some(0));
    // This reads their standard output, and so would block as long as any worker lives.
    let output = run("11", "exec sleep 1000");
    assert!(error_line(&output, 126).contains("larger than the kernel takes"), "{output:?}");
}

/// Opens a pseudoterminal: the user's end, and the path of the other end.
pub(super) fn terminal() -> (File, String) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&user).unwrap();
    unlockpt(&user).unwrap();
    let path = ptsname(&user, Vec::new()).unwrap().into_string().unwrap();
    (user.into(), path)
}

/// Makes the command start in a session of its own on a terminal.
pub(super) fn on_terminal(args: &[&str], path: &str) -> Command {
    let open = || File::options().read(true).write(true).open(path).unwrap();
    let mut command = heirloom(args);
    command.stdin(open()).stdout(open()).stderr(open());
    // SAFETY: Between fork and exec only two system calls are made.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            libc::ioctl(0, libc::TIOCSCTTY, 0);
            Ok(())
        });
    }
    command
}

#[test]
fn progress_is_shown_on_terminals_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("long");
    File::create(&path).unwrap().set_len(256 << 20).unwrap();
    let frozen = format!("long={}", path.display());
    let args = ["run", "--frozen", &frozen, "--", "true"];
    assert_eq!(stdout_of(&args), "");

    let (mut user, terminal) = terminal();
    let mut child = on_terminal(&args, &terminal).spawn().unwrap();
    let reader = thread::spawn(move || {
        let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
        // Reading fails once the other end is closed.
        while let Ok(read @ 1..) = user.read(&mut buffer) {
            seen.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    });
    assert!(child.wait().unwrap().success());
    let seen = reader.join().unwrap();
    assert!(seen.contains("long") && seen.contains("256"), "{seen:?}");
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn list_shows_inherited_regions() {
    let stdout = stdout_of(&["run", "--shared", "b=4K", "--frozen", "a=Cargo.toml", "--", HEIRLOOM, "list", "--json"]);
    let size = fs::metadata("Cargo.toml").unwrap().len();
    let expected = serde_json::json!([
        { "name": "a", "kind": "frozen", "size": size, "missing": null },
        { "name": "b", "kind": "writable", "size": 4096, "missing": null },
    ]);
    assert_eq!(json(&stdout), expected);
    assert_eq!(json(&stdout_of(&["list", "--json"])), serde_json::json!([]));
    // Control characters in a name are escaped.
    let stdout = stdout_of(&["run", "--shared", "a\nb\u{1b}[31m=1", "--", HEIRLOOM, "list"]);
    assert!(stdout.lines().count() == 2 && stdout.contains("a\\nb\\u{1b}[31m"), "{stdout}");
}

#[test]
fn ps_shows_regions_and_holders() {
    let name = format!("ps-{}\u{1b}", std::process::id());
    let shared = format!("{name}=1M");
    let script = "printf 12345 1<>{NAME}; \"$0\" ps --json; \"$0\" ps".replace("NAME", &name);
    let stdout = stdout_of(&["run", "--shared", &shared, "--", "sh", "-c", &script, HEIRLOOM]);
    let (report, table) = stdout.split_at(stdout.rfind("\n}\n").unwrap() + 3);
    let report = json(report);
    let region = report["regions"].as_array().unwrap().iter().find(|region| region["name"] == name).unwrap();
    assert_eq!((&region["size"], &region["kind"]), (&Value::from(1 << 20), &Value::from("writable")));
    let resident = region["resident"].as_u64().unwrap();
    assert!(resident == 4096 || large_pages_are_used() && resident > 4096, "{resident}");
    // The command, the shell and `ps` itself.
    let holders = region["holders"].as_array().unwrap();
    let mut commands: Vec<_> = holders.iter().map(|holder| holder["command"].as_str().unwrap()).collect();
    // By their ids, which begin again at the largest.
    commands.sort_unstable();
    assert_eq!(commands, ["heirloom", "heirloom", "sh"]);
    assert!(holders.iter().all(|holder| holder["open"] == true && holder["mapped"] == false));
    let row = table.lines().find(|line| line.contains(&format!("ps-{}\\u{{1b}}", std::process::id()))).unwrap();
    // Other regions of this system decide how wide the columns are.
    let words: Vec<_> = row.split_whitespace().collect();
    let shown = large_pages_are_used() || words.starts_with(&["1", "MiB", "4", "KiB", "writable"]);
    assert!(shown && !table.contains('\u{1b}'), "{table}");
    // The region is freed with its last holder.
    assert!(!stdout_of(&["ps", "--json"]).contains(&format!("ps-{}", std::process::id())));
}

#[test]
fn ps_counts_hidden_processes() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can run ps as another user");
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = directory.path().join("heirloom");
    assert!(Command::new("cp").args([Path::new(HEIRLOOM), &program]).status().unwrap().success());
    let output = Command::new(program).arg("ps").uid(65534).gid(65534).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && stdout.contains("could not be inspected"), "{stdout}");
}
