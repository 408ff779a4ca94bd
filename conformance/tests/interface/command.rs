//! `Command` and `Child`, which behave like the standard library's.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;

use heirloom::{Command, ErrorKind, FrozenRegion, Region, Stdio};
use heirloom_conformance::ADDED_BY_THE_SYSTEM;

use crate::{child, output};

#[test]
fn arguments_environment_and_directory_reach_child() {
    let odd =
        ["", " ", "two words", "a\"quote", "back\\slash", "ends\\", "\\\"both\\\\", "\ttab", "100%", "🦀", "*", "'"];
    let expected: Vec<_> = odd.iter().map(|arg| format!("{arg:?}")).collect();
    assert_eq!(output(child(&["arguments"]).args(odd)).lines().collect::<Vec<_>>(), expected);

    let mut command = child(&["environment"]);
    command.env("A", "1").envs([("B", "2=3")]).env("LOST", "x").env_remove("LOST");
    let seen = output(&mut command);
    // A set, because an emulator may reorder the environment.
    let set: BTreeSet<_> =
        seen.lines().filter(|line| ["A=", "B=", "LOST"].iter().any(|key| line.starts_with(key))).collect();
    assert_eq!(set, BTreeSet::from(["A=1", "B=2=3"]));

    let directory = tempfile::tempdir().unwrap();
    let seen = output(child(&["directory"]).current_dir(directory.path()));
    assert_eq!(Path::new(seen.trim()).canonicalize().unwrap(), directory.path().canonicalize().unwrap());
}

#[test]
fn env_clear_keeps_region_names_and_later_variables() {
    let region = Region::create(1).unwrap();
    let mut command = child(&["environment"]);
    command.env("A", "lost").inherit("r", &region).unwrap().env_clear().env("B", "kept");
    let seen = output(&mut command);
    let keys = seen.lines().map(|line| line.split_once('=').unwrap().0);
    let mut keys: Vec<_> = keys.filter(|key| !ADDED_BY_THE_SYSTEM.contains(key)).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["B", "HEIRLOOM_REGIONS"]);
    // Without regions the variable is removed, even if the caller set it.
    let seen = output(child(&["environment"]).env("HEIRLOOM_REGIONS", "stale"));
    assert!(!seen.contains("HEIRLOOM_REGIONS"));
    // The variable that this process inherited is removed too.
    let seen = output(child(&["spawn-environment"]).inherit("r", &region).unwrap());
    assert!(seen.contains("PATH=") && !seen.contains("HEIRLOOM_REGIONS"), "{seen}");
}

#[test]
fn nul_bytes_are_rejected() {
    for mut command in [
        {
            let mut c = child(&["print"]);
            c.arg("a\0b");
            c
        },
        {
            let mut c = child(&["print", "x"]);
            c.env("A", "a\0b");
            c
        },
        {
            let mut c = child(&["print", "x"]);
            c.current_dir("a\0b");
            c
        },
        Command::new("ec\0ho"),
    ] {
        assert_eq!(command.spawn().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn missing_program_or_directory_is_an_error() {
    for program in ["/nonexistent/program", "nonexistent-program"] {
        let error = Command::new(program).spawn().unwrap_err();
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::ProgramNotFound, Some(2)), "{error}");
    }
    let error = child(&["print", "x"]).current_dir("/nonexistent").spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::System, "{error}");
    assert!(error.to_string().contains("working directory"), "{error}");
}

#[test]
fn streams_are_redirected() {
    let mut echo = child(&["cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    echo.stdin.take().unwrap().write_all(b"there and back").unwrap();
    let mut back = String::new();
    echo.stdout.take().unwrap().read_to_string(&mut back).unwrap();
    assert_eq!(back, "there and back");
    assert!(echo.wait().unwrap().success());

    let mut file = tempfile::tempfile().unwrap();
    let mut command = child(&["both-streams"]);
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file.try_clone().unwrap());
    assert!(command.status().unwrap().success());
    std::io::Seek::rewind(&mut file).unwrap();
    let mut seen = String::new();
    file.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "out\nerror\n");

    let output = child(&["both-streams"]).output().unwrap();
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out\n"[..], &b"error\n"[..]));
}

#[test]
fn child_output_feeds_another_child() {
    let mut first = child(&["print", "hello"]).stdout(Stdio::piped()).spawn().unwrap();
    let second = child(&["cat"]).stdin(first.stdout.take().unwrap()).output();
    assert_eq!(second.unwrap().stdout, b"hello\n");
    first.wait().unwrap();
}

#[test]
fn output_beyond_pipe_capacity_is_collected() {
    let output = child(&["flood", "1000000"]).output().unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len()), (1_000_000, 2_000_000));
}

#[test]
fn repeated_wait_returns_the_same_status() {
    let mut ended = child(&["exit", "3"]).spawn().unwrap();
    assert_eq!(ended.wait().unwrap().code(), Some(3));
    assert_eq!(ended.wait().unwrap().code(), Some(3));
    assert_eq!(ended.try_wait().unwrap().unwrap().code(), Some(3));
    assert!(ended.kill().is_ok());

    let mut waiting = child(&["cat"]).stdin(Stdio::piped()).spawn().unwrap();
    assert!(waiting.try_wait().unwrap().is_none());
    waiting.kill().unwrap();
    assert!(!waiting.wait().unwrap().success());
}

#[test]
fn wait_closes_stdin_first() {
    let mut cat = child(&["cat"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    assert!(cat.wait().unwrap().success());
}

#[test]
fn debug_hides_environment_values() {
    let key = FrozenRegion::options().name("key").from_bytes("hunter2").unwrap();
    let mut command = Command::new("program");
    command.arg("argument").env("PASSWORD", "swordfish").inherit("key", &key).unwrap();
    let shown = format!("{command:?}");
    assert!(shown.contains("argument") && shown.contains("key="), "{shown}");
    assert!(!shown.contains("swordfish") && !shown.contains("hunter2"), "{shown}");
}
