//! In front of the real NSPR: programs for NSPR run on heirloom unchanged.

use std::path::{Path, PathBuf};
use std::process::Command;

use heirloom_conformance::skip;

use crate::headers::{USE, compiles};
use crate::{Program, alone, is_installed, library, stdout};

/// Returns the folder of NSPR's headers, if they are installed.
pub(crate) fn headers() -> Option<String> {
    if !is_installed("pkg-config", "pkg-config") {
        return None;
    }
    let output = Command::new("pkg-config").args(["--cflags-only-I", "nspr"]).output().unwrap();
    let path = String::from_utf8(output.stdout).unwrap().trim().strip_prefix("-I").map(str::to_owned);
    if path.is_none() {
        skip("NSPR is not installed (Debian: libnspr4-dev)");
    }
    path
}

/// Returns a program for NSPR.
fn front(nspr: &str, name: &str) -> Program {
    Program::new("tests/c/front.c", "gnu99").named(name).args(&["-fPIC", "-I", nspr])
}

/// Sets the variable that loads heirloom before all other libraries.
fn preload(command: &mut Command) -> &mut Command {
    command.env("LD_PRELOAD", library().join("libheirloom_nspr.so"))
}

#[test]
fn preloaded_program_uses_heirloom() {
    let Some(nspr) = headers() else { return };
    let program = front(&nspr, "front_preloaded").args(&["-lnspr4", "-ldl"]).build();
    stdout(preload(&mut Command::new(&program)));
    // Control: without heirloom the program finds NSPR's functions.
    let output = Command::new(program).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    let check = "strstr(library_of(replaced[i]), \"libheirloom_nspr\")";
    assert!(!output.status.success() && error.contains(check), "{error}");
}

#[test]
fn program_linked_first_uses_heirloom() {
    let Some(nspr) = headers() else { return };
    stdout(&mut Command::new(front(&nspr, "front_linked").with_heirloom().args(&["-lnspr4", "-ldl"]).build()));
}

#[test]
fn library_with_local_nspr_uses_heirloom() {
    let Some(nspr) = headers() else { return };
    let plugin = front(&nspr, "front_plugin.so").args(&["-shared", "-DAS_LIBRARY", "-lnspr4", "-ldl"]).build();
    let host = Program::new("tests/c/host.c", "gnu99").args(&["-ldl"]).build();
    stdout(preload(Command::new(host).env("PLUGIN", plugin)));
}

#[test]
fn nspr_can_be_loaded_and_unloaded() {
    if headers().is_none() {
        return;
    }
    stdout(&mut Command::new(
        Program::new("tests/c/load_and_unload.c", "gnu99").with_heirloom().args(&["-ldl"]).build(),
    ));
}

#[test]
fn standalone_tests_pass_in_front_of_nspr() {
    let Some(nspr) = headers() else { return };
    for name in ["memory", "protocols", "processes", "forks"] {
        stdout(&mut Command::new(linked(&nspr, name)));
    }
}

#[test]
fn errors_match_the_docs() {
    let Some(nspr) = headers() else { return };
    let output = stdout(&mut Command::new(linked(&nspr, "errors")));
    let tried: Vec<_> = output.lines().collect();
    let documented = alone::documented_errors();
    for row in &tried {
        assert!(documented.iter().any(|documented| documented == row), "not in docs/nspr.md: {row}");
    }
    for row in documented.iter().filter(|row| !tried.contains(&row.as_str())) {
        assert!(row.contains("without NSPR"), "not tried: {row}");
    }
}

/// Builds a standalone test, linked with heirloom and NSPR.
fn linked(nspr: &str, name: &str) -> PathBuf {
    let program = Program::new(&format!("tests/c/{name}.c"), "gnu99").named(&format!("{name}_in_front"));
    let included = Path::new(nspr).join("nspr.h");
    let args = ["-I", nspr, "-include", included.to_str().unwrap()];
    program.args(&args).with_heirloom().args(&["-Wl,--no-as-needed", "-lnspr4"]).build()
}

#[test]
fn header_defers_to_nspr_headers() {
    let Some(nspr) = headers().filter(|_| is_installed("c++", "g++")) else { return };
    let (ours, theirs) = ("#include <heirloom_nspr.h>\n", "#include <nspr.h>\n#include <prshma.h>\n");
    for (compiler, language) in [("cc", "c"), ("c++", "c++")] {
        let args = ["-x", language, "-I", &nspr];
        assert!(compiles(compiler, &args, &format!("{ours}{theirs}{USE}")));
        assert!(compiles(compiler, &args, &format!("{theirs}{ours}{USE}")));
        // Defined by the program, it uses them.
        let defined = ["-x", language, "-DHEIRLOOM_WITH_NSPR"];
        assert!(compiles(compiler, &[&defined[..], &["-I", &nspr]].concat(), &format!("{ours}{theirs}{USE}")));
        // As <nspr/...>, outside the search path.
        let folder = "#include <nspr/nspr.h>\n";
        assert!(compiles(compiler, &["-x", language], &format!("{folder}{ours}{USE}")));
        assert!(compiles(compiler, &defined, &format!("{ours}{folder}{USE}")));
        assert!(!compiles(compiler, &["-x", language], &format!("{ours}{folder}{USE}")));
        // Control: both together clash.
        let clash = [&args[..], &["-DHEIRLOOM_WITHOUT_NSPR"]].concat();
        assert!(!compiles(compiler, &clash, &format!("{ours}{theirs}{USE}")));
    }
}
