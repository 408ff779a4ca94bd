//! A table with each layout that Arrow has.

use std::sync::Arc;

use arrow_array::builder::{
    FixedSizeListBuilder, Int32Builder, ListBuilder, MapBuilder, StringBuilder, StringRunBuilder,
};
use arrow_array::types::Int16Type;
use arrow_array::*;
use arrow_schema::{ArrowError, Field, UnionFields};
use heirloom::FrozenRegion;

/// The number of rows in a batch.
pub const ROWS: usize = 100;

/// Returns two batches; a text is longer than what a view has in itself.
pub fn batches() -> Vec<RecordBatch> {
    let texts = |number: usize| (number % 7 != 0).then(|| format!("the text of row {number}"));
    let batch = |start: usize| {
        let rows = start..start + ROWS;
        let numbers: Int32Array = rows.clone().map(|row| (row % 3 != 0).then(|| i32::try_from(row).unwrap())).collect();
        let lists = rows.clone().map(|row| Some((0..row % 5).map(|at| Some(i32::try_from(at).unwrap()))));
        let mut list = ListBuilder::new(Int32Builder::new());
        lists.for_each(|values| list.append_option(values));
        let mut pairs = FixedSizeListBuilder::new(Int32Builder::new(), 2);
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        let mut runs = StringRunBuilder::<Int16Type>::new();
        for row in rows.clone() {
            pairs.values().append_slice(&[1, i32::try_from(row).unwrap()]);
            pairs.append(row % 4 != 0);
            map.keys().append_value(format!("key {row}"));
            map.values().append_value(2);
            map.append(true).unwrap();
            runs.append_value(format!("run {}", row / 10));
        }
        let words: DictionaryArray<Int16Type> = (0..ROWS).map(|row| Some(["one", "two", "three"][row % 3])).collect();
        let fields = StructArray::from(vec![(
            Arc::new(Field::new("number", numbers.data_type().clone(), true)),
            Arc::new(numbers.clone()) as ArrayRef,
        )]);
        let kinds = UnionFields::try_new(
            [0, 1],
            [
                Field::new("number", arrow_schema::DataType::Int32, true),
                Field::new("flag", arrow_schema::DataType::Boolean, true),
            ],
        )
        .unwrap();
        let flags: BooleanArray = rows.clone().map(|row| Some(row % 2 == 0)).collect();
        let children = vec![Arc::new(numbers.clone()) as ArrayRef, Arc::new(flags.clone())];
        let ids = rows.clone().map(|row| i8::from(row % 2 == 0)).collect();
        let offsets = (0..i32::try_from(ROWS).unwrap()).collect();
        let dense = UnionArray::try_new(kinds.clone(), ids, Some(offsets), children.clone()).unwrap();
        let sparse =
            UnionArray::try_new(kinds, rows.clone().map(|row| i8::from(row % 2 == 0)).collect(), None, children)
                .unwrap();
        let texts = || rows.clone().map(texts);
        let decimals: Decimal128Array = rows.clone().map(|row| Some(row as i128)).collect();
        RecordBatch::try_from_iter([
            ("numbers", Arc::new(numbers) as ArrayRef),
            ("flags", Arc::new(flags)),
            ("texts", Arc::new(texts().collect::<StringArray>())),
            ("large", Arc::new(texts().collect::<LargeStringArray>())),
            ("views", Arc::new(texts().collect::<StringViewArray>())),
            ("words", Arc::new(words)),
            ("decimals", Arc::new(decimals)),
            ("lists", Arc::new(list.finish())),
            ("pairs", Arc::new(pairs.finish())),
            ("maps", Arc::new(map.finish())),
            ("structs", Arc::new(fields)),
            ("dense", Arc::new(dense)),
            ("sparse", Arc::new(sparse)),
            ("runs", Arc::new(runs.finish())),
            ("nothing", Arc::new(NullArray::new(ROWS))),
        ])
        .unwrap()
    };
    vec![batch(0), batch(ROWS)]
}

/// Returns a reader of batches.
pub fn reader(batches: Vec<RecordBatch>) -> impl RecordBatchReader {
    let schema = batches[0].schema();
    RecordBatchIterator::new(batches.into_iter().map(Ok::<_, ArrowError>), schema)
}

/// Returns the region of both batches.
pub fn region() -> FrozenRegion {
    heirloom_arrow::freeze(reader(batches())).unwrap()
}
