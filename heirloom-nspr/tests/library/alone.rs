//! C programs without NSPR: the examples, and tests of every guarantee that C can see.

use std::path::{Path, PathBuf};
use std::process::Command;
#[cfg(unix)]
use std::sync::Mutex;
#[cfg(unix)]
use std::thread;

#[cfg(all(unix, target_arch = "x86_64"))]
use heirloom_conformance::skip;

use crate::{CRATE, Program, is_installed, library, stdout};

fn test(name: &str) -> PathBuf {
    Program::new(&format!("tests/c/{name}.c"), "gnu99").with_heirloom().build()
}

fn example(name: &str) -> PathBuf {
    Program::new(&format!("examples/{name}.c"), "c89").args(&["-pedantic"]).with_heirloom().build()
}

fn cpp(name: &str) -> PathBuf {
    Program::new(&format!("examples/{name}.cpp"), "c++11").args(&["-pedantic"]).with_heirloom().build()
}

#[test]
fn first_protocol_example() {
    let (server, client) = (example("first_server"), example("first_client"));
    let expected =
        "the server wrote: hello from the server\nthe client exited with 7 and wrote: hello from the client\n";
    assert_eq!(stdout(Command::new(&server).arg(&client)), expected);
    // A malformed variable does not stop a program that asks for no name.
    assert_eq!(
        stdout(Command::new(&server).arg(&client).env("HEIRLOOM_REGIONS", "x=9:1:2:of-another-version")),
        expected
    );
    // Control: without its server the client finds nothing.
    let output = Command::new(client).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with("PR_GetInheritedFileMap: error -5950: cannot inherit the region \"greetings\""),
        "{error}"
    );
}

