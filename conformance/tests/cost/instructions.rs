//! The instructions of each access, counted by valgrind. The checks of an access take a constant number,
//! independent of its size.

use std::process::Command;

use heirloom_conformance::skip;

use crate::program;

/// The number of times that the program repeats the access.
const TIMES: u64 = 1000;

/// The instructions per access. `None` where they cannot be counted.
fn instructions(access: &str, size: u64) -> Option<u64> {
    // The limits are for x86-64 with assembly.
    if cfg!(not(target_arch = "x86_64")) || cfg!(heirloom_portable) {
        skip("instructions are counted on x86-64 with assembly only");
        return None;
    }
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]);
    valgrind.arg(format!("--toggle-collect=counted_{access}")).arg(program()).args([access, &size.to_string()]);
    let output = match valgrind.output() {
        Ok(output) if output.status.success() => output,
        answer => {
            skip(format_args!("valgrind cannot count here (Debian package: valgrind): {answer:?}"));
            return None;
        }
    };
    let report = String::from_utf8(output.stderr).unwrap();
    let collected =
        report.lines().find_map(|line| line.split_once("Collected : ")).unwrap_or_else(|| panic!("{report}")).1;
    Some(collected.trim().parse::<u64>().unwrap() / TIMES)
}

#[test]
fn small_copy_takes_few_instructions() {
    for access in ["read_at", "write_at"] {
        for (size, most) in [(8, 45), (64, 65), (256, 90), (1024, 240)] {
            let Some(count) = instructions(access, size) else { return };
            assert!(count <= most, "{access} of {size} bytes takes {count} instructions");
            // The control: the count is plausible.
            assert!(count >= 5 + size / 64, "{access} of {size} bytes takes {count} instructions");
        }
    }
}

#[test]
fn atomic_access_takes_few_instructions() {
    for (access, most) in [("load", 12), ("store", 12), ("fetch_add", 12)] {
        let (Some(few), Some(many)) = (instructions(access, 10), instructions(access, 1010)) else { return };
        let each = (many - few) / 1000;
        assert!((1..=most).contains(&each), "{access} takes {each} instructions");
    }
}
