//! C programs that know no NSPR: the examples, and tests of every promise that C can see.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{CRATE, Program, library, there_is, told};

fn test(name: &str) -> PathBuf {
    Program::new(&format!("tests/c/{name}.c"), "gnu99").with_heirloom().build()
}

fn example(name: &str) -> PathBuf {
    Program::new(&format!("examples/{name}.c"), "c89").args(&["-pedantic"]).with_heirloom().build()
}

fn workers() -> PathBuf {
    Program::new("examples/workers.cpp", "c++11").args(&["-pedantic"]).with_heirloom().build()
}

#[test]
fn the_seeds_first_protocol() {
    let (server, client) = (example("first_server"), example("first_client"));
    let expected =
        "the server wrote: hello from the server\nthe client exited with 7 and wrote: hello from the client\n";
    assert_eq!(told(Command::new(&server).arg(&client)), expected);
    // What came from elsewhere and can't be read stops nothing.
    assert_eq!(
        told(Command::new(&server).arg(&client).env("HEIRLOOM_REGIONS", "x=9:1:2:of-another-version")),
        expected
    );
    // The control: without its server, the client finds nothing.
    let output = Command::new(client).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("PR_GetInheritedFileMap: error -5950: cannot inherit the region \"greetings\""), "{said}");
}

#[test]
fn the_seeds_second_protocol() {
    let (server, client) = (example("second_server"), example("second_client"));
    let expected =
        "the server wrote: hello from the server\nthe client exited with 7 and wrote: hello from the client\n";
    assert_eq!(told(Command::new(&server).arg(&client)), expected);
    let output = Command::new(client).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("PR_ImportFileMapFromString: error -5987: the string to import is NULL"), "{said}");
}

#[test]
fn an_example_in_cpp() {
    if !there_is("c++", "g++") {
        return;
    }
    assert_eq!(told(&mut Command::new(workers())), "3 workers of 3 read the table\n");
}

#[test]
fn the_static_library_is_enough() {
    let archive = library().join("libheirloom_nspr.a");
    let libraries: &[&str] = if cfg!(windows) {
        &["-lkernel32", "-lntdll", "-luserenv", "-lws2_32", "-ldbghelp"]
    } else {
        &["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"]
    };
    let args = [&[archive.to_str().unwrap()], libraries].concat();
    let build = |name: &str| {
        Program::new(&format!("examples/{name}.c"), "c89").named(&format!("static_{name}")).args(&args).build()
    };
    let said = told(Command::new(build("first_server")).arg(build("first_client")));
    assert!(said.ends_with("the client exited with 7 and wrote: hello from the client\n"), "{said}");
}

#[test]
fn making_mapping_sealing_and_closing() {
    told(&mut Command::new(test("memory")));
}

#[test]
fn both_protocols_with_every_kind() {
    told(&mut Command::new(test("handing_down")));
}

#[test]
fn processes() {
    told(&mut Command::new(test(if cfg!(windows) { "processes_on_windows" } else { "processes" })));
}

/// The rows of the table of errors in the docs.
pub(crate) fn documented_errors() -> Vec<String> {
    rows_under("| function | bad input | error |\n| --- | --- | --- |\n")
}

fn rows_under(heading: &str) -> Vec<String> {
    let page = std::fs::read_to_string(Path::new(CRATE).join("../docs/nspr.md")).unwrap();
    let (_, table) = page.split_once(heading).unwrap();
    table.lines().take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

#[test]
fn every_bad_input_has_the_error_that_the_docs_say() {
    let said = told(&mut Command::new(test("errors")));
    let mut documented = documented_errors();
    if cfg!(windows) {
        let input = |row: &str| row.rsplit_once(" | ").unwrap().0.to_owned();
        let others = rows_under("| function | bad input | error on Windows |\n| --- | --- | --- |\n");
        for other in &others {
            let row = documented.iter_mut().find(|row| input(row) == input(other));
            other.clone_into(row.unwrap_or_else(|| panic!("in one table only: {other}")));
        }
    }
    for row in said.lines() {
        assert!(documented.iter().any(|documented| documented == row), "not in docs/nspr.md: {row}");
    }
    // What isn't tried here needs NSPR, or something of Unix.
    let tried: Vec<_> = said.lines().collect();
    for row in documented.iter().filter(|row| !tried.contains(&row.as_str())) {
        let of_unix = ["a file without execute permission", "own `waitpid`"].iter().any(|input| row.contains(input));
        let needs_another = row.starts_with("| `PR_ProcessAttrSetInheritableFD` |") || (cfg!(windows) && of_unix);
        assert!(needs_another, "not tried: {row}");
    }
}

#[cfg(unix)]
#[test]
fn valgrind_finds_no_error_and_no_leak() {
    if !there_is("valgrind", "valgrind") || !there_is("c++", "g++") {
        return;
    }
    let [server, client] = ["first_server", "first_client"].map(example);
    let [second_server, second_client] = ["second_server", "second_client"].map(example);
    let programs: [(PathBuf, &[&Path]); 7] = [
        (server, &[&client]),
        (second_server, &[&second_client]),
        (workers(), &[]),
        (test("errors"), &[]),
        (test("memory"), &[]),
        (test("handing_down"), &[]),
        (test("processes"), &[Path::new("under-valgrind")]),
    ];
    for (program, args) in &programs {
        told(valgrind().arg(program).args(*args));
    }
    // The clients, and the children of the tests, as well.
    told(valgrind().args(["--trace-children=yes"]).arg(test("handing_down")));
    // The control: what is lost is found.
    let leaking = Program::new("tests/c/leak.c", "gnu99").with_heirloom().build();
    assert_eq!(valgrind().arg(leaking).status().unwrap().code(), Some(99));
}

#[cfg(unix)]
fn valgrind() -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect,possible"]);
    // A child between its fork and its program has all that its parent has.
    command.args(["--error-exitcode=99", "--child-silent-after-fork=yes"]);
    command
}
