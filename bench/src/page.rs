//! All of it as a page with plots.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::chapters::{CHAPTERS, Findings, Goal};
use crate::plot;
use heirloom_bench::ways::{WAYS, is_there};

/// Measures the chapters of those names and prints them, or all, and then writes the page too.
pub fn make(wanted: &[&str]) {
    for name in wanted {
        assert!(CHAPTERS.iter().any(|(known, _)| known == name), "there is no chapter {name:?}");
    }
    let mut all = Findings::default();
    for (name, measure) in CHAPTERS {
        if wanted.is_empty() || wanted.contains(&name) {
            let found = measure();
            all.sheets.extend(found.sheets);
            all.goals.extend(found.goals);
        }
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let text = text(&all, wanted.is_empty().then_some(&*docs));
    println!("{text}");
    if wanted.is_empty() {
        std::fs::write(docs.join("benchmarks.md"), text).unwrap();
    }
}

/// The page; its plots are drawn where it is to be.
fn text(all: &Findings, docs: Option<&Path>) -> String {
    let mut text = format!("# Benchmarks\n\nBy `bench/run`, in one run. {}\n\n", machine());
    text += "Each cell has the median of many rounds and its quartiles, and **its ratio to the first column**. In each round every \
             candidate has its turn, so that whatever else the machine does meets them all: the ratios are what lasts.\n\n";
    text += &goals(&all.goals);
    for sheet in &all.sheets {
        write!(text, "\n## {}\n{}\n\n", sheet.title, sheet.about).unwrap();
        if let Some(docs) = docs.filter(|_| sheet.is_a_line()) {
            let name = format!("benchmarks/{}.svg", sheet.key);
            std::fs::create_dir_all(docs.join("benchmarks")).unwrap();
            plot::draw(sheet, &docs.join(&name)).unwrap();
            write!(text, "![{}]({name})\n\n", sheet.title).unwrap();
        }
        text += &sheet.table();
        text += "\n";
    }
    text
}

fn goals(goals: &[Goal]) -> String {
    let mut text = "## Goals\n| | goal | measured | |\n| --- | ---: | ---: | --- |\n".to_owned();
    for Goal { what, aim, at_least, measured, why } in goals {
        let (word, met) = if *at_least { ("at least", measured >= aim) } else { ("at most", measured <= aim) };
        let met = match (met, *why) {
            (true, _) => "met".to_owned(),
            (false, "") => "**not met**".to_owned(),
            (false, why) => format!("**not met**: {why}"),
        };
        writeln!(text, "| {what} | {word} {aim} | {measured:.3} | {met} |").unwrap();
    }
    text
}

/// What it was measured on, and beside which versions.
fn machine() -> String {
    let first = |text: String| text.lines().next().unwrap_or_default().trim().to_owned();
    let said = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success());
        output.map(|output| first(String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let proc = |file: &str, field: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default();
        line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut machine = format!(
        "{cores} cores ({}), {}, Linux {}, {}",
        proc("/proc/cpuinfo", "model name"),
        proc("/proc/meminfo", "MemTotal"),
        said("uname", &["-r"]).unwrap_or_default(),
        said("rustc", &["--version"]).unwrap_or_default(),
    );
    let locked = include_str!("../Cargo.lock");
    for peer in ["shared_memory", "ipc-channel", "memmap2", "command-fds"] {
        let entry = locked.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{peer}\"\n")));
        let version = entry.and_then(|entry| entry.split("version = \"").nth(1)?.split('"').next());
        write!(machine, ", {peer} {}", version.unwrap_or_default()).unwrap();
    }
    match said("pkg-config", &["--modversion", "nspr"]) {
        Some(version) => write!(machine, ", NSPR {version}").unwrap(),
        None => machine += if WAYS.iter().all(|way| is_there(way)) { ", NSPR" } else { "; NSPR is not installed" },
    }
    match said("python3", &["--version"]) {
        Some(version) => write!(machine, ", {version}").unwrap(),
        None => machine += "; Python is not installed",
    }
    machine + "."
}
