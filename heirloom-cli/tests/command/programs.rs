//! Runs the commands of `docs/programs.md` and `docs/nodes.md`, and compares what they print.

use std::fs;
use std::path::Path;
use std::process::Command;

use heirloom_conformance::skip;

use crate::HEIRLOOM;

/// Stands between a command and what it prints.
const PRINTS: &str = "   #=> ";
/// What the page says of a command that doesn't work.
const FAILS: &str = "fails";

/// The commands for one program, as the page has them.
struct Section<'a> {
    /// Empty for the files that all programs use.
    program: &'a str,
    lines: Vec<&'a str>,
}

fn sections(page: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let blocks = page.split("```sh\n").skip(1).map(|block| block.split_once("```").unwrap().0);
    for block in blocks {
        for (index, line) in block.lines().enumerate() {
            let program = line.strip_prefix("# ").map(|comment| comment.split(':').next().unwrap());
            if index == 0 || program.is_some() {
                sections.push(Section { program: program.unwrap_or_default(), lines: Vec::new() });
            }
            if program.is_none() {
                sections.last_mut().unwrap().lines.push(line);
            }
        }
    }
    sections
}

fn is_installed(program: &str) -> bool {
    let directories = std::env::var("PATH").unwrap();
    let found = directories.split(':').any(|directory| Path::new(directory).join(program).is_file());
    // Other programs have this name too.
    program.is_empty() || found && (program != "convert" || is_image_magick(program))
}

fn is_image_magick(program: &str) -> bool {
    let version = Command::new(program).arg("-version").output().unwrap();
    String::from_utf8_lossy(&version.stdout).contains("ImageMagick")
}

/// Runs a section in the directory; each command's output goes to the file of its number, and its exit code behind it.
fn run(section: &Section<'_>, directory: &Path) {
    let number = |(number, line): (usize, &&str)| match line.split_once(PRINTS) {
        Some((command, _)) => format!("{{ {command}; }} > {number}.out 2> {number}.err; echo $? >> {number}.err\n"),
        None => format!("{line}\n"),
    };
    let script: String = section.lines.iter().enumerate().map(number).collect();
    let path = format!("{}:{}", Path::new(HEIRLOOM).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh").args(["-c", &script]).current_dir(directory).env("PATH", path).output().unwrap();
    let read = |number: usize, kind| fs::read(directory.join(format!("{number}.{kind}"))).unwrap_or_default();
    for (number, line) in section.lines.iter().enumerate() {
        let Some((command, expected)) = line.split_once(PRINTS) else { continue };
        let printed = String::from_utf8_lossy(&read(number, "out")).replace('\0', "").trim().to_owned();
        let errors = String::from_utf8_lossy(&read(number, "err")).into_owned();
        let succeeded = errors == "0\n" || errors.ends_with("\n0\n");
        let told = format!("{command}\nprinted {printed:?}, with {errors:?}; all of {}: {output:?}", section.program);
        assert_eq!(succeeded, expected != FAILS, "{told}");
        assert!(!succeeded || printed == expected, "{told}");
    }
}

#[test]
fn programs_print_what_their_page_says() {
    check("programs.md");
}

#[test]
fn launchers_print_what_their_page_says() {
    check("nodes.md");
}

/// Runs the commands of a page, and skips the programs that are not installed.
fn check(page: &str) {
    let page = fs::read_to_string(format!("{}/../docs/{page}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut missing = Vec::new();
    for section in sections(&page) {
        let root_only = section.program == "setpriv" && !rustix::process::geteuid().is_root();
        if root_only || !is_installed(section.program) {
            missing.push(section.program);
        } else {
            run(&section, directory.path());
        }
    }
    if !missing.is_empty() {
        skip(format_args!("these programs are not installed, or need root: {}", missing.join(", ")));
    }
}
