//! Generates `docs/benchmarks.md` and its plots.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::benches::{BENCHES, Goal, Results};
use crate::plot;
use heirloom_bench::candidates::{CANDIDATES, is_installed};

/// Runs the selected benchmarks and prints their tables. If none is selected, runs all and writes the page.
pub fn generate(selected: &[&str]) {
    for name in selected {
        assert!(BENCHES.iter().any(|(known, _)| known == name), "unknown benchmark {name:?}");
    }
    let mut all = Results::default();
    for (name, measure) in BENCHES {
        if selected.is_empty() || selected.contains(&name) {
            let results = measure();
            all.tables.extend(results.tables);
            all.goals.extend(results.goals);
        }
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let text = text(&all, selected.is_empty().then_some(&*docs));
    println!("{text}");
    if selected.is_empty() {
        std::fs::write(docs.join("benchmarks.md"), text).unwrap();
    }
}

/// Formats the page. With `docs`, also draws the plots into that directory.
fn text(all: &Results, docs: Option<&Path>) -> String {
    let mut text = format!("# Benchmarks\n\nMeasured by `bench/run` in a single run. {}\n\n", machine());
    text += "Each cell has the median over many rounds, the quartiles in parentheses, and **the ratio to the first \
             column**. Each round runs every candidate once, in a different order, so other load on the machine \
             affects all of them. The ratios are therefore more reproducible than the times.\n\n";
    text += &goals(&all.goals);
    for table in &all.tables {
        write!(text, "\n## {}\n{}\n\n", table.title, table.notes).unwrap();
        if let Some(docs) = docs.filter(|_| table.has_plot()) {
            let name = format!("benchmarks/{}.svg", table.key);
            std::fs::create_dir_all(docs.join("benchmarks")).unwrap();
            plot::draw(table, &docs.join(&name)).unwrap();
            write!(text, "![{}]({name})\n\n", table.title).unwrap();
        }
        text += &table.to_markdown();
        text += "\n";
    }
    text
}

fn goals(goals: &[Goal]) -> String {
    let mut text = "## Goals\n| metric | goal | measured | result |\n| --- | ---: | ---: | --- |\n".to_owned();
    for Goal { metric, target, at_least, measured, reason } in goals {
        let (bound, met) = if *at_least { ("at least", measured >= target) } else { ("at most", measured <= target) };
        let result = match (met, *reason) {
            (true, _) => "met".to_owned(),
            (false, "") => "**not met**".to_owned(),
            (false, reason) => format!("**not met**: {reason}"),
        };
        writeln!(text, "| {metric} | {bound} {target} | {measured:.3} | {result} |").unwrap();
    }
    text
}

/// Describes the machine and the versions of the compared libraries.
fn machine() -> String {
    let first_line = |text: String| text.lines().next().unwrap_or_default().trim().to_owned();
    let output_of = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success());
        output.map(|output| first_line(String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let proc = |file: &str, field: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default();
        line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut machine = format!(
        "Machine: {cores} cores ({}), {} of memory, Linux {}. Versions: {}",
        proc("/proc/cpuinfo", "model name"),
        proc("/proc/meminfo", "MemTotal"),
        output_of("uname", &["-r"]).unwrap_or_default(),
        output_of("rustc", &["--version"]).unwrap_or_default(),
    );
    let locked = include_str!("../Cargo.lock");
    for library in ["shared_memory", "ipc-channel", "memmap2", "command-fds"] {
        let entry = locked.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{library}\"\n")));
        let version = entry.and_then(|entry| entry.split("version = \"").nth(1)?.split('"').next());
        write!(machine, ", {library} {}", version.unwrap_or_default()).unwrap();
    }
    match output_of("pkg-config", &["--modversion", "nspr"]) {
        Some(version) => write!(machine, ", NSPR {version}").unwrap(),
        None => {
            machine += if CANDIDATES.iter().all(|candidate| is_installed(candidate)) {
                ", NSPR"
            } else {
                "; NSPR is not installed"
            }
        }
    }
    match output_of("python3", &["--version"]) {
        Some(version) => write!(machine, ", {version}").unwrap(),
        None => machine += "; Python is not installed",
    }
    machine + "."
}
