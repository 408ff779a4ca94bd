//! Generates the page of this machine's processor, its plots, and `docs/benchmarks.md`, which compares the pages.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::benches::{BENCHES, Goal, Results};
use crate::plot;
use crate::table::Table;
use heirloom_bench::candidates::{CANDIDATES, is_installed};

/// Runs the selected benchmarks and prints their tables. If none is selected, runs all and writes the pages.
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
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks");
    let (processor, name) = processor();
    let text = text(&processor, &all, selected.is_empty().then_some((&*pages, &*name)));
    println!("{text}");
    if selected.is_empty() {
        std::fs::write(pages.join(name).with_extension("md"), text).unwrap();
        std::fs::write(pages.with_extension("md"), overview(&pages)).unwrap();
    }
}

/// Formats the page. With a folder for pages and the page's name, also draws the plots there.
fn text(processor: &str, all: &Results, page: Option<(&Path, &str)>) -> String {
    let mut text = format!("# {processor}\n\nMeasured by `bench/run` in a single run. {}\n\n", machine());
    text += "Each cell has the median over many rounds, the quartiles in parentheses, and **the ratio to the first \
             column**. Each round runs every candidate once, in a different order, so other load on the machine \
             affects all of them. The ratios are therefore more reproducible than the times.\n\n";
    text += &standing(&all.tables);
    text += &goals(&all.goals);
    for table in &all.tables {
        write!(text, "\n## {}\n{}\n\n", table.title, table.notes).unwrap();
        if let Some((pages, name)) = page.filter(|_| table.has_plot()) {
            let plot = format!("{name}/{}.svg", table.key);
            std::fs::create_dir_all(pages.join(name)).unwrap();
            plot::draw(table, &pages.join(&plot)).unwrap();
            write!(text, "![{}]({plot})\n\n", table.title).unwrap();
        }
        text += &table.to_markdown();
        text += "\n";
    }
    text
}

/// Counts the rows of each table in which heirloom is ahead of the fastest other candidate, level with it, or behind.
fn standing(tables: &[Table]) -> String {
    let mut text = String::from(
        "## At a glance\nIn how many rows heirloom takes less time than the fastest of the others, the same within 5 %, or more. \
         The first column counts among the others only where it is the only one.\n\n\
         | | ahead | level | behind | ratio to the fastest other |\n| --- | ---: | ---: | ---: | ---: |\n",
    );
    for table in tables {
        let ratios: Vec<f64> = (0..table.rows.len()).filter_map(|row| table.ratio_to_others(row)).collect();
        let count = |wanted: fn(&f64) -> bool| ratios.iter().copied().filter(wanted).count();
        let (Some(least), Some(most)) =
            (ratios.iter().copied().min_by(f64::total_cmp), ratios.iter().copied().max_by(f64::total_cmp))
        else {
            continue;
        };
        let (ahead, behind) = (count(|ratio| *ratio < 0.95), count(|ratio| *ratio > 1.05));
        let level = ratios.len() - ahead - behind;
        writeln!(text, "| {} | {ahead} | {level} | {behind} | {least:.2} to {most:.2} |", table.title).unwrap();
    }
    text + "\n"
}

/// Puts what each page says first side by side.
fn overview(pages: &Path) -> String {
    let mut text =
        "# Benchmarks\n\n`bench/run` adds a page for the processor that it runs on, or replaces it.\n".to_owned();
    let entries = std::fs::read_dir(pages).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        entries.filter(|name| Path::new(name).extension().is_some_and(|it| it == "md")).collect();
    names.sort();
    for name in names {
        let page = std::fs::read_to_string(pages.join(&name)).unwrap();
        let title = page.lines().next().unwrap_or_default().trim_start_matches("# ");
        // From the first heading to the tables: how heirloom compares, and the goals.
        let sections = page.split("\n## ").skip(1);
        write!(text, "\n## [{title}](benchmarks/{name})\n").unwrap();
        for section in sections.take_while(|section| section.starts_with("At a glance") || section.starts_with("Goals"))
        {
            write!(text, "\n### {}\n", section.trim_end()).unwrap();
        }
    }
    text
}

/// Returns a value of a file in `/proc`.
fn proc(file: &str, field: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == field));
    line.and_then(|line| line.split_once(':')).map_or(String::new(), |(_, value)| value.trim().to_owned())
}

/// Returns the processor's name, with the numbers that tell models of one name apart, and its page's name.
fn processor() -> (String, String) {
    let info = |field| proc("/proc/cpuinfo", field);
    let name = info("model name").replace("(R)", "").replace("(TM)", "");
    let mut name = if name.is_empty() { std::env::consts::ARCH.to_owned() } else { name };
    if !info("model").is_empty() {
        write!(name, ", family {}, model {}", info("cpu family"), info("model")).unwrap();
    }
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let page = words.collect::<Vec<_>>().join("-").to_lowercase();
    (name, page)
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
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut machine = format!(
        "Machine: {cores} cores ({}), {} of memory, Linux {}. Versions: {}",
        proc("/proc/cpuinfo", "model name"),
        proc("/proc/meminfo", "MemTotal"),
        output_of("uname", &["-r"]).unwrap_or_default(),
        output_of("rustc", &["--version"]).unwrap_or_default(),
    );
    let locked = include_str!("../Cargo.lock");
    for library in ["shared_memory", "ipc-channel", "memmap2", "command-fds", "rtrb"] {
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
    match output_of("bwrap", &["--version"]) {
        Some(version) => write!(machine, ", {version}").unwrap(),
        None => machine += "; Bubblewrap is not installed",
    }
    machine + "."
}
