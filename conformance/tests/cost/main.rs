//! The cost of operations in system calls and instructions. `bench/` measures times.

#![cfg(target_os = "linux")]

mod instructions;
mod system_calls;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Builds the `cost` program in release mode, because a debug build makes more calls and checks.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut build = Command::new(env!("CARGO"));
        // With the features of the whole workspace, which an earlier release build of it has compiled already.
        build.args(["build", "--quiet", "--locked", "--release", "--workspace", "--bin", "cost"]);
        assert!(build.arg("--target-dir").arg(target).status().unwrap().success());
        target.join("release/cost")
    })
}
