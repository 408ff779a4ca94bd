//! Starting programs: lookup, batch files, and errors.

use std::fs;
use std::path::Path;

use heirloom::{Command, ErrorKind, FrozenRegion};
use heirloom_conformance::{output, skip, wine};

use crate::{CHILD, child};

#[test]
fn program_lookup_matches_standard_library() {
    let directory = tempfile::tempdir().unwrap();
    let name = "heirloom-test-program";
    fs::copy(CHILD, directory.path().join(name).with_extension("exe")).unwrap();
    let error = Command::new(name).args(["print", "found"]).status().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProgramNotFound);
    // The search uses the child's PATH if it was changed, in upper or lower case, and the program with or without its
    // extension.
    let path = std::env::join_paths([Path::new(r"C:\nonexistent"), directory.path()]).unwrap();
    for (key, program) in [("PATH", name.to_owned()), ("Path", name.to_owned()), ("PATH", format!("{name}.exe"))] {
        assert_eq!(output(Command::new(program).args(["print", "found"]).env(key, &path)), "found\n");
    }
    // A path needs no extension either. A relative one starts at the child's directory.
    let whole = directory.path().join(name);
    assert_eq!(output(Command::new(whole).args(["print", "found"])), "found\n");
    let mut command = Command::new(format!(r".\{name}"));
    assert_eq!(output(command.args(["print", "x"]).current_dir(directory.path())), "x\n");
    // The working directory is not searched.
    let error = Command::new(name).current_dir(directory.path()).status().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProgramNotFound);
}

#[test]
fn environment_variable_names_ignore_case() {
    let mut command = child(&["environment"]);
    let seen = output(
        command.env("heirloom_a", "lost").env("HEIRLOOM_A", "kept").env("heirloom_b", "x").env_remove("HEIRLOOM_B"),
    );
    let ours: Vec<_> = seen.lines().filter(|line| line.to_lowercase().starts_with("heirloom_")).collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert!(ours[0].ends_with("=kept"), "{ours:?}");
}

#[test]
fn invalid_program_or_arg0_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let garbage = directory.path().join("garbage.exe");
    fs::write(&garbage, "no program").unwrap();
    let error = Command::new(&garbage).spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProgramNotRunnable, "{error}");
    let error = child(&["print"]).arg0("a\"b").spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[test]
fn arg0_does_not_change_the_program() {
    // `arg0` changes the program's name, not which program runs.
    assert_eq!(output(Command::new(CHILD).arg0("another name").args(["print", "x"])), "x\n");
}

#[test]
fn batch_file_receives_exact_arguments() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("a script.bat");
    fs::write(&script, format!("@\"{CHILD}\" arguments %*\r\n")).unwrap();
    let mut args = vec!["plain", "two words", "", "a&b", "a|b", "a>b", "(a)", "a^b", "back\\slash"];
    match wine() {
        Some(version) => skip(format_args!(
            "%, \" and a trailing \\ in a batch file's argument, on Wine {version}: its cmd parses them differently"
        )),
        None => args.extend(["%PATH%", "a\"b", "ends\\"]),
    }
    let expected: Vec<_> = args.iter().map(|arg| format!("{arg:?}")).collect();
    let report = output(Command::new(&script).args(&args));
    assert_eq!(report.lines().collect::<Vec<_>>(), expected);
    // Windows ignores these endings of a path.
    for ending in ["", ". ", r"\.", "/.", r"\.\."] {
        let mut script = script.clone().into_os_string();
        script.push(ending);
        for refused in ["a\nb", "a\rb"] {
            let answer = Command::new(&script).arg(refused).spawn();
            let expected = [ErrorKind::InvalidInput, ErrorKind::ProgramNotFound];
            assert!(expected.contains(&answer.unwrap_err().kind()), "{script:?}");
        }
    }
}

#[test]
fn batch_file_passes_named_region_to_its_program() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script.cmd");
    fs::write(&script, format!("@\"{CHILD}\" print-frozen a\r\n")).unwrap();
    let region = FrozenRegion::from_bytes("through a script").unwrap();
    // cmd passes on the handles that it inherited.
    assert_eq!(output(Command::new(&script).inherit("a", &region).unwrap()), "through a script");
}

#[test]
fn killed_child_has_a_code_and_ended_child_is_kept() {
    let mut killed = child(&["cat"]).stdin(heirloom::Stdio::piped()).spawn().unwrap();
    killed.kill().unwrap();
    assert_eq!(killed.wait().unwrap().code(), Some(1));
    let mut ended = child(&["exit", "3"]).spawn().unwrap();
    // The handle becomes signalled when the child ends.
    let handle = std::os::windows::io::AsHandle::as_handle(&ended).try_clone_to_owned();
    assert!(handle.is_ok());
    assert_eq!(ended.wait().unwrap().code(), Some(3));
    ended.kill().unwrap();
    assert_eq!(ended.wait().unwrap().code(), Some(3));
}
