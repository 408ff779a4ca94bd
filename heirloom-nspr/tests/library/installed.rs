//! The exported names, and the installation that docs/nspr.md describes.

use std::path::{Path, PathBuf};
use std::process::Command;

use heirloom_conformance::skip;

use crate::{CRATE, Program, is_installed, library, stdout};

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

#[test]
fn installed_libraries_define_only_the_functions_of_the_header() {
    let prefix = tempfile::tempdir().unwrap();
    if !install(prefix.path(), &prefix.path().join("lib")) {
        return;
    }
    let file = |name: &str| prefix.path().join("lib").join(name);
    let shared = symbols(&file("libheirloom_nspr.so"), &["--dynamic", "--with-symbol-versions"]);
    let mut versioned: Vec<_> = declared().iter().map(|name| format!("{name}@@HEIRLOOM_NSPR_0")).collect();
    versioned.insert(0, "HEIRLOOM_NSPR_0".to_owned());
    assert_eq!(shared, versioned);
    assert_eq!(symbols(&file("libheirloom_nspr.a"), &["--extern-only"]), declared());
    let dynamic = stdout(Command::new("readelf").arg("-dW").arg(file("libheirloom_nspr.so")));
    assert!(dynamic.contains("[libheirloom_nspr.so.0]") && dynamic.contains("NODELETE"), "{dynamic}");
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME")).unwrap();
    for name in ["libheirloom_nspr.so", "libheirloom_nspr.a"] {
        let content = std::fs::read(file(name)).unwrap();
        for path in [CRATE.trim_end_matches("/heirloom-nspr"), &format!("{home}/")] {
            assert!(!content.windows(path.len()).any(|bytes| bytes == path.as_bytes()), "{name} contains {path}");
        }
    }
}

#[test]
fn installed_static_library_fits_beside_another_of_rust() {
    let prefix = tempfile::tempdir().unwrap();
    let lib = prefix.path().join("lib");
    if !install(prefix.path(), &lib) {
        return;
    }
    let other = prefix.path().join("other.rs");
    let code = "#[unsafe(no_mangle)] extern \"C\" fn other() -> i32 { std::thread::spawn(|| 7).join().unwrap() }";
    std::fs::write(&other, code).unwrap();
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    stdout(rustc.args(["--edition=2024", "--crate-type=staticlib", "--out-dir"]).arg(&lib).arg(other));
    let library = |name: &str| lib.join(name).display().to_string();
    let (ours, other) = (library("libheirloom_nspr.a"), library("libother.a"));
    let program = Program::new("tests/c/beside.c", "gnu99").args(&[&other, &ours, "-ldl", "-lm"]);
    stdout(&mut Command::new(program.build()));
}

/// Installs the library as the docs say. Returns whether it can be done here.
fn install(prefix: &Path, lib: &Path) -> bool {
    if std::env::var_os("CARGO_BUILD_TARGET").is_some() {
        skip("the library is installed for the system that builds it");
        return false;
    }
    if !is_installed("objcopy", "binutils") {
        return false;
    }
    let mut install = Command::new(Path::new(CRATE).join("install"));
    install.env("PREFIX", prefix).env("LIBDIR", lib).env("CARGO_TARGET_DIR", env!("CARGO_TARGET_TMPDIR"));
    stdout(&mut install);
    true
}

/// Installs the library, and builds an example with what pkg-config prints.
fn installed(prefix: &Path, lib: &Path, libs: &[&str], link: &str, name: &str) -> Option<PathBuf> {
    if !is_installed("pkg-config", "pkg-config") || !install(prefix, lib) {
        return None;
    }
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

/// Returns the names of the functions that the headers declare, sorted.
fn declared() -> Vec<String> {
    let header = |name| std::fs::read_to_string(format!("{CRATE}/include/{name}")).unwrap();
    let headers = header("heirloom_nspr.h") + &header("heirloom.h");
    let words = headers.lines().filter(|line| line.ends_with(");")).filter_map(|line| line.split('(').next());
    let names = words.filter_map(|words| words.split([' ', '*']).next_back());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("PR_") || name.starts_with("heirloom_")).collect();
    names.sort_unstable();
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn exports_match_the_headers() {
    if !is_installed("nm", "binutils") {
        return;
    }
    assert_eq!(symbols(&library().join("libheirloom_nspr.so"), &["--dynamic"]), declared());
    assert_eq!(declared().len(), 117);
}

/// Returns the symbols that a library defines, sorted.
fn symbols(library: &Path, options: &[&str]) -> Vec<String> {
    let symbols = stdout(Command::new("nm").arg("--defined-only").args(options).arg(library));
    let names = symbols.lines().filter_map(|line| line.split_ascii_whitespace().nth(2));
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names
}
