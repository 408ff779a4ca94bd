//! A table of Arrow that four workers aggregate.

use std::env;
use std::fs::File;
use std::io::{BufWriter, Write, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow_csv::ReaderBuilder;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use heirloom::{Child, Command, FrozenRegion, Stdio};
use heirloom_arrow::Table as ArrowTable;
use heirloom_bench::measure::{routine, time};

use super::Results;
use crate::table::Table;

const WORKERS: usize = 4;
/// The rows of the table, and those of a batch.
const ROWS: u32 = 2 << 20;
const BATCH: usize = 32 << 10;

pub fn measure() -> Results {
    let mut results = Results::default();
    let mut table = Table::new(
        "arrow",
        "Four workers aggregate a table of Arrow",
        "",
        "Time until four workers have started, each has summed a column in a fourth of 64 batches, and their sums are added. The table \
         has 2 Mi rows of a number, a text and a temperature. Through a pipe, a worker gets the batches that it needs as a stream of \
         Arrow's IPC format, which is what pickling a table does too. The first question includes filling and freeing the region.",
    );
    let path = PathBuf::from(format!("/dev/shm/heirloom-table-{}.csv", std::process::id()));
    write_file(&path);
    let batches: Vec<RecordBatch> = file(&path).map(Result::unwrap).collect();
    let frozen = freeze(&batches);
    let expected = sum(batches.iter().cloned());
    let check = |sum: f64, parts: usize| assert!((sum * parts as f64 / WORKERS as f64 / expected - 1.0).abs() < 1e-6);

    let in_place = |region: &FrozenRegion, parts| check(in_place(region, parts), parts);
    let streamed = |batches: &[RecordBatch], parts| check(streamed(batches, parts), parts);
    let load = || file(&path).map(Result::unwrap).collect::<Vec<_>>();
    table.add_row(
        0.0,
        "a question about a CSV file",
        vec![
            routine("heirloom-arrow, in place", || {
                time(1, || in_place(&heirloom_arrow::freeze(file(&path)).unwrap(), WORKERS))
            }),
            routine("each worker reads the file", || time(1, || check(each_reads(&path), WORKERS))),
            routine("through pipes", || time(1, || streamed(&load(), WORKERS))),
        ],
    );
    table.add_row(
        1.0,
        "the first question about a table in the parent's memory",
        vec![
            routine("heirloom-arrow, in place", || time(1, || in_place(&freeze(&batches), WORKERS))),
            routine("through pipes", || time(1, || streamed(&batches, WORKERS))),
        ],
    );
    table.add_row(
        2.0,
        "the next question",
        vec![
            routine("heirloom-arrow, in place", || time(1, || in_place(&frozen, WORKERS))),
            routine("through pipes", || time(1, || streamed(&batches, WORKERS))),
        ],
    );
    table.add_row(
        3.0,
        "the first question, for which each worker needs all batches",
        vec![
            routine("heirloom-arrow, in place", || time(1, || in_place(&freeze(&batches), 1))),
            routine("through pipes", || time(1, || streamed(&batches, 1))),
        ],
    );
    std::fs::remove_file(path).unwrap();
    let reason = "a pipe uses the same pages again, and a new region's are allocated";
    for (row, question, other) in [
        (1, "first question", "through pipes"),
        (2, "next question", "through pipes"),
        (3, "all batches for each", "through pipes"),
        (0, "CSV file", "through pipes"),
        (0, "CSV file", "each worker reads the file"),
    ] {
        let ratio = table.ratio(other, "heirloom-arrow, in place", row);
        results.at_least(format!("arrow: {question}, {other} to heirloom-arrow"), 1.0, ratio, reason);
    }

    let mut filling = Table::new(
        "arrow-fill",
        "Put a table of Arrow into a frozen region",
        "",
        "Time until the table of before is in a frozen region: written straight into it, or into a vector that is then copied.",
    );
    let copied = || {
        let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
        for batch in &batches {
            writer.write(batch).unwrap();
        }
        drop(FrozenRegion::from_bytes(writer.into_inner().unwrap()).unwrap());
    };
    let routines = vec![
        routine("heirloom-arrow", || time(1, || drop(freeze(&batches)))),
        routine("a vector, FrozenRegion::from_bytes", || time(1, copied)),
    ];
    filling.add_row(0.0, "2 Mi rows", routines);
    results.tables.extend([table, filling]);
    results
}

fn write_file(path: &Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    writeln!(file, "number,station,degrees").unwrap();
    for row in 0..ROWS {
        writeln!(file, "{row},station {},{}", row % 1009, f64::from(row % 600) / 10.0).unwrap();
    }
    file.flush().unwrap();
}

fn file(path: &Path) -> impl RecordBatchReader {
    let columns = [("number", DataType::Int64), ("station", DataType::Utf8), ("degrees", DataType::Float64)];
    let fields: Vec<_> = columns.into_iter().map(|(name, kind)| Field::new(name, kind, false)).collect();
    let schema = Arc::new(Schema::new(fields));
    ReaderBuilder::new(schema).with_header(true).with_batch_size(BATCH).build(File::open(path).unwrap()).unwrap()
}

fn freeze(batches: &[RecordBatch]) -> FrozenRegion {
    let schema = batches[0].schema();
    heirloom_arrow::freeze(RecordBatchIterator::new(batches.iter().cloned().map(Ok::<_, ArrowError>), schema)).unwrap()
}

fn sum(batches: impl IntoIterator<Item = RecordBatch>) -> f64 {
    batches.into_iter().map(|batch| batch["degrees"].as_primitive::<Float64Type>().values().iter().sum::<f64>()).sum()
}

fn in_place(region: &FrozenRegion, parts: usize) -> f64 {
    ask("region", parts, Path::new(""), |command| _ = command.inherit("table", region).unwrap(), |_, _| ())
}

fn streamed(batches: &[RecordBatch], parts: usize) -> f64 {
    let send = |worker: usize, child: &mut Child| {
        let mut writer = StreamWriter::try_new_buffered(child.stdin.take().unwrap(), &batches[0].schema()).unwrap();
        for batch in batches.iter().skip(worker % parts).step_by(parts) {
            writer.write(batch).unwrap();
        }
        writer.finish().unwrap();
    };
    ask("stream", parts, Path::new(""), |command| _ = command.stdin(Stdio::piped()), send)
}

fn each_reads(path: &Path) -> f64 {
    ask("file", WORKERS, path, |_| (), |_, _| ())
}

/// Starts the workers, sends them what they need, and adds their answers. Each needs one of `parts` parts of the table.
fn ask(how: &str, parts: usize, path: &Path, prepare: impl Fn(&mut Command), send: impl Fn(usize, &mut Child)) -> f64 {
    let start = |worker: usize| {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["arrow-worker", how, &(worker % parts).to_string(), &parts.to_string()])
            .arg(path)
            .stdout(Stdio::piped());
        prepare(&mut command);
        command.spawn().unwrap()
    };
    let mut workers: Vec<Child> = (0..WORKERS).map(start).collect();
    workers.iter_mut().enumerate().for_each(|(worker, child)| send(worker, child));
    let answer = |child: Child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().parse::<f64>().unwrap()
    };
    workers.into_iter().map(answer).sum()
}

/// What a worker does.
pub fn work(how: &str, part: usize, parts: usize, path: &str) {
    let answer = match how {
        "region" => {
            let table = ArrowTable::open(&FrozenRegion::inherited("table").unwrap()).unwrap();
            sum((part..table.len()).step_by(parts).map(|index| table.batch(index).unwrap()))
        }
        "stream" => sum(StreamReader::try_new(stdin().lock(), None).unwrap().map(Result::unwrap)),
        _ => sum(file(Path::new(path)).skip(part).step_by(parts).map(Result::unwrap)),
    };
    println!("{answer}");
}
