//! A worker: aggregates every fourth batch of the table that it inherits.

use std::error::Error;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use heirloom::{FrozenRegion, Region};
use heirloom_arrow::Table;

use crate::answer::{Answer, WORKERS};

pub fn run(number: usize) -> Result<(), Box<dyn Error>> {
    let table = Table::open(&FrozenRegion::inherited("table")?)?;
    let degrees = table.schema().index_of("degrees")?;
    let mut answer = Answer::NONE;
    for index in (number..table.len()).step_by(WORKERS) {
        let batch = table.batch(index)?;
        for value in batch.column(degrees).as_primitive::<Float64Type>().iter().flatten() {
            answer = answer.add(Answer { rows: 1, sum: value, least: value, most: value });
        }
    }
    answer.write(&*Region::inherited("answers")?.map()?, number)?;
    Ok(())
}
