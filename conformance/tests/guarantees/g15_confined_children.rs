//! G15, a confined child reaches no other process: it is kept from their memory, their descriptors and, from Linux 6.12 on, from
//! sending them signals; and one that is sealed off has nothing of the user but what it was given.

#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;
use std::sync::Mutex;

use heirloom::os::linux::CommandExt;
use heirloom::os::unix::CommandExt as _;
use heirloom_conformance::intruder::{CLOSED, DONE, OPEN};
use heirloom_conformance::{sealed_off, skip, text};

use crate::g2_only_named_children::without_privileges;
use crate::{CHILD, child, output};

/// The kernel's version of Landlock, and whether children can be confined. Reports the skip where they can't.
fn landlock() -> Option<u32> {
    // SAFETY: With LANDLOCK_CREATE_RULESET_VERSION, the call takes no attributes.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<u8>(), 0_usize, 1) };
    match u32::try_from(version) {
        Ok(version) if child(&[]).confine().is_ok() => Some(version),
        _ => {
            skip("confining: this kernel has no Landlock");
            None
        }
    }
}

/// Like [`landlock`], for children that are sealed off.
fn sealing_off() -> Option<u32> {
    let version = landlock()?;
    if child(&[]).confine_to::<&str>([]).is_ok() {
        return Some(version);
    }
    skip("sealing off: this processor is not in the table of calls");
    None
}

/// The `child` program where every user can execute it: its own directory may be closed to others.
struct Everyone {
    program: PathBuf,
    directory: tempfile::TempDir,
}

impl Everyone {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let program = directory.path().join("child");
        // By another process, so that no child of another thread holds the copy open for writing (ETXTBSY).
        assert!(Command::new("cp").arg(CHILD).arg(&program).status().unwrap().success());
        Self { program, directory }
    }

    /// Runs a sub-command as a user without privileges, whose rights don't differ from those of its children.
    fn run(&self, args: &[&str]) -> String {
        text(without_privileges(&self.program).arg("confined").args(args).output().unwrap())
    }

    /// Runs it, and returns its table.
    fn table(&self, args: &[&str]) -> Table {
        table(&self.run(args))
    }

    /// Creates a directory of that user.
    fn directory(&self, name: &str) -> PathBuf {
        let directory = self.directory.path().join(name);
        fs::create_dir(&directory).unwrap();
        if rustix::process::geteuid().is_root() {
            chown(&directory, Some(65534), Some(65534)).unwrap();
        }
        directory
    }
}

/// The errno of each way.
type Table = BTreeMap<String, i32>;

fn table(text: &str) -> Table {
    text.lines().map(|line| line.split_once('\t').unwrap()).map(|(a, b)| (a.to_owned(), b.parse().unwrap())).collect()
}

/// Reports what this system refuses to every process without privileges, once.
fn refused_to_everybody(name: &'static str, errno: i32) {
    static REPORTED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    if REPORTED.lock().unwrap().insert(name) {
        skip(format_args!("{name}: this system refuses it to every user (errno {errno})"));
    }
}

/// Compares the tables of an intruder that is confined with those of one that is not.
fn assert_kept_away(version: u32, control: &Table, confined: &Table, who: &str) {
    assert_eq!((control.len(), confined.len()), (CLOSED.len() + OPEN.len(), CLOSED.len() + OPEN.len()), "{who}");
    for way in CLOSED.iter().chain(OPEN) {
        let expected = if version >= way.since { way.answer } else { DONE };
        assert_refused(who, way.name, way.may_be_refused, expected, control, confined);
    }
}

/// Asserts the result of one attempt of a child, and that the same works for one that is not confined.
fn assert_refused(who: &str, name: &'static str, may_be_refused: bool, expected: i32, control: &Table, kept: &Table) {
    let free = control[name];
    if free != DONE && may_be_refused {
        refused_to_everybody(name, free);
        return;
    }
    assert_eq!(free, DONE, "{who}, not confined: {name}");
    assert_eq!(kept[name], expected, "{who}: {name}");
}

