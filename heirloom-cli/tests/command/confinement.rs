//! Tests of `--confine` and `--confine-to`.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::{error_line, heirloom};

/// Succeeds if the program reaches the process that started it.
const REACH_PARENT: &str = "readlink /proc/$PPID/exe";

/// Runs a shell's script with options, and with what a shell needs.
fn run(task: &str, options: &[&str], script: &str) -> Output {
    let present = ["/usr", "/bin", "/lib", "/lib64"].into_iter().filter(|path| Path::new(path).exists());
    let needed: Vec<_> = present.flat_map(|path| ["--confine-to", path]).collect();
    let options = options
        .iter()
        .flat_map(|option| if *option == "--sealed" { &needed[..] } else { std::slice::from_ref(option) });
    let mut args = vec![task];
    args.extend(options.copied());
    args.extend(["--", "sh", "-c", script]);
    heirloom(&args).stdin(Stdio::null()).output().unwrap()
}

/// Whether this kernel and processor can do it; prints why not.
fn is_supported(option: &str) -> bool {
    let output = run("run", &[option], "true");
    if !output.status.success() {
        let error = error_line(&output, 125);
        assert!(error.contains("--confine needs Landlock"), "{error}");
        println!("SKIPPED: {error}");
    }
    output.status.success()
}

#[test]
fn confined_program_does_not_reach_heirloom() {
    if !is_supported("--confine") {
        return;
    }
    for options in [&["--kill-on-exit"][..], &[], &["--jobs", "2"]] {
        let reached = run("run", options, REACH_PARENT);
        assert!(reached.status.success(), "the control, {options:?}: {reached:?}");
        let options = [options, &["--confine"]].concat();
        let refused = run("run", &options, REACH_PARENT);
        // The program's own.
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stdout.is_empty(), "{options:?}: {refused:?}");
    }
    assert!(run("exec", &[], REACH_PARENT).status.success());
    assert_eq!(run("exec", &["--confine"], REACH_PARENT).status.code(), Some(1));
}

#[test]
fn program_that_is_sealed_off_has_its_regions_and_no_file() {
    if !is_supported("--sealed") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "content\n").unwrap();
    let name = file.to_str().unwrap();
    let write = format!(": >>{name}");
    for task in ["run", "exec"] {
        let frozen = format!("in={name}");
        let read = run(
            task,
            &["--sealed", "--frozen", &frozen, "--shared", "out=4K"],
            "cat {in} && echo answer 1<>{out} && head -c 7 {out}",
        );
        assert_eq!(String::from_utf8_lossy(&read.stdout), "content\nanswer\n", "{read:?}");
        for script in [&format!("cat {name}"), &write] {
            assert!(!run(task, &["--sealed"], script).status.success(), "{task}: {script}");
        }
        assert!(!run(task, &["--sealed"], REACH_PARENT).status.success());
        // The controls.
        assert!(run(task, &["--confine"], &write).status.success());
        let named = run(task, &["--sealed", "--confine-to", name], &format!("cat {name}"));
        assert!(named.stdout.starts_with(b"content\n"), "{named:?}");
    }
    let killed = run("run", &["--sealed", "--kill-on-exit"], &format!("cat {name}"));
    assert_eq!(killed.status.code(), Some(1), "{killed:?}");
}

#[test]
fn path_that_does_not_exist_is_named() {
    if !is_supported("--sealed") {
        return;
    }
    let output = run("run", &["--confine-to", "/no/such/path"], "true");
    let error = error_line(&output, 125);
    assert!(
        error.starts_with("heirloom: cannot allow a confined child to read /no/such/path: No such file"),
        "{error}"
    );
}
