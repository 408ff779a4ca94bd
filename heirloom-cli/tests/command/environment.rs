//! Tests of `--env`.

use crate::{HEIRLOOM, error_of, stdout_of};

#[test]
fn malformed_variables_are_refused() {
    for (variable, says) in [
        ("KEY", "expected VAR=VALUE"),
        ("=value", "expected a variable's name"),
        ("HEIRLOOM_REGIONS=", "heirloom itself sets this variable"),
    ] {
        for task in ["run", "exec"] {
            let message = error_of(&[task, "--env", variable, "--", HEIRLOOM, "list"], 125);
            assert!(message.contains(says), "{message}");
        }
    }
    // Control.
    stdout_of(&["run", "--env", "KEY=", "--", HEIRLOOM, "list"]);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    use crate::{heirloom, stdout_of};

    #[test]
    fn values_refer_to_regions_and_workers() {
        let script = "cat $A; echo $B $C";
        let run = ["--env", "A={text}", "--env", "C={b} {} a=b", "--env", "C=last{}", "--", "sh", "-c", script];
        let frozen = ["--frozen", "text=Cargo.toml"];
        let content = std::fs::read_to_string("Cargo.toml").unwrap();
        let stdout = stdout_of(&[&["exec"], &frozen[..], &["--env", "B={job}"], &run].concat());
        assert_eq!(stdout, format!("{content}{{job}} last{{}}\n"));
        let stdout = stdout_of(&[&["run"], &frozen[..], &["--env", "B={job}/{jobs}=x"], &run].concat());
        assert_eq!(stdout, format!("{content}0/1=x last{{}}\n"));
        let stdout = stdout_of(&["run", "--jobs", "3", "--env", "N={job}", "--", "sh", "-c", "echo $N"]);
        let mut numbers: Vec<_> = stdout.lines().collect();
        numbers.sort_unstable();
        assert_eq!(numbers, ["0", "1", "2"]);
    }

    #[test]
    fn workers_count_on_from_the_first_job() {
        let script = "echo $0 $N";
        let variable = ["--env", "N={job}", "--", "sh", "-c", script, "{job}/{jobs}"];
        let numbers = |first: &str| {
            let stdout = stdout_of(&[&["run", "--jobs", "3", "--first-job", first], &variable[..]].concat());
            let mut numbers: Vec<_> = stdout.lines().map(str::to_owned).collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(numbers("0"), ["0/3 0", "1/3 1", "2/3 2"]);
        assert_eq!(numbers("16"), ["16/3 16", "17/3 17", "18/3 18"]);
        // Beyond 32 bits.
        let largest = ["4294967295/3 4294967295", "4294967296/3 4294967296", "4294967297/3 4294967297"];
        assert_eq!(numbers("4294967295"), largest);
        assert_eq!(stdout_of(&["run", "--first-job", "7", "--", "echo", "{job}/{jobs}"]), "7/1\n");
    }

    #[test]
    fn values_need_not_be_unicode() {
        let mut command = heirloom(&["run", "--shared", "a=1", "--env"]);
        command.arg(OsStr::from_bytes(b"A=\xff{a}\xfe")).args(["--", "printenv", "A"]);
        let output = command.output().unwrap();
        let value = OsString::from_vec(output.stdout);
        assert!(
            value.as_bytes().starts_with(b"\xff/proc/self/fd/") && value.as_bytes().ends_with(b"\xfe\n"),
            "{value:?}"
        );
    }
}

#[cfg(windows)]
#[test]
fn value_is_handle_number() {
    let stdout = stdout_of(&["run", "--shared", "a=4K", "--env", "A={a}", "--", "cmd", "/c", "echo %A% {a}"]);
    let (value, argument) = stdout.trim().split_once(' ').unwrap();
    assert_eq!(value, argument);
    assert!(value.parse::<u32>().is_ok(), "{stdout}");
}