/// Tries every way from a child that is confined by that means, towards its parent and its sibling.
fn assert_means_confines(means: &str) {
    let Some(version) = landlock() else { return };
    let everyone = Everyone::new();
    for target in ["parent", "sibling"] {
        let control = everyone.table(&["intrude", "free", target]);
        let confined = everyone.table(&["intrude", means, target]);
        assert_kept_away(version, &control, &confined, &format!("{means}, {target}"));
    }
}

#[test]
fn g15_confined_child_reaches_neither_parent_nor_sibling() {
    assert_means_confines("confined");
}

#[test]
fn g15_confined_child_of_root_reaches_no_other_but_to_measure_it() {
    let Some(version) = landlock() else { return };
    if !rustix::process::geteuid().is_root() {
        return skip("confining a child of root: these tests run without privileges");
    }
    for target in ["parent", "sibling"] {
        let control = table(&output(&mut child(&["confined", "intrude", "free", target])));
        let confined = table(&output(&mut child(&["confined", "intrude", "confined", target])));
        // Whether it may measure others depends on the kernel's version.
        for way in CLOSED.iter().filter(|way| !way.root_may) {
            // A container may take the capability.
            if control[way.name] != DONE && way.may_be_refused {
                refused_to_everybody(way.name, control[way.name]);
                continue;
            }
            assert_eq!(control[way.name], DONE, "not confined: {}", way.name);
            let expected = if version >= way.since { way.answer } else { DONE };
            assert_eq!(confined[way.name], expected, "{target}: {}", way.name);
        }
    }
}

#[test]
fn g15_child_that_is_confined_twice_reaches_no_other() {
    assert_means_confines("twice");
}

#[test]
fn g15_child_of_the_standard_library_reaches_no_other() {
    assert_means_confines("std");
}

#[test]
fn g15_process_that_executes_a_program_confined_reaches_no_other() {
    assert_means_confines("exec");
}

#[test]
fn g15_child_of_a_confined_process_is_confined_from_it() {
    let Some(version) = landlock() else { return };
    let everyone = Everyone::new();
    for target in ["parent", "sibling"] {
        let control = everyone.table(&["confine", "intrude", "free", target]);
        let confined = everyone.table(&["confine", "intrude", "confined", target]);
        assert_kept_away(version, &control, &confined, target);
    }
}

#[test]
fn g15_confining_a_child_takes_nothing_from_its_parent_nor_from_its_children() {
    let Some(_) = landlock() else { return };
    let everyone = Everyone::new();
    // The parent towards its confined child; a confined child towards its own children.
    for args in [&["reach", "confined"][..], &["confine", "reach", "free"], &["confine", "reach", "confined"]] {
        let table = everyone.table(args);
        for way in CLOSED.iter().chain(OPEN) {
            if table[way.name] != DONE && way.may_be_refused {
                refused_to_everybody(way.name, table[way.name]);
                continue;
            }
            assert_eq!(table[way.name], DONE, "{args:?}: {}", way.name);
        }
    }
}

#[test]
fn g15_child_that_is_sealed_off_has_only_what_it_was_given() {
    let Some(version) = sealing_off() else { return };
    let everyone = Everyone::new();
    let table = |means: &str| {
        let directory = everyone.directory(means);
        everyone.table(&["seal-off", means, directory.to_str().unwrap()])
    };
    let control = table("free");
    for means in ["sealed", "std", "apart too"] {
        let sealed = table(means);
        assert_eq!((control.len(), sealed.len()), (sealed_off::ATTEMPTS.len(), sealed_off::ATTEMPTS.len()));
        for attempt in sealed_off::ATTEMPTS {
            let expected = if version >= attempt.since { attempt.answer } else { DONE };
            assert_refused(means, attempt.name, attempt.may_be_refused, expected, &control, &sealed);
        }
    }
}

#[test]
fn g15_child_that_is_sealed_off_keeps_this_library() {
    let Some(_) = sealing_off() else { return };
    let everyone = Everyone::new();
    let expected = everyone.run(&["use-library", "free"]);
    assert_eq!(expected.lines().last(), Some("done"), "{expected}");
    assert_eq!(everyone.run(&["use-library", "confined"]), expected);
    assert_eq!(everyone.run(&["use-library", "sealed"]), expected);
}

