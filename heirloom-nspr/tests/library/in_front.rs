//! In front of the real NSPR: programs for NSPR, which run on our library unchanged.

use std::path::{Path, PathBuf};
use std::process::Command;

use heirloom_conformance::skip;

use crate::headers::{USE, compiles};
use crate::{Program, alone, library, there_is, told};

/// Where NSPR's headers are, where it is installed to compile with.
pub(crate) fn headers() -> Option<String> {
    if !there_is("pkg-config", "pkg-config") {
        return None;
    }
    let output = Command::new("pkg-config").args(["--cflags-only-I", "nspr"]).output().unwrap();
    let path = String::from_utf8(output.stdout).unwrap().trim().strip_prefix("-I").map(str::to_owned);
    if path.is_none() {
        skip("NSPR is not installed (Debian: libnspr4-dev)");
    }
    path
}

/// A program for NSPR.
fn front(nspr: &str, name: &str) -> Program {
    Program::new("tests/c/front.c", "gnu99").named(name).args(&["-fPIC", "-I", nspr])
}

/// The environment variable that loads our library before all others.
fn preload(command: &mut Command) -> &mut Command {
    command.env("LD_PRELOAD", library().join("libheirloom_nspr.so"))
}

#[test]
fn a_program_for_nspr_runs_on_ours_by_preloading() {
    let Some(nspr) = headers() else { return };
    let program = front(&nspr, "front_preloaded").args(&["-lnspr4", "-ldl"]).build();
    told(preload(&mut Command::new(&program)));
    // The control: without ours, its functions are NSPR's, as it notices.
    let output = Command::new(program).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("strstr(home(ours[i]), \"libheirloom_nspr\")"), "{said}");
}

#[test]
fn a_program_for_nspr_runs_on_ours_by_linking_it_first() {
    let Some(nspr) = headers() else { return };
    told(&mut Command::new(front(&nspr, "front_linked").with_heirloom().args(&["-lnspr4", "-ldl"]).build()));
}

#[test]
fn a_library_that_has_nspr_for_itself_alone_runs_on_ours() {
    let Some(nspr) = headers() else { return };
    let plugin = front(&nspr, "front_plugin.so").args(&["-shared", "-DAS_LIBRARY", "-lnspr4", "-ldl"]).build();
    let host = Program::new("tests/c/host.c", "gnu99").args(&["-ldl"]).build();
    told(preload(Command::new(host).env("PLUGIN", plugin)));
}

#[test]
fn nspr_may_come_and_go_while_the_program_runs() {
    if headers().is_none() {
        return;
    }
    told(&mut Command::new(Program::new("tests/c/comes_and_goes.c", "gnu99").with_heirloom().args(&["-ldl"]).build()));
}

#[test]
fn the_tests_of_programs_alone_pass_in_front_of_nspr_too() {
    let Some(nspr) = headers() else { return };
    for name in ["memory", "handing_down", "processes"] {
        told(&mut Command::new(linked(&nspr, name)));
    }
}

#[test]
fn every_bad_input_has_the_error_that_the_docs_say() {
    let Some(nspr) = headers() else { return };
    let said = told(&mut Command::new(linked(&nspr, "errors")));
    let tried: Vec<_> = said.lines().collect();
    let documented = alone::documented_errors();
    for row in &tried {
        assert!(documented.iter().any(|documented| documented == row), "not in docs/nspr.md: {row}");
    }
    for row in documented.iter().filter(|row| !tried.contains(&row.as_str())) {
        assert!(row.contains("without NSPR"), "not tried: {row}");
    }
}

/// A test of programs alone, linked with ours and NSPR.
fn linked(nspr: &str, name: &str) -> PathBuf {
    let program = Program::new(&format!("tests/c/{name}.c"), "gnu99").named(&format!("{name}_in_front"));
    let included = Path::new(nspr).join("nspr.h");
    let args = ["-I", nspr, "-include", included.to_str().unwrap()];
    program.args(&args).with_heirloom().args(&["-Wl,--no-as-needed", "-lnspr4"]).build()
}

#[test]
fn the_header_gives_way_to_nsprs_in_whichever_order() {
    let Some(nspr) = headers().filter(|_| there_is("c++", "g++")) else { return };
    let (ours, theirs) = ("#include <heirloom_nspr.h>\n", "#include <nspr.h>\n#include <prshma.h>\n");
    for (compiler, language) in [("cc", "c"), ("c++", "c++")] {
        let args = ["-x", language, "-I", &nspr];
        assert!(compiles(compiler, &args, &format!("{ours}{theirs}{USE}")));
        assert!(compiles(compiler, &args, &format!("{theirs}{ours}{USE}")));
        // Told to, it looks for them and for nothing else.
        let told = ["-x", language, "-DHEIRLOOM_WITH_NSPR"];
        assert!(compiles(compiler, &[&told[..], &["-I", &nspr]].concat(), &format!("{ours}{theirs}{USE}")));
        // By their folder, which isn't in the search path.
        let folder = "#include <nspr/nspr.h>\n";
        assert!(compiles(compiler, &["-x", language], &format!("{folder}{ours}{USE}")));
        assert!(compiles(compiler, &told, &format!("{ours}{folder}{USE}")));
        assert!(!compiles(compiler, &["-x", language], &format!("{ours}{folder}{USE}")));
        // The control: with both, the names would clash.
        let clash = [&args[..], &["-DHEIRLOOM_WITHOUT_NSPR"]].concat();
        assert!(!compiles(compiler, &clash, &format!("{ours}{theirs}{USE}")));
    }
}
