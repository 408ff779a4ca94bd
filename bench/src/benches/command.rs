//! The start-up time of the command.

use std::process::{Command, Stdio};

use super::Results;
use crate::table::Table;
use heirloom_bench::measure::{routine, time};

/// The command that `bench/run` builds.
pub const HEIRLOOM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/heirloom");

/// Runs a program to its end and returns the nanoseconds.
pub fn time_program(program: &str, args: &[&str]) -> f64 {
    time(1, || {
        assert!(
            Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap().success()
        );
    })
}

pub fn measure() -> Results {
    let mut table = Table::new(
        "command",
        "Start-up time of the command",
        "",
        "Time until /bin/true has exited. `env` is a minimal program launcher. The shell and Python are listed for \
         comparison.",
    );
    let mut routines = vec![
        routine("/bin/true", || time_program("/bin/true", &[])),
        routine("env /bin/true", || time_program("env", &["/bin/true"])),
        routine("heirloom exec --shared a=1M -- /bin/true", || {
            time_program(HEIRLOOM, &["exec", "--shared", "a=1M", "--", "/bin/true"])
        }),
        routine("heirloom run --shared a=1M -- /bin/true", || {
            time_program(HEIRLOOM, &["run", "--shared", "a=1M", "--", "/bin/true"])
        }),
        routine("sh -c '/bin/true; exit'", || time_program("sh", &["-c", "/bin/true; exit"])),
    ];
    if super::spawn::start_python(0).is_some() {
        routines.push(routine("python3 -c pass", || time_program("python3", &["-c", "pass"])));
    }
    table.add_row(1.0, "start to exit", routines);
    Results { tables: vec![table], goals: Vec::new() }
}
