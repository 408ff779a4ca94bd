//! The parent: loads the table, starts the workers, and adds up their answers.

use std::env;
use std::error::Error;
use std::fs::File;
use std::sync::Arc;

use arrow_csv::ReaderBuilder;
use arrow_schema::{DataType, Field, Schema};
use heirloom::{Command, FrozenRegion, Region};

use crate::answer::{Answer, SIZE, WORKERS};

/// The rows of a batch: few enough that each worker gets some of a small file's batches.
const ROWS: usize = 16 << 10;

pub fn run(file: &str) -> Result<(), Box<dyn Error>> {
    let (table, answers) = (load(file)?, Region::create(SIZE)?);
    let view = answers.map()?;
    let mut workers = Vec::new();
    for worker in 0..WORKERS {
        let mut command = Command::new(env::current_exe()?);
        command.args(["worker", &worker.to_string()]);
        workers.push(command.inherit("table", &table)?.inherit("answers", &answers)?.spawn()?);
    }
    // Each is waited for, also after one has failed.
    let ended: Vec<_> = workers.iter_mut().map(heirloom::Child::wait).collect();
    let mut all = Answer::NONE;
    for (worker, status) in ended.into_iter().enumerate() {
        let status = status?;
        if !status.success() {
            return Err(format!("worker {worker} failed: {status}").into());
        }
        all = all.add(Answer::read(&view, worker)?);
    }
    let Answer { rows, sum, least, most } = all;
    #[allow(clippy::cast_precision_loss)] // There are not that many rows.
    let mean = sum / rows as f64;
    println!("{rows} rows: {least} to {most} degrees, {mean:.3} on average");
    Ok(())
}

/// Loads a CSV file batch by batch: beside the region there is never more than one of them.
fn load(file: &str) -> Result<FrozenRegion, Box<dyn Error>> {
    let columns = [Field::new("station", DataType::Utf8, false), Field::new("degrees", DataType::Float64, true)];
    let schema = Arc::new(Schema::new(columns.to_vec()));
    let reader = ReaderBuilder::new(schema).with_header(true).with_batch_size(ROWS).build(File::open(file)?)?;
    Ok(heirloom_arrow::freeze(reader)?)
}
