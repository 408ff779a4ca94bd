//! The exported names, and the installation that docs/nspr.md describes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{CRATE, Program, is_installed, library, stdout};

/// Returns the first shell block under a heading of the page.
fn recipe(heading: &str) -> String {
    let page = std::fs::read_to_string(Path::new(CRATE).join("../docs/nspr.md")).unwrap();
    let (_, section) = page.split_once(heading).unwrap();
    let (_, code) = section.split_once("```sh\n").unwrap();
    code.split_once("```").unwrap().0.to_owned()
}

#[test]
fn pkg_config_finds_the_installed_library() {
    let first = tempfile::tempdir().unwrap();
    let lib = first.path().join("lib");
    let run = |name: &str| installed(first.path(), &lib, &[], &format!("-Wl,-rpath,{}", lib.display()), name);
    let (Some(server), Some(client)) = (run("first_server"), run("first_client")) else { return };
    let output = stdout(Command::new(server).arg(client));
    assert!(output.ends_with("hello from the client\n"), "{output}");
}

#[test]
fn pkg_config_finds_the_static_library_in_a_folder_for_the_architecture() {
    let prefix = tempfile::tempdir().unwrap();
    let lib = prefix.path().join("lib/some-architecture");
    let run = |name: &str| installed(prefix.path(), &lib, &["--static"], "-static", name);
    let (Some(server), Some(client)) = (run("first_server"), run("first_client")) else { return };
    assert!(stdout(Command::new("readelf").arg("-d").arg(&server)).contains("There is no dynamic section"));
    let output = stdout(Command::new(server).arg(client));
    assert!(output.ends_with("hello from the client\n"), "{output}");
}

/// Installs the library as the docs say, and builds an example with what pkg-config prints.
fn installed(prefix: &Path, lib: &Path, libs: &[&str], link: &str, name: &str) -> Option<PathBuf> {
    if !is_installed("pkg-config", "pkg-config") {
        return None;
    }
    // The build is left out: the library was built already, in the test profile.
    let recipe = recipe("## Installing").replace("target/release", library().to_str().unwrap());
    let lines: Vec<_> = recipe.lines().filter(|line| !line.starts_with("cargo")).collect();
    assert_eq!(lines.len(), 7, "{recipe}");
    let mut shell = Command::new("sh");
    shell.args(["-ec", &lines.join("\n")]).env("PREFIX", prefix).env("LIBDIR", lib);
    stdout(shell.current_dir(Path::new(CRATE).join("..")));

    let pkg_config = |args: &[&str]| {
        let path = lib.join("pkgconfig");
        let output = stdout(Command::new("pkg-config").args(args).arg("heirloom_nspr").env("PKG_CONFIG_PATH", path));
        output.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(pkg_config(&["--modversion"]), [env!("CARGO_PKG_VERSION")]);
    let flags = pkg_config(&[libs, &["--cflags", "--libs"]].concat());
    let folder = |flag: &str, name: &str| Path::new(flag).join(name).exists();
    assert!(flags.iter().filter_map(|flag| flag.strip_prefix("-I")).all(|flag| folder(flag, "heirloom_nspr.h")));
    assert!(flags.iter().filter_map(|flag| flag.strip_prefix("-L")).all(|flag| folder(flag, "libheirloom_nspr.so")));
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let program =
        Program::new(&format!("examples/{name}.c"), "c89").named(&format!("installed_{name}{}", libs.concat()));
    Some(program.args(&[link]).args(&flags).build())
}

/// Returns the names of the functions that the header declares, sorted.
fn declared() -> Vec<String> {
    let header = std::fs::read_to_string(format!("{CRATE}/include/heirloom_nspr.h")).unwrap();
    let words = header.lines().filter(|line| line.ends_with(");")).filter_map(|line| line.split('(').next());
    let names = words.filter_map(|words| words.split([' ', '*']).next_back());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("PR_") || name.starts_with("heirloom_")).collect();
    names.sort_unstable();
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn exports_match_the_header() {
    if !is_installed("nm", "binutils") {
        return;
    }
    let library = library().join("libheirloom_nspr.so");
    let symbols = stdout(Command::new("nm").args(["--dynamic", "--defined-only"]).arg(library));
    let mut symbols: Vec<_> = symbols.lines().filter_map(|line| line.split_ascii_whitespace().nth(2)).collect();
    symbols.sort_unstable();
    assert_eq!(symbols, declared());
    assert_eq!(symbols.len(), 28);
}