#[test]
fn g15_paths_allowed_twice_are_those_of_both() {
    let Some(_) = sealing_off() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("first"), directory.path().join("second"));
    fs::write(&first, "1").unwrap();
    fs::write(&second, "2").unwrap();
    let system: Vec<_> = ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache"].map(PathBuf::from).into();
    let system: Vec<_> = system.into_iter().filter(|path| path.exists()).collect();
    let with = |paths: &[&Path]| system.iter().cloned().chain(paths.iter().map(|path| path.to_path_buf())).collect();
    let reads = |calls: &[&[PathBuf]], path: &Path| {
        let mut command = heirloom::Command::new("cat");
        command.arg(path);
        for paths in calls {
            command.confine_to(*paths).unwrap();
        }
        command.output().unwrap().status.success()
    };
    let (one, both): (Vec<_>, Vec<_>) = (with(&[&first]), with(&[&first, &second]));
    assert!(reads(&[&one], &first) && reads(&[&both], &second));
    assert!(reads(&[&one, &both], &first) && !reads(&[&one, &both], &second));
}

#[test]
fn g15_path_that_does_not_exist_is_an_error() {
    let Some(_) = sealing_off() else { return };
    let mut command = child(&["print", "x"]);
    let error = command.confine_to(["/", "/nonexistent/path"]).unwrap_err();
    assert_eq!(error.kind(), heirloom::ErrorKind::System);
    assert_eq!(
        error.to_string(),
        "cannot allow a confined child to read /nonexistent/path: No such file or directory (os error 2)"
    );
    // The failed call left the command as it was.
    assert_eq!(output(&mut command), "x\n");
}

/// Asserts that a command has the same outcome if it is confined, and if it is sealed off but for all files. Returns it.
fn same_confined(name: &str, command: impl Fn() -> heirloom::Command) -> String {
    let outcome = |command: &mut heirloom::Command| match command.output() {
        Ok(output) => format!("{output:?}"),
        Err(error) => format!("{error:?}"),
    };
    let expected = outcome(&mut command());
    assert_eq!(outcome(command().confine().unwrap()), expected, "{name}");
    let mut sealed = command();
    if sealed.confine_to(["/"]).is_ok() {
        // The advice names what else may be missing.
        let (own, theirs) = (
            "is it a file that this user may execute?",
            "may this user execute it, and is it, with its \
             interpreter and its loader, beneath a path that confine_to names?",
        );
        assert_eq!(outcome(&mut sealed), expected.replace(own, theirs), "{name}, sealed off");
    }
    expected
}