#[test]
fn second_protocol_example() {
    let (server, client) = (example("second_server"), example("second_client"));
    let expected =
        "the server wrote: hello from the server\nthe client exited with 7 and wrote: hello from the client\n";
    assert_eq!(stdout(Command::new(&server).arg(&client)), expected);
    let output = Command::new(client).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("PR_ImportFileMapFromString: error -5987: the string to import is NULL"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn every_function_without_nspr_works() {
    assert_eq!(stdout(&mut Command::new(test("without_nspr"))), "done\n");
}

#[test]
fn channels_without_nspr() {
    assert_eq!(stdout(&mut Command::new(test("channels"))), "done\n");
}

#[test]
fn cpp_example() {
    if !is_installed("c++", "g++") {
        return;
    }
    assert_eq!(stdout(&mut Command::new(cpp("workers"))), "3 workers of 3 read the table\n");
}

#[cfg(target_os = "linux")]
#[test]
fn cpp_example_without_nspr() {
    if !is_installed("c++", "g++") {
        return;
    }
    let expected = "a worker moved 1000\na worker died\na worker moved 1000\nsum: 0\n";
    assert_eq!(stdout(&mut Command::new(cpp("accounts"))), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn cpp_types_without_nspr() {
    if !is_installed("c++", "g++") {
        return;
    }
    let program = Program::new("tests/c/owning.cpp", "c++11").args(&["-pedantic"]).with_heirloom().build();
    assert_eq!(stdout(&mut Command::new(program)), "done\n");
}

#[test]
fn static_library_is_self_contained() {
    let archive = library().join("libheirloom_nspr.a");
    let libraries: &[&str] = if cfg!(windows) {
        &["-lkernel32", "-lntdll", "-luserenv", "-lws2_32", "-ldbghelp"]
    } else {
        &["-lpthread", "-lm", "-ldl"]
    };
    let args = [&[archive.to_str().unwrap()], libraries].concat();
    let build = |name: &str| {
        Program::new(&format!("examples/{name}.c"), "c89").named(&format!("static_{name}")).args(&args).build()
    };
    let output = stdout(Command::new(build("first_server")).arg(build("first_client")));
    assert!(output.ends_with("the client exited with 7 and wrote: hello from the client\n"), "{output}");
}

#[test]
fn file_maps() {
    stdout(&mut Command::new(test("memory")));
}

#[test]
fn both_protocols() {
    stdout(&mut Command::new(test("protocols")));
}

#[test]
fn processes() {
    stdout(&mut Command::new(test(if cfg!(windows) { "processes_on_windows" } else { "processes" })));
}

#[cfg(unix)]
#[test]
fn descriptors_that_the_program_closed() {
    stdout(&mut Command::new(test("closed")));
}

#[cfg(unix)]
#[test]
fn forked_children_of_a_process_with_threads() {
    stdout(&mut Command::new(test("forks")));
}

/// Returns the rows of the table of errors in the docs.
pub(crate) fn documented_errors() -> Vec<String> {
    rows_under("| function | bad input | error |\n| --- | --- | --- |\n")
}

fn rows_under(heading: &str) -> Vec<String> {
    let page = std::fs::read_to_string(Path::new(CRATE).join("../docs/nspr.md")).unwrap();
    let (_, table) = page.split_once(heading).unwrap();
    table.lines().take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

#[test]
fn errors_match_the_docs() {
    let output = stdout(&mut Command::new(test("errors")));
    let mut documented = documented_errors();
    if cfg!(windows) {
        let input = |row: &str| row.rsplit_once(" | ").unwrap().0.to_owned();
        let others = rows_under("| function | bad input | error on Windows |\n| --- | --- | --- |\n");
        for other in &others {
            let row = documented.iter_mut().find(|row| input(row) == input(other));
            other.clone_into(row.unwrap_or_else(|| panic!("in one table only: {other}")));
        }
    }
    for row in output.lines() {
        assert!(documented.iter().any(|documented| documented == row), "not in docs/nspr.md: {row}");
    }
    // The other rows need NSPR or Unix.
    let tried: Vec<_> = output.lines().collect();
    for row in documented.iter().filter(|row| !tried.contains(&row.as_str())) {
        let of_unix = ["a file without execute permission", "own `waitpid`"].iter().any(|input| row.contains(input));
        let not_here = row.starts_with("| `PR_ProcessAttrSetInheritableFD` |") || (cfg!(windows) && of_unix);
        assert!(not_here, "not tried: {row}");
    }
}

#[cfg(all(unix, target_arch = "x86_64"))]
#[test]
fn thread_sanitizer_reports_no_race_of_private_mappings() {
    let flags = ["-fsanitize=thread"];
    let Some(program) = Program::new("tests/c/races.c", "gnu99").args(&flags).with_heirloom().try_build() else {
        return skip("cc has no ThreadSanitizer (Debian: libtsan2)");
    };
    // As docs/nspr.md has it.
    let suppressions = Path::new(env!("CARGO_TARGET_TMPDIR")).join("suppressions");
    std::fs::write(&suppressions, "race:libheirloom_nspr\n").unwrap();
    let options = format!("suppressions={}:exitcode=99", suppressions.display());
    // Control: a race of the program's own stores is reported.
    let output = Command::new(&program).arg("race").env("TSAN_OPTIONS", &options).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    if error.contains("unexpected memory mapping") {
        return skip("this ThreadSanitizer can't run with the kernel's random addresses");
    }
    assert!(output.status.code() == Some(99) && error.contains("WARNING: ThreadSanitizer: data race"), "{error}");
    stdout(Command::new(&program).env("TSAN_OPTIONS", &options));
}

#[cfg(unix)]
#[test]
fn valgrind_finds_no_error_or_leak() {
    if !is_installed("valgrind", "valgrind") || !is_installed("c++", "g++") {
        return;
    }
    let [server, client] = ["first_server", "first_client"].map(example);
    let [second_server, second_client] = ["second_server", "second_client"].map(example);
    let mut runs: Vec<_> = [
        (server, Some(client)),
        (second_server, Some(second_client)),
        (cpp("workers"), None),
        (test("errors"), None),
        (test("memory"), Some("under-valgrind".into())),
        #[cfg(target_os = "linux")]
        (test("without_nspr"), None),
        #[cfg(target_os = "linux")]
        (test("channels"), None),
        #[cfg(target_os = "linux")]
        (cpp("accounts"), None),
    ]
    .into_iter()
    .map(|(program, arg)| {
        let mut run = valgrind();
        run.arg(program).args(arg);
        run
    })
    .collect();
    // Also checks the children, except those that call no function of the library.
    let mut traced = valgrind();
    traced.args(["--trace-children=yes", "--trace-children-skip-by-arg=count"]).arg(test("protocols"));
    // The longest run starts first.
    runs.push(traced);
    at_once(runs);
    // Last and alone: it needs to choose a PID before another process gets it.
    stdout(valgrind().arg(test("processes")).arg("under-valgrind"));
    let reload = Program::new("tests/c/reload.c", "gnu99").args(&["-ldl"]).build();
    stdout(valgrind().arg(reload).arg(library().join("libheirloom_nspr.so")));
    // Control: a leak is found.
    let leaking = Program::new("tests/c/leak.c", "gnu99").with_heirloom().build();
    let output = valgrind().arg(leaking).output().unwrap();
    assert_eq!(output.status.code(), Some(99));
    assert!(String::from_utf8_lossy(&output.stderr).contains("100 bytes in 1 blocks are definitely lost"));
}

#[cfg(unix)]
fn valgrind() -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect,possible"]);
    // A forked child has all the memory of its parent until it executes its program.
    command.args(["--error-exitcode=99", "--child-silent-after-fork=yes"]);
    command
}

/// Runs independent programs, the last ones first, as many at once as there are processors.
#[cfg(unix)]
fn at_once(programs: Vec<Command>) {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(programs.len());
    let waiting = Mutex::new(programs);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().pop();
                    let Some(mut program) = next else { break };
                    stdout(&mut program);
                }
            });
        }
    });
}
