//! What the command does on every system; its workers are the command itself, which tells what it inherited.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::{HEIRLOOM, bad, good, heirloom};

#[test]
fn every_worker_finds_all_regions_by_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("text");
    fs::write(&file, "one two three").unwrap();
    let frozen = format!("text={}", file.display());
    let told = good(&["run", "--frozen", &frozen, "--shared", "out=64K", "--jobs", "3", "--", HEIRLOOM, "list"]);
    assert_eq!(told.matches("             13  frozen     text\n").count(), 3, "{told}");
    assert_eq!(told.matches("          65536  writable   out\n").count(), 3, "{told}");
    let told = good(&["exec", "--frozen", &frozen, "--", HEIRLOOM, "list", "--json"]);
    assert!(told.contains("\"kind\": \"frozen\"") && told.contains("\"size\": 13"), "{told}");
}

#[test]
fn standard_input_fills_a_region() {
    let mut command = heirloom(&["run", "--frozen", "in=-", "--", HEIRLOOM, "list"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Longer than any pipe.
    child.stdin.take().unwrap().write_all(&vec![b'x'; 300_000]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("         300000  frozen     in"));
}

#[test]
fn names_in_arguments_become_what_a_region_is_found_by() {
    // A worker complains of what it was told.
    let told = |args: &[&str]| bad(&[&["run", "--shared", "a=4K", "--", HEIRLOOM, "run"], args].concat(), 125);
    let reference = told(&["--x{a}"]);
    let reference = reference.split("'--x").nth(1).unwrap().split('\'').next().unwrap();
    let number = if cfg!(windows) { reference } else { reference.strip_prefix("/dev/fd/").unwrap() };
    assert!(number.parse::<u32>().unwrap() > 2);
    assert!(told(&["--y{job}/{jobs}"]).contains("'--y0/1'"));
    assert!(told(&["--z{b}{}{"]).contains("'--z{b}{}{'"));
}

#[test]
fn what_a_region_holds_is_saved_where_all_ended_well() {
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("saved");
    fs::write(&saved, "what was there before").unwrap();
    let save = format!("out={}", saved.display());
    let run = ["run", "--shared", "out=5", "--save", &save, "--jobs", "2", "--"];
    bad(&[&run[..], &["heirloom-nonexistent-program"]].concat(), 127);
    assert_eq!(fs::read(&saved).unwrap(), b"what was there before");
    good(&[&run[..], &[HEIRLOOM, "list"]].concat());
    assert_eq!(fs::read(&saved).unwrap(), [0; 5]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "something else was left there");
}

#[test]
fn exit_codes_are_those_of_what_failed_first() {
    for task in ["run", "exec"] {
        bad(&[task, "--", "heirloom-nonexistent-program"], 127);
        bad(&[task, "--bogus", "--", HEIRLOOM, "list"], 125);
        // A worker's own code passes through.
        bad(&[task, "--", HEIRLOOM, "run", "--", "heirloom-nonexistent-program"], 127);
        bad(&[task, "--", HEIRLOOM, "bogus"], 125);
        good(&[task, "--", HEIRLOOM, "list"]);
    }
}

#[test]
fn mistakes_are_one_line() {
    for args in [
        &["run", "--shared", "job=4K", "--", HEIRLOOM][..],
        &["run", "--shared", "a=4K", "--shared", "a=4K", "--", HEIRLOOM],
        &["run", "--shared", "a=0", "--", HEIRLOOM],
        &["run", "--frozen", "a=/nonexistent/file", "--", HEIRLOOM],
        &["run", "--save", "b=file", "--shared", "a=4K", "--", HEIRLOOM],
        &["bogus"],
        &[],
    ] {
        bad(args, 125);
    }
}
