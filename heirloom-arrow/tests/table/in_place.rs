//! Every buffer is inside of the mapping, here and in a child.

use std::fs;
use std::ops::Range;

use arrow_array::{Array, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_data::ArrayData;
use heirloom::{Command, FrozenRegion};
use heirloom_arrow::Table;

use crate::samples::{batches, region};

/// Returns where this process has mapped regions.
fn mapped() -> Vec<Range<usize>> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let regions = maps.lines().filter(|line| line.contains("/memfd:heirloom/"));
    let address = |text| usize::from_str_radix(text, 16).unwrap();
    regions
        .map(|line| {
            let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
            address(start)..address(end)
        })
        .collect()
}

/// Returns where the bytes of an array are, and those of its children.
fn places(data: &ArrayData) -> Vec<Range<usize>> {
    let nulls = data.nulls().map(NullBuffer::buffer);
    let own = data.buffers().iter().chain(nulls).filter(|buffer| !buffer.is_empty());
    let own = own.map(|buffer| buffer.as_ptr() as usize..buffer.as_ptr() as usize + buffer.len());
    own.chain(data.child_data().iter().flat_map(places)).collect()
}

/// Asserts that all columns are inside of the one region that is mapped, and returns how many buffers they have.
fn assert_in_place(batch: &RecordBatch) -> usize {
    let mapped = mapped();
    assert_eq!(mapped.len(), 1);
    let places: Vec<_> = batch.columns().iter().flat_map(|column| places(&column.to_data())).collect();
    for place in &places {
        assert!(mapped[0].start <= place.start && place.end <= mapped[0].end, "{place:x?} is not in {mapped:x?}");
    }
    places.len()
}

#[test]
fn every_buffer_is_in_the_mapping() {
    let table = Table::open(&region()).unwrap();
    for (read, written) in table.batches().map(Result::unwrap).zip(batches()) {
        assert_eq!(read, written);
        // All that the sample has.
        assert_eq!(assert_in_place(&read), 38);
        // The control: those that were written are elsewhere.
        let elsewhere = written.columns().iter().flat_map(|column| places(&column.to_data()));
        assert!(elsewhere.into_iter().all(|place| !mapped()[0].contains(&place.start)));
    }
}

#[test]
fn a_column_alone_keeps_the_mapping() {
    let column = {
        let table = Table::open(&region()).unwrap();
        assert_in_place(&table.batch(0).unwrap());
        table.batch(1).unwrap().column(2).slice(1, 5)
    };
    assert_eq!(mapped().len(), 1);
    assert_eq!(*column, *batches()[1].column(2).slice(1, 5));
    // The control: nothing else keeps it.
    drop(column);
    assert_eq!(mapped().len(), 0);
}

#[test]
fn a_child_reads_in_place() {
    let region = region();
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", "in_place::child", "--nocapture"]).stdout(heirloom::Stdio::piped());
    let output = command.inherit("table", &region).unwrap().output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert!(output.contains("the child read both batches in place"), "{output}");
}

/// The child of the test above; by itself it does nothing.
#[test]
fn child() {
    let Ok(region) = FrozenRegion::inherited("table") else { return };
    let table = Table::open(&region).unwrap();
    drop(region);
    for (read, written) in table.batches().map(Result::unwrap).zip(batches()) {
        assert_in_place(&read);
        assert_eq!(read, written);
    }
    assert_eq!(table.len(), 2);
    println!("the child read both batches in place");
}
