//! Tests of the help, the manual pages and the completion scripts.

use std::fs;

use crate::{error_of, heirloom, stdout_of};

const COMMANDS: [&str; 6] = ["run", "exec", "ps", "list", "completions", "man"];

#[test]
fn every_help_has_examples_and_short_lines() {
    for command in COMMANDS.map(|command| vec![command, "--help"]).into_iter().chain([vec!["--help"]]) {
        let output = heirloom(&command).env("COLUMNS", "80").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("\nExamples:\n  # ") && help.contains("\nExit code: "), "{help}");
        let long: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}

#[test]
fn manual_has_a_page_for_every_command() {
    let directory = tempfile::tempdir().unwrap();
    // A directory that does not exist yet.
    let pages = directory.path().join("man/man1");
    let argument = pages.to_str().unwrap();
    for _ in 0..2 {
        assert_eq!(stdout_of(&["man", argument]), "");
    }
    let mut found: Vec<_> =
        fs::read_dir(&pages).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    let mut expected = COMMANDS.map(|command| format!("heirloom-{command}.1")).to_vec();
    expected.push("heirloom.1".to_owned());
    expected.sort();
    assert_eq!(found, expected);
    for page in &found {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        let mut rest = text.as_str();
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "EXAMPLES", "\"SEE ALSO\""] {
            rest = rest.split_once(&format!("\n.SH {section}\n")).unwrap_or_else(|| panic!("{page}: {section}")).1;
        }
        assert!(!rest.contains(&page.replace('-', "\\-").replace(".1", "\\fR(1)")), "{page} refers to itself");
    }
    // A file is not a directory.
    let message = error_of(&["man", pages.join("heirloom.1").to_str().unwrap()], 125);
    assert!(message.contains("cannot create the directory"), "{message}");
}

#[test]
fn every_shell_has_a_completion_script() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stdout_of(&["completions", shell]);
        assert!(COMMANDS.iter().all(|command| script.contains(command)) && script.contains("frozen"), "{script}");
    }
    error_of(&["completions", "csh"], 125);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::process::Command;

    use heirloom_conformance::skip;

    use crate::stdout_of;

    #[test]
    fn formatters_accept_the_pages() {
        let directory = tempfile::tempdir().unwrap();
        stdout_of(&["man", directory.path().to_str().unwrap()]);
        let script = "cd \"$0\" && for page in *; do \"$@\" \"$page\" || exit; done";
        for formatter in [&["mandoc", "-Wwarning", "-Tutf8"][..], &["groff", "-ww", "-man", "-Tutf8"]] {
            if Command::new(formatter[0]).arg("/dev/null").output().is_err() {
                skip(format_args!("{} is not installed", formatter[0]));
                continue;
            }
            let mut command = Command::new("sh");
            command.args(["-c", script]).arg(directory.path()).args(formatter);
            let output = command.output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
            assert_eq!(String::from_utf8_lossy(&output.stdout).matches("heirloom - ").count(), 1);
        }
    }

    #[test]
    fn bash_completes_commands_and_options() {
        if Command::new("bash").arg("--version").output().is_err() {
            return skip("bash is not installed");
        }
        let completed = |previous: &str, word: &str, words: &str| {
            let script = format!(
                "eval \"$0\"; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
                _heirloom heirloom {word} {previous}; echo \"${{COMPREPLY[*]}}\""
            );
            let mut bash = Command::new("bash");
            bash.args(["--norc", "-c", &script, &stdout_of(&["completions", "bash"])]);
            let output = bash.output().unwrap();
            assert!(output.stderr.is_empty(), "{output:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        assert_eq!(completed("heirloom", "ru", "heirloom ru"), "run");
        assert_eq!(completed("run", "--fro", "heirloom run --fro"), "--frozen");
        assert_eq!(completed("heirloom", "xyz", "heirloom xyz"), "");
    }
}
