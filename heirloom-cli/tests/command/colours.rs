//! Tests of the output on a terminal.

use std::io::Read;
use std::thread;

use rustix::termios::{Winsize, tcsetwinsize};

use crate::linux::{on_terminal, terminal};
use crate::{heirloom, stdout_of};

/// Returns what a call prints on a terminal of that width.
fn shown(args: &[&str], width: u16, variables: &[(&str, &str)]) -> String {
    let (mut user, path) = terminal();
    tcsetwinsize(&user, Winsize { ws_row: 24, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let mut command = on_terminal(args, &path);
    command.env_remove("NO_COLOR").env_remove("CLICOLOR").env("TERM", "xterm").envs(variables.iter().copied());
    let mut child = command.spawn().unwrap();
    // The command keeps the other end open until it is dropped.
    drop(command);
    let reader = thread::spawn(move || {
        let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
        // Reading fails once the other end is closed.
        while let Ok(read @ 1..) = user.read(&mut buffer) {
            seen.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8(seen).unwrap().replace("\r\n", "\n")
    });
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn help_fits_the_terminal() {
    for task in [&["--help"][..], &["run", "--help"], &["exec", "--help"], &["ps", "--help"], &["list", "--help"]] {
        for width in [80, 100] {
            let help = shown(task, width, &[("NO_COLOR", "1")]);
            let longest = help.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= usize::from(width) && longest > 60, "{help}");
        }
    }
}

#[test]
fn colours_are_for_terminals_only() {
    let plain = stdout_of(&["ps", "--help"]);
    assert!(!plain.contains('\u{1b}'));
    let coloured = shown(&["ps", "--help"], 100, &[]);
    assert!(coloured.contains("\u{1b}[1m\u{1b}[4mExamples:\u{1b}[0m"), "{coloured:?}");
    assert_eq!(shown(&["ps", "--help"], 100, &[("NO_COLOR", "1")]), plain);

    let plain = String::from_utf8(heirloom(&["rum"]).output().unwrap().stderr).unwrap();
    assert!(plain.starts_with("heirloom: "), "{plain:?}");
    let coloured = shown(&["rum"], 100, &[]);
    assert!(coloured.starts_with("\u{1b}[1m\u{1b}[31mheirloom:\u{1b}[0m unrecognized"), "{coloured:?}");
    assert_eq!(shown(&["rum"], 100, &[("NO_COLOR", "1")]), plain);
}
