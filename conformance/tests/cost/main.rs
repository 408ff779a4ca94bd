//! What things cost, in what can be counted: system calls and instructions. How long they take is for `bench/`.

#![cfg(target_os = "linux")]

mod instructions;
mod system_calls;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program that does one thing, as it would be released: a debug build calls and checks more.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "--release", "--package", env!("CARGO_PKG_NAME"), "--bin", "cost"]);
        assert!(build.arg("--target-dir").arg(target).status().unwrap().success());
        target.join("release/cost")
    })
}
