//! The command itself.

use std::process::{Command, Stdio};

use super::Findings;
use crate::sheet::Sheet;
use heirloom_bench::measure::{candidate, time};

/// Where the command was built.
pub const HEIRLOOM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/heirloom");

pub fn run(program: &str, args: &[&str]) -> f64 {
    time(1, || {
        assert!(
            Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap().success()
        );
    })
}

pub fn measure() -> Findings {
    let mut sheet = Sheet::new(
        "command",
        "The command's own start-up",
        "",
        "Until /bin/true has ended. `env` is the least that starts a program; the shell and Python for comparison.",
    );
    let mut candidates = vec![
        candidate("/bin/true", || run("/bin/true", &[])),
        candidate("env /bin/true", || run("env", &["/bin/true"])),
        candidate("heirloom exec --shared a=1M -- /bin/true", || {
            run(HEIRLOOM, &["exec", "--shared", "a=1M", "--", "/bin/true"])
        }),
        candidate("heirloom run --shared a=1M -- /bin/true", || {
            run(HEIRLOOM, &["run", "--shared", "a=1M", "--", "/bin/true"])
        }),
        candidate("sh -c '/bin/true; exit'", || run("sh", &["-c", "/bin/true; exit"])),
    ];
    if super::spawn::python(0).is_some() {
        candidates.push(candidate("python3 -c pass", || run("python3", &["-c", "pass"])));
    }
    sheet.row(1.0, "start to end", candidates);
    Findings { sheets: vec![sheet], goals: Vec::new() }
}
