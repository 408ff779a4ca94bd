//! Tests for every system. The workers are the command itself, whose `list` prints what it inherited.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::{HEIRLOOM, error_line, error_of, heirloom, stdout_of};

#[test]
fn workers_find_regions_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("text");
    fs::write(&file, "one two three").unwrap();
    let frozen = format!("text={}", file.display());
    let stdout = stdout_of(&["run", "--frozen", &frozen, "--shared", "out=64K", "--jobs", "3", "--", HEIRLOOM, "list"]);
    assert_eq!(stdout.matches("\n13 B    frozen    text\n").count(), 3, "{stdout}");
    assert_eq!(stdout.matches("\n64 KiB  writable  out\n").count(), 3, "{stdout}");
    let stdout = stdout_of(&["exec", "--frozen", &frozen, "--", HEIRLOOM, "list", "--json"]);
    assert!(stdout.contains("\"kind\": \"frozen\"") && stdout.contains("\"size\": 13"), "{stdout}");
}

#[test]
fn standard_input_fills_region() {
    let mut command = heirloom(&["run", "--frozen", "in=-", "--", HEIRLOOM, "list"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // More than any pipe holds.
    child.stdin.take().unwrap().write_all(&vec![b'x'; 300_000]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("\n293 KiB  frozen  in\n"));
}

#[test]
fn frozen_region_beyond_max_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("text");
    fs::write(&file, vec![b'x'; 70_000]).unwrap();
    let frozen = format!("text={}", file.display());
    for task in ["run", "exec"] {
        let with_max = |max, source| [task, "--max", max, "--frozen", source, "--", HEIRLOOM, "list", "--json"];
        let message = error_of(&with_max("69999", &frozen), 125);
        assert_eq!(
            message,
            format!(
                "heirloom: {} is too large for region \"text\" with --max 69999: cannot fill a frozen region with 70000 bytes: \
                 its maximum is 69999; raise --max\n",
                file.display()
            )
        );
        assert!(stdout_of(&with_max("70000", &frozen)).contains("\"size\": 70000"));

        let piped = |max| {
            let mut command = heirloom(&with_max(max, "in=-"));
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(&[b'x'; 4097]).unwrap();
            child.wait_with_output().unwrap()
        };
        let message = error_line(&piped("4K"), 125);
        assert_eq!(
            message,
            "heirloom: standard input is too large for region \"in\" with --max 4096: cannot fill a frozen region: the input \
             has more than its maximum of 4096 bytes; raise --max\n"
        );
        assert!(String::from_utf8(piped("4097").stdout).unwrap().contains("\"size\": 4097"));
    }
    assert!(error_of(&["run", "--max", "1.5MB", "--", HEIRLOOM, "list"], 125).contains("--max"));
}

#[test]
fn placeholders_name_regions() {
    // The worker's error message repeats its argument.
    let message = |args: &[&str]| error_of(&[&["run", "--shared", "a=4K", "--", HEIRLOOM, "run"], args].concat(), 125);
    let reference = message(&["--x{a}"]);
    let reference = reference.split("'--x").nth(1).unwrap().split('\'').next().unwrap();
    let number = if cfg!(windows) { reference } else { reference.strip_prefix("/proc/self/fd/").unwrap() };
    assert!(number.parse::<u32>().unwrap() > 2);
    assert!(message(&["--y{job}/{jobs}"]).contains("'--y0/1'"));
    assert!(message(&["--z{b}{}{"]).contains("'--z{b}{}{'"));
}

#[test]
fn save_requires_success() {
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("saved");
    fs::write(&saved, "old content").unwrap();
    let save = format!("out={}", saved.display());
    let run = ["run", "--shared", "out=5", "--save", &save, "--jobs", "2", "--"];
    error_of(&[&run[..], &["heirloom-nonexistent-program"]].concat(), 127);
    assert_eq!(fs::read(&saved).unwrap(), b"old content");
    stdout_of(&[&run[..], &[HEIRLOOM, "list"]].concat());
    assert_eq!(fs::read(&saved).unwrap(), [0; 5]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "another file was left there");
}

#[test]
fn failures_set_exit_code() {
    for task in ["run", "exec"] {
        error_of(&[task, "--", "heirloom-nonexistent-program"], 127);
        error_of(&[task, "--bogus", "--", HEIRLOOM, "list"], 125);
        // A worker's own code passes through.
        error_of(&[task, "--", HEIRLOOM, "run", "--", "heirloom-nonexistent-program"], 127);
        error_of(&[task, "--", HEIRLOOM, "bogus"], 125);
        stdout_of(&[task, "--", HEIRLOOM, "list"]);
    }
}

#[test]
fn each_failed_worker_of_several_is_named() {
    // The exit code 125 and a line are the worker's own.
    let errors_of = |jobs: &str| {
        let output = heirloom(&["run", "--jobs", jobs, "--", HEIRLOOM, "bogus"]).output().unwrap();
        assert_eq!(output.status.code(), Some(125));
        let errors = String::from_utf8(output.stderr).unwrap();
        let mut lines: Vec<_> = errors.lines().filter(|line| !line.contains("bogus")).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(
        errors_of("2"),
        ["heirloom: worker 0 failed: exit code 125", "heirloom: worker 1 failed: exit code 125"]
    );
    assert!(errors_of("1").is_empty());
}

#[test]
fn exec_help_is_without_workers() {
    let run = stdout_of(&["run", "--help"]);
    assert!(run.contains("{job}") && run.contains("first worker to fail"), "{run}");
    let exec = stdout_of(&["exec", "--help"]);
    assert!(exec.contains("{NAME}") && !exec.contains("{job") && !exec.contains("worker"), "{exec}");
}

#[test]
fn usage_errors_are_one_line() {
    for args in [
        &["run", "--shared", "job=4K", "--", HEIRLOOM][..],
        &["run", "--shared", "a=4K", "--shared", "a=4K", "--", HEIRLOOM],
        &["run", "--shared", "a=0", "--", HEIRLOOM],
        &["run", "--frozen", "a=/nonexistent/file", "--", HEIRLOOM],
        &["run", "--save", "b=file", "--shared", "a=4K", "--", HEIRLOOM],
        &["bogus"],
        &[],
    ] {
        error_of(args, 125);
    }
}