#[test]
fn g15_confined_programs_are_found_redirected_and_diagnosed_as_others() {
    let Some(_) = landlock() else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, contents, mode) in [
        ("script", "#!/bin/sh\necho \"script $1\"; cat\n", 0o755),
        ("no-interpreter", "#!/nonexistent/interpreter\n", 0o755),
        ("no-program", "text", 0o755),
        ("not-executable", "text", 0o644),
        ("input", "of a file", 0o644),
    ] {
        fs::write(path(name), contents).unwrap();
        fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
    }
    let program = |program: PathBuf| {
        move || {
            let mut command = heirloom::Command::new(&program);
            // A directory of the test's own PATH may be closed to this user.
            command.env("PATH", "/usr/bin:/bin");
            command
        }
    };
    let seen = same_confined("a script", || {
        let mut command = heirloom::Command::new(path("script"));
        command.arg("one").stdin(fs::File::open(path("input")).unwrap());
        command
    });
    assert!(seen.contains(r#"stdout: "script one\nof a file""#), "{seen}");
    let seen = same_confined("a program of the PATH", || {
        let mut command = heirloom::Command::new("script");
        command.env("PATH", format!("/nonexistent:{}:/usr/bin:/bin", directory.path().display()));
        command
    });
    assert!(seen.contains("script"), "{seen}");
    let seen = same_confined("a directory", || {
        let mut command = heirloom::Command::new("pwd");
        command.current_dir(directory.path());
        command
    });
    assert!(seen.contains(directory.path().canonicalize().unwrap().to_str().unwrap()), "{seen}");
    let seen = same_confined("a standard stream that is closed", || {
        let mut command = heirloom::Command::new("sh");
        command.args(["-c", "echo out; echo error >&2"]).stderr(heirloom::Stdio::null());
        command
    });
    assert!(seen.contains(r#"stdout: "out\n", stderr: """#), "{seen}");
    for (name, kind) in [
        ("/nonexistent/program", "ProgramNotFound"),
        ("heirloom-missing-program", "ProgramNotFound"),
        ("no-interpreter", "ProgramNotFound"),
        ("no-program", "ProgramNotRunnable"),
        ("not-executable", "ProgramNotRunnable"),
        ("", "ProgramNotFound"),
    ] {
        let here = path(name);
        let seen = same_confined(name, program(if here.is_file() { here } else { name.into() }));
        assert!(seen.starts_with(kind), "{seen}");
    }
    let seen = same_confined("a missing directory", || {
        let mut command = heirloom::Command::new("pwd");
        command.current_dir("/nonexistent");
        command
    });
    assert!(seen.contains("cannot start"), "{seen}");
    let seen = same_confined("a missing group", || {
        let mut command = heirloom::Command::new("true");
        command.process_group(1);
        command
    });
    assert!(seen.contains("group"), "{seen}");
    // A failed exec says the same too.
    let missing = |means| output(&mut child(&["confined", "exec-missing", means]));
    let (free, confined) = (missing("free"), missing("confined"));
    assert_eq!(free.lines().next(), confined.lines().next());
    assert_eq!(confined.lines().last(), Some("NoNewPrivs:\t1"));
}

#[test]
fn g15_confined_child_leads_its_group_and_its_parent_stays_free() {
    let Some(version) = landlock() else { return };
    let status = |path: String| {
        let status = fs::read_to_string(path).unwrap();
        status.lines().find(|line| line.starts_with("NoNewPrivs")).unwrap().to_owned()
    };
    let before = status("/proc/thread-self/status".into());
    let mut command = heirloom::Command::new("cat");
    let mut leader = command.stdin(heirloom::Stdio::piped()).process_group(0).confine().unwrap().spawn().unwrap();
    let id = rustix::process::Pid::from_raw(i32::try_from(leader.id()).unwrap()).unwrap();
    assert_eq!(rustix::process::getpgid(Some(id)).unwrap(), id);
    assert_eq!(status(format!("/proc/{}/status", leader.id())), "NoNewPrivs:\t1");
    assert_eq!(status("/proc/thread-self/status".into()), before);
    drop(leader.stdin.take());
    assert!(leader.wait().unwrap().success());
    // It may move files from one directory to another.
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    fs::write(from.join("file"), "text").unwrap();
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let file = inode(&from.join("file"));
    let mut command = heirloom::Command::new("mv");
    command.args([from.join("file"), to.join("file")]).confine().unwrap();
    assert!(command.status().unwrap().success());
    // Otherwise, `mv` copies it.
    assert_eq!(inode(&to.join("file")) == file, version >= 2);
}

#[test]
fn g15_seventeenth_domain_is_an_error() {
    let Some(_) = landlock() else { return };
    let nest = |means| output(&mut child(&["confined", "nest", means, "0"]));
    let advice =
        "this process is in too many domains of Landlock already, of which the kernel nests 16: confine the child once";
    let of_system = std::io::Error::from_raw_os_error(libc::EOVERFLOW);
    for (means, what) in [("spawn", "cannot start"), ("exec", "cannot execute")] {
        assert_eq!(nest(means), format!("16 System: {what} {CHILD:?}: {of_system}; {advice}\n"));
    }
    assert_eq!(nest("std"), format!("16 Some({}) {of_system}\n", libc::EOVERFLOW));
}

#[test]
fn g15_death_signal_waits_for_the_thread_that_started_the_child() {
    use std::io::{BufRead, BufReader};
    let Some(_) = landlock() else { return };
    let start = || {
        let mut command = child(&["confined", "set-death-signal"]);
        command.stdin(heirloom::Stdio::piped()).stdout(heirloom::Stdio::piped()).confine().unwrap();
        let mut child = command.spawn().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        printed.read_line(&mut line).unwrap();
        assert_eq!(line, "set\n");
        (child, printed)
    };
    let (mut lives, printed) = start();
    std::thread::sleep(std::time::Duration::from_millis(50));
    drop(lives.stdin.take());
    assert_eq!(std::io::read_to_string(printed).unwrap(), "alive\n");
    assert!(lives.wait().unwrap().success());
    // The control: it is killed when the thread ends.
    let (mut dies, printed) = std::thread::spawn(start).join().unwrap();
    assert_eq!(std::io::read_to_string(printed).unwrap(), "");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&dies.wait().unwrap()), Some(libc::SIGKILL));
}

#[test]
fn g15_confinement_that_is_refused_or_only_pretended_starts_nothing() {
    let Some(_) = sealing_off() else { return };
    let directory = tempfile::tempdir().unwrap();
    let marker = directory.path().join("started");
    let run = |call: &str, errno: i32| {
        let mut command = child(&["confined", "refused", call, &errno.to_string()]);
        let text = output(command.env("MARKER", &marker));
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        <[String; 3]>::try_from(lines).unwrap()
    };
    // The control: without a filter, all three start, in a domain that doesn't let the last create a file.
    let [confined, sealed, std] = run("nothing", 0);
    assert_eq!((&*confined, &*std), ("true ok exit status: 0", "true ok exit status: 0"));
    assert_eq!(sealed, "false ok exit status: 1");

    let landlock = |why: &str| {
        format!("false Unsupported: cannot confine a child: {why}; confining needs Linux 5.13 or later with Landlock")
    };
    let pretended = "the call does nothing";
    let because = |errno| std::io::Error::from_raw_os_error(errno).to_string();
    for (call, errno, why) in [
        ("landlock_create_ruleset", libc::ENOSYS, because(libc::ENOSYS)),
        ("landlock_create_ruleset", libc::EOPNOTSUPP, because(libc::EOPNOTSUPP)),
        ("landlock_create_ruleset", libc::EPERM, because(libc::EPERM)),
        ("landlock_create_ruleset", 0, pretended.into()),
        ("landlock_restrict_self", 0, pretended.into()),
    ] {
        for line in run(call, errno) {
            assert!(line.starts_with(&landlock(&why)), "{call} {errno}: {line}");
        }
    }
    for (errno, why) in
        [(0, pretended.to_owned()), (libc::EINVAL, because(libc::EINVAL)), (libc::EPERM, because(libc::EPERM))]
    {
        let [confined, sealed, std] = run("prctl", errno);
        // This needs no filter.
        assert_eq!((&*confined, &*std), ("true ok exit status: 0", "true ok exit status: 0"), "{errno}");
        let expected =
            format!("false Unsupported: cannot confine a child: {why}; sealing a child off needs seccomp filters");
        assert!(sealed.starts_with(&expected), "{errno}: {sealed}");
    }
    // Refused only when the child enters the domain, which the kernel can't tell before.
    for errno in [libc::EPERM, libc::ENOSYS] {
        for line in run("landlock_restrict_self", errno) {
            assert!(line.starts_with("false "), "{errno}: {line}");
            assert!(line.ends_with(&format!("(os error {errno})")), "{errno}: {line}");
        }
    }
    for line in run("landlock_add_rule", libc::ENOSYS) {
        assert!(line.starts_with("false System: cannot "), "{line}");
    }
}

#[test]
fn g15_confined_child_inherits_no_further_descriptor() {
    let Some(_) = landlock() else { return };
    let numbers = |command: &mut heirloom::Command| -> Vec<_> {
        let seen = output(command);
        seen.lines().map(|line| line.split_once(' ').unwrap().0.to_owned()).collect()
    };
    let expected = numbers(&mut child(&["descriptors"]));
    assert_eq!(numbers(child(&["descriptors"]).confine().unwrap()), expected);
    let mut sealed = child(&["descriptors"]);
    if sealed.confine_to(["/"]).is_ok() {
        assert_eq!(numbers(&mut sealed), expected);
    }
}

#[test]
fn g15_children_are_confined_with_standard_input_closed() {
    let Some(_) = landlock() else { return };
    assert_eq!(output(&mut child(&["confined", "with-stdin-closed"])), "of a region\nof a region\n");
}
